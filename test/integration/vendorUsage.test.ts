import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, type Scope } from "effect"
import type { Usage } from "../../src/domain/Answer.js"
import * as Kinds from "../../src/models/Kinds.js"
import type { Provider, ProviderRequest } from "../../src/models/Provider.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"

const kinds = ["openai", "anthropic"] as const
type Kind = typeof kinds[number]

const request: ProviderRequest = { model: "some-model", system: "", user: "what is it?", schema: undefined }

const provider = (kind: Kind, vendor: FakeVendor.FakeVendor) =>
  Kinds.make(kind, {
    name: "p",
    apiKey: undefined,
    baseUrl: vendor[kind],
    models: undefined,
    defaultModel: undefined,
    maxOutputTokens: undefined,
    maxRetries: undefined,
    maxConcurrent: undefined,
    timeouts: {},
    modelTimeouts: new Map()
  })

/** How the answer ended, and everything that was reported on the way. */
const drain = (provider: Provider) =>
  Effect.scoped(Effect.gen(function*() {
    const told: Array<Usage> = []
    const opened = yield* Effect.either(provider.stream({ ...request, onUsage: (usage) => void told.push(usage) }))
    if (Either.isLeft(opened)) return { told, usage: undefined }
    for (;;) {
      const piece = yield* Effect.either(opened.right)
      if (Either.isLeft(piece)) return { told, usage: undefined }
      if (piece.right._tag === "End") return { told, usage: piece.right.usage }
    }
  }))

const whole = (provider: Provider) =>
  Effect.gen(function*() {
    const told: Array<Usage> = []
    const answer = yield* Effect.either(provider.complete({ ...request, onUsage: (usage) => void told.push(usage) }))
    return { told, usage: Either.isRight(answer) ? answer.right.usage : undefined }
  })

const tokens: Usage = {
  inputTokens: 1000,
  outputTokens: 90,
  cachedInputTokens: 600,
  cacheWriteTokens: 300,
  reasoningTokens: 40
}

/** What is billed, without what the bill says of itself. */
const counts = ({ complete: _, model: __, path: ___, reported: ____, ...usage }: FakeVendor.Bill): Usage => usage

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

    test(
      "knows the parts that are priced apart, streamed or whole, as the vendor bills them",
      (vendor, provider) =>
        Effect.gen(function*() {
          vendor.otherwise({ tokens })
          const answers = [yield* drain(provider), yield* whole(provider)]
          for (const { told, usage } of answers) {
            assert.deepStrictEqual(usage, tokens)
            assert.deepStrictEqual(told.at(-1), tokens)
          }
          assert.lengthOf(vendor.counts.usage, 2)
          for (const bill of vendor.counts.usage) {
            assert.deepStrictEqual(counts(bill), tokens)
            assert.deepInclude(bill, { model: "some-model", reported: true, complete: true })
          }
        })
    )

    test("tells nothing when the vendor reports nothing", (vendor, provider) =>
      Effect.gen(function*() {
        vendor.otherwise({ usage: "absent" })
        for (const answer of [yield* drain(provider), yield* whole(provider)]) {
          assert.deepStrictEqual(answer, { told: [], usage: undefined })
        }
        assert.deepStrictEqual(vendor.counts.usage.map(({ complete, reported }) => [complete, reported]), [
          [true, false],
          [true, false]
        ])
      }))

    test("knows what was reported of a stream that breaks", (vendor, provider) =>
      Effect.gen(function*() {
        const pieces = ["a", "b", "c"]
        vendor.script(
          { tokens, pieces, usage: "running", fault: { after: 2, how: "reset" } },
          { tokens, pieces, usage: "early", fault: { after: 2, how: "error" } },
          { tokens, pieces, fault: { after: 2, how: "end" } }
        )
        const told = [yield* drain(provider), yield* drain(provider), yield* drain(provider)]
        assert.isTrue(told.every(({ usage }) => usage === undefined))
        const last = told.map(({ told }) => told.at(-1))
        const bills = vendor.counts.usage
        assert.deepStrictEqual(bills.map(({ complete }) => complete), [false, false, false])
        if (kind === "openai") {
          const twoThirds = { ...tokens, outputTokens: 60 }
          assert.deepStrictEqual(last, [twoThirds, tokens, undefined])
          assert.deepStrictEqual(bills.map(counts), [twoThirds, tokens, twoThirds])
          assert.deepStrictEqual(bills.map(({ reported }) => reported), [false, true, false])
        } else {
          const { reasoningTokens: _, ...beginning } = { ...tokens, outputTokens: 1 }
          assert.deepStrictEqual(last, [beginning, beginning, beginning])
          assert.deepStrictEqual(bills.map(({ outputTokens }) => outputTokens), [60, 60, 60])
        }
      }))

    test("bills what it answered, and nothing that it refused", (vendor, provider) =>
      Effect.gen(function*() {
        vendor.script({ status: 500 }, { fault: { after: "request", how: "reset" } }, {
          fault: { after: 0, how: "error" }
        }, { fault: { after: 0, how: "end" } })
        for (let call = 0; call < 4; call++) assert.deepStrictEqual((yield* whole(provider)).told, [])
        assert.deepStrictEqual(
          vendor.counts.usage.map(({ complete, outputTokens, reported }) => ({ complete, outputTokens, reported })),
          [{ complete: false, outputTokens: 3, reported: false }]
        )
      }))
  })
}

describe("openai", () => {
  it.scopedLive("finds the usage where Groq has it, and in an answer that came instead of a stream", () =>
    Effect.gen(function*() {
      const vendor = yield* FakeVendor.make()
      const openai = yield* provider("openai", vendor)
      vendor.script({ tokens, usage: "groq" }, { tokens, whole: true })
      assert.deepStrictEqual((yield* drain(openai)).usage, tokens)
      assert.deepStrictEqual((yield* drain(openai)).told, [tokens])
    }))
})
