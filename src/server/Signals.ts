/**
 * What the server does about signals.
 *
 * SIGTERM, SIGINT and SIGQUIT stop it; a second one ends the drain at once, a third one the process. SIGHUP, SIGUSR1 and
 * SIGUSR2 are logged and change nothing: without a listener they would end the process or, SIGUSR1, open the inspector of
 * Node to every user of the machine. Node itself ignores SIGPIPE.
 */
import { makeRunMain } from "@effect/platform/Runtime"
import { Context, Deferred, Effect, FiberId, Queue, type Scope } from "effect"

export class Signals extends Context.Tag("vibectl/server/Signals")<Signals, {
  /** Completes when the server, which is stopping, receives a second signal to stop. */
  readonly hurried: Effect.Effect<void>
}>() {}

/** `hurried` of the program; never where the program has no {@link Signals}. */
export const hurried: Effect.Effect<Effect.Effect<void>> = Effect.map(
  Effect.serviceOption(Signals),
  (found) => found._tag === "Some" ? found.value.hurried : Effect.never
)

export interface Stopping {
  readonly signals: Signals["Type"]
  /** Runs the program, and interrupts it at the first signal. */
  readonly run: ReturnType<typeof makeRunMain>
}

/** To be made as the first thing of the program. */
export const stopping = (): Stopping => {
  const hurry = Deferred.unsafeMake<void>(FiberId.none)
  process.on("SIGUSR1", () => {})
  return {
    signals: { hurried: Deferred.await(hurry) },
    run: makeRunMain(({ fiber, teardown }) => {
      const awake = setInterval(() => {}, 2 ** 31 - 1)
      let received = 0
      // The listeners stay: without one, a signal that comes meanwhile is lost, or ends the process in the middle of it.
      const stop = (signal: Stop) => {
        received++
        if (received === 1) fiber.unsafeInterruptAsFork(fiber.id())
        else if (received === 2) {
          Deferred.unsafeDone(hurry, Effect.void)
          setTimeout(() => process.exit(exitCodes[signal]), lastMoment)
        } else process.exit(exitCodes[signal])
      }
      for (const signal of stops) process.on(signal, stop)
      fiber.addObserver((exit) => {
        clearInterval(awake)
        teardown(exit, (code) => {
          if (received > 0 || code !== 0) process.exit(code)
          for (const signal of stops) process.removeListener(signal, stop)
        })
      })
    })
  }
}

/** Logs, for as long as the scope is open, the signals that a server does nothing about. The second effect logs them. */
export const heard: Effect.Effect<Effect.Effect<never>, never, Scope.Scope> = Effect.gen(function*() {
  const received = yield* Queue.unbounded<Other>()
  const hear = (signal: Other) => void received.unsafeOffer(signal)
  yield* Effect.acquireRelease(
    Effect.sync(() => others.forEach((signal) => process.on(signal, hear))),
    () => Effect.sync(() => others.forEach((signal) => process.removeListener(signal, hear)))
  )
  return Effect.forever(Effect.flatMap(Queue.take(received), (signal) => Effect.logInfo(meanings[signal])))
})

// -- internals ---------------------------------------------------------------

const stops = ["SIGTERM", "SIGINT", "SIGQUIT"] as const
type Stop = (typeof stops)[number]

/** As the shell reports a program that the signal has ended. */
const exitCodes: Record<Stop, number> = { SIGTERM: 143, SIGINT: 130, SIGQUIT: 131 }

const others = ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const
type Other = (typeof others)[number]

const meanings: Record<Other, string> = {
  SIGHUP: "SIGHUP: nothing to reload yet; restart the server to apply a changed configuration. Certificates, keys and "
    + "revocations are read again without a signal.",
  SIGUSR1:
    "SIGUSR1: ignored; it does not open the inspector of Node, for which the server must be started with --inspect.",
  SIGUSR2: "SIGUSR2: ignored."
}

/** In milliseconds: enough to end every call with SHUTTING_DOWN and to write the usage. */
const lastMoment = 2500
