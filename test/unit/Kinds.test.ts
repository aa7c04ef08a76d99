import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Kinds from "../../src/models/Kinds.js"

const options: Kinds.ProviderOptions = {
  name: "p",
  apiKey: undefined,
  baseUrl: undefined,
  models: undefined,
  defaultModel: undefined,
  maxOutputTokens: undefined,
  maxRetries: undefined,
  maxConcurrent: undefined,
  timeouts: {},
  modelTimeouts: new Map()
}
const make = (kind: string, more: Partial<Kinds.ProviderOptions> = {}) => Kinds.make(kind, { ...options, ...more })

describe("Kinds.make", () => {
  it.scoped("a vendor's own endpoint takes every model and advertises the well-known ones", () =>
    Effect.gen(function*() {
      const openai = yield* make("openai")
      assert.isTrue(openai.open)
      assert.strictEqual(openai.defaultModel, "gpt-4o")
      const names = openai.models.map(({ name }) => name)
      assert.includeMembers(names, ["gpt-4o", "gpt-4", "gpt-3.5-turbo"])
      const anthropic = yield* make("anthropic")
      const known = anthropic.models.map(({ name }) => name)
      assert.includeMembers(known, ["claude-sonnet-4-0", anthropic.defaultModel ?? "none"])
      for (const list of [names, known]) assert.strictEqual(new Set(list).size, list.length, "no name twice")
    }))

  it.scoped("another endpoint advertises nothing that it was not told", () =>
    Effect.gen(function*() {
      const ollama = yield* make("openai", { baseUrl: "http://127.0.0.1:11434/v1" })
      assert.deepStrictEqual([ollama.open, ollama.models, ollama.defaultModel], [true, [], undefined])
    }))

  it.scoped("a list of models is all there is; what is known of them is added", () =>
    Effect.gen(function*() {
      const models = [{ name: "gpt-4" }, { name: "mine", streams: false, contextLength: 99 }]
      const openai = yield* make("openai", { models })
      assert.isFalse(openai.open)
      assert.strictEqual(openai.defaultModel, "gpt-4")
      assert.deepStrictEqual(openai.models, [
        { name: "gpt-4", streams: true, contextLength: 8192, price: { input: 30, output: 60 } },
        { name: "mine", streams: false, contextLength: 99, price: undefined }
      ])
    }))

  it.scoped("demo calls nobody, and says so", () =>
    Effect.gen(function*() {
      const demo = yield* make("demo")
      const request = { model: "echo", system: "", user: "what is a pod?", schema: undefined }
      const { text } = yield* demo.complete(request)
      assert.match(text, /no LLM was called/i)
      assert.include(text, "what is a pod?")
      assert.strictEqual((yield* demo.complete(request)).text, text)
      const schema = { name: "plan", json: {} }
      assert.strictEqual(
        (yield* demo.complete({ ...request, schema })).text,
        text,
        "a schema is a part of the prompt to it"
      )
    }))
})
