/**
 * One of several processes that take calls on the same port. The primary
 * process tells it how to start and when to stop, and counts for it.
 */
import type { FileSystem } from "@effect/platform"
import { Cause, Effect, Layer, Logger, LogLevel as EffectLevel, Metric, Option, Queue } from "effect"
import type { Env } from "../../config/Environment.js"
import { type Options, ServerConfig } from "../../config/ServerConfig.js"
import * as Remote from "../../limits/Remote.js"
import { Store } from "../../limits/Store.js"
import * as LogLevel from "../../telemetry/LogLevel.js"
import * as Metrics from "../../telemetry/Metrics.js"
import * as Otlp from "../../telemetry/Otlp.js"
import { ProcessMetrics } from "../../telemetry/ProcessMetrics.js"
import * as Several from "../../telemetry/Several.js"
import * as Announce from "../Announce.js"
import { catalog } from "../Models.js"
import { Ops } from "../Ops.js"
import { Listening, proxying } from "../ServerLayer.js"
import * as Signals from "../Signals.js"
import * as State from "../State.js"
import * as Parent from "./Parent.js"
import * as Share from "./Share.js"

/** Until it is told to stop; `terminal` is whether people read the log, and `logSignals` runs while it takes calls. */
export const run = (
  given: Options,
  terminal: Effect.Effect<boolean>,
  logSignals: Effect.Effect<never>
): Effect.Effect<void, Parent.WorkerAlone, Env | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const answers: Array<Remote.Client> = []
    const parent = yield* Parent.connect((found) => answers.forEach(({ answered }) => answered(found)))
    const { send, start } = parent
    const remote = Remote.client((questions) => send({ is: "questions", questions }))
    answers.push(remote)

    const own = yield* Signals.hurried
    const signals = { hurried: Effect.raceFirst(own, parent.hurried) }

    const settings = Layer.effect(ServerConfig, Effect.map(ServerConfig, (settings) => Share.of(settings, start))).pipe(
      Layer.provide(ServerConfig.layer({ ...given, text: start.text }))
    )
    const layer = proxying.pipe(
      Layer.provide(State.limitsOf(start.shared ? { inform: remote.inform } : {})),
      Layer.provide(start.shared ? Layer.succeed(Store, remote.store) : State.store),
      Layer.provideMerge(ops(parent)),
      Layer.provide(catalog),
      Layer.provide(Otlp.layer),
      Layer.provideMerge(Announce.logging(terminal, start.level)),
      Layer.provide(settings)
    )
    const serving = Effect.gen(function*() {
      const { caFile } = yield* Listening
      send({ is: "ready", caFile })
      return yield* logSignals
    }).pipe(Effect.provide(layer), Effect.provideService(Signals.Signals, signals))

    yield* Effect.raceFirst(serving, parent.stopped).pipe(
      Effect.tapErrorCause((cause) =>
        Effect.sync(() => {
          if (!Cause.isInterruptedOnly(cause)) send({ is: "failed", ...told(cause) })
        })
      ),
      Effect.catchAll(() => Effect.void),
      Effect.ensuring(Effect.gen(function*() {
        remote.flush()
        yield* parent.leave({ is: "metrics", number: 0, snapshot: Several.encode(yield* Metric.snapshot) })
      }))
    )
  })

// -- internals ---------------------------------------------------------------

/** The primary process says it. */
const told = (cause: Cause.Cause<unknown>): { readonly summary: string; readonly remedy: string } => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  return typeof failure === "object" && failure !== null && "summary" in failure && "remedy" in failure
    ? { summary: String(failure.summary), remedy: String(failure.remedy) }
    : { summary: "A process of the server failed by a bug in vibectl.", remedy: `Report this: ${Cause.pretty(cause)}` }
}

/** Operators look at the primary process, which asks this one. */
const ops = ({ said, send }: Parent.Parent): Layer.Layer<Ops, never, ServerConfig | FileSystem.FileSystem> =>
  Layer.scoped(
    Ops,
    Effect.gen(function*() {
      const { access, server } = yield* ServerConfig
      const { collect } = yield* ProcessMetrics
      const level = yield* Effect.serviceOption(LogLevel.LogLevel)
      for (const subject of Object.keys({ ...server.limits.per_token, ...access.subjects })) {
        Metrics.subjects.add(subject)
      }
      const answer = Effect.flatMap(Queue.take(said), (message) =>
        message.is === "collect"
          ? Effect.flatMap(Effect.zipRight(collect, Metric.snapshot), (pairs) =>
            Effect.sync(() => send({ is: "metrics", number: message.number, snapshot: Several.encode(pairs) })))
          // The primary process tells it for all.
          : Option.match(level, {
            onNone: () =>
              Effect.void,
            onSome: ({ set }) => set(message.level)
          }).pipe(
            Logger.withMinimumLogLevel(EffectLevel.None)
          ))
      yield* Effect.forkScoped(Effect.forever(answer))
      return {
        port: undefined,
        open: () => Effect.void,
        close: Effect.sync(() => send({ is: "closing" }))
      }
    })
  ).pipe(Layer.provide(ProcessMetrics.layer))
