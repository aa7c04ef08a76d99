/**
 * A small piece of an answer must not wait for the next one (Nagle's algorithm), on no socket that it comes through.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Stream } from "effect"
import * as Net from "node:net"
import { ProxyClient } from "../../src/client/ProxyClient.js"
import * as Kinds from "../../src/models/Kinds.js"
import { Listening } from "../../src/server/ServerLayer.js"
import * as FakeVendor from "../../src/testing/FakeVendor.js"
import * as TestServer from "../../src/testing/TestServer.js"

/** The sockets that are told to send at once, as long as the scope lives. */
const told = Effect.acquireRelease(
  Effect.sync(() => {
    const sockets = new Set<Net.Socket>()
    const prototype = Net.Socket.prototype
    const original = Object.getOwnPropertyDescriptor(prototype, "setNoDelay")!
    const set = original.value as (this: Net.Socket, noDelay?: boolean) => Net.Socket
    prototype.setNoDelay = function(noDelay = true) {
      if (noDelay) sockets.add(this)
      else sockets.delete(this)
      return set.call(this, noDelay)
    }
    return { sockets, restore: () => Object.defineProperty(prototype, "setNoDelay", original) }
  }),
  ({ restore }) => Effect.sync(restore)
)

describe("TCP_NODELAY", () => {
  it.scopedLive("is set on the server's, the client's and the provider's connections", () =>
    Effect.gen(function*() {
      const { sockets } = yield* told
      const vendor = yield* FakeVendor.make()
      const provider = yield* Kinds.make("openai", {
        name: "openai",
        apiKey: Redacted.make("key"),
        baseUrl: vendor.openai,
        models: undefined,
        defaultModel: "one",
        maxOutputTokens: undefined,
        maxRetries: undefined,
        maxConcurrent: undefined,
        timeouts: {},
        modelTimeouts: new Map()
      })
      yield* Effect.gen(function*() {
        const proxy = yield* ProxyClient
        const { port } = yield* Listening
        yield* Stream.runDrain(proxy.stream({ user: ["hi"] }))
        const found = [...sockets]
        assert.isTrue(found.some(({ localPort }) => localPort === port), "the server's")
        assert.isTrue(found.some(({ remotePort }) => remotePort === port), "the client's")
        assert.isTrue(found.some(({ remotePort }) => remotePort === vendor.port), "the provider's")
      }).pipe(Effect.provide(TestServer.layer({ providers: [provider] })))
    }))
})
