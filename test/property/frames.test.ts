/**
 * The edge of the server under anything that HTTP/2 can carry: whatever comes,
 * nobody without a good token is let in, a fault of the caller is never called
 * one of ours (INTERNAL, UNKNOWN), every request that ends is answered, and the
 * next caller is served.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Effect, FastCheck as fc } from "effect"
import type * as Http2 from "node:http2"
import * as Zlib from "node:zlib"
import * as Edge from "../support/Edge.js"
import * as Forgeries from "../support/Forgeries.js"
import { forAll } from "../support/Property.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const { INTERNAL, OK, UNAUTHENTICATED, UNIMPLEMENTED, UNKNOWN } = Grpc.status

const isHealth = (method: string) => method.startsWith("/grpc.health.v1.Health/")
const guarded = (edge: Edge.Edge) => edge.methods.filter((method) => !isHealth(method))

/** Nothing of a guarded method has run, nor has a message of one been decoded. */
const nothingRan = (edge: Edge.Edge) => {
  assert.deepStrictEqual(edge.handled.filter((method) => !isHealth(method)), [], "a handler ran")
  assert.deepStrictEqual(edge.decoded.filter((method) => !isHealth(method)), [], "a message was decoded")
}

/** HTTP/2 has no value with a zero byte. */
const header = (token: string) => Forgeries.header(token).filter((value) => !value.includes("\0"))

const isFine = (edge: Edge.Edge) =>
  Effect.map(Edge.probe(edge), (status) => {
    assert.strictEqual(status, OK, "the next caller is not served")
    assert.deepStrictEqual(edge.crashes, [])
    edge.handled.length =
      edge.decoded.length =
      edge.log.length =
      edge.audit.length =
        0
  })

const notOurFault = ({ message, status }: RawHttp2.Ended) => {
  assert.notInclude([INTERNAL, UNKNOWN], status, message)
}

/** Apart, because what a call that was let in still does when its client has left would be laid to the next one. */
const everybody: ReadonlyArray<readonly [string, (edge: Edge.Edge) => fc.Arbitrary<string | undefined>]> = [
  ["with a good token", ({ good }) => fc.constant(good)],
  // One that is refused at once, or after a while.
  ["without one", ({ refused }) => fc.constantFrom(undefined, refused["of another key under our key's name"])]
]

describe("authorization", () => {
  it.scopedLive("lets in nothing but the good token, and refuses everything else with UNAUTHENTICATED", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      const session = yield* RawHttp2.connect(edge.port)
      const call = fc.record({
        method: fc.constantFrom(...guarded(edge)),
        authorization: header(edge.good),
        body: fc.uint8Array({ maxLength: 20 })
      })
      yield* forAll(call, 220, ({ authorization, body, method }) =>
        Effect.gen(function*() {
          const headers = RawHttp2.headersOf(method, { authorization })
          const ended = yield* RawHttp2.call(session, headers, RawHttp2.whole(body))
          assert.strictEqual(ended.status, UNAUTHENTICATED, ended.message)
          assert.strictEqual(ended.bytes, 0)
          nothingRan(edge)
          assert.strictEqual(edge.log.length, 1)
          yield* isFine(edge)
        }))
    }))

  it.scopedLive("counts once: of several headers the first", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      yield* forAll(fc.array(header(edge.good), { minLength: 1, maxLength: 4 }), 60, (others) =>
        Effect.gen(function*() {
          const pairs = pairsOf(`${Edge.service}/Execute`)
          const bad = others.map((value) => ["authorization", value.trim()] as const)
          const good = ["authorization", `Bearer ${edge.good}`] as const
          const ended = yield* RawHttp2.callWithHeaders(edge.port, [...pairs, ...bad, good])
          assert.strictEqual(ended.status, UNAUTHENTICATED)
          nothingRan(edge)
          // Node hands on the first of a header that may be there once.
          assert.strictEqual((yield* RawHttp2.callWithHeaders(edge.port, [...pairs, good, ...bad])).status, OK)
          yield* isFine(edge)
        }))
    }))
})

const pairsOf = (path: string): ReadonlyArray<readonly [string, string]> => [
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "127.0.0.1"],
  [":path", path],
  ["content-type", "application/grpc"],
  ["te", "trailers"]
]

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40
})
const value = fc.oneof({ weight: 4, arbitrary: Forgeries.text(40) }, { weight: 1, arbitrary: latin1 })
const timeout = fc.oneof(
  Forgeries.text(10),
  fc.tuple(fc.constantFrom("", "0", "1", "-1", "99999999", "123456789", "1e9", " 5"), fc.constantFrom(..."HMSmunx", ""))
    .map((parts) => parts.join(""))
)
const encoding = fc.oneof(fc.constantFrom("identity", "gzip", "deflate", "br", "gzip, gzip", "GZIP", ""), value)
const named = (names: ReadonlyArray<string>, value: fc.Arbitrary<string>) => fc.tuple(fc.constantFrom(...names), value)
const pair: fc.Arbitrary<readonly [string, string]> = fc.oneof(
  named(["grpc-timeout"], timeout),
  named(["grpc-encoding", "grpc-accept-encoding"], encoding),
  named(["x-vibectl-client-version", "x-vibectl-features", "x-vibectl-", "x-vibectl-token"], value),
  named(["x-bin", "grpc-tags-bin", "grpc-trace-bin", "authorization-bin", "-bin"], fc.oneof(value, fc.base64String())),
  named(["__proto__", "constructor", "grpc-status", "grpc-message", "cookie", "proxy-authorization", "host"], value),
  named(["connection", "transfer-encoding", "upgrade", "content-length", "te", "expect", ":status", ":path"], value),
  named(["Authorization", "authorization ", "x y", "", "x\0", "x:y"], value),
  fc.tuple(fc.stringMatching(/^[a-z0-9!#$%&'*+.^_|~-]{1,12}$/), value)
)

describe("metadata", () => {
  for (const [who, caller] of everybody) {
    it.scopedLive(`of any name and value does no harm, ${who}`, () =>
      Effect.gen(function*() {
        const edge = yield* Edge.serve()
        const usually = <A>(usual: A, ...others: ReadonlyArray<A>) =>
          fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
        const call = fc.record({
          path: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...guarded(edge)) }, {
            weight: 1,
            arbitrary: value.map((text) => `/${text}`)
          }),
          httpMethod: usually("POST", "GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "x"),
          contentType: usually("application/grpc", "application/grpc+json", "application/grpc-web", "text/html", ""),
          more: fc.oneof(
            { weight: 9, arbitrary: fc.array(pair, { maxLength: 6 }) },
            { weight: 1, arbitrary: fc.array(pair, { minLength: 60, maxLength: 200 }) }
          ),
          caller: caller(edge)
        })
        yield* forAll(call, 120, ({ caller, contentType, httpMethod, more, path }) =>
          Effect.gen(function*() {
            const given: Record<string, string> = { ":method": httpMethod, ":path": path, "content-type": contentType }
            const ended = yield* RawHttp2.callWithHeaders(edge.port, [
              ...pairsOf(path).map(([name, value]) => [name, given[name] ?? value] as const),
              ...caller === undefined ? [] : [["authorization", `Bearer ${caller}`] as const],
              ...more
            ])
            notOurFault(ended)
            if (caller !== edge.good) {
              nothingRan(edge)
              // A method that is not there; or a request that is none of HTTP/2's or of gRPC's.
              if (ended.status === UNIMPLEMENTED) assert.notInclude(edge.methods, path)
              else if (ended.http === 200) {
                // Whose time is over may hear of that first, while the token is being checked.
                const late = caller !== undefined && more.some(([name]) => name === "grpc-timeout")
                assert.include([UNAUTHENTICATED, ...late ? [Grpc.status.DEADLINE_EXCEEDED] : []], ended.status)
              } else assert.isUndefined(ended.status)
            }
            yield* isFine(edge)
          }))
      }))
  }
})

const [bomb, deflated] = [Zlib.gzipSync(Buffer.alloc(5 << 20)), Zlib.deflateSync(Buffer.alloc(5 << 20))]

/** A message of the proto, or nearly one: fields of any number, wire type and content. */
const message = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.array(
    fc.tuple(
      fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x0b, 0x0c, 0x0d, 0x08, 0x18, 0x82),
      fc.uint8Array({ maxLength: 9 })
    )
      .map(([tag, content]) => Buffer.of(tag, content.length, ...content)),
    { maxLength: 4 }
  ).map((fields) => Buffer.concat(fields)),
  fc.constant(Buffer.alloc(0))
)
const envelope = fc.oneof(
  { weight: 4, arbitrary: message.map((bytes) => RawHttp2.envelope(bytes)) },
  { weight: 2, arbitrary: message.map((bytes) => RawHttp2.envelope(bytes, 1)) },
  { weight: 2, arbitrary: message.map((bytes) => RawHttp2.envelope(Zlib.gzipSync(bytes), 1)) },
  { weight: 1, arbitrary: message.map((bytes) => RawHttp2.envelope(Zlib.gzipSync(bytes).subarray(0, -5), 1)) },
  {
    weight: 2,
    arbitrary: fc.tuple(message, fc.nat(255), fc.constantFrom(0, 1, 4, 61, 70, 4 << 20, 2 ** 31, 2 ** 32 - 1)).map(
      ([bytes, flag, length]) => RawHttp2.envelope(bytes, flag, length)
    )
  },
  { weight: 1, arbitrary: fc.constantFrom(RawHttp2.envelope(bomb, 1), RawHttp2.envelope(deflated, 1)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)) }
)

/** Sends the pieces one by one, each in a frame of its own, then ends, leaves or cuts the line. */
const send =
  (pieces: ReadonlyArray<Uint8Array>, end: "end" | "reset" | "cut", forEver: boolean) =>
  (stream: Http2.ClientHttp2Stream) => {
    if (forEver) stream.once("data", () => stream.close())
    const next = (index: number) => {
      const piece = pieces[index]
      if (stream.destroyed) return
      if (piece !== undefined) stream.write(piece, () => next(index + 1))
      else if (end === "end") stream.end()
      else if (end === "reset") stream.close()
      else stream.session?.destroy()
    }
    next(0)
  }

describe("DATA frames", () => {
  for (const [who, caller] of everybody) {
    it.scopedLive(`of any bytes are answered, ${who}, and without one not read`, () =>
      Effect.gen(function*() {
        const edge = yield* Edge.serve()
        const call = fc.record({
          method: fc.constantFrom(...edge.methods),
          encoding: fc.constantFrom(undefined, undefined, "identity", "gzip", "gzip", "deflate", "br"),
          envelopes: fc.array(envelope, { maxLength: 3 }),
          // Where the bytes are cut into frames.
          cuts: fc.array(fc.nat(80), { maxLength: 3 }),
          end: fc.constantFrom("end" as const, "end" as const, "reset" as const, "cut" as const),
          caller: caller(edge)
        })
        yield* forAll(call, 150, ({ caller, cuts, encoding, end, envelopes, method }) =>
          Effect.gen(function*() {
            const bytes = Buffer.concat(envelopes)
            const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]
            const pieces = at.slice(1).map((to, index) => bytes.subarray(at[index], to))
            const ended = yield* Edge.call(
              edge.port,
              RawHttp2.headersOf(method, {
                ...caller === undefined ? {} : Edge.bearer(caller),
                ...encoding === undefined ? {} : { "grpc-encoding": encoding }
              }),
              send(pieces, end, method.endsWith("/Watch"))
            )
            notOurFault(ended)
            const watching = method.endsWith("/Watch") && ended.bytes > 0
            if (end === "end" && !watching) assert.isDefined(ended.status, "no status")
            if (caller !== edge.good) {
              nothingRan(edge)
              if (!isHealth(method) && ended.status !== undefined) assert.strictEqual(ended.status, UNAUTHENTICATED)
            }
            yield* isFine(edge)
          }))
      }))
  }
})
