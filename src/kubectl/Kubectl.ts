/**
 * Runs kubectl: as a list of arguments, never through a shell.
 *
 * What it prints is handed on while it comes, so that nobody needs to keep all
 * of it. When the run is interrupted or takes too long, kubectl and what it
 * started are told to end.
 */
import { FileSystem } from "@effect/platform"
import { Config, Context, Data, type Duration, Effect, Layer, Option } from "effect"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { constants } from "node:os"
import * as NodePath from "node:path"

export class Kubectl extends Context.Tag("vibectl/kubectl/Kubectl")<Kubectl, {
  /** Whether there is a kubectl to run. */
  readonly isInstalled: Effect.Effect<boolean>
  /** Runs it without a terminal. */
  readonly run: (args: ReadonlyArray<string>, options: RunOptions) => Effect.Effect<Ended, KubectlMissing>
  /** Runs it on the terminal of this program, until it or the person at it ends it. */
  readonly attached: (args: ReadonlyArray<string>) => Effect.Effect<Ended, KubectlMissing>
}>() {
  static readonly layer = (program: string): Layer.Layer<Kubectl, never, FileSystem.FileSystem> =>
    Layer.effect(this, make(program))
}

/** `program` is a name to be found on `PATH`, or a path. */
export const make = (program: string): Effect.Effect<Kubectl["Type"], never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (files) => ({
    isInstalled: isInstalled(files, program),
    run: (args, options) => run(program, args, options),
    attached: (args) => attached(program, args)
  }))

export interface RunOptions {
  /** Undefined gives it none. */
  readonly stdin?: string | undefined
  /** How long it may run. */
  readonly timeout: Duration.Duration
  /** Gets what it prints, decoded, piece by piece. */
  readonly onOutput: (stream: "stdout" | "stderr", piece: string) => void
}

export interface Ended {
  /** 0 is success; a signal is 128 and its number, as shells say it; 124 is too late. */
  readonly exitCode: number
  readonly timedOut: boolean
}

/** There is no such program. */
export class KubectlMissing extends Data.TaggedError("KubectlMissing")<{ readonly program: string }> {
  get summary() {
    return `There is no '${this.program}' to run on this machine.`
  }
  get remedy() {
    return "Install kubectl (https://kubernetes.io/docs/tasks/tools/), or name the program with "
      + "`vibectl config set assistant.kubectl PATH`. Questions that need no cluster work without it."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const isInstalled = (files: FileSystem.FileSystem, program: string): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    if (program.includes("/")) return yield* isExecutable(files, program)
    const path = yield* Effect.orDie(Config.option(Config.string("PATH")))
    const directories = Option.getOrElse(path, () => "").split(NodePath.delimiter).filter((directory) =>
      directory !== ""
    )
    return yield* Effect.exists(directories, (directory) => isExecutable(files, NodePath.join(directory, program)))
  })

const isExecutable = (files: FileSystem.FileSystem, path: string): Effect.Effect<boolean> =>
  files.stat(path).pipe(
    Effect.map(({ mode, type }) => type === "File" && (mode & 0o111) !== 0),
    Effect.orElseSucceed(() => false)
  )

const run = (program: string, args: ReadonlyArray<string>, options: RunOptions) =>
  started(program, args, {
    stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    // In a group of its own, so that its plugins can be ended with it, and Ctrl-C ends it through us only.
    detached: true
  }).pipe(
    Effect.tap(({ child }) =>
      Effect.sync(() => {
        for (const stream of ["stdout", "stderr"] as const) {
          child[stream]?.setEncoding("utf8").on("data", (piece: string) => options.onOutput(stream, piece))
        }
        // It may end without reading what it was given.
        child.stdin?.on("error", () => {}).end(options.stdin)
      })
    ),
    Effect.flatMap(({ ended }) => ended),
    Effect.scoped,
    Effect.timeoutTo({
      duration: options.timeout,
      onSuccess: (exitCode): Ended => ({ exitCode, timedOut: false }),
      onTimeout: (): Ended => ({ exitCode: 124, timedOut: true })
    })
  )

const attached = (program: string, args: ReadonlyArray<string>) =>
  started(program, args, { stdio: "inherit" }).pipe(
    Effect.flatMap(({ ended }) => ended),
    Effect.map((exitCode): Ended => ({ exitCode, timedOut: false })),
    Effect.scoped
  )

interface Started {
  readonly child: ChildProcess
  /** Waits until it is gone and all that it printed was handed on. */
  readonly ended: Effect.Effect<number>
  readonly hasEnded: () => boolean
}

/** A process that is ended when the scope closes. */
const started = (program: string, args: ReadonlyArray<string>, options: SpawnOptions) =>
  Effect.acquireRelease(
    Effect.async<Started, KubectlMissing>((resume) => {
      const child = spawn(program, args, { ...options, shell: false, windowsHide: true })
      let hasEnded = false
      const exit = new Promise<number>((resolve) =>
        child.once("close", (code, signal) => {
          hasEnded = true
          resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
        })
      )
      const ended = Effect.promise(() => exit)
      child.once("error", (error: NodeJS.ErrnoException) => resume(failed(program, error)))
      child.once("spawn", () => resume(Effect.succeed({ child, ended, hasEnded: () => hasEnded })))
    }),
    (started) => stop(started, options.detached === true)
  )

const failed = (program: string, error: NodeJS.ErrnoException) =>
  error.code === "ENOENT" || error.code === "EACCES" || error.code === "ENOTDIR"
    ? new KubectlMissing({ program })
    : Effect.die(error)

/** First kindly; what does not listen is killed, and nothing that it left behind is waited for. */
const stop = ({ child, ended, hasEnded }: Started, isGroup: boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (hasEnded()) return
    signal(child, isGroup, "SIGTERM")
    const last = yield* Effect.timeoutOption(Effect.interruptible(ended), patience)
    if (Option.isSome(last)) return
    signal(child, isGroup, "SIGKILL")
    // Its pipes may be held by another process, and would keep this one from its end.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy()
    child.unref()
  })

const patience: Duration.DurationInput = "2 seconds"

const signal = (child: ChildProcess, isGroup: boolean, name: NodeJS.Signals): void => {
  if (child.pid === undefined) return
  try {
    process.kill(isGroup ? -child.pid : child.pid, name)
  } catch {
    // It has just ended by itself.
  }
}
