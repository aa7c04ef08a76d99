/**
 * A child process that does not outlive the scope it was started in, nor this program.
 *
 * When the scope closes it is told to end, with all of its group if it has one
 * of its own, also those that it has left behind. Who does not obey is killed,
 * and at once when this program is told again to stop meanwhile.
 */
import { type Duration, Effect, Schedule, type Scope } from "effect"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { constants } from "node:os"

export interface Child {
  readonly process: ChildProcess
  /** Waits until it has ended; a signal is 128 and its number, as shells say it. */
  readonly exitCode: Effect.Effect<number>
  /** Waits until it has ended and nobody holds what it prints to. */
  readonly closed: Effect.Effect<void>
}

/** Fails when there is no such program; `detached` gives it a group of its own. */
export const start = (
  program: string,
  args: ReadonlyArray<string>,
  options: SpawnOptions
): Effect.Effect<Child, NodeJS.ErrnoException, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Running, NodeJS.ErrnoException>((resume) => {
      const child = spawn(program, args, { ...options, shell: false, windowsHide: true })
      const running = watch(child, options.detached === true)
      child.once("error", (error) => resume(Effect.fail(error)))
      child.once("spawn", () => {
        process.once("exit", running.kill)
        resume(Effect.succeed(running))
      })
    }),
    end
  )

// -- internals ---------------------------------------------------------------

interface Running extends Child {
  readonly hasEnded: () => boolean
  readonly isClosed: () => boolean
  /** Whether there is anybody to get it; 0 only asks. */
  readonly signal: (name: NodeJS.Signals | 0) => boolean
  readonly kill: () => void
}

const watch = (child: ChildProcess, hasGroup: boolean): Running => {
  const code = () =>
    child.exitCode ?? (child.signalCode === null ? undefined : 128 + constants.signals[child.signalCode])
  let isClosed = false
  const ended = new Promise<number>((resolve) => child.once("exit", () => resolve(code() ?? 128)))
  const closed = new Promise<void>((resolve) =>
    child.once("close", () => {
      isClosed = true
      resolve()
    })
  )
  const hasEnded = () => code() !== undefined
  const signal: Running["signal"] = (name) => {
    // The number of one that has ended may be another's by now; that of a group is taken while anybody is in it.
    if (child.pid === undefined || (!hasGroup && hasEnded())) return false
    try {
      return process.kill(hasGroup ? -child.pid : child.pid, name)
    } catch {
      return false
    }
  }
  return {
    process: child,
    exitCode: Effect.promise(() => ended),
    closed: Effect.promise(() => closed),
    hasEnded,
    isClosed: () => isClosed,
    signal,
    kill: () => void signal("SIGKILL")
  }
}

/** How long who is told to end may take. */
const patience = "2 seconds"
/** The same of those that are left when it has ended; and what is dead, but not buried yet, looks alive. */
const patienceWithOthers = "200 millis"

const end = (running: Running): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const { hasEnded, isClosed, kill, signal } = running
    if (signal("SIGTERM")) {
      const isUrgent = yield* toldAgain
      yield* until(() => isUrgent() || (hasEnded() && isClosed()), patience)
      yield* until(() => isUrgent() || !signal(0), patienceWithOthers)
      kill()
      yield* until(hasEnded, patienceWithOthers)
    }
    process.removeListener("exit", kill)
    // Another that has left the group may hold them for ever.
    for (const stream of running.process.stdio) stream?.destroy()
  }))

/** Whether this program was told to stop since. */
const toldAgain: Effect.Effect<() => boolean, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const state = { isTold: false }
      const listener = () => {
        state.isTold = true
      }
      for (const name of stopping) process.on(name, listener)
      return { listener, state }
    }),
    ({ listener }) =>
      Effect.sync(() => {
        for (const name of stopping) process.removeListener(name, listener)
      })
  ),
  ({ state }) => () => state.isTold
)

const stopping = ["SIGINT", "SIGTERM", "SIGHUP"] as const

const until = (holds: () => boolean, most: Duration.DurationInput): Effect.Effect<void> =>
  Effect.sync(holds).pipe(
    Effect.repeat({
      until: (does) => does,
      schedule: Schedule.upTo(Schedule.spaced("20 millis"), most)
    }),
    Effect.asVoid
  )
