/**
 * Runs kubectl: as a list of arguments, never through a shell.
 *
 * What it prints is handed on while it comes, so that nobody needs to keep all
 * of it. When it has ended, the run is interrupted or takes too long, nothing
 * of what kubectl has started goes on. What is run means what it says: the
 * user's preferences for kubectl do not change it.
 */
import { FileSystem } from "@effect/platform"
import { Config, Context, Data, type Duration, Effect, Layer, Option } from "effect"
import type { SpawnOptions } from "node:child_process"
import * as NodePath from "node:path"
import * as Child from "./Child.js"
import * as Where from "./Where.js"

export class Kubectl extends Context.Tag("vibectl/kubectl/Kubectl")<Kubectl, {
  /** Whether there is a kubectl to run. */
  readonly isInstalled: Effect.Effect<boolean>
  /** The context and namespace of commands that name none; undefined when they cannot be known. */
  readonly current: Effect.Effect<Where.Where | undefined>
  /** Runs it without a terminal. */
  readonly run: (args: ReadonlyArray<string>, options: RunOptions) => Effect.Effect<Ended, KubectlMissing>
  /** Runs it on the terminal of this program, until it or the person at it ends it: Ctrl-C is for it alone. */
  readonly attached: (args: ReadonlyArray<string>) => Effect.Effect<Ended, KubectlMissing>
}>() {
  static readonly layer = (program: string): Layer.Layer<Kubectl, never, FileSystem.FileSystem> =>
    Layer.effect(this, make(program))
}

/** `program` is a name to be found on `PATH`, or a path. */
export const make = (program: string): Effect.Effect<Kubectl["Type"], never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (files) => ({
    isInstalled: isInstalled(files, program),
    current: Where.current((args, options) => run(program, args, options)),
    run: (args, options) => run(program, args, options),
    attached: (args) => attached(program, args)
  }))

export interface RunOptions {
  /** Undefined gives it none. */
  readonly stdin?: string | undefined
  /** How long it may run; it may take some more to end. */
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
  Effect.scoped(Effect.gen(function*() {
    const child = yield* start(program, args, {
      stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      // In a group of its own, so that its plugins can be ended with it, and Ctrl-C ends it through us only.
      detached: true
    })
    let pieces = 0
    for (const stream of ["stdout", "stderr"] as const) {
      child.process[stream]?.setEncoding("utf8").on("data", (piece: string) => {
        pieces++
        options.onOutput(stream, piece)
      })
    }
    // It may end without reading what it was given.
    child.process.stdin?.on("error", () => {}).end(options.stdin)
    const exitCode = yield* Effect.timeoutOption(child.exitCode, options.timeout)
    if (Option.isNone(exitCode)) return { exitCode: 124, timedOut: true }
    yield* Effect.raceFirst(child.closed, silence(() => pieces))
    return { exitCode: exitCode.value, timedOut: false }
  }))

/**
 * What it has printed comes at once when it has ended; who holds its output after that may never let it go, or print
 * for ever.
 */
const silence = (pieces: () => number): Effect.Effect<void> => {
  const next: Effect.Effect<void> = Effect.suspend(() => {
    const before = pieces()
    return Effect.sleep("500 millis").pipe(Effect.flatMap(() => pieces() === before ? Effect.void : next))
  })
  return Effect.asVoid(Effect.timeoutOption(next, "2 seconds"))
}

const attached = (program: string, args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    yield* deafToInterrupts
    const child = yield* start(program, args, { stdio: "inherit" })
    return { exitCode: yield* child.exitCode, timedOut: false }
  }))

/**
 * While the scope is open, Ctrl-C is not for this program: a terminal sends it to all that run in its foreground, and
 * it is meant for the one that is looked at.
 */
const deafToInterrupts = Effect.acquireRelease(
  Effect.sync(() => {
    const listeners = process.listeners("SIGINT")
    const ignore = () => {}
    // First, for there must always be one: without any, the signal would end this program.
    process.on("SIGINT", ignore)
    for (const listener of listeners) process.removeListener("SIGINT", listener)
    return { ignore, listeners }
  }),
  ({ ignore, listeners }) =>
    Effect.sync(() => {
      for (const listener of listeners) process.on("SIGINT", listener)
      process.removeListener("SIGINT", ignore)
    })
)

const start = (program: string, args: ReadonlyArray<string>, options: SpawnOptions) =>
  Effect.catchAll(
    // A child has the environment of its parent unless it is given another: here it is the same, but for these.
    Child.start(program, args, { ...options, env: { ...process.env, ...withoutPreferences } }),
    (error) =>
      error.code === "ENOENT" || error.code === "EACCES" || error.code === "ENOTDIR"
        ? new KubectlMissing({ program })
        : Effect.die(error)
  )

/**
 * What is judged must be what is run, and a kuberc file gives commands other flags than those that were judged:
 * `get` that prints YAML, `apply` that forces. Its policy for credential plugins goes with it; they are those of the
 * user's kubeconfig still, as no planned command gets another one unasked.
 * Source: https://kubernetes.io/docs/reference/kubectl/kuberc/#disable-kuberc
 *
 * All other variables are left as they are. `KUBECONFIG`, `KUBERNETES_MASTER`, `HTTPS_PROXY` and what credential plugins
 * read say which cluster is meant, and how it is reached and by whom: that is the user's. `KUBECTL_EXTERNAL_DIFF`,
 * `KUBE_EDITOR` and `EDITOR` name programs for `diff` and `edit`, which run only after a person was asked. The gates
 * `KUBECTL_…` of features choose how kubectl speaks to the cluster (`…_WEBSOCKETS`, `KUBECTL_EXPLAIN_OPENAPIV3`), or
 * give flags and subcommands (`KUBECTL_APPLYSET`, `KUBECTL_ENABLE_CMD_SHADOW`) that a person is asked about.
 */
const withoutPreferences = { KUBERC: "off", KUBECTL_KUBERC: "false" }
