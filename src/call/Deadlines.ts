/**
 * Calls that must be over by a moment, and are told when they are not.
 *
 * While there are any, one fiber looks after all of them: to bound a call beside
 * others costs no fiber and no timer of its own.
 */
import { Clock, Effect } from "effect"
import { RequestTimeout } from "../domain/Errors.js"

export interface Deadlines {
  /** Runs `late` once when `millis` after `from` (since the epoch) have passed, unless what it returns was called before. */
  readonly add: (from: number, millis: number, late: () => void) => () => void
}

/** `fork` starts the fiber that looks after them. */
export const make = (clock: Clock.Clock, fork: (effect: Effect.Effect<void>) => () => void): Deadlines => {
  /** By how long they may take, in the order in which they began. */
  const lines = new Map<number, Set<Waiting>>()
  const wake = Effect.unsafeMakeLatch()
  /** When the fiber looks next, in milliseconds since the epoch. */
  let next = Infinity
  let stop: (() => void) | undefined

  const look = (): number => {
    const now = clock.unsafeCurrentTimeMillis()
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
  }
  const watch = Effect.forever(
    Effect.flatMap(
      Effect.sync(look),
      (pause) => pause === Infinity ? wake.await : Effect.raceFirst(wake.await, Effect.sleep(pause))
    )
  )

  const remove = (millis: number, waiting: Waiting): void => {
    const line = lines.get(millis)
    line?.delete(waiting)
    // A set of V8 may hold what is deleted until the next major collection: not the call with it.
    waiting.late = over
    if (line?.size === 0) lines.delete(millis)
    if (lines.size > 0) return
    stop?.()
    stop = undefined
  }

  return {
    add: (from, millis, late) => {
      const waiting: Waiting = { at: from + millis, late }
      const line = lines.get(millis) ?? new Set()
      lines.set(millis, line.add(waiting))
      if (waiting.at < next) {
        next = waiting.at
        wake.unsafeOpen()
      }
      stop ??= fork(watch)
      return () => remove(millis, waiting)
    }
  }
}

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
  late: () => void
}

const over = (): void => undefined
