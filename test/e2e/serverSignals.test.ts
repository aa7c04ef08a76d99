import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Connection from "../../src/client/Connection.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import { eventually, scaled } from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

const home = Effect.acquireRelease(Effect.sync(Programs.home), (home) => Effect.promise(home.close))

/** A server with a stream that does not end by itself. */
const busy = (flags: string) =>
  Effect.gen(function*() {
    const vendor = yield* FakeVendor.make()
    vendor.script({ fault: { after: 1, how: "hang" } })
    const person = yield* home
    const server = yield* Effect.promise(() =>
      person.serve(`vibectl-server --port 0 --insecure --no-enable-auth --model openai/m ${flags}`, {
        OPENAI_API_KEY: "sk-x",
        OPENAI_BASE_URL: vendor.openai,
        VIBECTL_SERVER__DRAIN_SECONDS: "60"
      })
    )
    const client = yield* Connection.make({ host: "127.0.0.1", port: server.port, tls: false, retryAttempts: 0 })
    let begun = false
    const stream = yield* client.stream({ user: ["hi"] }).pipe(
      Stream.runForEach(({ _tag }) => Effect.sync(() => begun ||= _tag === "Text")),
      Effect.flip,
      Effect.fork
    )
    yield* eventually(() => begun, "the stream begins")
    const exit = once(server.process, "exit")
    return { server, stream, ended: Effect.promise(() => exit) }
  })

for (const flags of ["", "--workers 2"]) {
  describe(`vibectl-server ${flags}`, () => {
    for (const [first, second, pause] of [["SIGTERM", "SIGTERM", 0], ["SIGINT", "SIGINT", 100]] as const) {
      it.scopedLive(
        `ends the drain when ${second} follows ${first} after ${pause} ms: the running call ends with SHUTTING_DOWN, exit code 0`,
        () =>
          Effect.gen(function*() {
            const { ended, server, stream } = yield* busy(flags)
            server.process.kill(first)
            yield* eventually(() => server.log().includes("shutting down"), "it has begun to stop")
            yield* Effect.sleep(pause)
            const begun = performance.now()
            server.process.kill(second)
            assert.deepInclude(yield* Fiber.join(stream), { _tag: "CallFailed", reason: "SHUTTING_DOWN" })
            assert.deepStrictEqual(yield* ended, [0, null])
            // The drain would last a minute.
            assert.isBelow(performance.now() - begun, scaled(20_000))
          }),
        60_000
      )
    }

    it.scopedLive("ends at once at a third signal, whatever still runs", () =>
      Effect.gen(function*() {
        const { ended, server } = yield* busy(flags)
        server.process.kill("SIGTERM")
        yield* eventually(() => server.log().includes("shutting down"), "it has begun to stop")
        // Of the same moment, these are one signal to the system; apart they are two.
        server.process.kill("SIGINT")
        server.process.kill("SIGQUIT")
        const exit = yield* ended
        assert.include(["0", "130", "131"], String(exit[0]))
      }), 60_000)

    it.scopedLive(
      "goes on after SIGHUP, SIGUSR1, SIGUSR2 and SIGPIPE, says why, and opens no inspector",
      () =>
        Effect.gen(function*() {
          const person = yield* home
          const server = yield* Effect.promise(() =>
            person.serve(`vibectl-server --port 0 --insecure --no-enable-auth ${flags}`)
          )
          for (const signal of ["SIGHUP", "SIGUSR1", "SIGUSR2"] as const) {
            server.process.kill(signal)
            yield* eventually(() => server.log().includes(`${signal}: `), `it logs ${signal}`)
          }
          server.process.kill("SIGPIPE")
          assert.include(server.log(), "SIGHUP: nothing to reload yet")
          const client = yield* Connection.make({ host: "127.0.0.1", port: server.port, tls: false, retryAttempts: 0 })
          yield* client.serverInfo
          assert.notInclude(server.log(), "Debugger listening")
          if (process.platform === "linux") {
            // 9229, the inspector's port, in /proc's notation.
            const sockets = Fs.readFileSync(`/proc/${server.process.pid}/net/tcp`, "utf8")
            const inodes = Fs.readdirSync(`/proc/${server.process.pid}/fd`).map((fd) => {
              try {
                return Fs.readlinkSync(`/proc/${server.process.pid}/fd/${fd}`)
              } catch {
                return ""
              }
            })
            const own = sockets.split("\n").filter((line) => inodes.includes(`socket:[${line.trim().split(/\s+/)[9]}]`))
            assert.isFalse(own.some((line) => /:240D .* 0A /.test(line)))
          }
          assert.strictEqual(yield* Effect.promise(server.stop), 0)
        }),
      60_000
    )
  })
}
