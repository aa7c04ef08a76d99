/**
 * The processes that take the calls of one server: they are started, looked
 * after, asked, and stopped together.
 *
 * One that ends by itself is replaced, the sooner the longer it lived. What it
 * had reserved is booked, and what it had counted stays counted.
 */
import { Clock, Data, Deferred, Duration, Effect, Metric, type MetricPair, Queue, type Scope } from "effect"
import type { Desk } from "../../limits/Remote.js"
import type * as LogLevel from "../../telemetry/LogLevel.js"
import * as Several from "../../telemetry/Several.js"
import * as Fork from "./Fork.js"
import * as Instruments from "./Instruments.js"
import type { FromWorker, Start, ToWorker } from "./Messages.js"

/** One of the first processes did not get as far as to take calls. */
export class WorkerFailed extends Data.TaggedError("WorkerFailed")<{
  readonly summary: string
  readonly remedy: string
}> {}

export interface Options extends Pick<Start, "count" | "text" | "port" | "shared"> {
  /** Who answers one of them, when it asks what is counted. */
  readonly desk: () => Desk
  /** How long they may go on, and their calls take to end, when they are stopped. */
  readonly drain: Duration.Duration
  /** Ends the drain when it completes. */
  readonly hurried: Effect.Effect<void>
  readonly level: LogLevel.LogLevel["Type"]
}

export interface Fleet {
  /** All take calls when it completes; they are stopped with the scope, and have ended then. */
  readonly start: Effect.Effect<{ readonly caFile: string | undefined }, WorkerFailed, Scope.Scope>
  /** The metrics of all of them and of this process. */
  readonly pairs: Effect.Effect<ReadonlyArray<MetricPair.MetricPair.Untyped>>
  readonly activity: Effect.Effect<{ readonly wanted: number; readonly ready: number; readonly replaced: number }>
  /** Says it to all of them. */
  readonly tell: (message: ToWorker) => Effect.Effect<void>
}

export const make = (options: Options): Fleet => {
  const { count, desk, drain, level } = options
  const slots = Array.from({ length: count }, (_, index): Slot => ({
    number: index + 1,
    child: undefined,
    waits: false,
    listens: false,
    ready: false,
    failed: false,
    snapshot: [],
    asked: new Map()
  }))
  /** What those had counted that are no more. */
  let retired: Several.Snapshot = []
  /** What is wrong with the configuration is told once, and what is made at the first start is made by one. */
  let begun = false
  let stopping = false
  const halt = Effect.unsafeMakeLatch()
  let replacements = 0
  let questions = 0

  const tell: Fleet["tell"] = (message) =>
    Effect.sync(() => {
      for (const { child } of slots) child?.send(message)
    })

  /** Has it start, unless the first of all has not started yet. */
  const begin = (slot: Slot) =>
    Effect.map(level.get, (present) => {
      if (!slot.waits || (!begun && slot.number > 1)) return
      slot.waits = false
      slot.listens = true
      const { count, port, shared, text } = options
      slot.child?.send({ is: "start", start: { number: slot.number, count, port, shared, text, level: present } })
    })

  const heard = (slot: Slot, child: Fork.Child, own: Desk, first: First, message: FromWorker): Effect.Effect<void> => {
    switch (message.is) {
      case "hello":
        slot.waits = true
        return begin(slot)
      case "ready":
        slot.ready = true
        begun = true
        return Effect.forEach(slots, begin, { discard: true }).pipe(
          Effect.zipRight(setReady),
          Effect.zipRight(Deferred.succeed(first, { caFile: message.caFile }))
        )
      case "closing":
        slot.ready = false
        return setReady
      case "failed": {
        const { remedy, summary } = message
        // The first failure of the start is the server's own.
        return Effect.flatMap(Deferred.fail(first, new WorkerFailed({ summary, remedy })), (isFirst) => {
          slot.failed = isFirst
          return isFirst ? Effect.void : Effect.logError(`${summary} ${remedy}`)
        })
      }
      case "questions":
        return Effect.map(own.answer(message.questions), (answers) => {
          if (answers.length > 0) child.send({ is: "answers", answers })
        })
      case "metrics": {
        slot.snapshot = message.snapshot
        const waiting = slot.asked.get(message.number)
        return waiting === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(waiting, undefined))
      }
    }
  }

  const setReady = Effect.suspend(() => Instruments.ready([], slots.filter(({ ready }) => ready).length))

  /** From its start to its end. */
  const life = (slot: Slot, first: First): Effect.Effect<Fork.Ended> =>
    Effect.gen(function*() {
      const child = yield* Fork.fork(slot.number)
      const own = desk()
      slot.child = child
      for (;;) {
        const message = yield* Queue.take(child.said)
        if (message.is !== "ended") {
          yield* heard(slot, child, own, first, message)
          continue
        }
        slot.child = undefined
        slot.waits = false
        slot.listens = false
        slot.ready = false
        retired = Several.merge([retired, Several.counted(slot.snapshot)])
        slot.snapshot = []
        yield* setReady
        for (const waiting of slot.asked.values()) yield* Deferred.succeed(waiting, undefined)
        yield* own.abandon
        return message
      }
    })

  /** One after the other. */
  const keep = (slot: Slot, first: First): Effect.Effect<void> =>
    Effect.gen(function*() {
      let failures = 0
      for (;;) {
        const began = yield* Clock.currentTimeMillis
        const { code, signal } = yield* life(slot, first)
        const unready = new WorkerFailed({
          summary: `A process of the server ended before it took calls (${signal ?? `exit code ${code}`}).`,
          remedy: "The log has the cause; with server.workers: 1 the server runs without further processes."
        })
        if (stopping || slot.failed || (yield* Deferred.fail(first, unready))) return
        const lived = (yield* Clock.currentTimeMillis) - began
        failures = lived > settled ? 0 : failures + 1
        const pause = failures === 0 ? 0 : Math.min(longest, shortest * 2 ** (failures - 1))
        yield* Effect.annotateLogs(Effect.logError("a process that takes calls has ended; another takes its place"), {
          worker: slot.number,
          ...signal === null ? { code } : { signal },
          livedMs: lived,
          pauseMs: pause
        })
        yield* Effect.raceFirst(Effect.sleep(pause), halt.await)
        if (stopping) return
        replacements++
        yield* Instruments.replaced([])
      }
    })

  const stop = (fibers: Effect.Effect<void>) =>
    Effect.gen(function*() {
      stopping = true
      halt.unsafeOpen()
      for (const { child, listens } of slots) {
        if (listens) child?.send({ is: "stop" })
        else child?.kill()
      }
      const patience = Duration.sum(drain, farewell)
      const hurry = Effect.zipRight(options.hurried, tell({ is: "hurry" }))
      const ended = Effect.raceFirst(fibers, Effect.zipRight(hurry, Effect.never))
      const done = yield* Effect.timeoutOption(Effect.interruptible(ended), patience)
      if (done._tag === "Some") return
      yield* Effect.logError("a process that takes calls does not stop, and is ended")
      for (const { child } of slots) child?.kill()
      yield* Effect.timeoutOption(Effect.interruptible(fibers), farewell)
    })

  const start = Effect.gen(function*() {
    const all = yield* Deferred.make<void>()
    let running = 0
    yield* Effect.addFinalizer(() => stop(Effect.suspend(() => running === 0 ? Effect.void : Deferred.await(all))))
    const one = (slot: Slot) =>
      Effect.gen(function*() {
        const first = yield* Deferred.make<{ readonly caFile: string | undefined }, WorkerFailed>()
        running++
        // Not of the scope: what it says has to be heard until it has ended.
        yield* Effect.forkDaemon(Effect.ensuring(
          keep(slot, first),
          Effect.suspend(() => {
            running--
            return running === 0 ? Deferred.succeed(all, undefined) : Effect.void
          })
        ))
        return yield* Deferred.await(first)
      })
    const [found] = yield* Effect.forEach(slots, one, { concurrency: "unbounded" })
    return found ?? { caFile: undefined }
  })

  const pairs = Effect.gen(function*() {
    yield* Effect.forEach(slots, (slot) =>
      Effect.gen(function*() {
        if (slot.child === undefined || !slot.ready) return
        const number = ++questions
        const answer = yield* Deferred.make<void>()
        slot.asked.set(number, answer)
        slot.child.send({ is: "collect", number })
        // One that is late has the counts of its last answer.
        yield* Effect.timeoutOption(Deferred.await(answer), "1 second")
        slot.asked.delete(number)
      }), { concurrency: "unbounded", discard: true })
    const own = Several.encode(yield* Metric.snapshot)
    return Several.decode(Several.merge([own, retired, ...slots.map(({ snapshot }) => snapshot)]))
  })

  return {
    start,
    pairs,
    tell,
    activity: Effect.sync(() => ({
      wanted: count,
      ready: slots.filter(({ ready }) => ready).length,
      replaced: replacements
    }))
  }
}

// -- internals ---------------------------------------------------------------

type First = Deferred.Deferred<{ readonly caFile: string | undefined }, WorkerFailed>

/** A place for one process after the other. */
interface Slot {
  readonly number: number
  child: Fork.Child | undefined
  /** Whether it waits to be told how to start. */
  waits: boolean
  /** Whether it hears what it is told. */
  listens: boolean
  /** Whether the start of the server failed by it. */
  failed: boolean
  /** Whether it takes calls. */
  ready: boolean
  /** What it counted, when it said so last. */
  snapshot: Several.Snapshot
  /** Questions for its metrics that it has not answered yet. */
  readonly asked: Map<number, Deferred.Deferred<void>>
}

/** In milliseconds; from one failure to the next it doubles. */
const shortest = 250
const longest = 30_000

/** One that lived for so long, in milliseconds, is replaced at once. */
const settled = 60_000

/** To say goodbye, beyond what its calls are given. */
const farewell = Duration.seconds(5)
