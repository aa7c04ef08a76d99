/**
 * Every metric that is promised, read from the port after what it counts has
 * happened.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { execFileSync } from "node:child_process"
import * as Keyring from "../../src/auth/Keyring.js"
import * as Revocations from "../../src/auth/Revocations.js"
import * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"
import { type Overrides, ServerConfig } from "../../src/config/ServerConfig.js"
import { defaults } from "../../src/config/ServerSettings.js"
import { Ops } from "../../src/server/Ops.js"
import * as ServerLayer from "../../src/server/ServerLayer.js"
import * as Instruments from "../../src/telemetry/Instruments.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Exposition from "../support/Exposition.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"
import { promtool } from "../support/Promtool.js"

const secret = Redacted.make("a secret of more than thirty-two bytes")

const server = (overrides: Overrides) =>
  Effect.gen(function*() {
    const metrics_port = yield* Effect.promise(Programs.freePort)
    const config = ServerConfig.layerTest({
      ...overrides,
      server: { jwt_secret: secret, metrics_port, ...overrides.server }
    })
    const context = yield* Layer.build(
      ServerLayer.layer.pipe(Layer.provide(config), Layer.provide(NodeFileSystem.layer))
    )
    const port = Context.get(context, Ops).port
    const scrape = Effect.promise(async () => await (await fetch(`http://127.0.0.1:${port}/metrics`)).text())
    return { client: yield* Loopback.client(Context.get(context, ServerLayer.Listening).port), scrape, port }
  })

const tokenOf = (subject: string) =>
  Effect.gen(function*() {
    const key = yield* SigningKey.make(secret, "this test")
    const tokens = Tokens.trusting({ ...Trust.fixed(Keyring.ofKey(key), Revocations.none) })
    const token = yield* tokens.issue(subject, Duration.hours(1))
    return { authorization: `Bearer ${Redacted.value(token)}` }
  })

/** The sum of the samples that have these labels. */
const sum = (
  samples: ReadonlyArray<Exposition.Sample>,
  name: string,
  labels: { readonly [name: string]: string } = {}
) =>
  samples
    .filter((sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
    )
    .reduce((total, { value }) => total + value, 0)

describe("the metrics", () => {
  it.scopedLive("count each event, with labels of bounded sets", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      const { client, scrape } = yield* server({
        server: {
          limits: {
            ...defaults.server.limits,
            per_token: { limited: { max_requests_per_minute: 1 }, waiting: { max_concurrent_requests: 1 } },
            queue: { max_waiting: 10, max_wait_seconds: 5 }
          }
        },
        providers: {
          v: {
            kind: "openai",
            base_url: vendor.openai,
            models: ["m", "whole"],
            max_retries: 1,
            // Time enough to look at a call that hangs, and at one that waits for it.
            between_tokens_seconds: Patience.scaled(1000) / 1000
          }
        },
        prices: { "v/*": { input: 1_000_000, output: 0 } }
      })
      const gone = yield* server({
        server: { enable_auth: false, max_bytes_in_flight: 2000 },
        state: { url: Redacted.make("redis://127.0.0.1:1"), timeout_seconds: 0.1 }
      })
      const metadata = yield* tokenOf("ada")
      const call = { user_fragments: ["hello"], model_name: "v/m" }
      const stream = (message: object = call, more: Record<string, string> = {}) =>
        Loopback.collect(Loopback.streamCall(client, message, { ...metadata, ...more }))
      const unary = (message: object = call, headers: Record<string, string> = metadata) =>
        Effect.exit(Loopback.unaryCall(client, "Execute", message, headers))
      const samples = Effect.map(scrape, Exposition.parse)
      const before = yield* samples
      /** What a counter has gone up by. */
      const since = (after: ReadonlyArray<Exposition.Sample>) => (name: string, labels = {}) =>
        sum(after, name, labels) - sum(before, name, labels)

      // A stream, a whole answer, and one of a model that does not stream.
      yield* stream()
      yield* unary()
      vendor.script({ refusesStreaming: true }, {})
      yield* stream({ ...call, model_name: "v/whole" })
      // A retry; a stream that breaks, for a client that can begin anew; and nothing reported.
      vendor.script({ status: 503, retryAfter: "0" }, { usage: "absent" })
      yield* stream()
      vendor.script({ fault: { after: 1, how: "reset" } }, {})
      yield* stream(call, { "x-vibectl-features": "restart", "x-vibectl-client-version": "0.9.1" })
      // A provider that does not take our key.
      vendor.script({ status: 401 })
      yield* unary()
      // Refusals: of a token, of a limit, of the store of limits.
      yield* unary(call, { authorization: "Bearer nonsense" })
      const limited = yield* tokenOf("limited")
      yield* unary(call, limited)
      yield* unary(call, limited)
      yield* Effect.exit(Loopback.unaryCall(gone.client, "Execute", { user_fragments: ["hello"] }))
      // A request for which there is no room.
      yield* Effect.exit(Loopback.unaryCall(gone.client, "Execute", { user_fragments: ["x".repeat(4000)] }))
      // One that runs while another waits for it.
      vendor.script({ fault: { after: 1, how: "hang" } })
      const waiting = yield* tokenOf("waiting")
      const running = yield* Effect.fork(Loopback.collect(Loopback.streamCall(client, call, waiting)))
      const runs = Effect.map(samples, (now) => sum(now, "vibectl_concurrent_in_flight", { sub: "waiting" }))
      yield* Patience.eventually(Effect.map(runs, (count) => count === 1), "a call that runs")
      const second = yield* Effect.fork(unary(call, waiting))
      const waits = Effect.map(samples, (now) => sum(now, "vibectl_limits_waiting"))
      yield* Patience.eventually(Effect.map(waits, (count) => count === 1), "a call that waits")
      const during = yield* samples
      assert.strictEqual(sum(during, "vibectl_calls_running", { method: "StreamExecute" }), 1)
      yield* Effect.all([Fiber.join(running), Fiber.join(second)])
      for (let count = 0; count < 150; count++) yield* unary(call, { authorization: "Bearer x" })

      const text = yield* scrape
      const after = Exposition.parse(text)
      const up = since(after)
      assert.strictEqual(up("vibectl_requests_total", { sub: "ada" }), 6)
      assert.strictEqual(up("vibectl_requests_total", { sub: "limited" }), 2)
      assert.strictEqual(up("vibectl_rate_limited_total", { sub: "limited", limit_type: "rpm" }), 1)
      assert.strictEqual(sum(after, "vibectl_concurrent_in_flight"), 0)
      assert.strictEqual(up("vibectl_calls_total", { method: "StreamExecute", outcome: "OK" }), 4)
      assert.strictEqual(up("vibectl_calls_total", { method: "Execute", outcome: "RATE_LIMITED" }), 1)
      assert.strictEqual(up("vibectl_calls_total", { method: "Execute", outcome: "TOKEN_MALFORMED" }), 151)
      assert.strictEqual(sum(after, "vibectl_calls_running"), 0)
      assert.isAbove(up("vibectl_authentications_total", { result: "accepted" }), 5)
      assert.strictEqual(up("vibectl_authentications_total", { result: "not_a_jwt" }), 151)
      assert.deepStrictEqual(
        ["real", "simulated", "fallback", "unary"].map((tier) => up("vibectl_answers_total", { provider: "v", tier })),
        [2, 1, 1, 3]
      )
      assert.strictEqual(up("vibectl_attempts_failed_total", { provider: "v", reason: "PROVIDER_UNAVAILABLE" }), 2)
      assert.strictEqual(up("vibectl_account_failures_total", { provider: "v", account: "key" }), 1)
      assert.isAtLeast(up("vibectl_retries_total", { provider: "v" }), 2)
      assert.strictEqual(up("vibectl_restarts_total", { reason: "PROVIDER_UNAVAILABLE" }), 1)
      assert.strictEqual(up("vibectl_limits_unavailable_total", { choice: "refused" }), 1)
      assert.strictEqual(up("vibectl_busy_total"), 1)
      assert.strictEqual(up("vibectl_limits_wait_seconds_count"), 1)
      assert.isAbove(up("vibectl_limits_wait_seconds_sum"), 0)
      assert.isAtLeast(up("vibectl_usage_estimated_total", { provider: "v", model: "v/m" }), 1)
      // A dollar for each token of input: seven for each answer, and what is estimated of those that broke.
      assert.isAbove(up("vibectl_cost_usd_total", { provider: "v", model: "v/m" }), 7 * 5)

      const gen = { gen_ai_operation_name: "chat", gen_ai_provider_name: "v", gen_ai_request_model: "v/m" }
      assert.isAtLeast(up("gen_ai_server_request_duration_seconds_count", gen), 6)
      assert.strictEqual(up("gen_ai_server_request_duration_seconds_count", { ...gen, error_type: "RATE_LIMITED" }), 1)
      assert.strictEqual(up("gen_ai_server_time_to_first_token_seconds_count", gen), 4)
      assert.isAtLeast(up("gen_ai_server_time_per_output_token_seconds_count", gen), 2)
      assert.isAtLeast(up("gen_ai_client_operation_duration_seconds_count", gen), 8)
      assert.isAtLeast(
        up("gen_ai_client_operation_duration_seconds_count", { ...gen, error_type: "PROVIDER_UNAVAILABLE" }),
        2
      )
      assert.isAbove(up("gen_ai_client_token_usage_sum", { ...gen, gen_ai_token_type: "input" }), 7 * 5)
      assert.isAbove(up("gen_ai_client_token_usage_sum", { ...gen, gen_ai_token_type: "output" }), 3 * 4)
      assert.isAtLeast(up("vibectl_overhead_seconds_count"), 8)
      assert.strictEqual(sum(after, "vibectl_build_info"), 1)

      // None is there that nothing feeds.
      const seen = [...before, ...during, ...after]
      for (const instrument of Instruments.all.values()) {
        const name = Prometheus.nameOf(instrument)
        const fed = seen.some((sample) =>
          (sample.name === name || sample.name === `${name}_count`) && sample.value !== 0
        )
        assert.isTrue(fed, `nothing feeds ${name}`)
      }
      if (promtool !== undefined) execFileSync(promtool, ["check", "metrics"], { input: text })
    }))
})

describe("names that callers choose", () => {
  it("become labels up to a number only", () => {
    const { add, of } = Instruments.bounded(2)
    add("announced")
    assert.deepStrictEqual(["a", "b", "c", "announced", "a", "d"].map(of), [
      "a",
      "b",
      "other",
      "announced",
      "a",
      "other"
    ])
  })
})
