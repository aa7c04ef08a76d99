/**
 * How a program ends: what it says of a failure, and its exit code.
 */
import { makeRunMain, type Teardown } from "@effect/platform/Runtime"
import { Cause, Console, Effect, Exit, Option } from "effect"
import * as Failure from "./Failure.js"
import { Output } from "./Output.js"

/** Says on stderr what a program failed with; a defect with its cause, for a bug report. */
export const explained = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tapErrorCause(program, (cause) => {
    if (Cause.isInterruptedOnly(cause)) return Effect.void
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    const report = Failure.report(failure)
    if (report === undefined) return Console.error(`Error: this is a bug in vibectl.\n${Cause.pretty(cause)}`)
    return Effect.flatMap(
      Effect.serviceOption(Output),
      Option.match({ onNone: () => Console.error(report.lines), onSome: ({ note }) => note(report.lines) })
    )
  })

/** `interrupted` is the exit code of a program that was told to stop. */
export const teardown = (interrupted: number): Teardown => (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.isInterruptedOnly(exit.cause)) return onExit(interrupted)
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  return onExit(Failure.report(failure)?.exitCode ?? Failure.exitCodes.failure)
}

/**
 * Runs a program that somebody at a terminal has started, who can stop it: by Ctrl-C, SIGTERM or closing the terminal.
 * It ends as `teardown` says; who tells it twice does not wait for what does not stop.
 */
export const attended = makeRunMain(({ fiber }) => {
  const awake = setInterval(() => {}, 2 ** 31 - 1)
  let told: Signal | undefined
  const interrupted = () => told === "SIGHUP" ? 129 : Failure.exitCodes.interrupted
  const stop = (signal: Signal) => {
    if (told !== undefined) return void setTimeout(() => process.exit(interrupted()), lastMoment)
    told = signal
    fiber.unsafeInterruptAsFork(fiber.id())
  }
  for (const signal of signals) process.on(signal, stop)
  fiber.addObserver((exit) => {
    clearInterval(awake)
    teardown(interrupted())(exit, (code) => {
      if (told !== undefined || code !== 0) process.exit(code)
    })
    for (const signal of signals) process.removeListener(signal, stop)
  })
})

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
type Signal = (typeof signals)[number]

/** In milliseconds: enough to kill a program, and to write down that it ran. */
const lastMoment = 500
