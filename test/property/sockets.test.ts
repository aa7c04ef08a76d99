/**
 * The listening socket under bytes that are no gRPC: the connection they came
 * on may be lost, and every other goes on being served.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, FastCheck as fc } from "effect"
import * as Tls from "node:tls"
import * as Edge from "../support/Edge.js"
import * as Patience from "../support/Patience.js"
import { forAll } from "../support/Property.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const { flags, frame, frames, preface } = RawHttp2

const hello = Buffer.concat([preface, frame(frames.settings, 0, 0)])
const times = (count: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))
const ping = (index: number) => frame(frames.ping, 0, 0, Buffer.of(0, 0, 0, 0, 0, 0, index >> 8 & 255, index & 255))
const setting = (index: number) => Buffer.of(0, index % 9, 0, 0, index >> 8 & 255, index & 255)

const block = (headers: Record<string, string>) =>
  RawHttp2.hpack(Object.entries({
    ":method": "POST",
    ":scheme": "http",
    ":authority": "x",
    ":path": `${Edge.service}/Execute`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers
  }))

/** The streams of a client: 1, 3, 5 and so on. */
const streams = (count: number, make: (stream: number) => Buffer) => times(count, (index) => make(index * 2 + 1))
const cancel = (stream: number) => frame(frames.reset, 0, stream, Buffer.of(0, 0, 0, 8))
const rapidReset = (headers: Record<string, string>) => {
  const opening = block(headers)
  return streams(
    1000,
    (stream) => Buffer.concat([frame(frames.headers, flags.endHeaders, stream, opening), cancel(stream)])
  )
}

const isFine = (edge: Edge.Edge) =>
  Effect.map(Edge.probe(edge), (status) => {
    assert.strictEqual(status, 0, "the next caller is not served")
    assert.deepStrictEqual(edge.crashes, [])
  })

describe("a connection that brings no gRPC", () => {
  const canned: ReadonlyArray<readonly [string, (edge: Edge.Edge) => ReadonlyArray<Buffer>]> = [
    ["nothing", () => []],
    ["HTTP/1.1", () => [Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")]],
    ["a request to become HTTP/2", () => [
      Buffer.from(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n\r\n"
      )
    ]],
    ["half a preface", () => [preface.subarray(0, 12)]],
    ["a preface and half a frame", () => [preface, frame(frames.settings, 0, 0, Buffer.alloc(60)).subarray(0, 30)]],
    ["a preface without SETTINGS", () => [preface, ping(0)]],
    ["2,700 settings in a frame", () => [preface, frame(frames.settings, 0, 0, times(2700, setting))]],
    ["2,000 frames of SETTINGS", () => [hello, times(2000, (index) => frame(frames.settings, 0, 0, setting(index)))]],
    ["a frame larger than allowed", () => [hello, frame(frames.data, 0, 1, Buffer.alloc(100_000))]],
    ["a flood of 5,000 pings", () => [hello, times(5000, ping)]],
    ["1,000 streams that are reset at once", () => [hello, rapidReset({})]],
    ["1,000 streams with a good token that are reset at once", (edge) => [
      hello,
      rapidReset({ authorization: `Bearer ${edge.good}` })
    ]],
    ["1,000 streams with a forged token that are reset at once", (edge) => [
      hello,
      rapidReset({ authorization: `Bearer ${edge.refused["of another key under our key's name"]}` })
    ]],
    ["a header block that never ends", () => [
      hello,
      frame(frames.headers, 0, 1, block({})),
      times(2000, () => frame(frames.continuation, 0, 1, Buffer.alloc(1000, 0x20)))
    ]],
    ["a header block of one table entry a thousand times", () => [
      hello,
      // Named and kept, then repeated by its number: 4,000 bytes for each of one.
      frame(
        frames.headers,
        flags.endHeaders,
        1,
        Buffer.concat([
          Buffer.of(0x40, 1, 0x78, 0x7f, 0x81, 0x1e),
          Buffer.alloc(3968, 0x61),
          Buffer.alloc(8000, 0xbe)
        ])
      )
    ]],
    [
      "headers that are none of HPACK's",
      () => [hello, frame(frames.headers, flags.endHeaders, 1, Buffer.alloc(500, 0xff))]
    ]
  ]

  for (const [what, chunks] of canned) {
    it.scopedLive(`does no harm to others, and is not kept: ${what}`, () =>
      Effect.gen(function*() {
        const edge = yield* Edge.serve({ keepalive: Duration.millis(150) })
        yield* RawHttp2.bytes(edge.port, chunks(edge))
        assert.deepStrictEqual(edge.handled, [])
        yield* isFine(edge)
      }))

    it.scopedLive(`does no harm to others, though it never reads: ${what}`, () =>
      Effect.gen(function*() {
        const edge = yield* Edge.serve()
        const socket = yield* RawHttp2.socket(edge.port)
        for (const chunk of chunks(edge)) socket.write(chunk)
        yield* isFine(edge)
        socket.resetAndDestroy()
        yield* isFine(edge)
      }))
  }

  it.scopedLive("does no harm to others: TLS", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      yield* Patience.bounded(Effect.async<void>((resume) => {
        const socket = Tls.connect({ port: edge.port, host: "127.0.0.1", rejectUnauthorized: false })
        socket.on("error", () => {})
        socket.on("close", () => resume(Effect.void))
      }))
      yield* isFine(edge)
    }))

  it.scopedLive("does no harm to others: any bytes, and any frames after a good preface", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      const payload = fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(block({}), block({ authorization: `Bearer ${edge.good}` }), RawHttp2.envelope(Buffer.alloc(0)))
      )
      const anyFrame = fc.tuple(
        fc.oneof(fc.constantFrom(...Object.values(frames)), fc.nat(255)),
        fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.nat(255)),
        fc.constantFrom(0, 1, 1, 1, 2, 3, 5, 2 ** 31 - 1, 2 ** 32 - 1),
        payload
      ).map((parts) => frame(...parts))
      const bytes = fc.oneof(
        { weight: 1, arbitrary: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 3 }) },
        { weight: 4, arbitrary: fc.array(anyFrame, { maxLength: 8 }).map((frames) => [hello, ...frames]) }
      )
      yield* forAll(bytes, 150, (chunks) =>
        Effect.scoped(Effect.gen(function*() {
          const socket = yield* RawHttp2.socket(edge.port)
          for (const chunk of chunks) socket.write(chunk)
          socket.end()
          yield* isFine(edge)
        })))
    }))
})
