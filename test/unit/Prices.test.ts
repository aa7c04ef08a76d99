import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { matches } from "../../src/domain/Access.js"
import * as Cost from "../../src/domain/Cost.js"
import type { Price } from "../../src/domain/ModelInfo.js"
import * as Catalog from "../../src/models/Catalog.js"
import * as Kinds from "../../src/models/Kinds.js"
import * as KnownModels from "../../src/models/KnownModels.js"
import * as Prices from "../../src/models/Prices.js"
import * as Property from "../support/Property.js"

const spec = (price: Price | undefined) => ({ name: "m", streams: true, contextLength: undefined, price })
const known = spec({ input: 7, output: 8 })
const cents = (input: number) => ({ input, output: 0 })

describe("Prices.make", () => {
  it("takes what is known of a model, and nothing for one that nobody knows", () => {
    const priceOf = Prices.make({})
    assert.deepStrictEqual(priceOf("openai/m", known), { input: 7, output: 8 })
    assert.isUndefined(priceOf("openai/m", spec(undefined)))
    assert.isUndefined(priceOf("openai/m", undefined))
  })

  it("lets the operator's prices win: the name itself, then the longest pattern", () => {
    const priceOf = Prices.make({
      "*": cents(1),
      "openai/*": cents(2),
      "openai/gpt-4o*": cents(3),
      "openai/gpt-4o": cents(4),
      "openai/gpt-4o-mini*****************": cents(5),
      "*/gpt-4o-mini-x": cents(6)
    })
    const inputs = ["a/b", "openai/x", "openai/gpt-4o-2024", "openai/gpt-4o", "openai/gpt-4o-mini", "x/gpt-4o-mini-x"]
      .map((name) => priceOf(name, known)?.input)
    assert.deepStrictEqual(inputs, [1, 2, 3, 4, 5, 6])
    assert.isUndefined(Prices.make({ "openai/gpt-4o": cents(1) })("openai/gpt-4o-mini", undefined))
    assert.deepStrictEqual(Prices.make({ "a/*": cents(0) })("a/b", known), cents(0), "free is a price")
  })

  it("takes every part of a price, and does not mix it with what is known", () => {
    const full = { input: 1, output: 2, cache_read: 0.1, cache_write: 1.25, reasoning: 3 }
    assert.deepStrictEqual(Prices.make({ "a/b": full })("a/b", undefined), {
      input: 1,
      output: 2,
      cacheRead: 0.1,
      cacheWrite: 1.25,
      reasoning: 3
    })
    const cached = spec({ input: 1, output: 1, cacheRead: 0.5 })
    assert.deepStrictEqual(Prices.make({ "a/b": { input: 9, output: 9 } })("a/b", cached), { input: 9, output: 9 })
  })
})

describe("Prices.unused", () => {
  it("names the keys that fit no provider", () => {
    const keys = [
      "openai/gpt-4o",
      "openai/*",
      "open*",
      "*",
      "*/gpt-4o",
      "o*/x",
      "gpt-4o",
      "opnai/gpt-4o",
      "openai/",
      "x*"
    ]
    const prices = Object.fromEntries(keys.map((key) => [key, cents(1)]))
    assert.deepStrictEqual(Prices.unused(prices, ["openai", "anthropic"]), ["gpt-4o", "opnai/gpt-4o", "openai/", "x*"])
    assert.deepStrictEqual(Prices.unused(prices, []), keys)
  })

  it("never names one that a model of a provider has", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "*"), maxLength: 6 })
    const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 3 })
    const model = fc.string({ unit: fc.constantFrom("a", "b", "/"), minLength: 1, maxLength: 4 })
    await Property.check(
      fc.property(text, name, model, (pattern, provider, model) => {
        if (!matches(pattern, `${provider}/${model}`)) return
        assert.deepStrictEqual(Prices.unused({ [pattern]: cents(1) }, [provider]), [], pattern)
      }),
      5000
    )
  })
})

const provider = (kind: string, more: Partial<Kinds.ProviderOptions> = {}) =>
  Kinds.make(kind, {
    name: "p",
    apiKey: undefined,
    baseUrl: undefined,
    models: undefined,
    defaultModel: undefined,
    maxOutputTokens: undefined,
    maxRetries: undefined,
    maxConcurrent: undefined,
    timeouts: {},
    modelTimeouts: new Map(),
    ...more
  })

/** What a call by this name costs at a provider called `p`. */
const priceAt = (kind: string, name: string, more: Partial<Kinds.ProviderOptions> = {}) =>
  Effect.gen(function*() {
    const providers = [yield* provider(kind, more)]
    const catalog = yield* Catalog.make({ providers, aliases: new Map(), defaultModel: undefined })
    const { fullName, spec } = yield* catalog.resolve(`p/${name}`)
    return Prices.make({})(fullName, spec)
  })

describe("the prices that are built in", () => {
  it.scoped("are those of the vendors", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* priceAt("openai", "gpt-4o"), { input: 2.5, output: 10, cacheRead: 1.25 })
      assert.deepStrictEqual(yield* priceAt("openai", "gpt-4"), { input: 30, output: 60 })
      assert.deepStrictEqual(yield* priceAt("anthropic", "claude-sonnet-4-5"), {
        input: 3,
        output: 15,
        cacheRead: 0.3,
        cacheWrite: 3.75
      })
      assert.deepInclude(yield* priceAt("anthropic", "claude-sonnet-5-5"), { cacheRead: 0.1, cacheWrite: 2.5 })
      assert.deepStrictEqual(yield* priceAt("demo", "echo"), { input: 0, output: 0 })
    }))

  it.scoped("are those of their family for the dated versions that an open provider takes", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* priceAt("openai", "gpt-4o-2024-08-06"), { input: 2.5, output: 10 })
      assert.deepInclude(yield* priceAt("openai", "gpt-4o-mini-2024-07-18"), { input: 0.15 })
      assert.deepStrictEqual(yield* priceAt("openai", "gpt-4o-2024-05-13"), { input: 5, output: 15 })
      assert.deepInclude(yield* priceAt("anthropic", "claude-sonnet-4-5-20250929"), { input: 3, cacheRead: 0.3 })
      for (const stranger of ["gpt-4o-2099-01-01", "gpt-4o-audio-preview", "gpt-4o-", "constructor", "__proto__"]) {
        assert.isUndefined(yield* priceAt("openai", stranger), stranger)
      }
      const listed = { models: [{ name: "gpt-4o-2024-08-06" }, { name: "mine" }] }
      assert.deepInclude(yield* priceAt("openai", "gpt-4o-2024-08-06", listed), { input: 2.5 })
      assert.isUndefined(yield* priceAt("openai", "mine", listed))
    }))

  it.scoped("are not those of another endpoint that serves the same names", () =>
    Effect.gen(function*() {
      const baseUrl = "http://127.0.0.1:1/v1"
      for (const name of ["gpt-4o", "gpt-4o-2024-08-06"]) {
        assert.isUndefined(yield* priceAt("openai", name, { baseUrl }))
      }
      assert.isUndefined(yield* priceAt("openai", "gpt-4o", { baseUrl, models: [{ name: "gpt-4o" }] }))
      assert.isDefined(yield* priceAt("openai", "gpt-4o", { baseUrl: "https://api.openai.com/v1" }))
    }))

  it("fit together", () => {
    const all = [...KnownModels.openai.models, ...KnownModels.anthropic.models]
    for (const { name, price } of all) {
      assert.isDefined(price, name)
      for (const { cacheRead, cacheWrite, input, output } of price.long ? [price, price.long.price] : [price]) {
        assert.isBelow(input, output, name)
        if (cacheRead !== undefined) assert.isBelow(cacheRead, input, name)
        if (cacheWrite !== undefined) assert.isAbove(cacheWrite, input, name)
      }
      assert.strictEqual(
        KnownModels.openai.find(name) ?? KnownModels.anthropic.find(name),
        all.find((model) => model.name === name)
      )
    }
  })
})

describe("Cost.ofUsage", () => {
  it("counts all of a call at the price of a long one, beyond its length and not at it", () => {
    const price = { input: 2.5, output: 15, cacheRead: 0.25, long: { above: 1000, price: { input: 5, output: 22.5 } } }
    const usage = { inputTokens: 1000, outputTokens: 10, cachedInputTokens: 400 }
    assert.strictEqual(Cost.ofUsage(price, usage), 1000 * (600 * 2.5 + 400 * 0.25 + 10 * 15))
    assert.strictEqual(Cost.ofUsage(price, { ...usage, inputTokens: 1001 }), 1000 * (1001 * 5 + 10 * 22.5))
  })
})
