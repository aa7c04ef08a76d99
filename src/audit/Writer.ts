/**
 * Lines on their way to the log: one fiber writes together what came in since
 * it last wrote, at once after a silence and 50 times a second at most.
 *
 * What cannot be written waits and is tried again every second. Memory is
 * bounded: when too much waits, new events are counted instead of kept, and the
 * count is written in their place.
 */
import type { PlatformError } from "@effect/platform/Error"
import { Cause, Clock, Effect, Exit, type Scope } from "effect"
import { actEager, type Moment } from "../effect/Eager.js"
import { type Event, toLine } from "./Event.js"

export interface Sink {
  /** For the log: what cannot be written. */
  readonly name: string
  /** Takes whole lines, the first at least, and yields how many bytes it took. */
  readonly append: (lines: Uint8Array) => Effect.Effect<number, PlatformError>
  readonly sync: Effect.Effect<void, PlatformError>
}

export interface Recorder {
  readonly record: (event: Event, moment?: Moment) => Effect.Effect<void>
}

/** About 10,000 events: seconds of a busy server. */
export const mostWaiting = 4 * 1024 * 1024

/** Everything recorded before the scope closes is written when it is closed. `most` is in characters. */
export const make = (
  sink: Sink,
  most: number = mostWaiting
): Effect.Effect<Recorder, never, Scope.Scope> =>
  Effect.gen(function*() {
    const recorded = yield* Effect.makeLatch()
    const waiting = { lines: new Array<string>(), characters: 0, lost: 0 }
    /** Taken from `waiting` and not written yet. */
    const current = { bytes: new Uint8Array(), characters: 0 }
    let wrote = false

    const add = (event: Event, millis: number): void => {
      // Once one is lost, so are the next ones, until the count stands in their place.
      const line = waiting.lost > 0 ? "" : toLine(event, millis)
      if (line === "" || waiting.characters + current.characters + line.length > most) waiting.lost++
      else {
        waiting.lines.push(line)
        waiting.characters += line.length
      }
      recorded.unsafeOpen()
    }

    const isDone = () => current.bytes.length === 0 && waiting.lines.length === 0 && waiting.lost === 0

    const take = Effect.map(Clock.currentTimeMillis, (millis) => {
      const { lines, lost } = waiting
      if (lost > 0) lines.push(toLine({ event: "events_lost", count: lost }, millis))
      current.bytes = new TextEncoder().encode(lines.join(""))
      current.characters = waiting.characters
      Object.assign(waiting, { lines: [], characters: 0, lost: 0 })
    })

    const write = Effect.suspend(() => sink.append(current.bytes)).pipe(
      Effect.map((taken) => {
        wrote = true
        current.bytes = current.bytes.subarray(taken)
        if (current.bytes.length === 0) current.characters = 0
      })
    )

    /** A write that has begun cannot be called back; to interrupt it would be to write its lines twice. */
    const step = Effect.uninterruptible(
      Effect.suspend(() => current.bytes.length === 0 ? Effect.zipRight(take, write) : write)
    )

    const drain = Effect.whileLoop({ while: () => !isDone(), body: () => step, step: () => {} })

    const run = Effect.gen(function*() {
      let failing = false
      while (true) {
        yield* recorded.await
        yield* nextTurn
        yield* recorded.close
        const exit = yield* Effect.exit(drain)
        if (Exit.isSuccess(exit)) {
          if (failing) yield* Effect.annotateLogs(Effect.logInfo("the audit log is written again"), { log: sink.name })
          failing = false
          yield* pause
          continue
        }
        if (!failing) yield* tell("the audit log cannot be written; trying again every second", sink, exit.cause)
        failing = true
        yield* Effect.sleep("1 second")
        yield* recorded.open
      }
    })

    yield* Effect.addFinalizer(() =>
      Effect.zipRight(drain, Effect.suspend(() => wrote ? sink.sync : Effect.void)).pipe(
        Effect.catchAllCause((cause) => tell("the last events are missing in the audit log", sink, cause))
      )
    )
    yield* Effect.forkScoped(run)
    return {
      record: (event, moment) =>
        actEager(moment, ({ at }) => {
          add(event, at)
          return Exit.void
        })
    }
  })

// -- internals ---------------------------------------------------------------

/**
 * To add to a file costs about as much as 100 events. Not by the clock of the
 * program: this is about the machine's time.
 */
const pause = Effect.async<void>((resume) => {
  const handle = setTimeout(() => resume(Effect.void), 20)
  return Effect.sync(() => clearTimeout(handle))
})

/** When all that came in with this turn of the event loop has been dealt with. */
const nextTurn = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

const tell = (what: string, { name }: Sink, cause: Cause.Cause<PlatformError>) =>
  Effect.annotateLogs(Effect.logError(what), { log: name, reason: reasonOf(cause) })

/** A line may stand in the message of an error that is not ours. */
const reasonOf = (cause: Cause.Cause<PlatformError>): string => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "None") return "defect"
  return failure.value._tag === "SystemError" ? failure.value.reason : failure.value._tag
}
