import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { type Access, unrestricted } from "../../src/domain/Access.js"
import type { AnswerRequest, Caller } from "../../src/domain/Answer.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import { unlimited } from "../../src/domain/Limits.js"
import * as Memory from "../../src/limits/Memory.js"
import * as Catalog from "../../src/models/Catalog.js"
import type { Provider } from "../../src/models/Provider.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"

const spec = (name: string) => ({ name, streams: true, contextLength: undefined, price: undefined })

const failing = (name: string) =>
  new ProviderFailure({
    reason: "PROVIDER_UNAVAILABLE",
    provider: name,
    detail: undefined,
    retryAfter: undefined,
    cause: undefined
  })

/** Of two providers; the first one's `down` always fails. */
const proxy = (script: Partial<Provider> = {}) =>
  Effect.provide(
    LlmProxy,
    LlmProxy.layer.pipe(
      Layer.provide(Memory.layer),
      Layer.provide(Catalog.Catalog.layer({
        providers: [
          FakeProvider.make({
            name: "open",
            models: ["large", "small", "down"].map(spec),
            complete: ({ model }) =>
              model === "down" ? failing("open") : Effect.succeed({ text: model, usage: undefined }),
            ...script
          }),
          FakeProvider.make({
            name: "other",
            models: [spec("claude")],
            complete: () => Effect.succeed({ text: "claude", usage: undefined })
          })
        ],
        aliases: new Map([["fast", "open/small"], ["gone", "nowhere/x"]]),
        defaultModel: "open/large",
        fallbacks: new Map([["open/down", ["open/large", "other/claude"]]])
      }))
    )
  )

const caller = (access: Partial<Access>): Caller => ({
  subject: "ci",
  tokenId: "j",
  access: { ...unrestricted, ...access },
  features: new Set(),
  deadline: Infinity
})
const only = (...patterns: ReadonlyArray<string>) => caller({ models: [patterns] })
const request = (model?: string): AnswerRequest => ({
  requestId: "r",
  model,
  system: [],
  user: ["hello"],
  responseSchema: undefined
})

/** The text, or the reason, of both kinds of call. */
const ask = (model: string | undefined, who: Caller) =>
  Effect.gen(function*() {
    const service = yield* proxy()
    const whole = yield* Effect.match(service.execute(request(model), who), {
      onSuccess: ({ text }) => text,
      onFailure: (error) => error.reason
    })
    const streamed = yield* Effect.match(Stream.runDrain(service.stream(request(model), who)), {
      onSuccess: () => undefined,
      onFailure: (error) => error.reason
    })
    if (streamed !== undefined) assert.strictEqual(streamed, whole)
    return whole
  })

describe("a caller's models", () => {
  it.effect("are those of the patterns, by whatever name they are asked for", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [string | undefined, Caller, string]> = [
        ["open/large", only("open/*"), "large"],
        ["large", only("open/*"), "large"],
        [undefined, only("open/large"), "large"],
        ["fast", only("open/small"), "small"],
        ["open/small", only("fast"), "small"],
        ["small", only("fast"), "small"],
        ["open/large", only("fast"), "MODEL_NOT_ALLOWED"],
        [undefined, only("fast"), "MODEL_NOT_ALLOWED"],
        ["other/claude", only("open/*"), "MODEL_NOT_ALLOWED"],
        ["claude", only("open/*"), "MODEL_NOT_ALLOWED"],
        ["open/large", only(), "MODEL_NOT_ALLOWED"],
        ["open/large", caller({ models: [["open/*"], ["other/*"]] }), "MODEL_NOT_ALLOWED"],
        ["open/unlisted", only("open/large"), "MODEL_NOT_ALLOWED"]
      ]
      for (const [model, who, expected] of cases) {
        assert.strictEqual(yield* ask(model, who), expected, `${model} of ${JSON.stringify(who.access.models)}`)
      }
    }))

  it.effect("are all that it hears of", () =>
    Effect.gen(function*() {
      const service = yield* proxy()
      const info = yield* service.serverInfo(only("fast", "other/*"))
      assert.deepStrictEqual(info.models.map(({ id }) => id), ["open/small", "other/claude"])
      assert.deepStrictEqual([...info.aliases], [["fast", "open/small"]])
      assert.strictEqual(info.defaultModel, "")
      const error = yield* Effect.flip(service.execute(request("nowhere/smal"), only("fast")))
      assert.include(error.message, "open/small")
      assert.notInclude(error.message, "claude")
      assert.notInclude(error.message, "large")
    }))

  it.effect("bound its fallbacks too", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* ask("open/down", caller({})), "large")
      assert.strictEqual(yield* ask("open/down", only("open/down", "other/*")), "claude")
      assert.strictEqual(yield* ask("open/down", only("open/down")), "PROVIDER_UNAVAILABLE")
    }))
})

describe("a caller's limits", () => {
  it.effect("are shown to it, the smaller of its subject's and its token's", () =>
    Effect.gen(function*() {
      const service = yield* proxy()
      const { limits } = yield* service.serverInfo(caller({
        limits: { ...unlimited, maxRequestsPerMinute: 60, maxInputLength: 10 },
        tokenLimits: { ...unlimited, maxRequestsPerMinute: 6 }
      }))
      assert.deepStrictEqual(limits, { ...unlimited, maxRequestsPerMinute: 6, maxInputLength: 10 })
    }))

  it.effect("count streams and whole answers together, and hold a stream's place until it ends", () =>
    Effect.gen(function*() {
      const opened = yield* Deferred.make<void>()
      const service = yield* proxy({ stream: () => Effect.as(Deferred.succeed(opened, undefined), Effect.never) })
      const who = caller({ limits: { ...unlimited, maxConcurrentRequests: 1 } })
      const streaming = yield* Effect.fork(Stream.runDrain(service.stream(request(), who)))
      yield* Deferred.await(opened)
      const refused = yield* Effect.flip(service.execute(request(), who))
      assert.strictEqual(refused.reason, "CONCURRENCY_LIMITED")
      yield* Fiber.interrupt(streaming)
      assert.strictEqual((yield* service.execute(request(), who)).text, "large")
    }))

  it.effect("refuse before a provider is called", () =>
    Effect.gen(function*() {
      let calls = 0
      const service = yield* proxy({
        complete: () => Effect.sync(() => ({ text: `${calls++}`, usage: undefined }))
      })
      const who = caller({ limits: { ...unlimited, maxRequestsPerMinute: 1, maxInputLength: 5 } })
      assert.strictEqual((yield* service.execute(request(), who)).text, "0")
      assert.strictEqual((yield* Effect.flip(service.execute(request(), who))).reason, "RATE_LIMITED")
      const long = { ...request(), user: ["hello!"] }
      assert.strictEqual((yield* Effect.flip(service.execute(long, who))).reason, "INPUT_TOO_LONG")
      assert.strictEqual(calls, 1)
    }))

  it.effect("end an answer that takes too long, and close its socket", () =>
    Effect.gen(function*() {
      let closed = 0
      const slow = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void closed++))
      const service = yield* proxy({
        complete: () => slow,
        stream: () =>
          Effect.sync(() =>
            FakeProvider.pieces([
              FakeProvider.text("a"),
              Effect.delay(FakeProvider.text("b"), "20 seconds"),
              slow
            ])
          )
      })
      const who = caller({ limits: { ...unlimited, requestTimeoutSeconds: 30 } })
      const whole = yield* Effect.fork(Effect.flip(service.execute(request(), who)))
      const seen: Array<string> = []
      const streamed = yield* Effect.fork(Effect.flip(Stream.runForEach(service.stream(request(), who), (event) =>
        Effect.sync(() =>
          seen.push(event._tag === "Text" ? event.text : event._tag)
        ))))
      yield* TestClock.adjust("29999 millis")
      assert.strictEqual(closed, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(whole)).reason, "REQUEST_TIMEOUT")
      const error = yield* Fiber.join(streamed)
      assert.strictEqual(error.reason, "REQUEST_TIMEOUT")
      assert.include(error.message, "30 seconds")
      assert.deepStrictEqual(seen, ["Start", "a", "b"])
      assert.strictEqual(closed, 2)
    }))
})
