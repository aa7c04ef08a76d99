import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Fiber, Layer, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Kubectl } from "../../src/kubectl/Kubectl.js"

/** A program in the place of kubectl, and its directory. */
const standIn = (script: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-kubectl-"))
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

/** Whether a process of this number is there. */
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
const gone = (pid: number) =>
  Effect.sync(() => lives(pid)).pipe(
    Effect.repeat({ while: (alive) => alive, schedule: Schedule.spaced("10 millis") }),
    Effect.timeout("5 seconds")
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
      let printed = ""
      const kubectl = yield* Effect.provide(Kubectl, layer(program))
      const begun = yield* Effect.makeLatch()
      const fiber = yield* Effect.fork(kubectl.run([], {
        timeout: Duration.seconds(60),
        onOutput: (_, piece) => {
          printed += piece
          begun.unsafeOpen()
        }
      }))
      yield* begun.await
      yield* Fiber.interrupt(fiber)
      for (const pid of printed.trim().split(" ")) yield* gone(Number(pid))
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
