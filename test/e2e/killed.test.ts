/**
 * A server that is killed while it answers: what its clients do, and what is booked.
 */
import { Effect, Fiber, Stream } from "effect"
import Database from "libsql"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Connection from "../../src/client/Connection.js"
import * as Estimate from "../../src/streaming/Estimate.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"
import * as Redis from "../support/Redis.js"

let home: Programs.Home
beforeEach(() => {
  home = Programs.home()
})
afterEach(() => home.close())

/** What a provider bills whose answer was cut, as it is estimated: the prompt, and the text that had come. */
const pieces = Array.from({ length: 2000 }, () => "one two three four five six seven eight nine ten. ")

/** A call of many seconds is cut by kill -9 after about four; `share` is what is booked of the true cost. */
const killed = (state: object, bury: () => Promise<unknown>) =>
  Effect.scoped(Effect.gen(function*() {
    const vendor = yield* FakeVendor.make()
    vendor.otherwise({ pieces, pace: 20 })
    const directory = Path.join(home.directory, ".config/vibectl/server")
    Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    const settings = {
      state,
      server: { limits: { reserve_output_tokens: 100_000 } },
      prices: { "*": { input: 1, output: 10 } },
      providers: { v: { kind: "openai", base_url: vendor.openai, api_key: "k", default_model: "m" } }
    }
    Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
    const serve = () => Effect.promise(() => home.serve("vibectl-server --insecure --no-enable-auth --port 0"))
    const first = yield* serve()
    const client = yield* Connection.make({ host: "127.0.0.1", port: first.port, tls: false })
    let text = ""
    const call = yield* Effect.fork(Effect.exit(Stream.runForEach(
      client.stream({ model: "v/m", user: ["hello"] }),
      (event) => Effect.sync(() => event._tag === "Text" && (text += event.text))
    )))
    yield* Patience.eventually(() => text.length > 4 * 50 * pieces[0]!.length, "four seconds of text")
    const ended = once(first.process, "exit")
    first.process.kill("SIGKILL")
    yield* Effect.promise(() => ended)
    yield* Fiber.join(call)
    const tokens = Estimate.ofText(text)
    yield* Effect.promise(bury)
    const second = yield* serve()
    const usage = Effect.promise(async () => {
      const { stdout } = await home.sh("vibectl-server usage --output json")
      return JSON.parse(stdout) as ReadonlyArray<Record<string, unknown>>
    })
    const rows = yield* Patience.eventually(Effect.map(usage, (rows) => rows.length > 0 && rows), "the booked call")
    yield* Effect.promise(() => second.stop())
    assert.lengthOf(rows, 1)
    const [row] = rows
    const truth = (Estimate.ofText("hello") * 1 + tokens * 10) / 1e6
    return { row, share: Number(row?.["cost_usd"]) / truth }
  }))

describe("kill -9", () => {
  it("costs what had come of a stream, but for the last seconds, and input and output apart", async () => {
    const file = Path.join(home.directory, "usage.db")
    const bury = () => {
      const db = new Database(file)
      db.exec("UPDATE servers SET alive_until = 0")
      db.close()
      return Promise.resolve()
    }
    const { row, share } = await Effect.runPromise(killed({ file }, bury))
    assert.isTrue(0.3 < share && share <= 1.05, `${share} of the true cost: ${JSON.stringify(row)}`)
    assert.isAtMost(Number(row?.["input_tokens"]), 5)
    assert.deepStrictEqual([row?.["requests"], row?.["failures"], row?.["estimated"]], [1, 1, 1])
  }, 120_000)

  it.skipIf(!Redis.available())("costs the same where Redis counts", async () => {
    const { row, share } = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { url } = yield* Redis.server()
      const redis = yield* Redis.client(url)
      const bury = async () => {
        for (const value of await redis.zRange("{killed}:servers", 0, -1)) {
          await redis.zAdd("{killed}:servers", { value, score: 1 })
        }
      }
      return yield* killed({ url, prefix: "killed" }, bury)
    })))
    assert.isTrue(0.3 < share && share <= 1.05, `${share} of the true cost: ${JSON.stringify(row)}`)
  }, 120_000)

  it(
    "and a restart under five calls make no more than five requests to the provider",
    () =>
      Effect.runPromise(Effect.scoped(Effect.gen(function*() {
        const vendor = yield* FakeVendor.make()
        vendor.otherwise({ fault: { after: "request", how: "hang" } })
        const directory = Path.join(home.directory, ".config/vibectl/server")
        Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
        const settings = {
          providers: { v: { kind: "openai", base_url: vendor.openai, api_key: "k", default_model: "m" } }
        }
        Fs.writeFileSync(Path.join(directory, "config.yaml"), JSON.stringify(settings), { mode: 0o600 })
        const serve = (port: number) =>
          Effect.promise(() => home.serve(`vibectl-server --insecure --no-enable-auth --port ${port}`))
        const first = yield* serve(0)
        const client = yield* Connection.make({ host: "127.0.0.1", port: first.port, tls: false })
        const call = Effect.exit(client.execute({ model: "v/m", user: ["hello"] }))
        const calls = yield* Effect.fork(Effect.all([call, call, call, call, call], { concurrency: 5 }))
        yield* Patience.eventually(() => vendor.requests.length === 5)
        const ended = once(first.process, "exit")
        first.process.kill("SIGKILL")
        yield* Effect.promise(() => ended)
        const second = yield* serve(first.port)
        const exits = yield* calls
        assert.isTrue(exits.every(({ _tag }) => _tag === "Failure"))
        // It was there, and could have been asked again.
        yield* client.serverInfo
        assert.lengthOf(vendor.requests, 5)
        yield* Effect.promise(() => second.stop())
      }))),
    90_000
  )
})
