/**
 * Waiting for the outside world: a program that starts, a socket that closes, a line in a file.
 *
 * A test waits for an event, never for a time, and on the real clock, whichever clock its effects have. The bound is
 * there to end a wait in vain. It is the same for all, generous, and longer on a slow machine. What is *about* time
 * uses `TestClock` or `VirtualTime` instead.
 */
import { Cause, Effect, Exit } from "effect"
import * as Slowness from "./Slowness.js"

/** How much slower this machine is than a quiet one with two cores; at least 1. */
export const slowness = Slowness.ofRun()

/** How long a wait may take: what a quiet machine does within a second. */
export const boundMillis = 20_000 * slowness

/** How long `millis` of a quiet machine take on this one: for limits that a test hands to a program or a client. */
export const scaled = (millis: number): number => Math.ceil(millis * slowness)

/** What a look may find; `false` and `undefined` mean not yet. */
export type Found<A> = Exclude<A, false | null | undefined>

/**
 * Looks again and again until something is found, and succeeds with it. After the bound it dies with an error that
 * names what was waited for, unless the machine has become slower since the bound was set.
 */
export const eventually = <A, E = never, R = never>(
  look: Effect.Effect<A, E, R> | (() => A),
  what: string | (() => string) = Effect.isEffect(look) ? "an event" : String(look)
): Effect.Effect<Found<A>, E, R> => {
  // Made here, because here the stack shows which test waits.
  const error = new Error()
  const looking = Effect.isEffect(look) ? look : Effect.sync(look)
  return Effect.gen(function*() {
    const began = now()
    let bound = boundMillis
    for (let pause = 5;; pause = Math.min(100, pause * 1.2)) {
      const found = yield* looking
      if (isFound(found)) return found
      if (now() - began > bound) {
        bound = 20_000 * (yield* Effect.promise(Slowness.measure))
        if (now() - began > bound) {
          const seconds = Math.round((now() - began) / 1000)
          error.message = `waited for ${seconds} s in vain: ${typeof what === "string" ? what : what()}`
          return yield* Effect.die(error)
        }
      }
      yield* sleep(pause)
    }
  })
}

/** The same for tests of promises. */
export const eventuallyPromise = async <A>(
  look: () => A | Promise<A>,
  what: string | (() => string) = String(look)
): Promise<Found<A>> => {
  const exit = await Effect.runPromiseExit(eventually(Effect.promise(async () => look()), what))
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}

/** Dies when the effect has not ended within the bound; for what would hang if the tested code were wrong. */
export const bounded = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const error = new Error("it hangs")
  return Effect.raceFirst(effect, Effect.zipRight(sleep(boundMillis), Effect.die(error)))
}

/** Milliseconds of CPU time that it takes: what a busy machine does not change much. Compare it with another of the same test. */
export const spent = (does: () => unknown): number => {
  const before = process.cpuUsage()
  does()
  const { system, user } = process.cpuUsage(before)
  return (system + user) / 1000
}

// -- internals ---------------------------------------------------------------

/** As they are before a test puts a clock of its own in their place. */
const { clearTimeout, process: { hrtime }, setTimeout } = globalThis

const now = (): number => Number(hrtime.bigint()) / 1e6

const isFound = <A>(found: A): found is Found<A> => found !== false && found !== undefined && found !== null

/** In real time, also where the effect's own clock stands still. */
const sleep = (millis: number): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })
