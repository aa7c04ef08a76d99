/**
 * Where the running server of a configuration answers its operators.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Option } from "effect"
import type { Env } from "../../config/Environment.js"
import type { ConfigInvalid } from "../../config/Problem.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import { OpsUnavailable } from "../../ops/OpsClient.js"
import { defaultPort } from "../../ops/OpsServer.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"

/** `http://host:port`, by the server's configuration; its secrets are not read. */
export const ofConfig = (
  kinds: ReadonlyArray<string>,
  file: Option.Option<string>
): Effect.Effect<string, ConfigInvalid | OpsUnavailable, Env | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { server } = (yield* ServerConfig.load({ file: Option.getOrUndefined(file), kinds })).value
    if (server.metrics_port === 0) {
      return yield* new OpsUnavailable({
        summary: "This server has no port for its operators: server.metrics_port is 0.",
        remedy: "Set server.metrics_port, or leave it out for 9095, and start the server again."
      })
    }
    return `http://${reachable(server.metrics_host)}:${server.metrics_port ?? defaultPort}`
  })

/** The one that was typed. */
export const ofUrl = (typed: string): Effect.Effect<string, UsageInvalid> =>
  Effect.suspend(() => {
    const url = URL.canParse(typed) ? new URL(typed) : undefined
    return url?.protocol === "http:" && url.username === "" && url.pathname === "/" && url.search === ""
      ? Effect.succeed(url.origin)
      : new UsageInvalid({ summary: "--url is not an address.", remedy: "Write it as http://HOST:PORT." })
  })

// -- internals ---------------------------------------------------------------

/** A server on every address of this machine is called on its own one. */
const reachable = (host: string): string => {
  if (host === "0.0.0.0") return "127.0.0.1"
  if (host === "::") return "[::1]"
  return host.includes(":") ? `[${host}]` : host
}
