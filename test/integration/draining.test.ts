/**
 * How connections and calls end when a server stops, over real sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { protoPath as healthProto } from "grpc-health-check"
import * as Http2 from "node:http2"
import * as Connection from "../../src/client/Connection.js"
import type { AnswerEvent } from "../../src/domain/Answer.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const execute = "/vibectl.llm_proxy.VibectlLLMProxy/Execute"

const answer = { text: "yes", model: "fake/one", metrics: Loopback.metrics }

/** Milliseconds between two pings: several of them are due in a drain, and a slow machine has answered one by then. */
const interval = Patience.scaled(150)

/** A piece every 50 ms, for this long. */
const slowly = (millis: number) =>
  Loopback.script(
    ...Array.from({ length: Math.ceil(millis / 50) }, (_, index) =>
      Effect.delay(Effect.succeed(Loopback.text(`${index} `)), "50 millis")),
    Effect.succeed(Loopback.done),
    Effect.succeed(Loopback.metrics)
  )

/** A server in a scope of its own, so that it can be stopped. */
const stoppable = (options: Parameters<typeof Loopback.serve>[0]) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const port = yield* Scope.extend(Loopback.serve(options), scope)
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    return { port, stop: Scope.close(scope, Exit.void) }
  })

/** What a health check on a connection of its own answers. */
const health = (port: number) =>
  Effect.scoped(Effect.flatMap(Loopback.client(port, { "grpc.use_local_subchannel_pool": 1 }), (client) => {
    const service = ProtoLoader.loadSync(healthProto, { enums: String, defaults: true })["grpc.health.v1.Health"]
    const { path, requestSerialize, responseDeserialize } = (service as Grpc.ServiceDefinition)["Check"]!
    return Effect.async<unknown, Grpc.ServiceError>((resume) => {
      client.makeUnaryRequest<object, { readonly status: string }>(
        path,
        requestSerialize,
        responseDeserialize,
        { service: "vibectl.llm_proxy.VibectlLLMProxy" },
        (error, answer) => resume(error === null ? Effect.succeed(answer?.status) : Effect.fail(error))
      )
    })
  }))

/** What our own client reads; completes `begun` with the first text. */
const read = (port: number, begun: Deferred.Deferred<void>, options: Partial<Connection.Options> = {}) =>
  Effect.gen(function*() {
    const client = yield* Connection.make({ host: "127.0.0.1", port, tls: false, retryAttempts: 0, ...options })
    const seen: Array<AnswerEvent["_tag"]> = []
    yield* Stream.runForEach(client.stream({ user: ["x"] }), (event) => {
      seen.push(event._tag)
      return event._tag === "Text" ? Deferred.succeed(begun, undefined) : Effect.void
    })
    return seen
  })

describe("a drain", () => {
  // The canary of what src/grpc/Connections.ts and Draining.ts know of grpc-js.
  it.scopedLive("that is longer than the ping intervals of both ends cuts no call, and the calls end whole", () =>
    Effect.gen(function*() {
      const open = slowly(interval * 10)
      const { port, stop } = yield* stoppable({
        proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo, open }),
        keepalive: Duration.millis(interval),
        drain: Duration.millis(interval * 200)
      })
      const pings = { keepaliveTime: Duration.millis(interval), keepaliveTimeout: Duration.millis(interval * 30) }
      const running = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        Effect.gen(function*() {
          const begun = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(read(port, begun, pings))
          yield* Deferred.await(begun)
          return fiber
        }))
      yield* stop
      for (const fiber of running) {
        const seen = yield* Fiber.join(fiber)
        assert.deepStrictEqual(seen.slice(-2), ["Done", "Metrics"])
      }
    }))

  it.scopedLive("ends what outlives it with SHUTTING_DOWN, also when pings were due in it", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const { port, stop } = yield* stoppable({
        proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo, open: slowly(60_000) }),
        keepalive: Duration.millis(interval),
        drain: Duration.millis(interval * 6)
      })
      const pings = { keepaliveTime: Duration.millis(interval), keepaliveTimeout: Duration.millis(interval * 30) }
      const fiber = yield* Effect.fork(read(port, begun, pings))
      yield* Deferred.await(begun)
      yield* stop
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude(error, { _tag: "CallFailed", reason: "SHUTTING_DOWN" })
    }))

  it.scopedLive("waits until 60 slow readers have the last byte of their answers", () =>
    Effect.gen(function*() {
      const piece = "x".repeat(20_000)
      let begun = 0
      const open = Loopback.script(
        ...Array.from({ length: 50 }, () => Effect.succeed(Loopback.text(piece))),
        Effect.succeed(Loopback.done),
        Effect.succeed(Loopback.metrics)
      )
      const { port, stop } = yield* stoppable({ proxy: Loopback.proxy({ open }), drain: Duration.seconds(30) })
      const calls = yield* Effect.forEach(Array.from({ length: 60 }), () =>
        Effect.gen(function*() {
          const client = yield* Loopback.client(port, { "grpc.use_local_subchannel_pool": 1 })
          const call = Loopback.streamCall(client)
          const fiber = yield* Effect.fork(Loopback.collect(call))
          yield* Effect.yieldNow()
          call.once("data", () => {
            begun++
            call.pause()
          })
          return { call, fiber }
        }))
      yield* Patience.eventually(() => begun === 60)
      const stopping = yield* Effect.fork(stop)
      // Longer than what is waited for calls that have been ended.
      yield* Effect.sleep("1500 millis")
      for (const { call } of calls) call.resume()
      for (const { fiber } of calls) {
        const { chunks, status } = yield* Fiber.join(fiber)
        assert.strictEqual(status.code, Grpc.status.OK)
        assert.deepStrictEqual(chunks.map(Loopback.kind).slice(-2), ["complete", "final_metrics"])
        assert.lengthOf(chunks, 52)
      }
      yield* Fiber.join(stopping)
    }))

  it.scopedLive("answers what comes on a connection that was made before it", () =>
    Effect.gen(function*() {
      const { port, stop } = yield* stoppable({ proxy: Loopback.proxy({ execute: () => Effect.succeed(answer) }) })
      const session = yield* RawHttp2.connect(port)
      const stopping = yield* Effect.fork(stop)
      yield* Effect.sleep("200 millis")
      assert.strictEqual((yield* RawHttp2.call(session, RawHttp2.headersOf(execute))).status, Grpc.status.OK)
      yield* Fiber.join(stopping)
    }))
})

describe("a lame duck", () => {
  it.scopedLive("still takes connections and calls, closes idle connections, and says in health checks that it stops", () =>
    Effect.gen(function*() {
      const { port, stop } = yield* stoppable({
        proxy: Loopback.proxy({ execute: () => Effect.succeed(answer) }),
        lameDuck: Duration.seconds(2)
      })
      const idle = Http2.connect(`http://127.0.0.1:${port}`)
      idle.on("error", () => {})
      yield* RawHttp2.call(idle, RawHttp2.headersOf(execute))
      assert.strictEqual(yield* health(port), "SERVING")
      const closed = new Promise<void>((resolve) => idle.once("close", resolve))
      const began = yield* Clock.currentTimeMillis
      const stopping = yield* Effect.fork(stop)
      yield* Effect.promise(() => closed)
      const later = yield* RawHttp2.connect(port)
      assert.strictEqual((yield* RawHttp2.call(later, RawHttp2.headersOf(execute))).status, Grpc.status.OK)
      assert.strictEqual(yield* health(port), "NOT_SERVING")
      yield* Fiber.join(stopping)
      assert.isAtLeast((yield* Clock.currentTimeMillis) - began, 1900)
      const refused = yield* Effect.async<string | undefined>((resume) => {
        const late = Http2.connect(`http://127.0.0.1:${port}`)
        late.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code)))
      })
      assert.strictEqual(refused, "ECONNREFUSED")
    }))
})

describe("a connection of some age", () => {
  it.scopedLive("closes when its calls have ended, and not before", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const { port } = yield* stoppable({
        proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo, open: slowly(1000) }),
        maxConnectionAge: Duration.millis(200)
      })
      const cable = yield* Loopback.cable(port)
      const fiber = yield* Effect.fork(read(cable.port, begun))
      assert.deepStrictEqual((yield* Fiber.join(fiber)).slice(-2), ["Done", "Metrics"])
      const session = yield* RawHttp2.connect(port)
      yield* Patience.bounded(Effect.async<void>((resume) => void session.once("close", () => resume(Effect.void))))
    }))

  it.scopedLive("ends calls that outlive its grace with SHUTTING_DOWN", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const { port } = yield* stoppable({
        proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo, open: slowly(60_000) }),
        maxConnectionAge: Duration.millis(200),
        maxConnectionAgeGrace: Duration.millis(200)
      })
      const error = yield* Effect.flip(read(port, begun))
      assert.deepInclude(error, { _tag: "CallFailed", reason: "SHUTTING_DOWN" })
    }))
})

describe("a deadline", () => {
  for (
    const [timeout, status] of [
      ["597H", 0],
      ["720H", 0],
      ["2592000S", 0],
      ["8640000S", 0],
      ["31536000S", 0],
      ["99999999S", 0],
      ["99999999H", 0],
      ["100000000S", 0],
      ["1000000000S", 0],
      ["4294968S", 0],
      ["0000000030S", 0],
      ["-1S", 3],
      ["1.5S", 3],
      ["S", 3],
      ["30", 3],
      ["1m", 4]
    ] as const
  ) {
    it.scopedLive(`of ${timeout} ends a call of 50 ms with ${status}`, () =>
      Effect.gen(function*() {
        const execute = () => Effect.delay(Effect.succeed(answer), "50 millis")
        const { port } = yield* stoppable({ proxy: Loopback.proxy({ execute }) })
        const session = yield* RawHttp2.connect(port)
        const headers = RawHttp2.headersOf("/vibectl.llm_proxy.VibectlLLMProxy/Execute", { "grpc-timeout": timeout })
        assert.strictEqual((yield* RawHttp2.call(session, headers)).status, status)
      }))
  }

  it.scopedLive("of our client that is months away ends no call", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const { port } = yield* stoppable({
        proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo, open: slowly(200) })
      })
      for (const timeout of ["30 days", "100 days", "4000 days"] as const) {
        const seen = yield* read(port, begun, { timeout, infoTimeout: timeout })
        assert.deepStrictEqual(seen.slice(-2), ["Done", "Metrics"])
      }
    }))
})
