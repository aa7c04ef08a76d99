/**
 * A server that is killed while it answers: what its clients do, and what is booked.
 */
import { Effect } from "effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Connection from "../../src/client/Connection.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Programs from "../support/Programs.js"

let home: Programs.Home
beforeEach(() => {
  home = Programs.home()
})
afterEach(() => home.close())

const eventually = (condition: () => boolean) =>
  Effect.repeat(Effect.sleep("10 millis"), { until: condition }).pipe(Effect.timeout("20 seconds"))

describe("kill -9", () => {
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
        yield* eventually(() => vendor.requests.length === 5)
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
