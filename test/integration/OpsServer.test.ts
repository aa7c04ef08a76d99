import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Activity from "../../src/ops/Activity.js"
import * as Readiness from "../../src/ops/Readiness.js"
import * as Metrics from "../../src/telemetry/Metrics.js"
import { parse } from "../support/Exposition.js"
import * as Ops from "../support/Ops.js"
import * as Patience from "../support/Patience.js"

const json = (text: string) => JSON.parse(text) as Record<string, unknown>

describe("OpsServer.serve", () => {
  it.scopedLive("gives the metrics, collected for this reader", () =>
    Effect.gen(function*() {
      let collected = 0
      const port = yield* Ops.serve({ collect: Effect.sync(() => void collected++) })
      yield* Metrics.requests(["ops-test"])
      const { body, headers, status } = yield* Ops.ask(port, "/metrics?ignored=1")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      assert.strictEqual(headers["cache-control"], "no-store")
      assert.strictEqual(collected, 1)
      const sample = parse(body).find(({ labels, name }) =>
        name === "vibectl_requests_total" && labels.sub === "ops-test"
      )
      assert.strictEqual(sample?.value, 1)
    }))

  it.scopedLive("is alive, and ready or not, with all reasons", () =>
    Effect.gen(function*() {
      const gate = yield* Readiness.gate
      let store: Readiness.Check = Effect.fail({ message: "cannot be reached" })
      const ready = Readiness.all({ calls: gate.check, store: Effect.suspend(() => store) })
      const port = yield* Ops.serve({ ready })
      const look = Effect.map(Ops.ask(port, "/readyz"), ({ body, status }) => ({ status, ...json(body) }))
      const storeOut = { name: "store", reason: "cannot be reached" }
      const calls = (reason: string) => ({ name: "calls", reason })
      assert.deepInclude(yield* Ops.ask(port, "/healthz"), { status: 200, body: "ok\n" })
      assert.deepStrictEqual<unknown>(yield* look, {
        status: 503,
        ready: false,
        not_ready: [calls("the server is starting"), storeOut]
      })
      yield* gate.open
      assert.deepStrictEqual<unknown>(yield* look, { status: 503, ready: false, not_ready: [storeOut] })
      store = Effect.void
      assert.deepStrictEqual<unknown>(yield* look, { status: 200, ready: true, not_ready: [] })
      yield* gate.close
      yield* gate.open
      const stopping = { status: 503, ready: false, not_ready: [calls("the server is stopping")] }
      assert.deepStrictEqual<unknown>(yield* look, stopping, "for good")
      assert.strictEqual((yield* Ops.ask(port, "/healthz")).status, 200)
    }))

  it.scopedLive("says what the server does", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve()
      const { body, headers, status } = yield* Ops.ask(port, "/info")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers["content-type"], "application/json")
      const found = yield* Schema.decode(Schema.parseJson(Activity.Activity))(body)
      assert.strictEqual(found.address, "127.0.0.1:50051")
      assert.isTrue(DateTime.Equivalence(found.started_at, Ops.facts.startedAt))
    }))

  it.scopedLive("HEAD is a GET without its body; other methods and paths are told what there is", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve()
      const head = yield* Ops.ask(port, "/healthz", { method: "HEAD" })
      assert.deepInclude(head, { status: 200, body: "" })
      assert.strictEqual(head.headers["content-length"], "3")
      for (const method of ["POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "PUT"]) {
        const { headers, status } = yield* Ops.ask(port, "/metrics", { method })
        assert.deepStrictEqual([status, headers.allow], [405, "GET, HEAD"], method)
      }
      const level = yield* Ops.ask(port, "/log-level", { method: "POST" })
      assert.deepStrictEqual([level.status, level.headers.allow], [405, "GET, HEAD, PUT"])
      for (const path of ["/", "/metrics/", "/constructor", "/__proto__", "*", "/%2e%2e", "//info"]) {
        const { body, status } = yield* Ops.ask(port, path)
        assert.strictEqual(status, 404, path)
        for (const known of ["/metrics", "/healthz", "/readyz", "/info", "/log-level"]) assert.include(body, known)
      }
    }))

  it.scopedLive("says so where the program's log has a level of its own, which cannot be changed", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve({ level: { get: Effect.succeed("INFO"), set: () => Effect.void } })
      const { body, status } = yield* Ops.ask(port, "/log-level", { method: "PUT", body: "DEBUG" })
      assert.strictEqual(status, 409)
      assert.include(body, "it is INFO")
    }))

  it.scopedLive("changes the log level", () =>
    Effect.gen(function*() {
      const level = Ops.level("INFO")
      const port = yield* Ops.serve({ level })
      const put = (body: string) => Ops.ask(port, "/log-level", { method: "PUT", body })
      assert.deepInclude(yield* Ops.ask(port, "/log-level"), { status: 200, body: "INFO\n" })
      for (const [body, name] of [["DEBUG", "DEBUG"], ["error\n", "ERROR"], [" Warning ", "WARNING"]] as const) {
        assert.deepInclude(yield* put(body), { status: 200, body: `${name}\n` })
        assert.strictEqual(yield* level.get, name)
      }
      for (const body of ["", "TRACE", "DEBUG INFO", "\u001b[31m\"", "x".repeat(64)]) {
        const answer = yield* put(body)
        assert.strictEqual(answer.status, 400)
        assert.strictEqual(
          answer.body,
          `Found ${JSON.stringify(body)}; allowed are DEBUG, INFO, WARNING, ERROR.\n`
        )
      }
      assert.strictEqual((yield* put("x".repeat(65))).status, 413)
      assert.strictEqual(yield* level.get, "WARNING")
    }))

  it.scopedLive("no web page can change the log level", () =>
    Effect.gen(function*() {
      const level = Ops.level("INFO")
      const port = yield* Ops.serve({ level })
      const put = (headers: Record<string, string>) =>
        Ops.ask(port, "/log-level", { method: "PUT", body: "DEBUG", headers })
      for (
        const headers of [
          { origin: "http://evil.example" },
          { origin: "null" },
          { origin: `http://127.0.0.1:${port}` },
          { host: "evil.example" },
          { host: `evil.example:${port}` },
          { host: "127.0.0.1.evil.example" },
          { host: "localhost.evil.example" },
          { host: "evil.example#127.0.0.1" },
          { host: "0.0.0.0" }
        ]
      ) {
        assert.strictEqual((yield* put(headers)).status, 403, JSON.stringify(headers))
      }
      const bare = yield* Ops.raw(port, "PUT /log-level HTTP/1.0\r\ncontent-length: 5\r\n\r\nDEBUG")
      assert.match(bare, /^HTTP\/1\.1 403 /, "without a Host")
      assert.strictEqual(yield* level.get, "INFO")
      for (const host of ["localhost", `localhost:${port}`, "127.0.0.1", "[::1]", `[::1]:${port}`]) {
        assert.strictEqual((yield* put({ host })).status, 200, host)
      }
    }))

  it.scopedLive("a defect is answered, and the next request too", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve({ activity: Effect.dieMessage("secret detail") })
      const { body, status } = yield* Ops.ask(port, "/info")
      assert.strictEqual(status, 500)
      assert.notInclude(body, "secret")
      assert.strictEqual((yield* Ops.ask(port, "/healthz")).status, 200)
    }))

  it.scopedLive("headers and what is no HTTP are bounded", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve()
      const long = yield* Ops.raw(port, `GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(9000)}\r\n\r\n`)
      assert.match(long, /^HTTP\/1\.1 431 /)
      assert.match(yield* Ops.raw(port, "\u0016\u0003\u0001\r\n\r\n"), /^HTTP\/1\.1 400 /)
      assert.match(yield* Ops.raw(port, "GET /healthz HTTP/1.1\r\n\r\n"), /^HTTP\/1\.1 400 /)
    }))

  it.scopedLive("connections are reused and limited", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve()
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      for (let index = 0; index < 3; index++) {
        const { headers } = yield* Ops.ask(port, "/healthz", { agent })
        assert.strictEqual(headers.connection, "keep-alive")
      }
      assert.strictEqual(Object.values(agent.freeSockets).flat().length, 1)
      agent.destroy()
      const open = yield* Effect.forEach(
        Array.from({ length: 80 }),
        () => Effect.fork(Ops.raw(port, "GET /healthz HTTP/1.1\r\nhost: x\r\n")),
        { concurrency: "unbounded" }
      )
      const ended = Effect.map(
        Effect.forEach(open, (fiber) => fiber.poll),
        (exits) => exits.filter((exit) => exit._tag === "Some").length
      )
      yield* Patience.eventually(Effect.map(ended, (count) => count >= 80 - 64))
      assert.isBelow(yield* ended, 80)
    }))

  it.live("nothing outlives the scope: idle connections, half requests, answers that do not end", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const port = yield* Scope.extend(Ops.serve({ ready: Effect.never }), scope)
      const agent = new Http.Agent({ keepAlive: true })
      yield* Ops.ask(port, "/healthz", { agent })
      const half = yield* Effect.fork(Ops.raw(port, "GET /healthz HTTP/1.1\r\nhost:"))
      const hanging = yield* Effect.fork(Ops.raw(port, "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n"))
      yield* Effect.sleep("50 millis")
      yield* Patience.bounded(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* Patience.bounded(Fiber.join(hanging)), "")
      yield* Patience.bounded(Fiber.await(half))
      assert.strictEqual(Object.values(agent.freeSockets).flat().filter((socket) => !socket?.destroyed).length, 0)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Ops.ask(port, "/healthz"))))
    }))

  it.live("an answer that is being made when the server stops still arrives", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const [begun, finish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const ready = Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(finish))
      const port = yield* Scope.extend(Ops.serve({ ready }), scope)
      const agent = new Http.Agent({ keepAlive: true })
      const asked = yield* Effect.fork(Ops.ask(port, "/readyz", { agent }))
      yield* Deferred.await(begun)
      const closed = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(finish, undefined)
      const { headers, status } = yield* asked
      assert.deepStrictEqual([status, headers.connection], [200, "close"])
      yield* Patience.bounded(Fiber.join(closed))
      agent.destroy()
    }))

  it.scopedLive("an address that is taken is one clear error", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve()
      const error = yield* Effect.flip(Ops.serve({ port }))
      assert.deepInclude(error, { _tag: "OpsBindFailed", address: `127.0.0.1:${port}`, code: "EADDRINUSE" })
      assert.include(error.message, "another program is using it")
    }))

  it.scopedLive(
    "answers probes while 200 half-open requests, and 64 that withhold their body, are held against it",
    () =>
      Effect.gen(function*() {
        const port = yield* Ops.serve()
        const connect = (bytes: string) =>
          Effect.acquireRelease(
            Effect.async<Net.Socket>((resume) => {
              const socket: Net.Socket = Net.connect(port, "127.0.0.1", () => {
                socket.write(bytes)
                resume(Effect.succeed(socket))
              })
              socket.on("error", () => {})
            }),
            (socket) => Effect.sync(() => socket.destroy())
          )
        const withheld = "PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nDEB"
        yield* Effect.forEach(Array.from({ length: 64 }), () => connect(withheld), { concurrency: 16 })
        const asked = performance.now()
        assert.deepInclude(yield* Ops.ask(port, "/healthz"), { status: 200, body: "ok\n" })
        for (const start of ["", "GET /healthz HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\nhost: x\r\nx: "]) {
          yield* Effect.forEach(Array.from({ length: 200 }), () => connect(start), { concurrency: 16 })
          for (const path of ["/healthz", "/readyz"]) assert.strictEqual((yield* Ops.ask(port, path)).status, 200)
        }
        // Each of them would hold its place for five seconds.
        assert.isBelow(performance.now() - asked, Patience.scaled(4000))
      }),
    60_000
  )

  it.scopedLive("answers more than probes only to names that no web page can have, and those of the configuration", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve({ hosts: ["vibectl.monitoring.svc"] })
      const status = (path: string, host: string) =>
        Effect.map(Ops.ask(port, path, { headers: { host } }), ({ status }) => status)
      for (
        const host of [
          "localhost",
          "LOCALHOST:9095",
          "vibectl.localhost",
          "127.0.0.1",
          "10.1.2.3:80",
          "[::1]:1",
          "[fd00::1]"
        ]
      ) {
        assert.strictEqual(yield* status("/metrics", host), 200, host)
      }
      assert.strictEqual(yield* status("/info", "Vibectl.monitoring.svc.:9095"), 200)
      for (
        const host of [
          "evil.example",
          "localhost.evil.example",
          "127.0.0.1.evil.example:9095",
          "evillocalhost",
          "x@127.0.0.1"
        ]
      ) {
        for (const path of ["/metrics", "/info", "/log-level", "/nothing"]) {
          assert.strictEqual(yield* status(path, host), 421, `${host} ${path}`)
        }
        assert.strictEqual(yield* status("/healthz", host), 200)
        assert.strictEqual(yield* status("/readyz", host), 200)
      }
      assert.include(
        (yield* Ops.ask(port, "/info", { headers: { host: "evil.example" } })).body,
        "server.metrics_hosts"
      )
      assert.match(yield* Ops.raw(port, "GET /metrics HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 200/)
    }))
})
