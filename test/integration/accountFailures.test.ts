import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Context, Duration, Effect, Layer, Logger, Metric, MetricState, Redacted, Stream } from "effect"
import * as Fs from "node:fs"
import { ProxyClient } from "../../src/client/ProxyClient.js"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import * as Activity from "../../src/ops/Activity.js"
import * as ServerLayer from "../../src/server/ServerLayer.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Ops from "../support/Ops.js"
import * as RawVendor from "../support/RawVendor.js"

type Kind = "openai" | "anthropic"

interface Case {
  readonly name: string
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body: unknown
  readonly expect: { readonly retryAfterMs?: number }
}
const cases = (file: string): { readonly provider: Kind; readonly cases: ReadonlyArray<Case> } =>
  JSON.parse(Fs.readFileSync(new URL(`../cases/${file}.json`, import.meta.url), "utf8")) as {
    readonly provider: Kind
    readonly cases: ReadonlyArray<Case>
  }

/** The real server with a provider `first` that answers as it is said, and a good one, `second`. */
const stage = (kind: Kind, reply: (index: number) => RawVendor.Reply, fallbacks = true) =>
  Effect.gen(function*() {
    const first = yield* RawVendor.make((_, index) => reply(index))
    const second = yield* FakeVendor.make()
    second.otherwise({ pieces: ["second ", "answers"] })
    const config = ServerConfig.layerTest({
      server: { enable_auth: false },
      providers: {
        first: { kind, base_url: first[kind], api_key: Redacted.make("sk-canary-0123456789"), models: ["m"] },
        second: { kind: "openai", base_url: second.openai, models: ["m"] }
      },
      fallbacks: fallbacks ? { "first/m": ["second/m"] } : {}
    })
    const log: Array<{ readonly level: string; readonly text: string }> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, logLevel, message }) => {
        log.push({ level: logLevel.label, text: JSON.stringify([message, [...annotations]]) })
      })
    )
    const context = yield* Layer.build(
      Layer.provide(ServerLayer.layer, Layer.mergeAll(config, NodeFileSystem.layer, logger))
    )
    const { host, port } = yield* Effect.provide(ServerLayer.Listening, context)
    const client = Context.get(
      yield* Layer.build(ProxyClient.layer({ host, port, tls: false, retryAttempts: 0, timeout: "60 seconds" })),
      ProxyClient
    )
    const ask = { user: ["hi"], model: "first/m" }
    const streamed = Effect.map(
      Stream.runCollect(client.stream(ask)),
      (events) => Chunk.toReadonlyArray(events).flatMap((event) => event._tag === "Text" ? [event.text] : []).join("")
    )
    const whole = Effect.map(client.execute(ask), ({ text }) => text)
    return { first, second, streamed, whole, log }
  })

const count = (name: string, labels: Record<string, string>) =>
  Effect.map(Metric.snapshot, (pairs) =>
    pairs.filter(({ metricKey }) =>
      metricKey.name === name &&
      Object.entries(labels).every(([key, value]) =>
        metricKey.tags.some((tag) => tag.key === key && tag.value === value)
      )
    ).reduce(
      (sum, { metricState }) => sum + (MetricState.isCounterState(metricState) ? Number(metricState.count) : 0),
      0
    ))

for (const file of ["account-failures", "account-failures-anthropic"]) {
  const { cases: rows, provider } = cases(file)
  describe(`${provider}: what the account cannot do`, () => {
    for (const { body, name, status } of rows) {
      it.scopedLive(`is done by the next of fallbacks: ${name}`, () =>
        Effect.gen(function*() {
          const { first, second, streamed, whole } = yield* stage(provider, () => ({ status, body }))
          assert.strictEqual(yield* streamed, "second answers")
          assert.strictEqual(yield* whole, "second answers")
          // A conflict (409) and one that came too early (425) pass by themselves.
          assert.strictEqual(first.requests.length, status === 409 || status === 425 ? 4 : 2)
          assert.lengthOf(second.requests, 2)
        }))
    }
  })
}

describe("a fault of the account", () => {
  it.scopedLive("is counted, warned of once a minute, shown by info, and nobody's secret", () =>
    Effect.gen(function*() {
      const body = { error: { message: "Incorrect API key provided: sk-canary-0123456789", code: "invalid_api_key" } }
      const before = yield* count("vibectl_account_failures_total", { provider: "first", account: "key" })
      const { log, whole } = yield* stage("openai", () => ({ status: 401, body }))
      for (let call = 0; call < 3; call++) yield* whole
      assert.strictEqual(
        yield* count("vibectl_account_failures_total", { provider: "first", account: "key" }),
        before + 3
      )
      const warnings = log.filter(({ level }) => level === "WARN")
      assert.lengthOf(warnings, 1)
      assert.include(
        warnings[0]!.text,
        "The provider 'first' refused the request because of this server's API key (invalid_api_key)."
      )
      assert.notInclude(JSON.stringify(log), "canary")
      const { providers } = yield* Activity.make(Ops.facts)
      const seen = providers["first"]?.account?.["key"]
      assert.isAtLeast(seen?.failures ?? 0, 3)
      assert.isNotNull(seen?.last_at ?? null)
    }))

  for (
    const [status, body, reason] of [
      [401, {}, "PROVIDER_REJECTED"],
      [402, {}, "PROVIDER_REJECTED"],
      [
        429,
        { error: { code: "insufficient_quota", message: "You exceeded your current quota" } },
        "PROVIDER_RATE_LIMITED"
      ],
      [500, { error: { message: "insufficient balance" } }, "PROVIDER_REJECTED"]
    ] as const
  ) {
    it.scopedLive(`without fallbacks ends the call after one request, with ${reason} and no RetryInfo: ${status}`, () =>
      Effect.gen(function*() {
        const { first, streamed } = yield* stage("openai", () => ({ status, body }), false)
        const error = yield* Effect.flip(streamed)
        assert.deepInclude(error, { _tag: "CallFailed", reason })
        assert.isUndefined(error._tag === "CallFailed" ? error.retryAfter : undefined)
        assert.lengthOf(first.requests, 1)
      }))
  }

  it.scopedLive("is not what 400, 404, 413 and 422 about the request are: these end the call, fallbacks or not", () =>
    Effect.gen(function*() {
      const statuses = [400, 404, 413, 422]
      const { first, second, whole } = yield* stage("openai", (index) => ({
        status: statuses[index]!,
        body: { error: { message: "no such thing", code: "invalid_request_error" } }
      }))
      for (const _ of statuses) assert.deepInclude(yield* Effect.flip(whole), { reason: "PROVIDER_REJECTED" })
      assert.deepStrictEqual([first.requests.length, second.requests.length], [4, 0])
    }))
})

describe("how long to wait", () => {
  for (const { body, expect, headers, name, status } of cases("retry-in-body").cases) {
    it.scopedLive(`is read and handed on, and no request is made before: ${name}`, () =>
      Effect.gen(function*() {
        const { first, streamed, whole } = yield* stage(
          "openai",
          () => ({ status, body, headers: headers ?? {} }),
          false
        )
        for (const error of [yield* Effect.flip(streamed), yield* Effect.flip(whole)]) {
          assert.deepInclude(error, { _tag: "CallFailed", reason: "PROVIDER_RATE_LIMITED" })
          const after = error._tag === "CallFailed" ? error.retryAfter : undefined
          assert.strictEqual(after && Duration.toMillis(after), expect.retryAfterMs)
        }
        assert.lengthOf(first.requests, 2)
      }))
  }

  it.scopedLive("is waited for where it is short, and a wait of nothing is a backoff", () =>
    Effect.gen(function*() {
      const good = { body: { choices: [{ index: 0, message: { content: "fine" }, finish_reason: "stop" }] } }
      for (const [header, least] of [["0.4", 400], ["0", 100], ["Mon, 01 Jan 2001 00:00:00 GMT", 100]] as const) {
        const { first, whole } = yield* stage(
          "openai",
          (index) => index === 0 ? { status: 429, headers: { "retry-after": header } } : good,
          false
        )
        assert.strictEqual(yield* whole, "fine")
        assert.isAtLeast(first.requests[1]!.at - first.requests[0]!.at, least, header)
      }
    }))

  it.scopedLive("x-should-retry decides whether there is another request", () =>
    Effect.gen(function*() {
      const good = { body: { choices: [{ index: 0, message: { content: "fine" }, finish_reason: "stop" }] } }
      const yes = yield* stage(
        "openai",
        (index) => index === 0 ? { status: 400, headers: { "x-should-retry": "true" } } : good,
        false
      )
      assert.strictEqual(yield* yes.whole, "fine")
      const no = yield* stage("openai", () => ({ status: 503, headers: { "x-should-retry": "false" } }), false)
      assert.deepInclude(yield* Effect.flip(no.streamed), { reason: "PROVIDER_UNAVAILABLE" })
      assert.lengthOf(no.first.requests, 1)
      const on = yield* stage("openai", () => ({ status: 503, headers: { "x-should-retry": "false" } }))
      assert.strictEqual(yield* on.streamed, "second answers")
      assert.lengthOf(on.first.requests, 1)
    }))
})
