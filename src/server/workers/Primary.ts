/**
 * A server whose calls several processes take, on one port.
 *
 * This process takes none itself: it counts for all of them, keeps the audit
 * log's beginning and end, answers operators, and sees to it that there are as
 * many as the configuration says.
 */
import { Context, Duration, Effect, Layer } from "effect"
import { Audit } from "../../audit/Audit.js"
import * as Config from "../../config/ServerConfig.js"
import { isRedis, lameDuckSeconds } from "../../config/ServerSettings.js"
import * as Inform from "../../limits/Inform.js"
import * as Remote from "../../limits/Remote.js"
import { Store } from "../../limits/Store.js"
import * as LogLevel from "../../telemetry/LogLevel.js"
import * as Otlp from "../../telemetry/Otlp.js"
import * as Announce from "../Announce.js"
import { catalog } from "../Models.js"
import { Ops } from "../Ops.js"
import * as Signals from "../Signals.js"
import * as StartChecks from "../StartChecks.js"
import * as State from "../State.js"
import * as Fleet from "./Fleet.js"
import * as Fork from "./Fork.js"

/** Until it is interrupted; `terminal` is whether people read the log, and `logSignals` runs while the server does. */
export const run = (given: Config.Options, terminal: Effect.Effect<boolean>, logSignals: Effect.Effect<never>) =>
  Effect.gen(function*() {
    const options = { ...given, text: yield* Config.read(given) }
    const loaded = yield* Config.load(options)
    const { server, state, tls } = loaded.value
    yield* StartChecks.noOpenAccess(loaded.value)
    const port = server.port === 0 ? yield* Fork.freePort(server.host) : server.port

    const serving = Effect.gen(function*() {
      const level = yield* LogLevel.LogLevel
      const store = yield* Store
      const inform = Inform.make()
      const fleet = Fleet.make({
        count: server.workers,
        text: options.text,
        port,
        shared: !isRedis(state),
        desk: () => Remote.desk(store, inform),
        drain: Duration.seconds(lameDuckSeconds(server) + server.drain_seconds),
        hurried: yield* Signals.hurried,
        level
      })
      const ops = Context.get(yield* Layer.build(Ops.layerOf(looking(fleet))), Ops)
      const { caFile } = yield* fleet.start
      const listening = { host: server.host, port, tls: tls.enabled, auth: server.enable_auth, caFile }
      yield* ops.open(Announce.addressOf(listening))
      // Before the calls that run now are waited for.
      yield* Effect.addFinalizer(() => ops.close)
      const told = { ...listening, metrics: ops.port, workers: server.workers }
      return yield* Effect.onInterrupt(
        Effect.zipRight(Announce.started(loaded, given.kinds, terminal, told), logSignals),
        () => Announce.stopped
      )
    })

    return yield* Effect.scoped(serving).pipe(
      Effect.provide(
        Audit.layer.pipe(
          Layer.provideMerge(State.store),
          Layer.provideMerge(catalog),
          Layer.provideMerge(Otlp.layer),
          Layer.provideMerge(Announce.logging(terminal)),
          Layer.provideMerge(Config.ServerConfig.layer(options))
        )
      )
    )
  })

// -- internals ---------------------------------------------------------------

/** What operators see is that of all of them. */
const looking = ({ activity, pairs, tell }: Fleet.Fleet) => ({
  pairs,
  workers: activity,
  calls: Effect.flatMap(
    activity,
    ({ ready }) => ready > 0 ? Effect.void : Effect.fail({ message: "no process takes calls" })
  ),
  level: (own: LogLevel.LogLevel["Type"]): LogLevel.LogLevel["Type"] => ({
    get: own.get,
    set: (level) => Effect.zipRight(own.set(level), tell({ is: "level", level }))
  })
})
