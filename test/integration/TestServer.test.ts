import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { ProxyClient } from "../../src/client/ProxyClient.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"
import * as TestServer from "../../src/testing/TestServer.js"

describe("TestServer.layer", () => {
  it.live("is a real server with its client", () =>
    Effect.gen(function*() {
      const proxy = yield* ProxyClient
      const info = yield* proxy.serverInfo
      assert.strictEqual(info.defaultModel, "fake/one")
      const events = yield* Stream.runCollect(proxy.stream({ user: ["hi"], model: "uno" }))
      assert.deepStrictEqual(Chunk.toReadonlyArray(events).map(({ _tag }) => _tag), [
        "Start",
        "Text",
        "Text",
        "Done",
        "Metrics"
      ])
      assert.strictEqual((yield* proxy.execute({ user: ["hi"] })).text, "whole answer")
    }).pipe(
      Effect.provide(
        TestServer.layer({ providers: [FakeProvider.make()], aliases: new Map([["uno", "fake/one"]]) })
      )
    ))
})
