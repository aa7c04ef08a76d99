/**
 * What a call is charged, ending by ending.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Fiber, Layer, Stream, TestClock } from "effect"
import { unrestricted } from "../../src/domain/Access.js"
import type { AnswerRequest, Caller, FinishReason } from "../../src/domain/Answer.js"
import * as Cost from "../../src/domain/Cost.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import { unlimited } from "../../src/domain/Limits.js"
import * as Embedded from "../../src/limits/Embedded.js"
import { Limits } from "../../src/limits/Limits.js"
import * as Spending from "../../src/limits/Spending.js"
import { Store } from "../../src/limits/Store.js"
import * as Catalog from "../../src/models/Catalog.js"
import { type Provider, StreamingUnsupported } from "../../src/models/Provider.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"
import { forAll } from "../support/Property.js"

const caller: Caller = { subject: "ci", tokenId: "j", access: unrestricted, features: new Set(), deadline: Infinity }
const request: AnswerRequest = {
  requestId: "r",
  model: "a/one",
  system: [],
  // Ten tokens by our estimate.
  user: ["a b c d e f g h i j"],
  responseSchema: undefined
}
const price = { input: 1, output: 10, cacheRead: 0.1 }
const one = [{ name: "one", streams: true, contextLength: undefined, price }]

const failure = (reason: ProviderFailure["reason"], maybeBilled: boolean) =>
  new ProviderFailure({
    reason,
    provider: "a",
    detail: undefined,
    retryAfter: undefined,
    maybeBilled,
    cause: undefined
  })

interface Scripts {
  readonly a: Partial<Provider>
  readonly b?: Partial<Provider>
}

type Use = (proxy: LlmProxy["Type"]) => Effect.Effect<unknown, unknown>

/** What was booked of one call to `a/one`, whose fallback is `b/one`, that ends as `use` says. */
const booked = (scripts: Scripts, use: Use) =>
  Effect.map(recorded(scripts, use), (rows) =>
    rows.map((row) => {
      assert.strictEqual(row.subject, "ci")
      const { cachedInputTokens, cost, estimated, failures, inputTokens, model, outputTokens, requests } = row
      return {
        model,
        requests,
        failures,
        estimated,
        in: inputTokens,
        cached: cachedInputTokens,
        out: outputTokens,
        cost
      }
    }))

const recorded = (scripts: Scripts, use: Use) =>
  Effect.gen(function*() {
    const store = yield* Store
    yield* Effect.exit(use(yield* LlmProxy))
    assert.strictEqual(yield* store.outstanding, 0)
    return yield* store.usage({ from: "1970-01-01", to: "1970-01-02" })
  }).pipe(Effect.provide(
    LlmProxy.layer.pipe(
      Layer.provide(Limits.layer({
        models: {},
        queue: { max_waiting: 0, max_wait_seconds: 1 },
        reserveOutputTokens: 100,
        onUnavailable: "refuse"
      })),
      Layer.provideMerge(Embedded.layerMemory),
      Layer.provide(Catalog.Catalog.layer({
        providers: [
          FakeProvider.make({ name: "a", models: one, ...scripts.a }),
          FakeProvider.make({ name: "b", models: one, ...scripts.b })
        ],
        aliases: new Map(),
        defaultModel: undefined,
        fallbacks: new Map(scripts.b === undefined ? [] : [["a/one", ["b/one"]]])
      }))
    )
  ))

const whole = (proxy: LlmProxy["Type"]) => proxy.execute(request, caller)
const streamed = (proxy: LlmProxy["Type"]) => Stream.runDrain(proxy.stream(request, caller))
const restartable = (proxy: LlmProxy["Type"]) =>
  Stream.runDrain(proxy.stream(request, { ...caller, features: new Set(["restart"]) }))
const cost = (inputTokens: number, outputTokens: number, cachedInputTokens = 0) =>
  Cost.ofUsage(price, { inputTokens, outputTokens, cachedInputTokens })

describe("the record of usage has how an answer ended", () => {
  const usage = { inputTokens: 9, outputTokens: 4 }
  const none = { requests: 1, failures: 0, cutOff: 0, filtered: 0, refused: 0 }
  const rows: ReadonlyArray<readonly [FinishReason, object]> = [
    ["stop", none],
    ["length", { ...none, cutOff: 1 }],
    ["content_filter", { ...none, filtered: 1 }],
    ["refusal", { ...none, refused: 1 }],
    ["tool_calls", none],
    ["unknown", none]
  ]
  for (const [finishReason, expected] of rows) {
    it.effect(`${finishReason}, streamed and whole`, () =>
      Effect.gen(function*() {
        const complete = () => Effect.succeed({ text: "it", usage, finishReason })
        const stream = () =>
          Effect.sync(() =>
            FakeProvider.pieces([
              FakeProvider.text("it"),
              Effect.succeed({ _tag: "End" as const, usage, finishReason })
            ])
          )
        for (const use of [whole, streamed]) {
          const [row, ...others] = yield* recorded({ a: { complete, stream } }, use)
          assert.deepInclude(row, expected)
          assert.lengthOf(others, 0)
        }
      }))
  }

  it.effect("of the attempt that answered, and of no answer nothing", () =>
    Effect.gen(function*() {
      const complete = () => Effect.succeed({ text: "it", usage, finishReason: "length" as const })
      const rows = yield* recorded(
        { a: { complete: () => failure("PROVIDER_UNAVAILABLE", true) }, b: { complete } },
        whole
      )
      assert.deepStrictEqual(
        rows.map(({ cutOff, model, requests }) => [model, requests, cutOff]),
        [["a/one", 0, 0], ["b/one", 1, 1]]
      )
      const broken = () =>
        Effect.sync(() => FakeProvider.pieces([FakeProvider.text("it"), failure("PROVIDER_UNAVAILABLE", true)]))
      const [row] = yield* recorded({ a: { stream: broken } }, streamed)
      assert.deepInclude(row, { ...none, failures: 1 })
    }))
})

describe("a call is charged", () => {
  it.effect("what the provider reports", () =>
    Effect.gen(function*() {
      const usage = { inputTokens: 1000, outputTokens: 50, cachedInputTokens: 800 }
      const expected = [
        {
          model: "a/one",
          requests: 1,
          failures: 0,
          estimated: 0,
          in: 1000,
          cached: 800,
          out: 50,
          cost: cost(1000, 50, 800)
        }
      ]
      const complete = () => Effect.succeed({ text: "it", usage })
      assert.deepStrictEqual(yield* booked({ a: { complete } }, whole), expected)
      const stream = () => Effect.sync(() => FakeProvider.pieces([FakeProvider.text("it"), FakeProvider.end(usage)]))
      assert.deepStrictEqual(yield* booked({ a: { stream } }, streamed), expected)
      assert.strictEqual(cost(1000, 50, 800), 200_000 + 80_000 + 500_000)
    }))

  it.effect("an estimate, marked as one, where nothing is reported", () =>
    Effect.gen(function*() {
      const rows = yield* booked({ a: {} }, streamed)
      assert.deepStrictEqual(rows, [
        { model: "a/one", requests: 1, failures: 0, estimated: 1, in: 10, cached: 0, out: 2, cost: cost(10, 2) }
      ])
    }))

  it.effect("for what came when its caller leaves, also while it is let wait", () =>
    Effect.gen(function*() {
      const stream = () => Effect.sync(() => FakeProvider.pieces([FakeProvider.text("a b c d e"), Effect.never]))
      const leaving = (proxy: LlmProxy["Type"]) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(streamed(proxy))
          yield* TestClock.adjust("5 seconds")
          yield* Fiber.interrupt(fiber)
        })
      assert.deepStrictEqual(yield* booked({ a: { stream } }, leaving), [
        { model: "a/one", requests: 1, failures: 1, estimated: 1, in: 10, cached: 0, out: 5, cost: cost(10, 5) }
      ])
      const silent = () => Effect.never
      assert.deepStrictEqual(yield* booked({ a: { stream: silent } }, leaving), [
        { model: "a/one", requests: 1, failures: 1, estimated: 1, in: 10, cached: 0, out: 0, cost: cost(10, 0) }
      ])
    }))

  it.effect("nothing for what never left this machine: waiting for a connection, timing out there, or not built", () =>
    Effect.gen(function*() {
      const leaving = (call: typeof streamed) => (proxy: LlmProxy["Type"]) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.fork(call(proxy))
          yield* TestClock.adjust("5 seconds")
          yield* Fiber.interrupt(fiber)
        })
      const waits: Partial<Provider> = {
        reportsSent: true,
        stream: () => Effect.never,
        complete: () => Effect.never
      }
      const late: Partial<Provider> = { reportsSent: true, complete: () => failure("PROVIDER_TIMEOUT", true) }
      const broken: Partial<Provider> = { reportsSent: true, complete: () => Effect.die("too deep") }
      const nothing = [{ model: "a/one", requests: 1, failures: 1, estimated: 0, in: 0, cached: 0, out: 0, cost: 0 }]
      assert.deepStrictEqual(yield* booked({ a: waits }, leaving(streamed)), nothing)
      assert.deepStrictEqual(yield* booked({ a: waits }, leaving(whole)), nothing)
      assert.deepStrictEqual(yield* booked({ a: late }, whole), nothing)
      assert.deepStrictEqual(yield* booked({ a: broken }, whole), nothing)
      const sent: Partial<Provider> = {
        reportsSent: true,
        stream: ({ onSent }) => Effect.zipRight(Effect.sync(() => onSent?.()), Effect.never)
      }
      assert.deepStrictEqual(yield* booked({ a: sent }, leaving(streamed)), [
        { model: "a/one", requests: 1, failures: 1, estimated: 1, in: 10, cached: 0, out: 0, cost: cost(10, 0) }
      ])
    }))

  it.effect("all of a simulated answer, also when its caller leaves in the middle of it", () =>
    Effect.gen(function*() {
      const usage = { inputTokens: 7, outputTokens: 300 }
      const stream = () => new StreamingUnsupported({ provider: "a", answer: { text: "x".repeat(1000), usage } })
      const two = (proxy: LlmProxy["Type"]) => Stream.runDrain(Stream.take(proxy.stream(request, caller), 2))
      assert.deepStrictEqual(yield* booked({ a: { stream } }, two), [
        { model: "a/one", requests: 1, failures: 1, estimated: 0, in: 7, cached: 0, out: 300, cost: cost(7, 300) }
      ])
    }))

  it.effect("nothing for an attempt that the provider refused, and a guess for one that it may have worked on", () =>
    Effect.gen(function*() {
      const refused = yield* booked({ a: { complete: () => failure("PROVIDER_REJECTED", false) } }, whole)
      assert.deepStrictEqual(refused, [
        { model: "a/one", requests: 1, failures: 1, estimated: 0, in: 0, cached: 0, out: 0, cost: 0 }
      ])
      const lost = yield* booked({ a: { complete: () => failure("PROVIDER_UNAVAILABLE", true) } }, whole)
      assert.deepStrictEqual(lost, [
        { model: "a/one", requests: 1, failures: 1, estimated: 1, in: 10, cached: 0, out: 0, cost: cost(10, 0) }
      ])
    }))

  it.effect("every attempt, each for its model, and the request once", () =>
    Effect.gen(function*() {
      const usage = { inputTokens: 9, outputTokens: 4 }
      const broken = () =>
        Effect.sync(() =>
          FakeProvider.pieces([FakeProvider.text("x".repeat(8)), failure("PROVIDER_UNAVAILABLE", true)])
        )
      const rows = yield* booked({
        a: { stream: broken, complete: () => failure("PROVIDER_UNAVAILABLE", false) },
        b: { stream: () => Effect.sync(() => FakeProvider.pieces([FakeProvider.text("it"), FakeProvider.end(usage)])) }
      }, restartable)
      assert.sameDeepMembers(rows, [
        { model: "a/one", requests: 0, failures: 0, estimated: 0, in: 10, cached: 0, out: 2, cost: cost(10, 2) },
        { model: "b/one", requests: 1, failures: 0, estimated: 1, in: 9, cached: 0, out: 4, cost: cost(9, 4) }
      ])
    }))

  it.effect("what the vendor has said so far of a stream that breaks", () =>
    Effect.gen(function*() {
      const stream: Provider["stream"] = ({ onUsage }) =>
        Effect.sync(() => {
          onUsage?.({ inputTokens: 5000, outputTokens: 1, cachedInputTokens: 4000 })
          return FakeProvider.pieces([FakeProvider.text("x".repeat(8)), failure("PROVIDER_UNAVAILABLE", true)])
        })
      assert.deepStrictEqual(yield* booked({ a: { stream } }, streamed), [
        {
          model: "a/one",
          requests: 1,
          failures: 1,
          estimated: 1,
          in: 5000,
          cached: 4000,
          out: 2,
          cost: cost(5000, 2, 4000)
        }
      ])
    }))
})

describe("Spending", () => {
  it.effect("books in its rows exactly what it charges the caller, whatever was tried", () =>
    forAll(
      fc.array(fc.record({
        model: fc.constantFrom("p/a", "p/b", "q/c"),
        usage: fc.record({ inputTokens: fc.nat(1e6), outputTokens: fc.nat(1e6) }),
        estimated: fc.boolean(),
        cost: fc.option(fc.nat(1e9), { nil: undefined })
      })),
      200,
      (attempts) =>
        Effect.sync(() => {
          const spending = { attempts, succeeded: true }
          const rows = Spending.rows({ subject: "s", tenant: "", model: "p/a" }, spending)
          const bound = (scope: "subject" | "model", name: string) => ({ scope, name, key: name, limits: unlimited })
          const [all, ofP] = Spending.charges([bound("subject", "s"), bound("model", "p/*")], spending)
          const sum = (of: (row: typeof rows[number]) => number, which = rows) =>
            which.reduce((n, row) => n + of(row), 0)
          const tokens = (row: typeof rows[number]) => row.inputTokens + row.outputTokens
          assert.strictEqual(all?.tokens, sum(tokens))
          assert.strictEqual(all?.cost, sum((row) => row.cost))
          assert.strictEqual(ofP?.tokens, sum(tokens, rows.filter(({ model }) => model.startsWith("p/"))))
          assert.strictEqual(sum((row) => row.requests), 1)
          assert.strictEqual(sum((row) => row.estimated), attempts.some(({ estimated }) => estimated) ? 1 : 0)
        })
    ))
})
