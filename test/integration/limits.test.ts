/**
 * Limits as callers feel them: over real sockets, on one server and on two
 * that share a Redis.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import type * as Grpc from "@grpc/grpc-js"
import { Clock, Context, Effect, Layer, Redacted } from "effect"
import { type Overrides, ServerConfig } from "../../src/config/ServerConfig.js"
import { defaults } from "../../src/config/ServerSettings.js"
import * as Details from "../../src/grpc/Details.js"
import * as Status from "../../src/grpc/Status.js"
import { Store } from "../../src/limits/Store.js"
import * as ServerLayer from "../../src/server/ServerLayer.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as Redis from "../support/Redis.js"

type Limits = NonNullable<NonNullable<Overrides["server"]>["limits"]>

/** A server of the demo provider that anybody on this machine may call. */
const server = (limits: Partial<Limits>, more: Overrides = {}) =>
  Effect.gen(function*() {
    const config = ServerConfig.layerTest({
      ...more,
      server: { enable_auth: false, limits: { ...defaults.server.limits, ...limits } }
    })
    const context = yield* Layer.build(
      ServerLayer.layer.pipe(Layer.provide(config), Layer.provide(NodeFileSystem.layer))
    )
    const { port } = Context.get(context, ServerLayer.Listening)
    return { client: yield* Loopback.client(port), port, store: Context.get(context, Store) }
  })

const request = { user_fragments: ["hello"], model_name: "demo/echo" }

/** What became of it: `OK`, or the type of the limit. */
const outcome = (call: Effect.Effect<unknown, Grpc.StatusObject>) =>
  Effect.match(call, {
    onSuccess: () => "OK",
    onFailure: (status) => String(status.metadata.get("limit-type")[0] ?? Status.toCallFailed(status).reason)
  })

/** 64 callers at once, half of them streaming, each over a connection of its own. */
const rush = (ports: ReadonlyArray<number>) =>
  Effect.forEach(
    Array.from({ length: 64 }, (_, index) => index),
    (index) =>
      Effect.gen(function*() {
        const client = yield* Loopback.client(ports[index % ports.length]!)
        if (index % 4 < 2) return yield* outcome(Loopback.unaryCall(client, "Execute", request))
        const { status } = yield* Loopback.collect(Loopback.streamCall(client, request))
        return Number(status.code) === 0 ? "OK" : String(status.metadata.get("limit-type")[0])
      }),
    { concurrency: "unbounded" }
  )

const letIn = (outcomes: ReadonlyArray<string>) => outcomes.filter((outcome) => outcome === "OK").length

const exactly = (limits: Partial<Limits>, type: string, ports: ReadonlyArray<number>, most: number) =>
  Effect.map(rush(ports), (outcomes) => {
    assert.strictEqual(letIn(outcomes), most, JSON.stringify(limits))
    assert.deepStrictEqual([...new Set(outcomes)].sort(), ["OK", type].sort())
  })

describe("64 callers at once", () => {
  it.scopedLive("pass exactly as often as the limit says, streams as whole answers", () =>
    Effect.gen(function*() {
      for (
        const [limits, type] of [
          [{ global: { max_requests_per_minute: 19 } }, "rpm"],
          [{ models: { "demo/*": { max_requests_per_minute: 19 } } }, "rpm"]
        ] as const
      ) {
        const { port } = yield* server(limits)
        yield* exactly(limits, type, [port], 19)
      }
    }))

  it.scopedLive("pass exactly as often on two servers that share a Redis", (context) =>
    Effect.gen(function*() {
      if (!Redis.available()) return context.skip(`${Redis.packages} is not to be had here`)
      const redis = yield* Redis.server()
      const state = { url: Redacted.make(redis.url), timeout_seconds: Patience.scaled(2000) / 1000 }
      for (
        const [limits, type] of [
          [{ global: { max_requests_per_minute: 19 } }, "rpm"],
          [{ models: { "demo/*": { max_tokens_per_day: 19 } }, reserve_output_tokens: 0 }, "tokens_per_day"]
        ] as const
      ) {
        const shared = { ...state, prefix: type }
        const [one, other] = [yield* server(limits, { state: shared }), yield* server(limits, { state: shared })]
        if (type === "rpm") yield* exactly(limits, type, [one.port, other.port], 19)
        else {
          const outcomes = yield* rush([one.port, other.port])
          // What the demo answers is counted too, so that fewer pass than by their prompts alone, and at least one.
          assert.isAtLeast(letIn(outcomes), 1)
          assert.isAtMost(letIn(outcomes), 19)
          assert.deepStrictEqual(yield* rush([one.port, other.port]), Array.from({ length: 64 }, () => type))
        }
        assert.strictEqual(yield* one.store.outstanding, 0)
      }
    }))
})

describe("a refusal", () => {
  it.scopedLive("says whose limit it is, and when to come back, in every way there is", () =>
    Effect.gen(function*() {
      const { client } = yield* server({ models: { "demo/*": { max_requests_per_minute: 1 } } })
      const began = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* outcome(Loopback.unaryCall(client, "Execute", request)), "OK")
      const status = yield* Effect.flip(Loopback.unaryCall(client, "Execute", request))
      const left = 60_000 - ((yield* Clock.currentTimeMillis) - began)
      const [millis] = status.metadata.get("retry-after-ms")
      assert.deepStrictEqual(status.metadata.get("limit-type"), ["rpm"])
      assert.isAtLeast(Number(millis), left)
      assert.isAtMost(Number(millis), 60_000)
      const { reason, retryAfter, summary } = Status.toCallFailed(status)
      assert.strictEqual(reason, "RATE_LIMITED")
      assert.strictEqual(summary, "The model 'demo/*' reached its limit of 1 requests per minute.")
      assert.isAtLeast(
        Number(retryAfter && Number(retryAfter.value._tag === "Millis" && retryAfter.value.millis)),
        left
      )
      const [bytes] = status.metadata.get(Details.key)
      assert.include(String(bytes), "model:demo/*")
    }))

  it.scopedLive("comes for GetServerInfo too, which is counted apart", () =>
    Effect.gen(function*() {
      const { client } = yield* server({ global: { max_requests_per_minute: 2 } })
      const info = outcome(Loopback.unaryCall(client, "GetServerInfo", {}))
      const execute = outcome(Loopback.unaryCall(client, "Execute", request))
      const outcomes = yield* Effect.all(Array.from({ length: 61 }, () => info))
      assert.deepStrictEqual(new Set(outcomes.slice(0, 60)), new Set(["OK"]), "at least one a second")
      assert.strictEqual(outcomes[60], "rpm")
      assert.deepStrictEqual(yield* Effect.all([execute, execute, execute]), ["OK", "OK", "rpm"])
    }))
})

describe("a call", () => {
  it.scopedLive("waits for its turn where there is a line", () =>
    Effect.gen(function*() {
      const { port, store } = yield* server({
        global: { max_concurrent_requests: 16 },
        queue: { max_waiting: 100, max_wait_seconds: 30 }
      })
      assert.strictEqual(letIn(yield* rush([port])), 64)
      assert.strictEqual(yield* store.outstanding, 0)
    }))

  it.scopedLive("that is refused its place has a line of its own in no case", () =>
    Effect.gen(function*() {
      const { port } = yield* server({
        global: { max_requests_per_minute: 3 },
        queue: { max_waiting: 100, max_wait_seconds: 1 }
      })
      assert.strictEqual(letIn(yield* rush([port])), 3, "a minute is longer than a second: nobody waits in vain")
    }))
})
