/**
 * Calls that must be over by a moment, and are told when they are not.
 *
 * While there are any, one fiber looks after all of them: to bound a call beside
 * others costs no fiber and no timer of its own.
 */
import { Clock, Effect, type Fiber, FiberId, type Scope } from "effect"
import { RequestTimeout } from "../domain/Errors.js"

/** What is to be done when a call ends. */
export type Closing = Array<() => void>

export interface Deadlines {
  /**
   * Runs `late` once when `millis` after `from` (since the epoch) have passed, unless what was added to `closing` is
   * done before.
   */
  readonly add: (closing: Closing, from: number, millis: number, late: () => unknown) => Effect.Effect<void>
}

/** Looks after them until the scope closes. */
export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.map(Effect.scope, (scope) => {
  /** By how long they may take, in the order in which they began. */
  const lines = new Map<number, Set<Waiting>>()
  const wake = Effect.unsafeMakeLatch()
  /** When the fiber looks next, in milliseconds since the epoch. */
  let next = Infinity
  let fiber: Fiber.RuntimeFiber<void> | undefined

  const look = Effect.map(Clock.currentTimeMillis, (now) => {
    wake.unsafeClose()
    next = Infinity
    for (const line of lines.values()) {
      for (const waiting of line) {
        if (waiting.at > now) {
          next = Math.min(next, waiting.at)
          break
        }
        line.delete(waiting)
        waiting.late()
      }
    }
    return Math.max(0, next - now)
  })
  const watch = Effect.forever(
    Effect.flatMap(look, (pause) => pause === Infinity ? wake.await : Effect.raceFirst(wake.await, Effect.sleep(pause)))
  )
  const start = Effect.map(Effect.forkIn(watch, scope), (started) => {
    // Another call may have come first, or this one be over already.
    if (fiber === undefined && lines.size > 0) fiber = started
    else started.unsafeInterruptAsFork(FiberId.none)
  })

  const remove = (millis: number, waiting: Waiting): void => {
    const line = lines.get(millis)
    line?.delete(waiting)
    // A set of V8 may hold what is deleted until the next major collection: not the call with it.
    waiting.late = over
    if (line?.size === 0) lines.delete(millis)
    if (lines.size > 0) return
    fiber?.unsafeInterruptAsFork(FiberId.none)
    fiber = undefined
  }

  return {
    add: (closing, from, millis, late) =>
      Effect.suspend(() => {
        const waiting: Waiting = { at: from + millis, late }
        const line = lines.get(millis) ?? new Set()
        lines.set(millis, line.add(waiting))
        closing.push(() => remove(millis, waiting))
        if (waiting.at < next) {
          next = waiting.at
          wake.unsafeOpen()
        }
        return fiber === undefined ? start : Effect.void
      })
  }
})

/**
 * Bounds each pull by what is left of `seconds` since `startedAt` (milliseconds since the epoch); none is made when
 * nothing is left, as with a reader that takes its time.
 */
export const within =
  (seconds: number, startedAt: number) => <A, E>(pull: Effect.Effect<A, E>): Effect.Effect<A, E | RequestTimeout> =>
    Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<A, E | RequestTimeout> => {
      const left = startedAt + seconds * 1000 - now
      const onTimeout = () => new RequestTimeout({ seconds })
      return left <= 0 ? onTimeout() : Effect.timeoutFail(pull, { duration: left, onTimeout })
    })

// -- internals ---------------------------------------------------------------

interface Waiting {
  /** Milliseconds since the epoch. */
  readonly at: number
  late: () => unknown
}

const over = (): void => undefined
