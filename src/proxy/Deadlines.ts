/**
 * Calls that must be over by a moment, and are told when they are not.
 *
 * While there are any, one fiber looks after all of them: to bound a call beside
 * others costs no fiber and no timer of its own.
 */
import { Clock, Effect, type Fiber, FiberId, Scope } from "effect"

export interface Deadlines {
  /** Runs `late` once when `millis` after `from` (since the epoch) have passed, unless the scope closes before. */
  readonly add: (from: number, millis: number, late: () => unknown) => Effect.Effect<void, never, Scope.Scope>
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
    if (line?.size === 0) lines.delete(millis)
    if (lines.size > 0) return
    fiber?.unsafeInterruptAsFork(FiberId.none)
    fiber = undefined
  }

  return {
    add: (from, millis, late) =>
      Effect.flatMap(Effect.scope, (call) => {
        const waiting: Waiting = { at: from + millis, late }
        const line = lines.get(millis) ?? new Set()
        lines.set(millis, line.add(waiting))
        if (waiting.at < next) {
          next = waiting.at
          wake.unsafeOpen()
        }
        const added = Scope.addFinalizer(call, Effect.sync(() => remove(millis, waiting)))
        return fiber === undefined ? Effect.zipRight(added, start) : added
      })
  }
})

// -- internals ---------------------------------------------------------------

interface Waiting {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly late: () => unknown
}
