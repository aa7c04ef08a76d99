/**
 * `vibectl setup-proxy test [URL]`: asks a server what it is.
 */
import { Args, Command, Options } from "@effect/cli"
import { Duration, Effect, Option } from "effect"
import * as Values from "../../commandline/Values.js"
import { ClientConfig } from "../../config/ClientConfig.js"
import * as ProxyUrl from "../../domain/ProxyUrl.js"
import { Output } from "../../terminal/Output.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import { Connector } from "../Connector.js"
import * as ServerTable from "../ServerTable.js"
import * as Target from "../Target.js"
import { output, proxy } from "./options.js"

export const test = Command.make("test", {
  url: Args.text({ name: "URL" }).pipe(
    Args.withDescription("The server to ask, instead of the active profile's"),
    Args.optional
  ),
  timeout: Values.amount("timeout", 86_400).pipe(
    Options.withPseudoName("SECONDS"),
    Options.withDescription("How long to wait for the answer (default 10)"),
    Options.optional
  ),
  proxy,
  output
}, (input) =>
  Effect.scoped(Effect.gen(function*() {
    const screen = yield* Output
    const seconds = Option.getOrUndefined(input.timeout)
    if (Option.isSome(input.url) && Option.isSome(input.proxy)) {
      return yield* new UsageInvalid({
        summary: "A URL and --proxy name a server each.",
        remedy: "Leave one of them out."
      })
    }
    const options = yield* Option.match(input.url, {
      onNone: () => Effect.flatMap(Target.profile(Option.getOrUndefined(input.proxy)), Target.ofProfile),
      onSome: (text) =>
        Effect.gen(function*() {
          const { value: settings } = yield* (yield* ClientConfig).load
          return yield* Target.ofUrl(yield* ProxyUrl.parse(text), {}, settings)
        })
    })
    const client = yield* (yield* Connector).connect(
      seconds === undefined ? options : { ...options, infoTimeout: Duration.seconds(seconds) }
    )
    const info = yield* client.serverInfo
    if (input.output === "json") return yield* screen.line(ServerTable.toJson(info))
    yield* screen.line(`✓ Connection successful!\n${ServerTable.render(info, screen.columns)}`)
  }))).pipe(Command.withDescription("Ask a server what it is"))
