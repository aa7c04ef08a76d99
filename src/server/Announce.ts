/**
 * What a server says of itself in its log and in the audit log.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Layer } from "effect"
import { Audit } from "../audit/Audit.js"
import * as ConfigChanges from "../audit/ConfigChanges.js"
import type { Loaded } from "../config/Load.js"
import { doubtfulKeys } from "../config/Secrets.js"
import { ServerConfig } from "../config/ServerConfig.js"
import type { Settings } from "../config/ServerSettings.js"
import { packageVersion } from "../domain/PackageVersion.js"
import { Catalog } from "../models/Catalog.js"
import * as Egress from "../network/Egress.js"
import type * as LogLevel from "../telemetry/LogLevel.js"
import * as Logging from "./Logging.js"
import type { Listening } from "./ServerLayer.js"
import * as StartChecks from "./StartChecks.js"

/** The log as the configuration says; `level` is one that was chosen since, and `terminal` whether people read it. */
export const logging = (
  terminal: Effect.Effect<boolean>,
  level?: LogLevel.Name
): Layer.Layer<LogLevel.LogLevel, never, ServerConfig> =>
  Layer.unwrapEffect(Effect.flatMap(ServerConfig, ({ server }) =>
    Effect.map(terminal, (isTerminal) =>
      Logging.layer({
        level: level ?? server.log_level,
        format: server.log_format ?? (isTerminal ? "pretty" : "json")
      }))))

/** Calls are taken from now on; `terminal` is whether people read the log. */
export const started = (
  loaded: Loaded<Settings>,
  kinds: ReadonlyArray<string>,
  terminal: Effect.Effect<boolean>,
  listening: Listening["Type"] & { readonly metrics: number | undefined; readonly workers?: number }
): Effect.Effect<void, never, Audit | Catalog | ServerConfig | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { auth, caFile, metrics, tls, workers } = listening
    const catalog = yield* Catalog
    const { record } = yield* Audit
    const address = addressOf(listening)
    yield* record({ event: "server_started", version: packageVersion, address, auth, tls })
    const found = [...yield* StartChecks.warnings(loaded, kinds, catalog), ...doubtfulKeys(yield* ServerConfig)]
    yield* Effect.forEach(found, (text) => Effect.logWarning(text), { discard: true })
    yield* proxies
    yield* Effect.annotateLogs(Effect.logInfo("listening"), {
      address,
      tls,
      auth,
      ...metrics !== undefined && { metrics },
      ...workers !== undefined && { workers },
      defaultModel: catalog.defaultModel === "" ? "none" : catalog.defaultModel,
      models: catalog.models.length,
      ...caFile !== undefined && { ca: caFile }
    })
    if (auth && (yield* terminal)) yield* Effect.logInfo(nextStep)
    yield* ConfigChanges.record(yield* ServerConfig)
  })

/** Which proxy the connections to providers, key sets and the collector use; its user and password are not named. */
const proxies = Effect.flatMap(
  Effect.orElseSucceed(Egress.load, () => Egress.direct),
  ({ ignored, proxies }) =>
    Effect.zipRight(
      Effect.forEach(proxies, ({ variable, where }) =>
        Effect.annotateLogs(
          Effect.logInfo("connections to other machines use a proxy, but for what NO_PROXY names"),
          { proxy: where, variable }
        ), { discard: true }),
      ignored.length === 0
        ? Effect.void
        : Effect.annotateLogs(Effect.logWarning("NO_PROXY has entries that name no host, domain, address or range"), {
          entries: ignored.slice(0, 10).join(" ")
        })
    )
)

/** It was told to stop. */
export const stopped: Effect.Effect<void, never, Audit> = Effect.flatMap(
  Audit,
  ({ record }) => Effect.zipRight(Effect.logInfo("shutting down"), record({ event: "server_stopped" }))
)

/** `host:port`. */
export const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `${host.includes(":") ? `[${host}]` : host}:${port}`

// -- internals ---------------------------------------------------------------

const nextStep = "next: `vibectl-server generate-token NAME --output token.jwt` makes a token for a client"
