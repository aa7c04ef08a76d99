/**
 * How much one client may ask for at once, and that what is beyond it hurts
 * nobody else.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Deferred, Duration, Effect, Fiber } from "effect"
import * as Http2 from "node:http2"
import * as Zlib from "node:zlib"
import type { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as Edge from "../support/Edge.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const { OK, RESOURCE_EXHAUSTED } = Grpc.status

/** An ExecuteRequest of so many bytes, 131 to 16,386, all of them in one user fragment. */
const requestOf = (size: number): Buffer => {
  const text = size - 3
  return Buffer.concat([Buffer.of(0x12, text % 128 + 128, text >> 7), Buffer.alloc(text, 0x61)])
}

describe("a message", () => {
  const most = 1000

  it.scopedLive("of maxMessageBytes is delivered, and of one byte more is RESOURCE_EXHAUSTED and never looked at", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve({ maxMessageBytes: most })
      for (const method of ["Execute", "StreamExecute"]) {
        const headers = RawHttp2.headersOf(`${Edge.service}/${method}`, Edge.bearer(edge.good))
        const send = (message: Buffer, more: RawHttp2.Headers = {}, flag = 0) =>
          Effect.map(
            Edge.call(edge.port, { ...headers, ...more }, RawHttp2.whole(RawHttp2.envelope(message, flag))),
            ({ status }) => status
          )
        assert.strictEqual(requestOf(most).length, most)
        assert.strictEqual(yield* send(requestOf(most)), OK)
        const gzip = { "grpc-encoding": "gzip" }
        assert.strictEqual(yield* send(Zlib.gzipSync(requestOf(most)), gzip, 1), OK)
        assert.strictEqual(edge.handled.length, 2)
        edge.handled.length = edge.decoded.length = 0
        assert.strictEqual(yield* send(requestOf(most + 1)), RESOURCE_EXHAUSTED)
        assert.strictEqual(yield* send(Zlib.gzipSync(requestOf(most + 1)), gzip, 1), RESOURCE_EXHAUSTED)
        assert.deepStrictEqual([edge.handled, edge.decoded], [[], []])
      }
    }))

  it.scopedLive("that is too large is told so by a gRPC client, whose connection goes on", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve({ maxMessageBytes: most })
      const client = yield* Loopback.client(edge.port)
      const authorization = `Bearer ${edge.good}`
      const ask = (text: string) => Loopback.unaryCall(client, "Execute", { user_fragments: [text] }, { authorization })
      assert.strictEqual((yield* Effect.flip(ask("a".repeat(most)))).code, RESOURCE_EXHAUSTED)
      yield* ask("a")
    }))
})

describe("metadata", () => {
  const required = (edge: Edge.Edge): ReadonlyArray<readonly [string, string]> => [
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "x"],
    [":path", `${Edge.service}/Execute`],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ["authorization", `Bearer ${edge.good}`]
  ]
  const fields = (count: number, size: number) =>
    Array.from({ length: count }, (_, index) => [`x-${index}`, "v".repeat(size)] as const)

  // Node's `maxHeaderListPairs`, which grpc-js leaves alone; then what nghttp2 takes of one value, and of one block.
  const bounds = [
    ["128 fields, pseudo-headers included", fields(121, 1), fields(122, 1)],
    ["64 KiB in one value", fields(1, 65_536), fields(1, 65_537)],
    ["9 frames of 16 KiB in all", fields(9, 16_200), fields(9, 16_400)]
  ] as const

  for (const [bound, inside, beyond] of bounds) {
    it.scopedLive(`of up to ${bound} is taken; more is refused, and other connections do not notice`, () =>
      Effect.gen(function*() {
        const [begun, finish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const open = Loopback.script(
          Effect.as(Deferred.succeed(begun, undefined), Loopback.text("yes")),
          Effect.as(Deferred.await(finish), Loopback.done),
          Effect.succeed(Loopback.metrics)
        )
        const edge = yield* Edge.serve({ proxy: { ...Edge.proxy, open } })
        const headers = RawHttp2.headersOf(`${Edge.service}/StreamExecute`, Edge.bearer(edge.good))
        const other = yield* Effect.fork(Edge.call(edge.port, headers))
        yield* Deferred.await(begun)

        const send = (more: ReadonlyArray<readonly [string, string]>) =>
          RawHttp2.callWithHeaders(edge.port, [...required(edge), ...more])
        assert.strictEqual((yield* send(inside)).status, OK)
        edge.handled.length = edge.decoded.length = 0
        const { http, reset } = yield* send(beyond)
        assert.isUndefined(http)
        assert.notStrictEqual(reset, 0)
        assert.deepStrictEqual([edge.handled, edge.decoded], [[], []])

        yield* Deferred.succeed(finish, undefined)
        assert.strictEqual((yield* Fiber.join(other)).status, OK)
        assert.strictEqual(yield* Edge.probe(edge), OK)
        assert.deepStrictEqual(edge.crashes, [])
      }))
  }
})

describe("streams of one connection", () => {
  const most = 5

  /** A proxy whose streams wait until they are let go, and that counts how many are open: now, at most and ever. */
  const counting = Effect.map(Deferred.make<void>(), (finish) => {
    const open = { now: 0, most: 0, ever: 0 }
    const wait: LlmProxy["Type"]["open"] = (request, caller) =>
      Effect.zipRight(
        Effect.sync(() => {
          open.now++
          open.ever++
          open.most = Math.max(open.most, open.now)
          caller.onEnd(() => Effect.sync(() => open.now--))
        }),
        Loopback.script(
          Effect.as(Deferred.await(finish), Loopback.text("yes")),
          Effect.succeed(Loopback.done),
          Effect.succeed(Loopback.metrics)
        )(request, caller)
      )
    return { open, proxy: { ...Edge.proxy, open: wait }, finish: Deferred.succeed(finish, undefined) }
  })

  it.scopedLive("beyond maxStreamsPerConnection wait at a client that keeps to HTTP/2, and all are answered", () =>
    Effect.gen(function*() {
      const { finish, open, proxy } = yield* counting
      const edge = yield* Edge.serve({ proxy, maxStreamsPerConnection: most })
      const client = yield* Loopback.client(edge.port)
      const metadata = { authorization: `Bearer ${edge.good}` }
      // The connection is made, so that the client knows how many streams it may open.
      yield* Loopback.unaryCall(client, "GetServerInfo", {}, metadata)
      const calls = yield* Effect.forkAll(
        Array.from({ length: 3 * most }, () => Loopback.collect(Loopback.streamCall(client, {}, metadata)))
      )
      yield* Patience.eventually(() => open.now === most)
      assert.strictEqual(yield* Edge.probe(edge), OK)
      yield* finish
      assert.isTrue((yield* Fiber.join(calls)).every(({ status }) => status.code === OK))
      assert.deepStrictEqual(open, { now: 0, most, ever: 3 * most })
    }))

  const { endHeaders, endStream } = RawHttp2.flags
  const opening = (edge: Edge.Edge, stream: number) =>
    Buffer.concat([
      RawHttp2.frame(
        RawHttp2.frames.headers,
        endHeaders,
        stream,
        RawHttp2.hpack([
          [":method", "POST"],
          [":scheme", "http"],
          [":authority", "x"],
          [":path", `${Edge.service}/StreamExecute`],
          ["content-type", "application/grpc"],
          ["te", "trailers"],
          ["authorization", `Bearer ${edge.good}`]
        ])
      ),
      RawHttp2.frame(RawHttp2.frames.data, endStream, stream, RawHttp2.envelope(Buffer.alloc(0)))
    ])
  const hello = Buffer.concat([RawHttp2.preface, RawHttp2.frame(RawHttp2.frames.settings, 0, 0)])

  it.scopedLive("beyond maxStreamsPerConnection are refused to one that does not, and other connections are served", () =>
    Effect.gen(function*() {
      const { finish, open, proxy } = yield* counting
      const edge = yield* Edge.serve({ proxy, maxStreamsPerConnection: most })
      const socket = yield* RawHttp2.socket(edge.port)
      socket.resume()
      socket.write(hello)
      for (let index = 0; index < 3 * most; index++) socket.write(opening(edge, 2 * index + 1))
      yield* Patience.eventually(() => open.now === most)
      assert.strictEqual(yield* Edge.probe(edge), OK)
      yield* finish
      yield* Patience.eventually(() => open.now === 0)
      assert.strictEqual(yield* Edge.probe(edge), OK)
      assert.deepStrictEqual(open, { now: 0, most, ever: most })
    }))

  it.scopedLive("are not more when they are reset and opened again as fast as they can", () =>
    Effect.gen(function*() {
      const { open, proxy } = yield* counting
      const edge = yield* Edge.serve({ proxy, maxStreamsPerConnection: most })
      const socket = yield* RawHttp2.socket(edge.port)
      socket.resume()
      socket.write(hello)
      for (let round = 0; round < 30; round++) {
        const streams = Array.from({ length: most }, (_, index) => 2 * (round * most + index) + 1)
        for (const stream of streams) socket.write(opening(edge, stream))
        // Handlers begin a few turns after their streams; every second round lets them.
        if (round % 2 === 0) yield* Patience.eventually(() => open.now === most)
        const cancel = Buffer.of(0, 0, 0, Http2.constants.NGHTTP2_CANCEL)
        for (const stream of streams) socket.write(RawHttp2.frame(RawHttp2.frames.reset, 0, stream, cancel))
      }
      yield* Patience.eventually(() => open.now === 0)
      assert.strictEqual(open.most, most)
      assert.strictEqual(yield* Edge.probe(edge), OK)
    }))
})

describe("a connection", () => {
  it.scopedLive("that answers no more is closed, and its calls are interrupted; one that does is kept", () =>
    Effect.gen(function*() {
      const interrupted = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const open = () =>
        Effect.succeed(Effect.zipRight(
          Deferred.succeed(begun, undefined),
          Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        ))
      const edge = yield* Edge.serve({ proxy: { ...Edge.proxy, open }, keepalive: Duration.millis(200) })
      const kept = yield* RawHttp2.connect(edge.port)
      const cable = yield* Loopback.cable(edge.port)
      const authorization = `Bearer ${edge.good}`
      const call = Loopback.streamCall(yield* Loopback.client(cable.port), {}, { authorization })
      call.on("error", () => {})
      yield* Deferred.await(begun)
      cable.silence()
      yield* Patience.bounded(Deferred.await(interrupted))
      const headers = RawHttp2.headersOf(`${Edge.service}/Execute`, { authorization })
      assert.strictEqual((yield* RawHttp2.call(kept, headers)).status, OK)
    }))
})
