import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Exit, Fiber, Layer } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Kubectl } from "../../src/kubectl/Kubectl.js"
import * as Patience from "../support/Patience.js"
import * as Temporary from "../support/Temporary.js"

/** A program in the place of kubectl, and its directory. */
const standIn = (script: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = Temporary.directory("kubectl")
      const program = Path.join(directory, "kubectl")
      Fs.writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
      return { directory, program }
    }),
    ({ directory }) => Effect.sync(() => Fs.rmSync(directory, { recursive: true }))
  )

const running = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly stdin?: string; readonly timeout?: Duration.DurationInput; readonly onOutput?: () => void } = {}
) =>
  Effect.gen(function*() {
    const kubectl = yield* Kubectl
    const printed = { stdout: "", stderr: "" }
    const ended = yield* kubectl.run(args, {
      stdin: options.stdin,
      timeout: Duration.decode(options.timeout ?? "10 seconds"),
      onOutput: (stream, piece) => {
        printed[stream] += piece
        options.onOutput?.()
      }
    })
    return { ...ended, ...printed }
  }).pipe(Effect.provide(layer(program)))

const layer = (program: string) => Layer.provide(Kubectl.layer(program), NodeContext.layer)

/** Whether a process of this number is there, and is not dead already: who has lost its parent is buried late. */
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !(Fs.existsSync("/proc/self/stat") && / Z /.test(Fs.readFileSync(`/proc/${pid}/stat`, "utf8")))
  } catch {
    return false
  }
}
const gone = (pid: number) => Patience.eventually(() => !lives(pid), `the end of ${pid}`)

/** It and what it has started end by SIGKILL only. */
const stubborn = "trap '' TERM; sleep 300 & echo $! $$; wait; wait; sleep 300"

/** A run that has printed the numbers of its processes. */
const begun = (program: string) =>
  Effect.gen(function*() {
    const kubectl = yield* Effect.provide(Kubectl, layer(program))
    const printed = yield* Effect.makeLatch()
    let pids: ReadonlyArray<number> = []
    const fiber = yield* Effect.fork(kubectl.run([], {
      timeout: Duration.seconds(60),
      onOutput: (_, piece) => {
        pids = piece.trim().split(" ").map(Number)
        printed.unsafeOpen()
      }
    }))
    yield* printed.await
    return { fiber, pids }
  })

/** Milliseconds that one takes to end that gets all of the time to end by itself, and uses it. */
const grace = Effect.runSync(Effect.cached(Effect.scoped(Effect.gen(function*() {
  const { program } = yield* standIn(stubborn)
  const { fiber } = yield* begun(program)
  const [took] = yield* Effect.timed(Fiber.interrupt(fiber))
  return Duration.toMillis(took)
}))))

const attached = (program: string) =>
  Effect.flatMap(Effect.provide(Kubectl, layer(program)), (kubectl) => kubectl.attached([]))

/** How often this program was told so, without ending by it. */
const heard = (signal: NodeJS.Signals) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const state = { times: 0 }
        const listener = () => void state.times++
        process.on(signal, listener)
        return { listener, state }
      }),
      ({ listener }) => Effect.sync(() => process.removeListener(signal, listener))
    ),
    ({ state }) => () => state.times
  )

describe("Kubectl", () => {
  it.scopedLive("hands over the arguments as they are, with no shell in between", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("for arg in \"$@\"; do printf '<%s>' \"$arg\"; done")
      const args = ["get", "pods; touch x", "$(id)", "`id`", "a b", "", "*", "'", "\"", "a\nb"]
      const ran = yield* running(program, args)
      assert.strictEqual(ran.stdout, args.map((arg) => `<${arg}>`).join(""))
      assert.strictEqual(ran.exitCode, 0)
    }))

  it.scopedLive("gives a manifest to its standard input, and nothing when there is none", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("cat")
      const manifest = `kind: ConfigMap # ${"ü".repeat(100_000)}\n`
      assert.strictEqual((yield* running(program, ["apply", "-f", "-"], { stdin: manifest })).stdout, manifest)
      assert.strictEqual((yield* running(program, [])).stdout, "")
      // It does not have to read it.
      const { program: deaf } = yield* standIn("exit 3")
      assert.strictEqual((yield* running(deaf, [], { stdin: manifest })).exitCode, 3)
    }))

  it.scopedLive("tells what it printed, where, and how it ended", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("echo out; echo err >&2; exit 7")
      assert.deepStrictEqual(yield* running(program, []), {
        exitCode: 7,
        timedOut: false,
        stdout: "out\n",
        stderr: "err\n"
      })
      const { program: killed } = yield* standIn("kill -KILL $$")
      assert.strictEqual((yield* running(killed, [])).exitCode, 137)
    }))

  it.scopedLive("decodes characters that come in two pieces", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("printf '\\303'; sleep 0.05; printf '\\274'")
      assert.strictEqual((yield* running(program, [])).stdout, "ü")
    }))

  it.scopedLive("ends it, and what it started, when it takes too long", () =>
    Effect.gen(function*() {
      const { directory, program } = yield* standIn(
        "cd \"$(dirname \"$0\")\"; sleep 300 & echo $! > child; echo $$ > own; wait"
      )
      const ran = yield* running(program, [], { timeout: "300 millis" })
      assert.deepStrictEqual([ran.exitCode, ran.timedOut], [124, true])
      for (const name of ["own", "child"]) yield* gone(Number(Fs.readFileSync(Path.join(directory, name), "utf8")))
    }))

  it.scopedLive("ends it, and what it started, when it is interrupted", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("sleep 300 & echo $! $$; wait")
      const { fiber, pids } = yield* begun(program)
      const [took] = yield* Effect.timed(Fiber.interrupt(fiber))
      assert.isBelow(Duration.toMillis(took), yield* grace)
      assert.lengthOf(pids, 2)
      for (const pid of pids) yield* gone(pid)
    }))

  it.scopedLive("takes the exit code of one that has ended, and ends who still holds its output", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("sleep 300 & echo $!; exit 3")
      const ran = yield* running(program, [])
      assert.deepStrictEqual([ran.exitCode, ran.timedOut], [3, false])
      yield* gone(Number(ran.stdout))
    }))

  it.scopedLive("hands on what is printed just after it has ended", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("(sleep 0.3; echo late; sleep 0.3; echo later) & echo hi")
      assert.strictEqual((yield* running(program, [])).stdout, "hi\nlate\nlater\n")
    }))

  it.scopedLive("does not wait for who prints on and on after it has ended", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("(while :; do echo on; sleep 0.1; done) & exit 4")
      const ran = yield* running(program, [])
      assert.deepStrictEqual([ran.exitCode, ran.timedOut], [4, false])
      assert.match(ran.stdout, /^(on\n){5,}$/)
    }))

  it.scopedLive("leaves nobody of its group behind, who holds its output or not", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("sleep 300 < /dev/null > /dev/null 2>&1 & echo $!")
      const ran = yield* running(program, [])
      yield* gone(Number(ran.stdout))
    }))

  it.scopedLive("hears no more of who has left its group", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("setsid sh -c 'echo $$; while sleep 0.1; do echo on; done' & exit 0")
      let pieces = 0
      const ran = yield* running(program, [], { onOutput: () => pieces++ })
      const heard = pieces
      // It has nobody to print to.
      yield* gone(Number.parseInt(ran.stdout))
      yield* Effect.sleep("50 millis")
      assert.strictEqual(pieces, heard)
    }))

  it.scopedLive("kills what does not end when it is told to", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn(stubborn)
      const [took, ran] = yield* Effect.timed(running(program, [], { timeout: "300 millis" }))
      assert.deepStrictEqual([ran.exitCode, ran.timedOut], [124, true])
      assert.isAbove(Duration.toMillis(took), 2000, "it has time to end by itself")
      for (const pid of ran.stdout.trim().split(" ")) yield* gone(Number(pid))
    }))

  it.scopedLive("kills it at once when it is told again", () =>
    Effect.gen(function*() {
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
        yield* heard(signal)
        const { program } = yield* standIn(stubborn)
        const { fiber, pids } = yield* begun(program)
        yield* Fiber.interruptFork(fiber)
        yield* Effect.sleep("100 millis")
        assert.isTrue(lives(pids[0]!))
        process.kill(process.pid, signal)
        const [took] = yield* Effect.timed(Fiber.await(fiber))
        assert.isBelow(Duration.toMillis(took), yield* grace, signal)
        for (const pid of pids) yield* gone(pid)
      }
    }))

  it.scopedLive("takes it with this program, however that ends", () =>
    Effect.gen(function*() {
      const before = new Set(process.listeners("exit"))
      const added = () => process.listeners("exit").filter((listener) => !before.has(listener))
      const { program } = yield* standIn(stubborn)
      const { fiber, pids } = yield* begun(program)
      assert.lengthOf(added(), 1)
      added()[0]!.call(process, 1)
      assert.deepStrictEqual(yield* Fiber.join(fiber), { exitCode: 137, timedOut: false })
      for (const pid of pids) yield* gone(pid)
      assert.lengthOf(added(), 0)
    }))

  it.scopedLive("lets no preferences of the person change what a command does", () =>
    Effect.gen(function*() {
      const { program } = yield* standIn("echo \"$KUBERC $KUBECTL_KUBERC $HOME\"")
      const expected = `off false ${Os.homedir()}\n`
      assert.strictEqual((yield* running(program, [])).stdout, expected)
      const { directory: own, program: silent } = yield* standIn(
        "cd \"$(dirname \"$0\")\"; echo \"$KUBERC $KUBECTL_KUBERC $HOME\" > env"
      )
      yield* attached(silent)
      assert.strictEqual(Fs.readFileSync(Path.join(own, "env"), "utf8"), expected)
    }))

  it.scopedLive("leaves Ctrl-C to what runs on the terminal, and goes on after it", () =>
    Effect.gen(function*() {
      const interrupts = yield* heard("SIGINT")
      const { program } = yield* standIn("kill -INT $PPID; sleep 0.2; kill -INT $$")
      assert.deepStrictEqual(yield* attached(program), { exitCode: 130, timedOut: false })
      assert.strictEqual(interrupts(), 0)
      process.kill(process.pid, "SIGINT")
      yield* Patience.eventually(() => interrupts() === 1)
      // One that cannot be started takes nothing with it.
      assert.isTrue(Exit.isFailure(yield* Effect.exit(attached("/nowhere/kubectl"))))
      process.kill(process.pid, "SIGINT")
      yield* Patience.eventually(() => interrupts() === 2)
    }))

  it.scopedLive("ends what runs on the terminal when it is interrupted", () =>
    Effect.gen(function*() {
      const interrupts = yield* heard("SIGINT")
      const { directory, program } = yield* standIn(
        "cd \"$(dirname \"$0\")\"; trap 'exit 0' TERM; echo $$ > own; while :; do sleep 0.02; done"
      )
      const own = Path.join(directory, "own")
      const fiber = yield* Effect.fork(attached(program))
      yield* Patience.eventually(() => Fs.existsSync(own) && Fs.readFileSync(own, "utf8") !== "")
      yield* Patience.bounded(Fiber.interrupt(fiber))
      assert.isFalse(lives(Number(Fs.readFileSync(own, "utf8"))))
      process.kill(process.pid, "SIGINT")
      yield* Patience.eventually(() => interrupts() === 1)
    }))

  it.scopedLive("kills what does not listen, and does not wait for what holds its pipes", () =>
    Effect.gen(function*() {
      const { directory, program } = yield* standIn(
        "cd \"$(dirname \"$0\")\"; trap '' TERM; echo $$ > own; setsid sleep 300 & echo $! > far; wait"
      )
      const pid = (name: string) => Number(Fs.readFileSync(Path.join(directory, name), "utf8"))
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(pid("far"), "SIGKILL")))
      const ran = yield* running(program, [], { timeout: "300 millis" })
      assert.deepStrictEqual([ran.exitCode, ran.timedOut], [124, true])
      yield* gone(pid("own"))
    }))

  it.scopedLive("says when there is none, and how to get one", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(running("/nowhere/kubectl", ["get", "pods"]))
      assert.strictEqual(error._tag, "KubectlMissing")
      assert.include(error.summary, "/nowhere/kubectl")
      assert.include(error.remedy, "assistant.kubectl")
    }))

  it.scopedLive("finds it on PATH, or as a path, if it can be run", () =>
    Effect.gen(function*() {
      const { directory, program } = yield* standIn("")
      const installed = (name: string, path: string) =>
        Effect.flatMap(Effect.provide(Kubectl, layer(name)), (kubectl) => kubectl.isInstalled).pipe(
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["PATH", path]])))
        )
      assert.isTrue(yield* installed("kubectl", `/nowhere:${directory}`))
      assert.isFalse(yield* installed("kubectl", "/nowhere"))
      assert.isFalse(yield* installed("kubectl", ""))
      assert.isTrue(yield* installed(program, ""))
      Fs.chmodSync(program, 0o644)
      assert.isFalse(yield* installed("kubectl", directory))
      assert.isFalse(yield* installed(directory, ""))
    }))
})
