/**
 * Calls that end before a handler runs: with the caller's fault in the status,
 * one line in the log, and nothing of what the caller sent in it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import * as Zlib from "node:zlib"
import { vi } from "vitest"
import { ModelNotAllowed } from "../../src/domain/Errors.js"
import * as Edge from "../support/Edge.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as RawHttp2 from "../support/RawHttp2.js"

const { DEADLINE_EXCEEDED, INTERNAL, INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED } = Grpc.status
const { UNAUTHENTICATED, UNIMPLEMENTED } = Grpc.status

const empty = RawHttp2.envelope(Buffer.alloc(0))
const junk = RawHttp2.envelope(Buffer.from("junk"), 1)
/** Groups in groups, deeper than any stack. */
const nested = RawHttp2.envelope(Buffer.alloc(1_000_000, 0x0b))
const bomb = RawHttp2.envelope(Zlib.gzipSync(Buffer.alloc(8 << 20)), 1)
const gzip = { "grpc-encoding": "gzip" }

const faults: ReadonlyArray<readonly [string, RawHttp2.Headers, Buffer, Grpc.status, string]> = [
  ["a message that is none", {}, RawHttp2.envelope(Buffer.of(0xff)), INVALID_ARGUMENT, "INVALID_REQUEST"],
  ["a message without an end", {}, nested, INVALID_ARGUMENT, "INVALID_REQUEST"],
  ["a message that is not compressed as it says", gzip, junk, INVALID_ARGUMENT, "INVALID_REQUEST"],
  ["three of them", gzip, Buffer.concat([junk, junk, junk]), INVALID_ARGUMENT, "INVALID_REQUEST"],
  ["a timeout that is none", { "grpc-timeout": "soon" }, empty, INVALID_ARGUMENT, "INVALID_REQUEST"],
  [
    "a timeout and a message that are none",
    { "grpc-timeout": "soon", ...gzip },
    junk,
    INVALID_ARGUMENT,
    "INVALID_REQUEST"
  ],
  [
    "a message that says it is too large",
    {},
    RawHttp2.envelope(empty, 0, 2 ** 31),
    RESOURCE_EXHAUSTED,
    "RESOURCE_EXHAUSTED"
  ],
  ["a message that unpacks to too much", gzip, bomb, RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED"],
  ["an unknown compression", { "grpc-encoding": "br" }, junk, UNIMPLEMENTED, "UNIMPLEMENTED"],
  ["two messages", {}, Buffer.concat([empty, empty]), UNIMPLEMENTED, "UNIMPLEMENTED"],
  ["no message", {}, Buffer.alloc(0), UNIMPLEMENTED, "UNIMPLEMENTED"],
  ["half a message", {}, RawHttp2.envelope(empty, 0, 100), UNIMPLEMENTED, "UNIMPLEMENTED"]
]

const outcomes = (edge: Edge.Edge) => edge.log.map(({ annotations, message }) => [message, annotations["outcome"]])

describe("a call that cannot be read", () => {
  for (const [what, headers, body, status, outcome] of faults) {
    it.scopedLive(`ends with ${Grpc.status[status]} and one line in the log: ${what}`, () =>
      Effect.gen(function*() {
        const edge = yield* Edge.serve()
        for (const method of ["Execute", "StreamExecute"]) {
          edge.log.length = 0
          const all = RawHttp2.headersOf(`${Edge.service}/${method}`, { ...Edge.bearer(edge.good), ...headers })
          assert.strictEqual((yield* Edge.call(edge.port, all, RawHttp2.whole(body))).status, status)
          assert.strictEqual(yield* Edge.probe(edge), 0)
          assert.deepStrictEqual(outcomes(edge), [["call refused", outcome], ["call ended", "OK"]])
          assert.match(String(edge.log[0]!.annotations["peer"]), /^127\.0\.0\.1:\d+$/)
          assert.strictEqual(edge.log[0]!.annotations["rpc"], `${Edge.service}/${method}`)
        }
        assert.deepStrictEqual(edge.crashes, [])
      }))

    it.scopedLive(`ends with UNAUTHENTICATED when nobody knows whose it is: ${what}`, () =>
      Effect.gen(function*() {
        // A slow audit log gives grpc-js time to find the fault first.
        const audit = { record: () => Effect.sleep("20 millis") }
        const edge = yield* Edge.serve({ audit })
        const callers = [{}, Edge.bearer(edge.refused["of another key under our key's name"])]
        for (const caller of callers) {
          edge.log.length = 0
          const all = RawHttp2.headersOf(`${Edge.service}/Execute`, { ...caller, ...headers })
          const ended = yield* Edge.call(edge.port, all, RawHttp2.whole(body))
          assert.strictEqual(ended.status, UNAUTHENTICATED)
          assert.strictEqual(edge.log.length, 1)
          assert.match(String(edge.log[0]!.annotations["outcome"]), /^TOKEN_/)
        }
        assert.deepStrictEqual([edge.decoded, edge.handled, edge.crashes], [[], [], []])
      }))
  }

  it.scopedLive("ends with its status though an answer to another message is under way", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve()
      for (const method of edge.methods.filter((method) => method.includes("reflection"))) {
        const headers = RawHttp2.headersOf(method, Edge.bearer(edge.good))
        const bad = RawHttp2.envelope(Buffer.of(0xff))
        const ended = yield* Edge.call(edge.port, headers, RawHttp2.whole(Buffer.concat([empty, empty, bad])))
        assert.strictEqual(ended.status, INVALID_ARGUMENT)
      }
    }))

  it("has every INTERNAL that grpc-js can answer with in FrameFaults, except those that no request causes", () => {
    const source = Path.join(
      Path.dirname(createRequire(import.meta.url).resolve("@grpc/grpc-js")),
      "server-interceptors.js"
    )
    const texts = Fs.readFileSync(source, "utf8").split("Status.INTERNAL").slice(1).map((after) => after.slice(0, 90))
    // Two more are of our own messages: one that cannot be encoded, and one whose reader is gone.
    assert.strictEqual(texts.length, 5, "a new version of grpc-js: read it, then FrameFaults")
  })
})

describe("a call whose time is over while it is answered", () => {
  it.scopedLive("ends with DEADLINE_EXCEEDED in the middle of a fast answer", () =>
    Effect.gen(function*() {
      const open = () => Effect.succeed(Effect.as(Effect.yieldNow(), Loopback.text("x".repeat(1000))))
      const edge = yield* Edge.serve({ proxy: { ...Edge.proxy, open } })
      const headers = RawHttp2.headersOf(`${Edge.service}/StreamExecute`, {
        ...Edge.bearer(edge.good),
        "grpc-timeout": `${Patience.scaled(200)}m`
      })
      const ended = yield* Edge.call(edge.port, headers)
      assert.strictEqual(ended.status, DEADLINE_EXCEEDED)
      assert.isAbove(ended.bytes, 0)
      assert.deepStrictEqual(outcomes(edge), [["call ended", "DEADLINE_EXCEEDED"]])
    }))
})

describe("a refused call", () => {
  it.scopedLive("is told nothing but its refusal, also when its time is over", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve({ proxy: { ...Edge.proxy, execute: () => Effect.never } })
      const headers = RawHttp2.headersOf(`${Edge.service}/Execute`, { "grpc-timeout": "0n" })
      assert.strictEqual((yield* Edge.call(edge.port, headers)).status, UNAUTHENTICATED)
      const late = RawHttp2.headersOf(`${Edge.service}/Execute`, { ...Edge.bearer(edge.good), "grpc-timeout": "0n" })
      assert.strictEqual((yield* Edge.call(edge.port, late)).status, DEADLINE_EXCEEDED)
    }))

  it.scopedLive("leaves nothing of its headers in any log", () =>
    Effect.gen(function*() {
      const written: Array<unknown> = []
      const methods = ["debug", "error", "info", "log", "trace", "warn"] as const
      const spies = methods.map((method) =>
        vi.spyOn(console, method).mockImplementation((...args) => void written.push(args))
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => spies.forEach((spy) => spy.mockRestore())))
      const edge = yield* Edge.serve()
      const hostile: ReadonlyArray<RawHttp2.Headers> = [
        { authorization: "Bearer canary" },
        // No valid gRPC metadata, of which grpc-js writes a line with name and value.
        { authorization: "Bearer canary\u00e9" },
        { "x-canary!": "canary" },
        { "grpc-timeout": "canary" },
        { "grpc-encoding": "canary" },
        { "x-vibectl-client-version": "canary" },
        { "x-vibectl-features": "canary" }
      ]
      for (const headers of hostile) {
        for (const caller of [{}, Edge.bearer(edge.good)]) {
          yield* Edge.call(
            edge.port,
            RawHttp2.headersOf(`${Edge.service}/Execute`, { ...caller, ...headers }),
            RawHttp2.whole(junk)
          )
        }
      }
      assert.isAbove(edge.log.length, 0)
      assert.notInclude(JSON.stringify([edge.log, edge.audit, written]), "canary")
    }))
})

describe("a defect at the edge", () => {
  it.scopedLive("ends the call with INTERNAL and lets nobody in", () =>
    Effect.gen(function*() {
      const edge = yield* Edge.serve({ audit: { record: () => Effect.dieMessage("canary") } })
      for (const caller of [{}, Edge.bearer(edge.good)]) {
        edge.log.length = 0
        const ended = yield* Edge.call(edge.port, RawHttp2.headersOf(`${Edge.service}/Execute`, caller))
        assert.strictEqual(ended.status, INTERNAL)
        assert.notInclude(ended.message, "canary")
        assert.deepStrictEqual(outcomes(edge), [["call failed by a defect", "INTERNAL"]])
      }
      assert.deepStrictEqual(edge.handled, [])
    }))

  it.scopedLive("does the same to a caller who was let in before", () =>
    Effect.gen(function*() {
      let recorded = 0
      const record = () => {
        if (recorded++ > 0) throw new Error("canary")
        return Effect.void
      }
      const edge = yield* Edge.serve({ audit: { record } })
      const call = Edge.call(edge.port, RawHttp2.headersOf(`${Edge.service}/Execute`, Edge.bearer(edge.good)))
      assert.strictEqual((yield* call).status, 0)
      edge.log.length = 0
      const ended = yield* call
      assert.strictEqual(ended.status, INTERNAL)
      assert.notInclude(ended.message, "canary")
      assert.deepStrictEqual(outcomes(edge), [["call failed by a defect", "INTERNAL"]])
      assert.lengthOf(edge.handled, 1)
      assert.isEmpty(edge.crashes)
    }))

  it.scopedLive("does not end the process over a name that is no Unicode", () =>
    Effect.gen(function*() {
      const fail = () => Effect.fail(new ModelNotAllowed({ model: "m", subject: "half \ud800" }))
      const edge = yield* Edge.serve({ proxy: { ...Edge.proxy, execute: fail, open: fail } })
      for (const method of ["StreamExecute", "Execute"]) {
        const headers = RawHttp2.headersOf(`${Edge.service}/${method}`, Edge.bearer(edge.good))
        const { status } = yield* Edge.call(edge.port, headers)
        assert.strictEqual(status, PERMISSION_DENIED)
      }
      assert.deepStrictEqual(edge.crashes, [])
    }))
})
