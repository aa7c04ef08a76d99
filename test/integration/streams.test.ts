import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Context, Duration, Effect, Fiber, Layer, Metric, Stream } from "effect"
import { ProxyClient } from "../../src/client/ProxyClient.js"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import * as ServerLayer from "../../src/server/ServerLayer.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Patience from "../support/Patience.js"

/** The real server of a configuration with two providers, `a` and `b`, both the fake vendor's; and a client. */
const stage = (fallbacks: Record<string, ReadonlyArray<string>> = {}) =>
  Effect.gen(function*() {
    const [a, b] = [yield* FakeVendor.make(), yield* FakeVendor.make()]
    const config = ServerConfig.layerTest({
      server: { enable_auth: false, drain_seconds: 5, heartbeat_seconds: 0.1 },
      providers: {
        a: {
          kind: "openai",
          base_url: a.openai,
          models: ["one"],
          max_retries: 2,
          between_tokens_seconds: 5,
          model_timeouts: { one: { failover_seconds: 0.3 } }
        },
        b: { kind: "anthropic", base_url: b.anthropic, models: ["two"], max_retries: 0 }
      },
      fallbacks
    })
    const context = yield* Layer.build(
      Layer.provide(ServerLayer.layer, Layer.mergeAll(config, NodeFileSystem.layer))
    )
    const { host, port } = yield* Effect.provide(ServerLayer.Listening, context)
    const connect = (heartbeats: boolean) =>
      Effect.map(
        Layer.build(
          ProxyClient.layer({ host, port, tls: false, retryAttempts: 0, timeout: Patience.boundMillis, heartbeats })
        ),
        Context.get(ProxyClient)
      )
    const [client, patient] = [yield* connect(false), yield* connect(true)]
    const events = Effect.map(Stream.runCollect(client.stream({ user: ["hi"] })), Chunk.toReadonlyArray)
    return { a, b, client, patient, events }
  })

describe("a stream through the whole server", () => {
  it.scopedLive("is tried again before its first text, and says how often", () =>
    Effect.gen(function*() {
      const { a, client, events } = yield* stage()
      a.script({ status: 503 }, { status: 500 }, {})
      const seen = yield* events
      assert.deepInclude(seen[0], { _tag: "Start", tier: "real", attempt: 3 })
      assert.deepInclude(seen.at(-1), { _tag: "Metrics", retryCount: 2, inputTokens: 7, estimated: false })
      assert.lengthOf(a.requests, 3)
      a.script({ status: 503 }, {})
      assert.strictEqual((yield* client.execute({ user: ["hi"] })).metrics.retryCount, 1)
    }))

  it.scopedLive("tells the caller how long the provider asks to wait, when nobody waits for it here", () =>
    Effect.gen(function*() {
      const { a, events } = yield* stage()
      a.otherwise({ status: 429, retryAfter: "40" })
      const error = yield* Effect.flip(events)
      assert.deepInclude(error, { _tag: "CallFailed", reason: "PROVIDER_RATE_LIMITED" })
      const after = error._tag === "CallFailed" ? error.retryAfter : undefined
      assert.strictEqual(after && Duration.toSeconds(after), 40)
      assert.lengthOf(a.requests, 1)
    }))

  it.scopedLive("goes to another provider's model when its own is down", () =>
    Effect.gen(function*() {
      const { a, b, events } = yield* stage({ "a/one": ["b/two"] })
      a.otherwise({ status: 429, retryAfter: "40" })
      const seen = yield* events
      assert.deepInclude(seen[0], { _tag: "Start", provider: "b", model: "b/two", attempt: 2 })
      assert.deepInclude(seen.at(-2), { _tag: "Done", model: "b/two" })
      assert.deepStrictEqual([a.requests.length, b.requests.length], [1, 1])
    }))

  it.scopedLive("does not wait for a model that is slow to begin while there is another, and waits for the last", () =>
    Effect.gen(function*() {
      const { a, b, events } = yield* stage({ "a/one": ["b/two"] })
      a.otherwise({ fault: { after: 0, how: "hang" } })
      b.otherwise({ pieces: ["late"], pace: 200 })
      const seen = yield* events
      assert.deepInclude(seen[0], { _tag: "Start", provider: "b", attempt: 2 })
      yield* Patience.eventually(() => a.counts.abandoned === 1)
      // Without another one, the same model has all the time it needs.
      const alone = yield* stage()
      alone.a.otherwise({ pieces: ["late"], pace: 200 })
      assert.deepInclude((yield* alone.events)[0], { _tag: "Start", provider: "a", attempt: 1 })
    }))

  it.scopedLive("is not silent for long to a client that asks for it, and to no other", () =>
    Effect.gen(function*() {
      const { a, client, patient } = yield* stage()
      a.otherwise({ thoughts: 3, pace: 150 })
      const [heard, plain] = yield* Effect.all(
        [patient, client].map((each) =>
          Effect.map(Stream.runCollect(each.stream({ user: ["hi"] })), Chunk.toReadonlyArray)
        ),
        { concurrency: 2 }
      )
      const beats = heard!.flatMap((event) => event._tag === "Heartbeat" ? [event.elapsedMs] : [])
      assert.isAtLeast(beats.length, 2)
      assert.isAtLeast(beats[0]!, 100)
      assert.deepStrictEqual(beats, [...beats].sort((a, b) => a - b))
      assert.notInclude(plain!.map(({ _tag }) => _tag), "Heartbeat")
      assert.deepStrictEqual(heard!.slice(-2).map(({ _tag }) => _tag), ["Done", "Metrics"])
    }))

  it.scopedLive("counts what became of its attempts", () =>
    Effect.gen(function*() {
      const count = (name: string, tags: Record<string, string>) =>
        Effect.map(Metric.snapshot, (pairs) =>
          pairs.filter(({ metricKey }) =>
            metricKey.name === name &&
            Object.entries(tags).every(([key, value]) =>
              metricKey.tags.some((tag) => tag.key === key && tag.value === value)
            )
          ).reduce((sum, { metricState }) => sum + Number((metricState as { count?: number }).count ?? 0), 0))
      const all = Effect.all([
        count("vibectl_answers_total", { provider: "a", tier: "fallback" }),
        count("vibectl_attempts_failed_total", { provider: "a", tier: "real", reason: "PROVIDER_UNAVAILABLE" }),
        count("vibectl_restarts_total", { reason: "PROVIDER_UNAVAILABLE" }),
        count("vibectl_calls_total", { method: "StreamExecute", outcome: "OK" })
      ])
      const { a, events } = yield* stage()
      const before = yield* all
      a.script({ fault: { after: 2, how: "reset" } }, {})
      yield* events
      const added = Effect.map(all, (after) => after.map((value, index) => value - before[index]!))
      // The call is counted a moment after its client has the answer.
      yield* Patience.eventually(Effect.map(added, (counts) => counts.every((count) => count > 0)))
      assert.deepStrictEqual(yield* added, [1, 1, 1, 1])
    }))

  it.scopedLive("begins anew after text for a client that understands it, and joins no two attempts", () =>
    Effect.gen(function*() {
      const { a, events } = yield* stage()
      a.script({ fault: { after: 2, how: "reset" } }, { pieces: ["whole"] })
      const seen = yield* events
      const restart = seen.findIndex(({ _tag }) => _tag === "Restart")
      assert.isAbove(restart, 0)
      const text = seen.slice(restart).map((event) => event._tag === "Text" ? event.text : "").join("")
      assert.strictEqual(text, "whole")
      assert.deepInclude(seen.at(-1), { retryCount: 1 })
    }))

  it.scopedLive("remembers that a model does not stream", () =>
    Effect.gen(function*() {
      const { a, events } = yield* stage()
      a.otherwise({ refusesStreaming: true })
      for (const requests of [2, 3]) {
        assert.deepInclude((yield* events)[0], { _tag: "Start", tier: "simulated" })
        assert.lengthOf(a.requests, requests)
      }
    }))

  for (const phase of ["backing off", "connecting", "before the first token", "mid-stream"] as const) {
    it.scopedLive(`closes the provider's socket when its client leaves while ${phase}`, () =>
      Effect.gen(function*() {
        const { a, events } = yield* stage()
        const fault = {
          "backing off": { status: 429, retryAfter: "15" },
          connecting: { fault: { after: "request", how: "hang" } },
          "before the first token": { fault: { after: 0, how: "hang" } },
          "mid-stream": { fault: { after: 2, how: "hang" } }
        } as const
        a.otherwise(fault[phase])
        const reading = yield* Effect.fork(events)
        yield* Patience.eventually(() => a.requests.length === 1)
        yield* Effect.sleep("100 millis")
        yield* Fiber.interrupt(reading)
        yield* Patience.eventually(() => a.counts.open === 0)
        yield* Effect.sleep("300 millis")
        assert.lengthOf(a.requests, 1, "nothing is sent for a client that has gone")
      }))
  }

  it.scopedLive("holds the provider back while its reader is slow", () =>
    Effect.gen(function*() {
      const { a, client } = yield* stage()
      const piece = "x".repeat(16 * 1024)
      const total = 4000
      a.otherwise({ pieces: Array.from({ length: total }, () => piece) })
      const first = yield* Effect.fork(
        Stream.runForEach(
          client.stream({ user: ["hi"] }),
          (event) => event._tag === "Text" ? Effect.never : Effect.void
        )
      )
      yield* Patience.eventually(() => a.counts.bytesSent > 0)
      // It has stopped when its count has not grown for a while.
      let before = -1
      while (before !== a.counts.bytesSent) {
        before = a.counts.bytesSent
        yield* Effect.sleep("700 millis")
      }
      // What fits into the socket buffers of two connections on this machine, and the windows of HTTP/2 and fetch.
      const bound = 16 * 1024 * 1024
      assert.isBelow(a.counts.bytesSent, bound)
      assert.isAbove(total * piece.length, 3 * bound)
      yield* Fiber.interrupt(first)
      yield* Patience.eventually(() => a.counts.abandoned === 1)
    }))
})
