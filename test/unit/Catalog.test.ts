import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
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
        assert.include(error.remedy, "openai/gpt-4o, ollama/llama3.1, ollama/meta/llama-4, groq/llama3.1, groq/qwen")
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
