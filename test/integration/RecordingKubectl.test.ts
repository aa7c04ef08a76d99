import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as RecordingKubectl from "../support/RecordingKubectl.js"
import * as Temporary from "../support/Temporary.js"

let directory: string
beforeEach(() => {
  directory = Temporary.directory("recording")
  Fs.mkdirSync(Path.join(directory, "bin"))
})
afterEach(() => Fs.rmSync(directory, { recursive: true, force: true }))

const start = (file: string, args: ReadonlyArray<string>, stdin?: string) => {
  const child = spawn(file, args, { stdio: "pipe", env: { PATH: process.env["PATH"], CANARY: "yes" } })
  if (stdin !== undefined) child.stdin.end(stdin)
  let stdout = ""
  let stderr = ""
  child.stdout.on("data", (piece: Buffer) => (stdout += piece.toString()))
  child.stderr.on("data", (piece: Buffer) => (stderr += piece.toString()))
  return { child, ended: once(child, "close").then(([code]: Array<unknown>) => ({ code, stdout, stderr })) }
}

describe("a recording kubectl", () => {
  it("records arguments and input as they came, and answers by the first rule that fits", async () => {
    const kubectl = RecordingKubectl.install(
      { directory },
      { match: ["get", "pods"], times: 1, stdout: "a pod\n" },
      { match: ["get"], stderr: "no such thing\n", exitCode: 3 },
      { match: ["logs"], stdout: "line\n", repeat: 3, paceMs: 1 },
      { match: ["apply"], delayMs: 1, stdout: "applied\n" }
    )
    const args = ["apply", "-f", "-", "a b", "", "'\"$(x)\n", "ünï"]
    const [once, applied, logs, other] = await Promise.all([
      start(kubectl.file, ["get", "pods", "-o", "wide"]).ended,
      start(kubectl.file, args, "kind: Ünï\n").ended,
      start(kubectl.file, ["logs", "x"]).ended,
      start(kubectl.file, ["delete"]).ended
    ])
    const again = await start(kubectl.file, ["get", "pods"]).ended
    assert.deepStrictEqual(once, { code: 0, stdout: "a pod\n", stderr: "" })
    assert.deepStrictEqual(again, { code: 3, stdout: "", stderr: "no such thing\n" })
    assert.deepStrictEqual(applied, { code: 0, stdout: "applied\n", stderr: "" })
    assert.strictEqual(logs.stdout, "line\nline\nline\n")
    assert.deepStrictEqual(other, { code: 1, stdout: "", stderr: "no rule for: [\"delete\"]\n" })
    const invocations = kubectl.invocations()
    assert.lengthOf(invocations, 5)
    const found = invocations.find(({ args: [verb] }) => verb === "apply")!
    assert.deepStrictEqual(found.args, args)
    assert.strictEqual(found.stdin, "kind: Ünï\n")
    assert.strictEqual(found.env["CANARY"], "yes")
    assert.strictEqual(found.exitCode, 0)
    assert.isFalse(kubectl.isRunning())
  })

  it("hangs until a signal ends it, which it records", async () => {
    const kubectl = RecordingKubectl.install(
      { directory },
      { match: ["logs"], stdout: "begun\n", hang: true },
      { match: ["exec"], stubborn: true }
    )
    const [following, stubborn] = [start(kubectl.file, ["logs", "-f"]), start(kubectl.file, ["exec"])]
    // Listened for before it is waited for otherwise: what was read before that is not told again.
    const begun = once(following.child.stdout, "data")
    await kubectl.until((invocations) => invocations.length === 2)
    await begun
    assert.isTrue(kubectl.isRunning())
    following.child.kill("SIGINT")
    stubborn.child.kill("SIGTERM")
    await kubectl.until((invocations) => invocations.every(({ signals }) => signals.length === 1))
    assert.deepStrictEqual(await following.ended, { code: 130, stdout: "begun\n", stderr: "" })
    assert.isTrue(kubectl.isRunning())
    stubborn.child.kill("SIGKILL")
    assert.isNull((await stubborn.ended).code)
    assert.isFalse(kubectl.isRunning())
    assert.deepStrictEqual(
      Object.fromEntries(
        kubectl.invocations().map(({ args: [verb], exitCode, signals }) => [verb, { exitCode, signals }])
      ),
      { logs: { exitCode: 130, signals: ["SIGINT"] }, exec: { exitCode: undefined, signals: ["SIGTERM"] } }
    )
  })

  it("runs another program in its place, and passes signals on to it", async () => {
    const real = Path.join(directory, "real")
    Fs.writeFileSync(
      real,
      "#!/bin/sh\ntrap 'echo ended; exit 7' TERM\necho real \"$@\"\nwhile :; do sleep 0.01; done\n"
    )
    Fs.chmodSync(real, 0o755)
    const kubectl = RecordingKubectl.install({ directory }, { match: [], run: real })
    const running = start(kubectl.file, ["get", "x y"])
    await once(running.child.stdout, "data")
    running.child.kill("SIGTERM")
    assert.deepStrictEqual(await running.ended, { code: 7, stdout: "real get x y\nended\n", stderr: "" })
    assert.deepStrictEqual(kubectl.invocations().map(({ args, exitCode }) => ({ args, exitCode })), [
      { args: ["get", "x y"], exitCode: 7 }
    ])
  })
})
