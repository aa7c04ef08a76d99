/**
 * The bytes of all requests at once, and what one message is made of: both
 * lean on fields of grpc-js that its types call private.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Deferred, Effect, Fiber, Metric, Predicate } from "effect"
import { createRequire } from "node:module"
import * as Zlib from "node:zlib"
import * as RequestBytes from "../../src/grpc/RequestBytes.js"
import * as Edge from "../support/Edge.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const { INVALID_ARGUMENT, OK, RESOURCE_EXHAUSTED } = Grpc.status

/** An ExecuteRequest of so many bytes, 131 to 16,386, all of them in one user fragment. */
const requestOf = (size: number): Buffer => {
  const text = size - 3
  return Buffer.concat([Buffer.of(0x12, text % 128 + 128, text >> 7), Buffer.alloc(text, 0x61)])
}

const headersOf = (edge: Edge.Edge, more: RawHttp2.Headers = {}, method = "Execute") =>
  RawHttp2.headersOf(`${Edge.service}/${method}`, { ...Edge.bearer(edge.good), ...more })
const gzip = { "grpc-encoding": "gzip" }

const metric = (name: string) =>
  Effect.map(Metric.snapshot, (pairs) => {
    const state = pairs.find(({ metricKey }) => metricKey.name === name)?.metricState
    return state !== undefined && "value" in state
      ? Number(state.value)
      : state && "count" in state
      ? Number(state.count)
      : 0
  })
const held = metric("vibectl_bytes_in_flight")
const refusals = metric("vibectl_busy_total")

/** A server whose calls wait until `finish`. */
const waiting = (options: Parameters<typeof Edge.serve>[0] = {}) =>
  Effect.gen(function*() {
    const done = yield* Deferred.make<void>()
    const execute: typeof Edge.proxy.execute = (...args) =>
      Effect.zipRight(Deferred.await(done), Edge.proxy.execute(...args))
    const proxy = { ...Edge.proxy, execute }
    const edge = yield* Edge.serve({ proxy, maxMessageBytes: 10_000, maxBytesInFlight: 20_000, ...options })
    return { edge, finish: Deferred.succeed(done, undefined) }
  })

describe("the bytes of all requests", () => {
  it("are counted with fields of grpc-js as they are in 1.14", () => {
    const found: unknown = createRequire(import.meta.url)("@grpc/grpc-js/package.json")
    const version = Predicate.hasProperty(found, "version") ? String(found.version) : ""
    assert.match(version, /^1\.14\./, "a new version of grpc-js: read it, then RequestBytes")
  })

  it.scopedLive("are bounded: a call too many is told when to come back, before it is decoded, and small ones pass", () =>
    Effect.gen(function*() {
      const { edge, finish } = yield* waiting()
      const before = [yield* held, yield* refusals] as const
      const send = (size: number) =>
        Edge.call(edge.port, headersOf(edge), RawHttp2.whole(RawHttp2.envelope(requestOf(size))))
      const running = yield* Effect.forkAll([send(9000), send(9000)])
      yield* Patience.eventually(() => edge.handled.length === 2)
      assert.strictEqual((yield* held) - before[0], 18_000)
      const decoded = edge.decoded.length
      const failed = yield* Effect.gen(function*() {
        const client = yield* Loopback.client(edge.port)
        return yield* Effect.flip(Loopback.unaryCall(client, "Execute", { user_fragments: ["a".repeat(3000)] }, {
          authorization: `Bearer ${edge.good}`
        }))
      })
      assert.strictEqual(failed.code, RESOURCE_EXHAUSTED)
      assert.strictEqual(failed.metadata.get("retry-after-ms")[0], "1000")
      assert.strictEqual(edge.decoded.length, decoded)
      assert.strictEqual((yield* refusals) - before[1], 1)
      assert.strictEqual(edge.log.at(-1)?.annotations["outcome"], "SERVER_BUSY")
      const info = yield* Edge.call(edge.port, headersOf(edge, {}, "GetServerInfo"))
      assert.strictEqual(info.status, OK)
      // A message that has only begun counts as long as it says, and nothing of it is waited for.
      const begun = yield* Edge.call(
        edge.port,
        headersOf(edge),
        RawHttp2.whole(RawHttp2.envelope(Buffer.alloc(1), 0, 9000))
      )
      assert.strictEqual(begun.status, RESOURCE_EXHAUSTED)
      yield* finish
      yield* Fiber.join(running)
      yield* Patience.eventually(Effect.map(held, (now) => now === before[0]), "the bytes to be given back")
    }))

  it.scopedLive("are given back however a call ends", () =>
    Effect.gen(function*() {
      const before = yield* held
      const edge = yield* Edge.serve({ maxMessageBytes: 10_000, maxBytesInFlight: 20_000 })
      const junk = RawHttp2.envelope(Buffer.alloc(5000, 0xff))
      const bodies: ReadonlyArray<readonly [RawHttp2.Headers, Buffer]> = [
        [{}, RawHttp2.envelope(requestOf(9000))],
        [gzip, RawHttp2.envelope(Zlib.gzipSync(requestOf(9000)), 1)],
        [gzip, RawHttp2.envelope(Zlib.gzipSync(Buffer.alloc(1_000_000)), 1)],
        [gzip, RawHttp2.envelope(Buffer.alloc(5000, 0xff), 1)],
        [{}, junk],
        [{}, Buffer.concat([junk, junk])],
        [{}, RawHttp2.envelope(Buffer.alloc(100), 0, 9000)],
        [{}, RawHttp2.envelope(Buffer.alloc(100), 0, 2 ** 31)],
        [{ "grpc-timeout": "0n" }, RawHttp2.envelope(requestOf(9000))]
      ]
      for (let round = 0; round < 5; round++) {
        for (const [headers, body] of bodies) {
          yield* Edge.call(edge.port, headersOf(edge, headers), RawHttp2.whole(body))
        }
      }
      const session = yield* RawHttp2.connect(edge.port)
      yield* Effect.promise(() =>
        new Promise<void>((resolve) => {
          const stream = session.request(headersOf(edge))
          stream.on("error", () => {})
          stream.on("close", resolve)
          stream.write(RawHttp2.envelope(Buffer.alloc(3000), 0, 9000), () => stream.close(8))
        })
      )
      const full = Effect.map(
        Edge.call(edge.port, headersOf(edge), RawHttp2.whole(RawHttp2.envelope(requestOf(9900)))),
        ({ status }) => status
      )
      assert.strictEqual(yield* full, OK)
      yield* Patience.eventually(Effect.map(held, (now) => now === before), "the bytes to be given back")
    }))

  it.scopedLive("of packed messages are those of what they unpack to", () =>
    Effect.gen(function*() {
      const { edge } = yield* waiting()
      const before = yield* held
      const packed = RawHttp2.envelope(Zlib.gzipSync(requestOf(9000)), 1)
      const send = Edge.call(edge.port, headersOf(edge, gzip), RawHttp2.whole(packed))
      yield* Effect.fork(send)
      yield* Patience.eventually(() => edge.handled.length === 1)
      assert.isAtLeast((yield* held) - before, 9000)
      // While it is unpacked it counts as the largest, for which there is no room twice.
      yield* Effect.fork(Edge.call(edge.port, headersOf(edge), RawHttp2.whole(RawHttp2.envelope(requestOf(9000)))))
      yield* Patience.eventually(() => edge.handled.length === 2)
      assert.strictEqual((yield* send).status, RESOURCE_EXHAUSTED)
    }))
})

describe("a message of many fields", () => {
  const fragments = (field: number, count: number) => Buffer.alloc(2 * count, Buffer.of(field * 8 + 2, 0))

  for (const [field, name] of [[1, "system_fragments"], [2, "user_fragments"]] as const) {
    it.scopedLive(`is refused before it is decoded, and the field is named: ${name}`, () =>
      Effect.gen(function*() {
        const edge = yield* Edge.serve()
        for (const [headers, flag] of [[{}, 0], [gzip, 1]] as const) {
          for (const method of ["Execute", "StreamExecute"]) {
            const send = (count: number) => {
              const message = fragments(field, count)
              return Edge.call(
                edge.port,
                headersOf(edge, headers, method),
                RawHttp2.whole(RawHttp2.envelope(flag === 1 ? Zlib.gzipSync(message) : message, flag))
              )
            }
            const ended = yield* send(1_000_000)
            assert.strictEqual(ended.status, INVALID_ARGUMENT)
            assert.include(decodeURIComponent(ended.message), "more than 10,000 fields")
            assert.deepStrictEqual(edge.decoded, [])
            assert.strictEqual((yield* send(10_001)).status, INVALID_ARGUMENT)
            assert.deepStrictEqual(edge.decoded, [])
            assert.strictEqual((yield* send(10_000)).status, OK)
            edge.decoded.length = 0
          }
        }
        const client = yield* Loopback.client(edge.port)
        const failed = yield* Effect.flip(Loopback.unaryCall(client, "Execute", {
          [name]: Array.from({ length: 10_001 }, () => "")
        }, { authorization: `Bearer ${edge.good}` }))
        assert.include(String(failed.metadata.get("grpc-status-details-bin")[0]), name)
      }))
  }

  it("is counted in one pass, whatever it is made of", () => {
    const beyond = (message: Buffer) => RequestBytes.fieldBeyond(message, 2)
    assert.strictEqual(beyond(Buffer.of()), undefined)
    assert.strictEqual(beyond(Buffer.of(0x0a, 0, 0x0a, 0)), undefined)
    assert.strictEqual(beyond(Buffer.of(0x0a, 0, 0x0a, 0, 0x12, 0)), 2)
    assert.strictEqual(beyond(Buffer.of(0x0a, 4, 0x0a, 0, 0x0a, 0, 0x0a, 1, 0x61)), undefined)
    assert.strictEqual(beyond(Buffer.of(0x08, 0xff, 0x01, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x1d, 1, 2, 3, 4)), 3)
    // A length beyond the end, and a number without one.
    assert.strictEqual(beyond(Buffer.of(0x0a, 0xff, 0xff, 0xff, 0x7f)), undefined)
    assert.strictEqual(beyond(Buffer.alloc(2_000_000, 0xff)), undefined)
    assert.strictEqual(RequestBytes.fieldBeyond(Buffer.alloc(1_000_000, 0x0b), 10_000), 1)
  })
})
