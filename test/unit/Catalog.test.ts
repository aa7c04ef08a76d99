import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import * as Catalog from "../../src/models/Catalog.js"
import type { ModelSpec, Provider } from "../../src/models/Provider.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"

const spec = (name: string, streams = true): ModelSpec => ({ name, streams, contextLength: 4096, price: undefined })
const provider = (name: string, models: ReadonlyArray<string>, more: Partial<Provider> = {}): Provider =>
  FakeProvider.make({ name, models: models.map((model) => spec(model)), open: false, defaultModel: models[0], ...more })

const openai = provider("openai", ["gpt-4", "gpt-4o"], { open: true, defaultModel: "gpt-4o" })
const ollama = provider("ollama", ["llama3.1", "meta/llama-4"])
const groq = provider("groq", ["llama3.1", "qwen"])
const aliases = new Map([
  ["fast", "groq/qwen"],
  ["gpt-4", "openai/gpt-4"],
  ["claude", "anthropic/claude-sonnet-4-0"],
  ["qwen", "ollama/llama3.1"]
])
const catalog = Catalog.make({ providers: [openai, ollama, groq], aliases, defaultModel: undefined })

describe("Catalog.resolve", () => {
  for (
    const [name, fullName] of [
      [undefined, "openai/gpt-4o"],
      ["", "openai/gpt-4o"],
      ["fast", "groq/qwen"],
      ["gpt-4", "openai/gpt-4"],
      ["openai/gpt-4o", "openai/gpt-4o"],
      ["openai/not-listed", "openai/not-listed"],
      ["gpt-4o", "openai/gpt-4o"],
      ["ollama/llama3.1", "ollama/llama3.1"],
      ["ollama/meta/llama-4", "ollama/meta/llama-4"],
      ["meta/llama-4", "ollama/meta/llama-4"],
      ["qwen", "ollama/llama3.1"]
    ] as const
  ) {
    it.effect(`${name ?? "no name"} is ${fullName}`, () =>
      Effect.gen(function*() {
        const found = yield* (yield* catalog).resolve(name)
        assert.strictEqual(found.fullName, fullName)
        assert.strictEqual(`${found.provider.name}/${found.model}`, fullName)
      }))
  }

  for (
    const [name, summary, remedy] of [
      ["llama3.1", /several providers have it: ollama\/llama3\.1, groq\/llama3\.1/, /./],
      ["claude", /alias of anthropic\/claude-sonnet-4-0, and no provider 'anthropic' is configured/, /./],
      ["ollama/llama-9", /the provider 'ollama' does not serve it/, /ollama\/llama3\.1/],
      ["mistral/large", /no provider is called 'mistral'/, /./],
      ["gtp-4", /'gtp-4' is not served here/, /Did you mean gpt-4/],
      ["openai/", /not served/, /./],
      ["FAST", /not served/, /Did you mean fast/],
      ["constructor", /not served/, /./]
    ] as const
  ) {
    it.effect(`${name} is MODEL_NOT_FOUND, with the models there are and a reason`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip((yield* catalog).resolve(name))
        assert.strictEqual(error.reason, "MODEL_NOT_FOUND")
        assert.match(error.summary, summary)
        assert.match(error.remedy, remedy)
        assert.include(
          error.remedy,
          "openai/gpt-4o, openai/gpt-4, ollama/llama3.1, ollama/meta/llama-4, groq/llama3.1, groq/qwen, fast, gpt-4, qwen"
        )
      }))
  }

  it.effect("says NO_MODEL when nobody chose one", () =>
    Effect.gen(function*() {
      const empty = yield* Catalog.make({ providers: [], aliases: new Map(), defaultModel: undefined })
      assert.strictEqual(empty.defaultModel, "")
      assert.strictEqual((yield* Effect.flip(empty.resolve(undefined))).reason, "NO_MODEL")
    }))
})

describe("Catalog", () => {
  it.effect("lists every name a model answers to, with the model", () =>
    Effect.gen(function*() {
      const { models } = yield* catalog
      assert.deepStrictEqual(models.map(({ aliases, id }) => [id, ...aliases]), [
        ["openai/gpt-4", "gpt-4"],
        ["openai/gpt-4o", "gpt-4o"],
        ["ollama/llama3.1", "qwen"],
        ["ollama/meta/llama-4", "meta/llama-4"],
        ["groq/llama3.1"],
        ["groq/qwen", "fast"]
      ])
      assert.deepInclude(models[0], { displayName: "gpt-4", provider: "openai", streams: true, contextLength: 4096 })
    }))

  it.effect("advertises a default model that its provider does not list", () =>
    Effect.gen(function*() {
      const { defaultModel, models } = yield* Catalog.make({
        providers: [openai],
        aliases: new Map([["mine", "openai/ft:mine"]]),
        defaultModel: "mine"
      })
      assert.strictEqual(defaultModel, "openai/ft:mine")
      assert.deepInclude(models[0], { id: "openai/ft:mine", aliases: ["mine"] })
    }))

  for (
    const [what, options, words] of [
      ["a default model that nobody serves", { defaultModel: "openia/gpt-4o" }, /openia\/gpt-4o.*openai\/gpt-4o/s],
      ["two providers of one name", { providers: [openai, openai] }, /Two providers are called 'openai'/],
      ["an alias that leads to no full name", { aliases: new Map([["a", "gpt-4"]]) }, /'a' leads to 'gpt-4'/]
    ] as const
  ) {
    it.effect(`does not start with ${what}`, () =>
      Effect.gen(function*() {
        const standard = { providers: [openai], aliases: new Map<string, string>(), defaultModel: undefined }
        const error = yield* Effect.flip(Catalog.make({ ...standard, ...options }))
        assert.match(error.message, words)
      }))
  }

  it.effect("knows which models to try in a model's place, by whatever names they are given", () =>
    Effect.gen(function*() {
      const { fallbacks } = yield* Catalog.make({
        providers: [openai, groq],
        aliases,
        defaultModel: undefined,
        fallbacks: new Map([["gpt-4o", ["fast", "groq/llama3.1"]]])
      })
      assert.deepStrictEqual(fallbacks("openai/gpt-4o").map(({ fullName }) => fullName), ["groq/qwen", "groq/llama3.1"])
      assert.deepStrictEqual(fallbacks("groq/qwen"), [])
      const error = yield* Effect.flip(Catalog.make({
        providers: [groq],
        aliases,
        defaultModel: undefined,
        fallbacks: new Map([["qwen", ["groq/qwne"]]])
      }))
      assert.match(error.message, /fallbacks of 'qwen'/)
    }))
})

describe("Catalog.following", () => {
  const local = (list: Provider["list"]) => provider("local", [], { open: true, defaultModel: undefined, list })
  const following = (list: Provider["list"], more: Partial<Catalog.Options> = {}) =>
    Catalog.following({ providers: [local(list)], aliases: new Map(), defaultModel: undefined, ...more })

  it.scoped("takes the models and a default from the endpoint's own list, and a call without a model waits for it", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<ReadonlyArray<string>>()
      const catalog = yield* following(Deferred.await(answer))
      assert.deepStrictEqual(catalog.models, [])
      assert.strictEqual((yield* catalog.resolve("local/any")).fullName, "local/any", "does not wait for the list")
      const asked = yield* Effect.fork(catalog.resolve(undefined))
      yield* Deferred.succeed(answer, ["nomic-embed-text", "llama3.1:8b", "qwen3"])
      assert.strictEqual((yield* Fiber.join(asked)).fullName, "local/llama3.1:8b", "no model of embeddings")
      assert.deepStrictEqual(
        catalog.models.map(({ id }) => id),
        ["local/nomic-embed-text", "local/llama3.1:8b", "local/qwen3"]
      )
      assert.strictEqual(catalog.defaultModel, "local/llama3.1:8b")
      assert.strictEqual((yield* catalog.resolve("qwen3")).fullName, "local/qwen3")
      assert.strictEqual((yield* catalog.resolve("local/unlisted")).fullName, "local/unlisted")
    }))

  it.scoped("keeps the default that is configured", () =>
    Effect.gen(function*() {
      const catalog = yield* following(Effect.succeed(["other"]), { defaultModel: "local/mine" })
      yield* catalog.listed
      assert.strictEqual(catalog.defaultModel, "local/mine")
      assert.strictEqual((yield* catalog.resolve("")).fullName, "local/mine")
    }))

  it.scoped("asks an endpoint that does not answer again every half a minute, and no call waits for it then", () =>
    Effect.gen(function*() {
      let asked = 0
      const catalog = yield* following(Effect.suspend(() =>
        ++asked < 3
          ? Effect.fail({ _tag: "NotListed" as const, problem: "HTTP 503" })
          : Effect.succeed(["late"])
      ))
      yield* catalog.listed
      assert.strictEqual((yield* Effect.flip(catalog.resolve(undefined))).reason, "NO_MODEL")
      assert.strictEqual(asked, 1)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual([asked, catalog.models.length], [2, 0])
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* catalog.resolve(undefined)).fullName, "local/late")
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(asked, 3)
    }))
})
