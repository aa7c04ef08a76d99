/**
 * What was used outlives the process, however it ends.
 */
import * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Loopback from "../support/Loopback.js"
import * as Programs from "../support/Programs.js"

let home: Programs.Home
beforeEach(() => {
  home = Programs.home()
})
afterEach(() => home.close())

const settings = {
  server: {
    limits: { global: { max_tokens_per_month: 60 }, reserve_output_tokens: 10 }
  }
}

/** `OK`, or the type of the limit and the milliseconds to wait. */
const ask = (port: number, prompt: string) =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure())),
      (client) => Effect.sync(() => client.close())
    )
    const request = { user_fragments: [prompt], model_name: "demo/echo" }
    return yield* Effect.match(Loopback.unaryCall(client, "Execute", request), {
      onSuccess: () => "OK",
      onFailure: ({ metadata }) => `${metadata.get("limit-type").join()} ${metadata.get("retry-after-ms").join()}`
    })
  })))

const kill = async ({ process }: Programs.Serving) => {
  const ended = once(process, "exit")
  process.kill("SIGKILL")
  await ended
}

describe("a quota", () => {
  it("survives kill -9, and so does what a call that ran was estimated to use", async () => {
    const directory = Path.join(home.directory, ".config/vibectl/server")
    Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
    const serve = () => home.serve("vibectl-server --insecure --no-enable-auth --port 0")
    const first = await serve()
    let answered = 0
    while (await ask(first.port, "hello") === "OK") answered++
    assert.isAtLeast(answered, 1)
    await kill(first)

    const used = async () =>
      JSON.parse((await home.sh("vibectl-server usage --output json")).stdout) as ReadonlyArray<Record<string, unknown>>
    const before = await used()
    assert.deepStrictEqual(before.map(({ requests, subject }) => [subject, requests]), [["anonymous", answered]])

    const second = await serve()
    const untilNextMonth = () => {
      const now = new Date()
      return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1) - now.getTime()
    }
    const atMost = untilNextMonth()
    const refused = await ask(second.port, "hello")
    assert.match(refused, /^tokens_per_month \d+$/)
    assert.isAtMost(Number(refused.split(" ")[1]), atMost)
    assert.isAtLeast(Number(refused.split(" ")[1]), untilNextMonth())
    await kill(second)

    for (const file of Fs.readdirSync(directory).filter((name) => name.startsWith("usage.db"))) {
      assert.strictEqual(Fs.statSync(Path.join(directory, file)).mode & 0o777, 0o600, file)
    }
    assert.deepStrictEqual(await used(), before, "a refused call used nothing")
  })

  it("survives that its file is deleted while the server runs, which the log says once", async () => {
    const directory = Path.join(home.directory, ".config/vibectl/server")
    Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
    const server = await home.serve("vibectl-server --insecure --no-enable-auth --port 0")
    assert.strictEqual(await ask(server.port, "hello"), "OK")
    for (const name of Fs.readdirSync(directory)) {
      if (name.startsWith("usage.db")) Fs.rmSync(Path.join(directory, name))
    }
    let answered = 1
    while (await ask(server.port, "hello") === "OK") answered++
    await kill(server)
    assert.strictEqual(server.log().split("the record of usage was deleted").length, 2, server.log())
    const { stdout } = await home.sh("vibectl-server usage --output json")
    const [row] = JSON.parse(stdout) as ReadonlyArray<Record<string, unknown>>
    assert.strictEqual(row?.["requests"], answered)
  })
})

describe("vibectl-server usage", () => {
  it("says that there is no usage yet where there is no file, and makes none", async () => {
    const { code, stderr, stdout } = await home.sh("vibectl-server usage --output json; echo $?; ls -A $HOME/.config")
    assert.strictEqual(code, 2, "of ls")
    assert.match(stderr, /^No usage yet: there is no .*usage\.db; a server makes it when it starts\.\nNothing was used/)
    assert.strictEqual(stdout, "[]\n0\n")
  })
})
