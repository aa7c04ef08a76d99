/**
 * The port where operators look, for as long as the server runs: it is there
 * before the first call is taken and after the last one has ended.
 */
import type { FileSystem } from "@effect/platform"
import { Context, DateTime, Effect, identity, Layer, Option, Schedule } from "effect"
import { ServerConfig } from "../config/ServerConfig.js"
import { isRedis } from "../config/ServerSettings.js"
import { Store } from "../limits/Store.js"
import { Catalog } from "../models/Catalog.js"
import * as Activity from "../ops/Activity.js"
import * as OpsServer from "../ops/OpsServer.js"
import * as Readiness from "../ops/Readiness.js"
import * as LogLevel from "../telemetry/LogLevel.js"
import * as Metrics from "../telemetry/Metrics.js"
import { ProcessMetrics } from "../telemetry/ProcessMetrics.js"

export class Ops extends Context.Tag("vibectl/server/Ops")<Ops, {
  /** Of the HTTP port; undefined when there is none. */
  readonly port: number | undefined
  /** Calls are taken at this address (`host:port`) from now on. */
  readonly open: (address: string) => Effect.Effect<void>
  /** No more calls are taken. */
  readonly close: Effect.Effect<void>
}>() {
  /** No port. */
  static readonly layerNone: Layer.Layer<Ops> = Layer.succeed(this, {
    port: undefined,
    open: () => Effect.void,
    close: Effect.void
  })

  /** As `server.metrics_port` says; without {@link LogLevel} in the context, the level cannot be changed. */
  static readonly layer: Layer.Layer<
    Ops,
    OpsServer.OpsBindFailed,
    ServerConfig | Catalog | Store | FileSystem.FileSystem
  > = Layer.suspend(() => Ops.layerOf({}))

  /** The same of a server whose calls other processes take. */
  static readonly layerOf = (others: Others): typeof Ops.layer =>
    Layer.scoped(this, Effect.suspend(() => make(others))).pipe(Layer.provide(ProcessMetrics.layer))
}

/** What other processes have to say to an answer. */
export interface Others extends Pick<OpsServer.Options, "pairs">, Pick<Activity.Facts, "workers"> {
  readonly level?: (own: LogLevel.LogLevel["Type"]) => LogLevel.LogLevel["Type"]
  /** Whether they take calls. */
  readonly calls?: Readiness.Check
}

// -- internals ---------------------------------------------------------------

const make = ({ calls = Effect.void, level: levelOf = identity, pairs, workers }: Others) =>
  Effect.gen(function*() {
    const settings = yield* ServerConfig
    const { access, providers, server, state } = settings
    const catalog = yield* Catalog
    const store = yield* Store
    const { collect } = yield* ProcessMetrics
    const startedAt = yield* DateTime.now
    const gate = yield* Readiness.gate
    const level = levelOf(
      Option.getOrElse(yield* Effect.serviceOption(LogLevel.LogLevel), () => fixed(server.log_level))
    )
    let address = ""
    // For those who are sent the metrics instead of asking for them.
    yield* Effect.forkScoped(Effect.repeat(collect, Schedule.spaced("10 seconds")))

    for (const subject of Object.keys({ ...server.limits.per_token, ...access.subjects })) Metrics.subjects.add(subject)

    const kind = isRedis(state) ? "redis" : "embedded"
    const sources: OpsServer.Options = {
      host: server.metrics_host,
      hosts: [server.metrics_host, ...server.metrics_hosts],
      port: server.metrics_port ?? OpsServer.defaultPort,
      collect,
      level,
      ...pairs && { pairs },
      // Not the store: without it, calls hear LIMITS_UNAVAILABLE, and from every server. Were none of them ready, they
      // would hear of a balancer without servers.
      ready: Readiness.all({ calls: Effect.zipRight(gate.check, calls) }),
      activity: Effect.suspend(() =>
        Activity.make({
          address,
          startedAt,
          defaultModel: catalog.defaultModel,
          providers: Object.keys(providers),
          store: { kind, ready: store.ready },
          level,
          ...pairs && { pairs },
          ...workers && { workers }
        })
      )
    }
    const listening = Effect.asSome(OpsServer.serve(sources))
    const port = server.metrics_port === 0
      ? Option.none()
      : server.metrics_port !== undefined
      ? yield* listening
      : yield* Effect.catchTag(listening, "OpsBindFailed", ({ summary }) =>
        Effect.as(
          Effect.logWarning(`${summary} There are no metrics; set server.metrics_port to another port, or to 0.`),
          Option.none<number>()
        ))

    return Ops.of({
      port: Option.getOrUndefined(port),
      open: (at) =>
        Effect.zipRight(
          gate.open,
          Effect.sync(() => {
            address = at
          })
        ),
      close: gate.close
    })
  })

const fixed = (name: LogLevel.Name): LogLevel.LogLevel["Type"] => ({
  get: Effect.succeed(name),
  set: () => Effect.void
})
