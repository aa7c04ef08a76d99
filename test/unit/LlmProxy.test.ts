import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Layer, Ref, Stream, TestClock } from "effect"
import { unrestricted } from "../../src/domain/Access.js"
import type { AnswerRequest, Caller } from "../../src/domain/Answer.js"
import * as Memory from "../../src/limits/Memory.js"
import * as Catalog from "../../src/models/Catalog.js"
import type { Provider, ProviderRequest } from "../../src/models/Provider.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"

const caller: Caller = { subject: "test", tokenId: "j", access: unrestricted, features: new Set(), deadline: Infinity }
const request: AnswerRequest = {
  requestId: "r",
  model: "fake/one",
  system: ["be brief", "be kind"],
  user: ["what", "is", "it?"],
  responseSchema: undefined
}
const layer = (...providers: ReadonlyArray<Provider>) =>
  LlmProxy.layer.pipe(
    Layer.provide(Memory.layer),
    Layer.provide(
      Catalog.Catalog.layer({ providers, aliases: new Map([["uno", "fake/one"]]), defaultModel: undefined })
    )
  )
const priced = [{ name: "one", streams: true, contextLength: undefined, price: { input: 2, output: 10 } }]

describe("LlmProxy.execute", () => {
  it.effect("joins the fragments of each role by a blank line, and resolves the alias", () =>
    Effect.gen(function*() {
      const seen = yield* Ref.make<ProviderRequest | undefined>(undefined)
      const provider = FakeProvider.make({
        complete: (prompt) => Effect.as(Ref.set(seen, prompt), { text: "it", usage: undefined })
      })
      const proxy = yield* Effect.provide(LlmProxy, layer(provider))
      const answer = yield* proxy.execute({ ...request, model: "uno" }, caller)
      assert.strictEqual(answer.model, "fake/one")
      const { onSent: _, onUsage: __, ...sent } = (yield* Ref.get(seen)) ?? {}
      assert.deepStrictEqual(sent, {
        model: "one",
        system: "be brief\n\nbe kind",
        user: "what\n\nis\n\nit?",
        schema: undefined
      })
    }))

  it.effect("counts what the provider reports, and prices it", () =>
    Effect.gen(function*() {
      const provider = FakeProvider.make({
        models: priced,
        complete: () =>
          Effect.as(Effect.sleep("1500 millis"), { text: "it", usage: { inputTokens: 1000, outputTokens: 100 } })
      })
      const proxy = yield* Effect.provide(LlmProxy, layer(provider))
      yield* TestClock.adjust("1 hour")
      const fiber = yield* Effect.fork(proxy.execute(request, caller))
      yield* TestClock.adjust("1500 millis")
      assert.deepStrictEqual((yield* fiber.await).pipe((exit) => exit._tag === "Success" && exit.value.metrics), {
        _tag: "Metrics",
        durationMs: 1500,
        inputTokens: 1000,
        outputTokens: 100,
        estimated: false,
        costUsd: 0.003,
        retryCount: 0,
        timestamp: 3601
      })
    }))

  it.effect("says that a count is an estimate when the provider reports none", () =>
    Effect.gen(function*() {
      const proxy = yield* Effect.provide(LlmProxy, layer(FakeProvider.make()))
      const { metrics } = yield* proxy.execute(request, caller)
      assert.isTrue(metrics.estimated)
      assert.strictEqual(metrics.outputTokens, 2)
      assert.isUndefined(metrics.costUsd)
    }))

  for (const user of [[], [""], ["  ", "\n"]]) {
    it.effect(`refuses a request without text: ${JSON.stringify(user)}`, () =>
      Effect.gen(function*() {
        const proxy = yield* Effect.provide(LlmProxy, layer(FakeProvider.make()))
        const error = yield* Effect.flip(proxy.execute({ ...request, user }, caller))
        assert.deepInclude(error, { reason: "INVALID_REQUEST", field: "user_fragments" })
      }))
  }

  for (const model of ["a\nb", "\u001b[2J", "x".repeat(300)]) {
    it.effect(`refuses a model name that cannot be repeated: ${JSON.stringify(model.slice(0, 9))}`, () =>
      Effect.gen(function*() {
        const proxy = yield* Effect.provide(LlmProxy, layer(FakeProvider.make()))
        const error = yield* Effect.flip(proxy.execute({ ...request, model }, caller))
        assert.deepInclude(error, { reason: "INVALID_REQUEST", field: "model_name" })
      }))
  }

  for (const responseSchema of ["{", "[]", "{\"type\":\"string\"}"]) {
    it.effect(`refuses the response schema ${responseSchema}`, () =>
      Effect.gen(function*() {
        const proxy = yield* Effect.provide(LlmProxy, layer(FakeProvider.make()))
        const error = yield* Effect.flip(proxy.execute({ ...request, responseSchema }, caller))
        assert.deepInclude(error, { reason: "INVALID_REQUEST", field: "response_model_schema" })
      }))
  }
})

describe("LlmProxy.stream", () => {
  it.effect("ends with Done, then Metrics of the text that counts", () =>
    Effect.gen(function*() {
      const usage = { inputTokens: 3, outputTokens: 2 }
      const provider = FakeProvider.make({
        models: priced,
        stream: () =>
          Effect.sync(() =>
            FakeProvider.pieces([FakeProvider.text("a"), FakeProvider.text("b"), FakeProvider.end(usage)])
          )
      })
      const proxy = yield* Effect.provide(LlmProxy, layer(provider))
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(proxy.stream(request, caller)))
      assert.deepStrictEqual(events.map(({ _tag }) => _tag), ["Start", "Text", "Text", "Done", "Metrics"])
      assert.deepInclude(events.at(-2), { model: "fake/one" })
      assert.deepInclude(events.at(-1), { ...usage, estimated: false, retryCount: 0, costUsd: 0.000026 })
    }))

  it.effect("closes the provider's stream when its reader stops", () =>
    Effect.gen(function*() {
      const closed = yield* Ref.make(false)
      const provider = FakeProvider.make({
        stream: () =>
          Effect.as(
            Effect.addFinalizer(() => Ref.set(closed, true)),
            FakeProvider.pieces([FakeProvider.text("a"), Effect.never])
          )
      })
      const proxy = yield* Effect.provide(LlmProxy, layer(provider))
      yield* Stream.runDrain(Stream.take(proxy.stream(request, caller), 2))
      assert.isTrue(yield* Ref.get(closed))
    }))
})

describe("LlmProxy.serverInfo", () => {
  it.effect("lists what can be called, by which names, and the extensions of the wire", () =>
    Effect.gen(function*() {
      const proxy = yield* Effect.provide(LlmProxy, layer(FakeProvider.make()))
      const info = yield* proxy.serverInfo(caller)
      assert.strictEqual(info.defaultModel, "fake/one")
      assert.deepStrictEqual(info.models.map(({ aliases, id }) => [id, [...aliases].sort()]), [["fake/one", [
        "one",
        "uno"
      ]]])
      assert.strictEqual(info.aliases.get("uno"), "fake/one")
      assert.deepStrictEqual(info.features, ["start", "restart", "heartbeat"])
    }))
})
