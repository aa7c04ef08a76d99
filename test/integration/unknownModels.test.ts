import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { unrestricted } from "../../src/domain/Access.js"
import type { Caller } from "../../src/domain/Answer.js"
import { ModelNotFound, ProviderFailure } from "../../src/domain/Errors.js"
import * as Memory from "../../src/limits/Memory.js"
import * as Catalog from "../../src/models/Catalog.js"
import * as VendorFailure from "../../src/models/VendorFailure.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"

const source = { provider: "openai", apiKey: undefined, isTimeout: () => false }
const of = (status: number, error: unknown) =>
  VendorFailure.fromThrown(source, { status, error, headers: new Headers() }, 0)

describe("a provider that does not know the model", () => {
  const unknown: ReadonlyArray<readonly [string, number, unknown]> = [
    ["OpenAI", 404, {
      message: "The model `gpt-9` does not exist or you do not have access to it.",
      code: "model_not_found"
    }],
    ["Anthropic", 404, { type: "error", error: { type: "not_found_error", message: "model: claude-x" } }],
    ["Ollama", 404, { error: { message: "model \"llama9\" not found, try pulling it first" } }],
    ["vLLM", 404, { object: "error", message: "The model `x` does not exist.", type: "NotFoundError", code: 404 }],
    ["Groq", 404, { error: { message: "The model `x` does not exist", code: "model_not_found" } }],
    ["Mistral", 400, { object: "error", message: "Invalid model: x", type: "invalid_model", code: "1500" }],
    ["OpenRouter", 400, { error: { message: "x is not a valid model ID", code: 400 } }]
  ]
  for (const [vendor, status, body] of unknown) {
    it(`is understood in the words of ${vendor}`, () => {
      const failure = of(status, body)
      assert.deepInclude(failure, { reason: "PROVIDER_REJECTED", unknownModel: true })
    })
  }

  const others: ReadonlyArray<readonly [number, unknown]> = [
    [404, {}],
    [404, { message: "Not Found" }],
    [400, { message: "This model's maximum context length is 8192 tokens." }],
    [401, { message: "the model does not exist", code: "invalid_api_key" }],
    [400, { message: "The tool `x` does not exist." }]
  ]
  for (const [status, body] of others) {
    it(`is not taken from ${status} ${JSON.stringify(body)}`, () =>
      assert.notStrictEqual(of(status, body).unknownModel, true))
  }

  it.scoped("is MODEL_NOT_FOUND for the caller, with what it may call and the nearest names", () =>
    Effect.gen(function*() {
      const failure = of(404, { message: "no such model", code: "model_not_found" })
      const provider = FakeProvider.make({
        name: "openai",
        models: [{ name: "gpt-4o", streams: true, contextLength: undefined, price: undefined }],
        open: true,
        maxRetries: 0
      })
      const catalog = Catalog.Catalog.layer({
        providers: [{ ...provider, complete: () => Effect.fail(failure), stream: () => Effect.fail(failure) }],
        aliases: new Map([["fast", "openai/gpt-4o"]]),
        defaultModel: "openai/gpt-4o"
      })
      const caller: Caller = {
        subject: "ada",
        tokenId: "t",
        access: unrestricted,
        deadline: Infinity,
        features: new Set()
      }
      const proxy = yield* LlmProxy.pipe(
        Effect.provide(LlmProxy.layer.pipe(Layer.provide(catalog), Layer.provide(Memory.layer)))
      )
      const request = { requestId: "r", model: "openai/gpt-4", system: [], user: ["x"], responseSchema: undefined }
      const found = yield* Effect.flip(proxy.execute(request, caller))
      assert.instanceOf(found, ModelNotFound)
      assert.match(found.summary, /openai\/gpt-4' is not served here \(the provider 'openai' does not know it\)/)
      assert.match(found.remedy, /Did you mean openai\/gpt-4o.*Available models: openai\/gpt-4o, fast/)
      assert.isFalse(found instanceof ProviderFailure)
    }))
})
