/**
 * Waiting in line for a limit, instead of being refused.
 *
 * There is a line per bound that holds calls up. In it subjects take turns, and
 * the calls of one subject keep their order; a call that comes later does not
 * overtake those that wait for a bound of its own. The number of waiting calls
 * is bounded: when it is reached, the subject that has most of them gives one
 * up. A call that leaves the line leaves nothing behind.
 */
import { Clock, Deferred, Effect, Either, Exit, Option, type Scope } from "effect"
import { flatMapEager, mapEager, uninterruptibleEager } from "../effect/Eager.js"
import * as Metrics from "../telemetry/Metrics.js"
import type { Ask, Bound, Refusal, Store, StoreUnavailable } from "./Store.js"

export interface Line {
  /**
   * Takes what is asked for, at once or by `until` (milliseconds since the epoch); else says what refused it. What was
   * taken is the ask as of the moment when it was.
   */
  readonly pass: (ask: Ask, until: number) => Effect.Effect<Either.Either<Ask, Refusal>, StoreUnavailable>
  /** To be told of every ask that was given back. */
  readonly freed: (ask: Ask) => void
}

/** Refuses at once. */
export const none = (store: Store["Type"]): Line => ({
  pass: (ask) =>
    mapEager(store.reserve(ask, ask), (refusal) => refusal === undefined ? Either.right(ask) : Either.left(refusal)),
  freed: () => {}
})

/** `most` calls may wait at the same time. */
export const make = (store: Store["Type"], most: number): Effect.Effect<Line, never, Scope.Scope> =>
  Effect.gen(function*() {
    const lanes = new Map<string, Lane>()
    /** All that wait, by subject, in the order in which they came. */
    const waiting = new Map<string, Set<Waiter>>()
    let total = 0
    const wake = Effect.unsafeMakeLatch()
    const clock = yield* Effect.clock

    const join = (waiter: Waiter, refusal: Refusal, now: number) => {
      const { key } = refusal.bound
      const known = lanes.get(key)
      const lane = known ?? { refusal, dueAt: now + pause(refusal), turns: new Map<string, Set<Waiter>>() }
      lanes.set(key, lane)
      // One that asks for more, and must wait longer, does not hold up those before it.
      if (known !== undefined) known.dueAt = Math.min(known.dueAt, now + pause(refusal))
      const { subject } = waiter.ask.account
      addTo(lane.turns, subject, waiter)
      addTo(waiting, subject, waiter)
      total++
      waiter.lane = lane
      // The sleeper may have a later time in mind.
      wake.unsafeOpen()
    }

    const leave = (waiter: Waiter) => {
      const { lane } = waiter
      if (lane === undefined) return
      waiter.lane = undefined
      total--
      const { subject } = waiter.ask.account
      removeFrom(waiting, subject, waiter)
      removeFrom(lane.turns, subject, waiter)
      if (lane.turns.size === 0) lanes.delete(lane.refusal.bound.key)
    }

    /** Whether there is room for one more of this subject; when all is taken, one of the subject with most gives way. */
    const room = (subject: string): boolean => {
      if (total < most) return true
      let largest: ReadonlySet<Waiter> = new Set()
      for (const waiters of waiting.values()) if (waiters.size > largest.size) largest = waiters
      const last = [...largest].at(-1)
      if (last?.lane === undefined || largest.size <= (waiting.get(subject)?.size ?? 0) + 1) return false
      const { refusal } = last.lane
      leave(last)
      Deferred.unsafeDone(last.done, Effect.succeed(Either.left(refusal)))
      return true
    }

    /** Lets pass whom the bound lets pass, in turns. */
    const pump = (lane: Lane) =>
      Effect.gen(function*() {
        for (;;) {
          const [subject, waiters] = lane.turns.entries().next().value ?? []
          const waiter = waiters?.values().next().value
          if (subject === undefined || waiter === undefined) return
          const now = yield* Clock.currentTimeMillis
          const ask = { ...waiter.ask, at: now }
          const found = yield* Effect.either(store.reserve(ask))
          const gone = waiter.lane !== lane
          if (Either.isRight(found) && found.right !== undefined) {
            if (gone) continue
            if (!isWorthWaiting(found.right, now, waiter.until)) {
              leave(waiter)
              Deferred.unsafeDone(waiter.done, Effect.succeed(Either.left(found.right)))
              continue
            }
            if (found.right.bound.key === lane.refusal.bound.key) return holdUp(lane, found.right, now)
            leave(waiter)
            join(waiter, found.right, now)
            continue
          }
          leave(waiter)
          nextTurn(lane, subject)
          if (Either.isLeft(found)) {
            if (!gone) Deferred.unsafeDone(waiter.done, Effect.fail(found.left))
          } else if (gone) {
            yield* giveBack(ask)
          } else {
            waiter.granted = ask
            Deferred.unsafeDone(waiter.done, Effect.succeed(Either.right(ask)))
          }
        }
      })

    const giveBack = (ask: Ask) => Effect.zipRight(store.settle(ask, nothingUsed(ask)), Effect.sync(() => freed(ask)))

    const freed = (ask: Ask): void => {
      for (const { key } of ask.bounds) {
        const lane = lanes.get(key)
        if (lane === undefined) continue
        lane.dueAt = 0
        wake.unsafeOpen()
      }
    }

    const dispatch = Effect.gen(function*() {
      wake.unsafeClose()
      const now = yield* Clock.currentTimeMillis
      for (const lane of [...lanes.values()]) {
        // A clock that was set back must not hold anybody up until it has caught up.
        if (lane.dueAt <= now || lane.dueAt > now + longest) yield* pump(lane)
      }
      const next = Math.min(...[...lanes.values()].map(({ dueAt }) => dueAt))
      const sleep = next === Infinity ? Effect.never : Effect.sleep(Math.max(0, next - now))
      yield* Effect.raceFirst(wake.await, sleep)
    })
    // A store that fails in a way of its own must not leave everybody waiting for the next.
    const safely = Effect.catchAllCause(
      dispatch,
      (cause) => Effect.zipRight(Effect.logError("the line of waiting calls failed", cause), Effect.sleep("1 second"))
    )
    yield* Effect.forkScoped(Effect.forever(safely))

    const wait = (ask: Ask, refusal: Refusal, until: number, now: number) =>
      Effect.gen(function*() {
        if (!room(ask.account.subject)) return Either.left(refusal)
        const waiter: Waiter = {
          ask,
          until,
          done: Deferred.unsafeMake(yield* Effect.fiberId),
          lane: undefined,
          granted: undefined
        }
        join(waiter, refusal, now)
        yield* Metrics.waiting([], 1)
        // Whoever leaves after its turn came gives back what it got.
        const abandon = Effect.suspend(() => {
          leave(waiter)
          return waiter.granted === undefined ? Effect.void : giveBack(waiter.granted)
        })
        const inTime = Effect.timeoutOption(Deferred.await(waiter.done), Math.max(0, until - now))
        const ended = yield* Effect.onInterrupt(Effect.interruptible(inTime), () => abandon).pipe(
          Effect.ensuring(Effect.flatMap(Clock.currentTimeMillis, (then) =>
            Effect.zipRight(Metrics.waiting([], -1), Metrics.queued([], Math.max(0, then - now) / 1000))))
        )
        if (Option.isSome(ended)) {
          return ended.value
        }
        if (waiter.granted !== undefined) {
          return Either.right(waiter.granted)
        }
        const { lane } = waiter
        leave(waiter)
        return Either.left(lane === undefined ? refusal : stillOf(lane, ask, yield* Clock.currentTimeMillis))
      })

    return {
      freed,
      // What was taken reaches the caller: only the waiting can be interrupted.
      pass: (ask, until) => {
        const now = clock.unsafeCurrentTimeMillis()
        const pass = (): ReturnType<Line["pass"]> => {
          const blocked = lanes.size === 0 ? undefined : ask.bounds
            .map(({ key }) => lanes.get(key))
            .find((lane) => lane !== undefined)
          if (blocked !== undefined) {
            const still = stillOf(blocked, ask, now)
            return isWorthWaiting(still, now, until) ? wait(ask, still, until, now) : Exit.succeed(Either.left(still))
          }
          return flatMapEager(store.reserve(ask, { at: now }), (refusal) =>
            refusal === undefined
              ? Exit.succeed(Either.right(ask))
              : isWorthWaiting(refusal, now, until)
              ? wait(ask, refusal, until, now)
              : Exit.succeed(Either.left(refusal)))
        }
        return uninterruptibleEager(pass())
      }
    }
  })

// -- internals ---------------------------------------------------------------

interface Waiter {
  readonly ask: Ask
  /** Milliseconds since the epoch. */
  readonly until: number
  readonly done: Deferred.Deferred<Either.Either<Ask, Refusal>, StoreUnavailable>
  /** Where it waits; undefined once it does not any more. */
  lane: Lane | undefined
  granted: Ask | undefined
}

interface Lane {
  /** What the first of it was refused by. */
  refusal: Refusal
  /** When it is worth another try, in milliseconds since the epoch. */
  dueAt: number
  /** By subject, whose turn it is first. */
  readonly turns: Map<string, Set<Waiter>>
}

const addTo = (sets: Map<string, Set<Waiter>>, subject: string, waiter: Waiter): void => {
  const own = sets.get(subject)
  if (own === undefined) sets.set(subject, new Set([waiter]))
  else own.add(waiter)
}

const removeFrom = (sets: Map<string, Set<Waiter>>, subject: string, waiter: Waiter): void => {
  const own = sets.get(subject)
  own?.delete(waiter)
  if (own?.size === 0) sets.delete(subject)
}

/** No rate holds up for longer, in milliseconds. */
const longest = 60_000

/** Nobody waits for tomorrow. */
const passes: ReadonlySet<Refusal["type"]> = new Set(["rpm", "tpm", "concurrency"])

/** Another server may give a place back, and does not tell. */
const pollMs = 250

const pause = ({ retryAfterMs, type }: Refusal): number =>
  type === "concurrency" ? Math.min(pollMs, retryAfterMs) : retryAfterMs

/** Nobody waits in vain; when a running call ends, nobody knows. */
const isWorthWaiting = ({ retryAfterMs, type }: Refusal, now: number, until: number): boolean =>
  passes.has(type) && until > now && (type === "concurrency" || now + retryAfterMs <= until)

const stillOf = ({ dueAt, refusal }: Lane, ask: Ask, now: number): Refusal => {
  const bound: Bound = ask.bounds.find(({ key }) => key === refusal.bound.key) ?? refusal.bound
  const retryAfterMs = refusal.type === "concurrency" ? refusal.retryAfterMs : Math.max(1, dueAt - now)
  return { ...refusal, bound, retryAfterMs }
}

const holdUp = (lane: Lane, refusal: Refusal, now: number): void => {
  lane.refusal = refusal
  lane.dueAt = now + pause(refusal)
}

const nextTurn = (lane: Lane, subject: string): void => {
  const rest = lane.turns.get(subject)
  if (rest === undefined) return
  lane.turns.delete(subject)
  lane.turns.set(subject, rest)
}

const nothingUsed = (ask: Ask) => ({ charges: ask.bounds.map(() => ({ tokens: 0, cost: 0 })), rows: [] })
