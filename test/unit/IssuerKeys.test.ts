import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as Issuers from "../../src/auth/Issuers.js"
import { logged, now, pair, publicJwk, refusal, serve, set, settings, sign } from "../support/IdentityProvider.js"
import * as Patience from "../support/Patience.js"

const [es, next, stranger] = await Promise.all([pair("ES256"), pair("EdDSA"), pair("EdDSA")])
const jwks = set(await publicJwk(es, { kid: "es" }))
const rotated = set(await publicJwk(next, { kid: "next" }))

const withUrl = Effect.gen(function*() {
  yield* TestClock.setTime(now * 1000)
  const server = yield* serve(jwks)
  const issuers = yield* Effect.provide(
    Issuers.make({ corp: settings({ jwks_url: server.url }) }),
    NodeContext.layer
  )
  return { server, corp: issuers.find("https://login.example.com")! }
})

describe("Issuer.verify, with keys from an address", () => {
  it.scoped("knows a new key at once, and a withdrawn one no more", () =>
    Effect.gen(function*() {
      const { corp, server } = yield* withUrl
      yield* TestClock.adjust("30 seconds")
      server.give(rotated)
      const claims = yield* corp.verify(yield* sign(next, { kid: "next" }), now)
      assert.strictEqual(claims.keyId, "next")
      assert.strictEqual(yield* refusal(corp, yield* sign(es, { kid: "es" })), "unknown_key")
      assert.strictEqual(server.requests(), 2)
    }))

  it.scoped("makes one fetch in 30 seconds of any number of invented key ids", () =>
    Effect.gen(function*() {
      const { corp, server } = yield* withUrl
      for (let round = 1; round <= 3; round++) {
        const forged = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, index) => index),
          (index) => sign(stranger, { kid: `invented-${round}-${index}` })
        )
        const refusals = yield* Effect.forEach(forged, (token) => refusal(corp, token), { concurrency: "unbounded" })
        assert.deepStrictEqual(new Set(refusals), new Set(["unknown_key"]))
        assert.strictEqual(server.requests(), round)
        yield* TestClock.adjust("30 seconds")
      }
    }))

  it.scoped("answers tokens of known keys while it waits for others", () =>
    Effect.gen(function*() {
      const { corp, server } = yield* withUrl
      yield* TestClock.adjust("30 seconds")
      server.answer(() => {})
      const waiting = yield* Effect.fork(refusal(corp, yield* sign(next, { kid: "next" })))
      yield* Patience.eventually(() => server.requests() === 2)
      yield* corp.verify(yield* sign(es, { kid: "es" }), now)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(waiting), "unknown_key")
    }))

  it.scoped("says that nobody can tell once its keys are a day old", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const { corp, server } = yield* withUrl
      const token = yield* sign(es, { kid: "es" }, { exp: now + 1e6 })
      server.answer((_, response) => void response.writeHead(500).end())
      yield* TestClock.adjust("23 hours")
      yield* corp.verify(token, now)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* refusal(corp, token), "unavailable")
      server.give(jwks)
      yield* TestClock.adjust("30 seconds")
      yield* corp.verify(token, now)
      assert.notInclude(lines.join(), "hunter2")
      assert.include(lines[0], "\"issuer\":\"corp\"")
    }).pipe(logged(lines))
  })

  it.scoped("starts although one of its addresses is silent, in the time of one", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(now * 1000)
      const server = yield* serve(jwks)
      const [good, silent, deaf] = [server.url, yield* serve(jwks), yield* serve(jwks)]
      for (const { answer } of [silent, deaf]) answer(() => {})
      const starting = yield* Effect.fork(Effect.provide(
        Issuers.make({
          silent: settings({ issuer: "silent", jwks_url: silent.url }),
          deaf: settings({ issuer: "deaf", jwks_url: deaf.url }),
          corp: settings({ jwks_url: good })
        }),
        NodeContext.layer
      ))
      yield* Patience.eventually(() => silent.requests() + deaf.requests() + server.requests() === 3)
      yield* TestClock.adjust("5 seconds")
      const issuers = yield* Fiber.join(starting)
      yield* issuers.find("https://login.example.com")!.verify(yield* sign(es, { kid: "es" }), now)
      const token = yield* sign(es, { kid: "es" }, { iss: "deaf" })
      assert.strictEqual(yield* refusal(issuers.find("deaf")!, token), "unavailable")
    }))
})
