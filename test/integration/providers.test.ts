import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Either, Exit, Fiber, Redacted, Scope } from "effect"
import { inspect } from "node:util"
import type { Usage } from "../../src/domain/Answer.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import * as Kinds from "../../src/models/Kinds.js"
import type { Provider, ProviderRequest } from "../../src/models/Provider.js"
import type { VendorError } from "../../src/models/VendorFailure.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as Patience from "../support/Patience.js"

const canary = "sk-canary-0123456789abcdef"
const kinds = ["openai", "anthropic"] as const
type Kind = typeof kinds[number]

const request: ProviderRequest = { model: "some-model", system: "be brief", user: "what is it?", schema: undefined }
const schema = {
  name: "plan",
  json: {
    type: "object",
    properties: { verb: { type: "string" } },
    required: ["verb"],
    additionalProperties: false
  }
}

const provider = (kind: Kind, vendor: FakeVendor.FakeVendor, options: Partial<Kinds.ProviderOptions> = {}) =>
  Kinds.make(kind, {
    name: "p",
    apiKey: Redacted.make(canary),
    baseUrl: vendor[kind],
    models: undefined,
    defaultModel: undefined,
    maxOutputTokens: undefined,
    maxRetries: undefined,
    maxConcurrent: undefined,
    timeouts: {},
    modelTimeouts: new Map(),
    ...options
  })

/** Every piece, the usage at the end, or the failure that came instead of it. */
const drain = (provider: Provider, prompt = request) =>
  Effect.scoped(Effect.gen(function*() {
    const texts: Array<string> = []
    const opened = yield* Effect.either(provider.stream(prompt))
    if (Either.isLeft(opened)) return { texts, usage: undefined, failure: opened.left }
    for (;;) {
      const piece = yield* Effect.either(opened.right)
      if (Either.isLeft(piece)) return { texts, usage: undefined, failure: piece.left }
      if (piece.right._tag === "End") return { texts, usage: piece.right.usage, failure: undefined }
      texts.push(piece.right.text)
    }
  }))

const usage: Usage = { inputTokens: 7, outputTokens: 3 }

for (const kind of kinds) {
  describe(kind, () => {
    const test = (
      name: string,
      body: (vendor: FakeVendor.FakeVendor, provider: Provider) => Effect.Effect<void, unknown, Scope.Scope>
    ) =>
      it.scopedLive(name, () =>
        Effect.gen(function*() {
          const vendor = yield* FakeVendor.make()
          yield* body(vendor, yield* provider(kind, vendor))
        }))

    test("gives the whole answer, with the usage as reported", (_, provider) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* provider.complete(request), {
          text: "Hello, world",
          usage,
          finishReason: "stop"
        })
      }))

    test(
      "sends system and user in their own roles, and the key where the vendor wants it",
      (vendor, provider) =>
        Effect.gen(function*() {
          yield* provider.complete(request)
          yield* provider.complete({ ...request, system: "" })
          const [first, second] = vendor.requests
          const body = first!.body as Record<string, unknown>
          const user = { role: "user", content: "what is it?" }
          assert.strictEqual(first!.headers.authorization, `Bearer ${canary}`)
          assert.strictEqual(body["model"], "some-model")
          if (kind === "openai") {
            assert.deepStrictEqual(body["messages"], [{ role: "system", content: "be brief" }, user])
            assert.notProperty(body, "max_tokens")
            assert.deepStrictEqual((second!.body as Record<string, unknown>)["messages"], [user])
          } else {
            assert.deepStrictEqual(body["messages"], [user])
            assert.deepInclude(body, { system: "be brief", max_tokens: 8192 })
            assert.notProperty(second!.body, "system")
          }
        })
    )

    test(
      "asks for an answer that satisfies a schema in the vendor's own way",
      (vendor, provider) =>
        Effect.gen(function*() {
          yield* provider.complete({ ...request, schema })
          yield* drain(provider, { ...request, schema })
          for (const { body } of vendor.requests) {
            if (kind === "openai") {
              assert.deepInclude(body, {
                response_format: {
                  type: "json_schema",
                  json_schema: { name: "plan", schema: schema.json, strict: true }
                }
              })
            } else assert.deepInclude(body, { output_config: { format: { type: "json_schema", schema: schema.json } } })
          }
        })
    )

    for (
      const [name, behaviour, expected] of [
        ["plainly", {}, usage],
        ["without usage", { usage: "absent" }, undefined],
        ["with early usage", { usage: "early" }, usage],
        ["all at once", { burst: true }, usage],
        ["with empty deltas", { emptyDeltas: true }, usage],
        ["after it has thought", { thoughts: 5 }, usage],
        ["split at every byte", { split: 1 }, usage],
        ["split inside characters", { split: 7, pieces: ["Grüße, ", "世界 ", "👩‍🚀"] }, usage]
      ] as const
    ) {
      test(`streams ${name}`, (vendor, provider) =>
        Effect.gen(function*() {
          vendor.script(behaviour)
          const { failure, texts, usage } = yield* drain(provider)
          assert.isUndefined(failure)
          const pieces = "pieces" in behaviour ? behaviour.pieces : ["Hello", ", ", "world"]
          assert.strictEqual(texts.join(""), pieces.join(""))
          assert.isTrue(texts.every((text) => text !== ""))
          assert.deepStrictEqual(usage, expected)
        }))
    }

    test("uses the connection again after a whole answer", (vendor, provider) =>
      Effect.gen(function*() {
        for (let i = 0; i < 3; i++) yield* drain(provider)
        yield* Patience.eventually(() => vendor.counts.answered === 3)
        assert.strictEqual(vendor.counts.abandoned, 0)
      }))

    for (
      const [how, detail] of [
        ["reset", undefined],
        ["end", "stream ended early"],
        ["garbage", "invalid event"],
        ["error", "overloaded_error"]
      ] as const
    ) {
      test(`does not take a stream for whole that ends by ${how}`, (vendor, provider) =>
        Effect.gen(function*() {
          vendor.script({ fault: { after: 2, how } })
          const { failure, texts } = yield* drain(provider)
          assert.strictEqual(texts.join(""), "Hello, ")
          assert.instanceOf(failure, ProviderFailure)
          assert.strictEqual(failure.reason, "PROVIDER_UNAVAILABLE")
          if (detail !== undefined) assert.strictEqual(failure.detail, detail)
        }))
    }

    for (
      const [status, reason] of [
        [400, "PROVIDER_REJECTED"],
        [401, "PROVIDER_REJECTED"],
        [403, "PROVIDER_REJECTED"],
        [404, "PROVIDER_REJECTED"],
        [408, "PROVIDER_TIMEOUT"],
        [429, "PROVIDER_RATE_LIMITED"],
        [500, "PROVIDER_UNAVAILABLE"],
        [503, "PROVIDER_UNAVAILABLE"],
        [529, "PROVIDER_UNAVAILABLE"]
      ] as const
    ) {
      test(
        `says ${reason} of a ${status}, once, and keeps the vendor's words and our key to itself`,
        (vendor, provider) =>
          Effect.gen(function*() {
            vendor.otherwise({ status, error: "some_code", retryAfter: "7" })
            const whole = yield* Effect.flip(provider.complete(request))
            const { failure } = yield* drain(provider)
            for (const error of [whole, failure as ProviderFailure]) {
              assert.deepInclude(error, { _tag: "ProviderFailure", reason, provider: "p", detail: "some_code" })
              assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), 7)
              assert.notInclude(inspect(error, { depth: 20, showHidden: true }), canary)
              assert.notInclude(error.message, "refused:")
            }
            assert.lengthOf(vendor.requests, 2, "no retries of the SDK's own")
          })
      )
    }

    test(
      "sends what follows as the SDK sent the first, whole and streamed",
      (vendor, provider) =>
        Effect.gen(function*() {
          const trace = (digit: string) => ({
            traceparent: `00-${digit.repeat(32)}-${digit.repeat(16)}-01`,
            tracestate: digit === "1" ? "a=1" : undefined
          })
          const prompts = [{ ...request, trace: trace("1") }, request, { ...request, trace: trace("2") }]
          for (const prompt of prompts) yield* provider.complete(prompt)
          for (const prompt of prompts) yield* drain(provider, prompt)
          const sent = vendor.requests.map((
            { body, headers: { traceparent, tracestate, ...headers }, method, path }
          ) => [
            { body, headers, method, path },
            { traceparent, tracestate }
          ])
          for (const [index, [around, traces]] of sent.entries()) {
            assert.deepStrictEqual(around, sent[index < 3 ? 0 : 3]![0])
            const { traceparent, tracestate } = prompts[index % 3]!.trace ?? {}
            assert.deepStrictEqual(traces, { traceparent, tracestate })
          }
          assert.notProperty(vendor.requests[0]!.headers, "x-vibectl-request")
          assert.property(vendor.requests[5]!.headers, "x-stainless-timeout")
        })
    )

    test(
      "calls onSent before the vendor answers, the first request and later ones, and never where no connection stands",
      (vendor, working) =>
        Effect.gen(function*() {
          let sent = 0
          const prompt = { ...request, onSent: () => void sent++ }
          for (const seen of [1, 2]) {
            yield* working.complete(prompt)
            assert.strictEqual(sent, seen)
          }
          yield* drain(working, prompt)
          yield* drain(working, prompt)
          assert.strictEqual(sent, 4)
          const nowhere = yield* provider(kind, vendor, { baseUrl: "http://127.0.0.1:9/v1" })
          yield* Effect.flip(nowhere.complete(prompt))
          yield* drain(nowhere, prompt)
          assert.strictEqual(sent, 4)
        })
    )

    for (const [what, key] of [["line end", `${canary}\n`], ["letter of no header", `${canary}Х`]] as const) {
      test(`a key with a ${what} is our own fault: no request, no retry, and nothing of the key is shown`, (vendor) =>
        Effect.gen(function*() {
          let sent = 0
          const prompt = { ...request, onSent: () => void sent++ }
          const wrong = yield* provider(kind, vendor, { apiKey: Redacted.make(key) })
          const whole = Effect.exit(Effect.asVoid(wrong.complete(prompt)))
          for (const attempt of [whole, whole, Effect.exit(Effect.asVoid(drain(wrong, prompt)))]) {
            const exit = yield* attempt
            const shown = inspect(exit, { depth: 20 })
            assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die", shown)
            assert.include(shown, "correct api_key")
            assert.notInclude(shown, canary)
          }
          assert.strictEqual(sent, 0)
          assert.lengthOf(vendor.requests, 0)
        }))
    }

    test("says of a later request that fails what it says of the first", (vendor, later) =>
      Effect.gen(function*() {
        yield* later.complete(request)
        yield* drain(later)
        const of = ({ cause, detail, maybeBilled, reason, retryAfter }: ProviderFailure) => {
          const { message, ...error } = cause as VendorError
          return { detail, maybeBilled, reason, retryAfter, ...error, message: Redacted.value(message) }
        }
        for (
          const behaviour of [
            { status: 400, error: "some_code" },
            { status: 401 },
            { status: 429, error: "rate_limit", retryAfter: "7" },
            { status: 500 },
            { fault: { after: "request", how: "reset" } }
          ] as const
        ) {
          vendor.otherwise(behaviour)
          const first = yield* provider(kind, vendor)
          assert.deepStrictEqual(
            of(yield* Effect.flip(later.complete(request))),
            of(yield* Effect.flip(first.complete(request)))
          )
          const [one, other] = [yield* drain(later), yield* drain(yield* provider(kind, vendor))]
          assert.deepStrictEqual(of(one.failure as ProviderFailure), of(other.failure as ProviderFailure))
        }
      }))

    test("reads Retry-After as a date", (vendor, provider) =>
      Effect.gen(function*() {
        const before = Date.now()
        vendor.script({ status: 429, retryAfter: new Date(before + 60_000).toUTCString() })
        const { retryAfter } = yield* Effect.flip(provider.complete(request))
        // A date has no fractions of a second, and some time has passed since it was written.
        assert.isAtMost(Duration.toMillis(retryAfter!), 60_000)
        assert.isAtLeast(Duration.toMillis(retryAfter!), 59_000 - (Date.now() - before))
      }))

    test("says PROVIDER_UNAVAILABLE where nobody listens, without the key", (vendor) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const other = yield* Scope.extend(FakeVendor.make(), scope)
        yield* Scope.close(scope, Exit.void)
        const gone = yield* provider(kind, { ...vendor, openai: other.openai, anthropic: other.anthropic })
        const failure = yield* Effect.flip(gone.complete(request))
        assert.deepInclude(failure, { reason: "PROVIDER_UNAVAILABLE", detail: "ECONNREFUSED" })
        assert.notInclude(inspect(failure, { depth: 20 }), canary)
      }))

    test("gives up on a vendor that does not begin to answer in time", (vendor) =>
      Effect.gen(function*() {
        vendor.otherwise({ fault: { after: "request", how: "hang" } })
        const hasty = yield* provider(kind, vendor, { timeouts: { total: Duration.millis(100) } })
        assert.strictEqual((yield* Effect.flip(hasty.complete(request))).reason, "PROVIDER_TIMEOUT")
      }))

    test("bounds the wait for a stream by the whole answer's time, where that is shorter", (vendor) =>
      Effect.gen(function*() {
        const timeouts = { total: Duration.millis(Patience.scaled(500)), firstToken: Duration.seconds(60) }
        const hasty = yield* provider(kind, vendor, { timeouts })
        assert.isUndefined((yield* drain(hasty)).failure)
        vendor.otherwise({ fault: { after: "request", how: "hang" } })
        const { failure } = yield* drain(hasty).pipe(Patience.bounded)
        assert.deepInclude(failure, { reason: "PROVIDER_TIMEOUT", detail: "no whole answer in time" })
      }))

    for (
      const [how, detail] of [
        ["hang", "no whole answer in time"],
        ["reset", "connection lost"],
        ["end", "invalid answer"],
        ["error", "overloaded_error"]
      ] as const
    ) {
      test(`does not take an answer for whole that breaks in its middle by ${how}`, (vendor) =>
        Effect.gen(function*() {
          vendor.script({ fault: { after: 0, how } })
          const hasty = yield* provider(kind, vendor, { timeouts: { total: Duration.millis(Patience.scaled(300)) } })
          const failure = yield* Effect.flip(hasty.complete(request)).pipe(Patience.bounded)
          assert.strictEqual(failure.detail, detail)
          assert.strictEqual(failure.reason, how === "hang" ? "PROVIDER_TIMEOUT" : "PROVIDER_UNAVAILABLE")
          yield* Patience.eventually(() => vendor.counts.open === 0)
        }))
    }

    test("gives up on a connection that does not stand in time", (vendor) =>
      Effect.gen(function*() {
        const patient = yield* provider(kind, vendor, {
          baseUrl: vendor.unreachable,
          timeouts: { connect: Duration.seconds(60) },
          modelTimeouts: new Map([["some-model", { connect: Duration.millis(200) }]])
        })
        const ways = [Effect.flip(patient.complete(request)), Effect.map(drain(patient), ({ failure }) => failure)]
        for (const failure of yield* Effect.all(ways).pipe(Patience.bounded)) {
          assert.deepInclude(failure, { reason: "PROVIDER_TIMEOUT", detail: "no connection in time" })
        }
        yield* Patience.eventually(() => vendor.counts.knocking === 0)
        assert.strictEqual(vendor.counts.knocks, 2)
      }))

    test("gives up on a stream that goes on for too long, whatever it says", (vendor) =>
      Effect.gen(function*() {
        vendor.otherwise({ pieces: Array.from({ length: 2000 }, () => "x"), pace: 20 })
        const hasty = yield* provider(kind, vendor, { timeouts: { total: Duration.millis(Patience.scaled(300)) } })
        const { failure, texts } = yield* drain(hasty).pipe(Patience.bounded)
        assert.deepInclude(failure, { reason: "PROVIDER_TIMEOUT", detail: "no whole answer in time" })
        assert.isAbove(texts.length, 0)
        yield* Patience.eventually(() => vendor.counts.abandoned === 1)
      }))

    test("does not count the time of a slow client for the provider's", (vendor) =>
      Effect.gen(function*() {
        // The answer takes more than the total, most of which the client was away.
        vendor.otherwise({ pieces: ["a", "b", "c", "d", "e"], pace: 120 })
        const hasty = yield* provider(kind, vendor, { timeouts: { total: Duration.millis(Patience.scaled(900)) } })
        const texts = yield* Effect.scoped(Effect.gen(function*() {
          const pull = yield* hasty.stream(request)
          const texts: Array<string> = []
          for (let piece = yield* pull; piece._tag === "Text"; piece = yield* pull) {
            texts.push(piece.text)
            if (texts.length === 1) yield* Effect.sleep(Duration.millis(Patience.scaled(800)))
          }
          return texts
        })).pipe(Patience.bounded)
        assert.strictEqual(texts.join(""), "abcde")
      }))

    test("takes thinking for life, and silence after it for none", (vendor) =>
      Effect.gen(function*() {
        // Head and thoughts leave so far apart that the first text comes long after the first token had to.
        const pace = Patience.scaled(40)
        vendor.script({ thoughts: 20, pace }, { thoughts: 3, pace, fault: { after: 0, how: "hang" } })
        const timeouts = { firstToken: Duration.millis(15 * pace), betweenTokens: Duration.millis(10 * pace) }
        const strict = yield* provider(kind, vendor, { timeouts })
        const { failure, texts } = yield* drain(strict)
        assert.isUndefined(failure)
        assert.strictEqual(texts.join(""), "Hello, world")
        assert.deepInclude((yield* drain(strict)).failure, { reason: "PROVIDER_TIMEOUT" })
      }))

    test("lets no more calls through than it has permits, and gives every permit back", (vendor) =>
      Effect.gen(function*() {
        const narrow = yield* provider(kind, vendor, { maxConcurrent: 2 })
        vendor.otherwise({ fault: { after: 1, how: "hang" } })
        const calls = yield* Effect.forEach(Array.from({ length: 6 }), () => Effect.fork(drain(narrow)))
        yield* Patience.eventually(() => vendor.counts.open === 2)
        yield* Effect.sleep("50 millis")
        assert.lengthOf(vendor.requests, 2)
        // One that waits leaves the line; the two that are served make room for the next two, and for no more.
        yield* Fiber.interrupt(calls[3]!).pipe(Patience.bounded)
        yield* Fiber.interrupt(calls[0]!)
        yield* Fiber.interrupt(calls[1]!)
        yield* Patience.eventually(() => vendor.counts.open === 2 && vendor.requests.length === 4)
        yield* Fiber.interruptAll(calls)
        vendor.otherwise({})
        const answers = yield* Effect.forEach(Array.from({ length: 4 }), () => narrow.complete(request), {
          concurrency: 4
        }).pipe(Patience.bounded)
        assert.lengthOf(answers, 4)
      }))

    for (const after of [0, 2]) {
      test(`gives up on a stream that hangs after ${after} texts, and closes its socket`, (vendor) =>
        Effect.gen(function*() {
          vendor.otherwise({ fault: { after, how: "hang" } })
          const hasty = yield* provider(kind, vendor, {
            timeouts: {
              firstToken: Duration.millis(after === 0 ? 100 : Patience.boundMillis),
              betweenTokens: Duration.millis(after === 0 ? Patience.boundMillis : 100)
            }
          })
          const { failure, texts } = yield* drain(hasty).pipe(Patience.bounded)
          assert.deepInclude(failure, {
            reason: "PROVIDER_TIMEOUT",
            detail: after === 0 ? "no first token in time" : "no next token in time"
          })
          assert.strictEqual(texts.join(""), after === 0 ? "" : "Hello, ")
          yield* Patience.eventually(() => vendor.counts.abandoned === 1)
        }))
    }

    for (
      const [phase, fault] of [
        ["before the head of the response", { after: "request", how: "hang" }],
        ["before the first token", { after: 0, how: "hang" }],
        ["between two tokens", { after: 2, how: "hang" }]
      ] as const
    ) {
      test(`closes its socket when a stream is interrupted ${phase}`, (vendor, provider) =>
        Effect.gen(function*() {
          vendor.script({ fault })
          const reading = yield* Effect.fork(drain(provider))
          yield* Patience.eventually(() => vendor.requests.length === 1)
          yield* Effect.sleep("50 millis")
          assert.strictEqual(vendor.counts.open, 1)
          yield* Fiber.interrupt(reading).pipe(Patience.bounded)
          yield* Patience.eventually(() => vendor.counts.abandoned === 1)
        }))
    }

    test("closes its socket when a call is interrupted while it connects", (vendor) =>
      Effect.gen(function*() {
        const knocking = yield* provider(kind, vendor, { baseUrl: vendor.unreachable })
        const calls = [
          yield* Effect.fork(drain(knocking)),
          yield* Effect.fork(knocking.complete(request))
        ]
        yield* Patience.eventually(() => vendor.counts.knocking === 2)
        yield* Fiber.interruptAll(calls).pipe(Patience.bounded)
        yield* Patience.eventually(() => vendor.counts.knocking === 0)
      }))

    test("closes its socket when the scope of a stream closes", (vendor, provider) =>
      Effect.gen(function*() {
        vendor.script({ fault: { after: 2, how: "hang" } })
        const scope = yield* Scope.make()
        const pull = yield* Scope.extend(provider.stream(request), scope)
        assert.strictEqual((yield* pull)._tag, "Text")
        yield* Scope.close(scope, Exit.void)
        yield* Patience.eventually(() => vendor.counts.abandoned === 1)
      }))

    test("closes its socket when a whole answer is interrupted", (vendor, provider) =>
      Effect.gen(function*() {
        vendor.script({ fault: { after: "request", how: "hang" } })
        const waiting = yield* Effect.fork(provider.complete(request))
        yield* Patience.eventually(() => vendor.requests.length === 1)
        yield* Fiber.interrupt(waiting).pipe(Patience.bounded)
        yield* Patience.eventually(() => vendor.counts.abandoned === 1)
      }))
  })
}

describe("openai", () => {
  it.scopedLive("says StreamingUnsupported when the vendor refuses to stream", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      vendor.otherwise({ refusesStreaming: true })
      const { failure } = yield* drain(yield* provider("openai", vendor))
      assert.deepInclude(failure, { _tag: "StreamingUnsupported", provider: "p", answer: undefined })
    }))

  it.scopedLive("keeps the whole answer that came instead of a stream", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      vendor.otherwise({ whole: true })
      const { failure } = yield* drain(yield* provider("openai", vendor))
      assert.deepInclude(failure, {
        _tag: "StreamingUnsupported",
        answer: { text: "Hello, world", usage, finishReason: "stop" }
      })
    }))

  it.scopedLive("sends no key of ours to an endpoint that has none, and none of the environment's", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      yield* (yield* provider("openai", vendor, { apiKey: undefined })).complete(request)
      assert.strictEqual(vendor.requests[0]!.headers.authorization, "Bearer no-key-configured")
      assert.notProperty(vendor.requests[0]!.headers, "openai-organization")
    }))

  it.scopedLive("limits the answer as configured, in the words of the endpoint", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      yield* (yield* provider("openai", vendor, { maxOutputTokens: 99 })).complete(request)
      yield* (yield* provider("anthropic", vendor, { maxOutputTokens: 99 })).complete(request)
      assert.isTrue(vendor.requests.every(({ body }) => (body as Record<string, unknown>)["max_tokens"] === 99))
    }))
})
