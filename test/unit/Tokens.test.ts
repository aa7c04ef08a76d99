import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Redacted, TestClock } from "effect"
import * as Jose from "jose"
import * as Fs from "node:fs"
import * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import type { Refusal, Unauthenticated } from "../../src/domain/Errors.js"

const reference = JSON.parse(
  Fs.readFileSync(new URL("../conformance/jwt.json", import.meta.url), "utf8")
) as { readonly secret: string; readonly cases: ReadonlyArray<{ readonly name: string; readonly token: string }> }

/** The subject, or what the caller and the audit log hear. The comments say where the deployed Python system differs. */
const expected: Record<string, { readonly subject: string } | readonly [Unauthenticated["reason"], Refusal]> = {
  valid: { subject: "alice" },
  expired: ["TOKEN_EXPIRED", "expired"],
  "wrong issuer": ["TOKEN_UNTRUSTED", "unknown_issuer"],
  "no issuer": ["TOKEN_UNTRUSTED", "unknown_issuer"],
  "wrong secret": ["TOKEN_UNTRUSTED", "bad_signature"],
  HS512: ["TOKEN_UNTRUSTED", "wrong_algorithm"],
  "alg none": ["TOKEN_UNTRUSTED", "algorithm_none"],
  // It takes a token that never ends, and one that is nobody's or cannot be told from another.
  "no exp": ["TOKEN_MALFORMED", "missing_exp"],
  "no sub": ["TOKEN_MALFORMED", "missing_sub"],
  "no jti": ["TOKEN_MALFORMED", "missing_jti"],
  "no iat": { subject: "alice" },
  "iat in future": ["TOKEN_UNTRUSTED", "issued_in_the_future"],
  "nbf in future": ["TOKEN_UNTRUSTED", "not_yet_valid"],
  // It takes a number for a subject.
  "sub is number": ["TOKEN_MALFORMED", "malformed_claims"],
  "exp is string": ["TOKEN_MALFORMED", "malformed_claims"],
  "aud present": ["TOKEN_UNTRUSTED", "wrong_audience"],
  garbage: ["TOKEN_MALFORMED", "not_a_jwt"],
  empty: ["TOKEN_MALFORMED", "not_a_jwt"],
  "two parts": ["TOKEN_MALFORMED", "not_a_jwt"],
  "bad base64": ["TOKEN_MALFORMED", "not_a_jwt"],
  "tampered payload": ["TOKEN_UNTRUSTED", "bad_signature"],
  "trailing newline": ["TOKEN_MALFORMED", "not_a_jwt"],
  "trailing space": ["TOKEN_MALFORMED", "not_a_jwt"],
  "extra part": ["TOKEN_MALFORMED", "not_a_jwt"]
}

const now = 1_750_000_000
const setClock = TestClock.setTime(now * 1000)
const secret = Redacted.make("a secret of more than thirty-two bytes")
const service = Effect.map(SigningKey.make(secret, "this test"), Tokens.make)

const reasonOf = (tokens: Tokens.Tokens["Type"], token: string) =>
  Effect.map(Effect.flip(tokens.verify(Redacted.make(token))), (error) => error.reason)

/** A token of the right issuer and secret, except for what is given; undefined leaves a claim out. */
const forge = (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}) =>
  Effect.promise(() =>
    new Jose.SignJWT({ sub: "ci", iss: "vibectl-server", iat: now, exp: now + 60, jti: "1", ...claims })
      .setProtectedHeader({ alg: "HS256", ...header })
      .sign(new TextEncoder().encode(Redacted.value(secret)))
  )

describe("Tokens.verify, as the reference", () => {
  it("decides every token of the reference, and no other", () => {
    assert.sameMembers(Object.keys(expected), reference.cases.map(({ name }) => name))
  })

  for (const { name, token } of reference.cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        yield* setClock
        const tokens = Tokens.make(yield* SigningKey.make(Redacted.make(reference.secret), "the reference"))
        const found = yield* Effect.match(tokens.verify(Redacted.make(token)), {
          onFailure: (error) => [error.reason, error._tag === "Unauthenticated" ? error.refusal : error._tag],
          onSuccess: ({ subject }) => ({ subject })
        })
        assert.deepStrictEqual<unknown>(found, expected[name])
      }))
  }
})

describe("Tokens", () => {
  it.effect("verifies what it issued", () =>
    Effect.gen(function*() {
      yield* setClock
      const tokens = yield* service
      const token = yield* tokens.issue("ci", Duration.days(30))
      const claims = yield* tokens.verify(token)
      assert.strictEqual(claims.subject, "ci")
      assert.strictEqual(claims.expiresAt, now + 30 * 86_400)
      assert.deepStrictEqual(yield* tokens.verify(token), claims, "and again")
    }))

  it.effect("issues the claims and the header that other servers expect", () =>
    Effect.gen(function*() {
      yield* setClock
      const key = yield* SigningKey.make(secret, "this test")
      const tokens = Tokens.make(key)
      const token = Redacted.value(yield* tokens.issue("Zoë / ci", Duration.hours(1)))
      const { jti, ...claims } = Jose.decodeJwt(token)
      assert.deepStrictEqual(claims, { sub: "Zoë / ci", iss: "vibectl-server", iat: now, exp: now + 3600 })
      assert.match(String(jti), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      assert.deepStrictEqual(Jose.decodeProtectedHeader(token), { alg: "HS256", typ: "JWT", kid: key.kid })
      const other = Jose.decodeJwt(Redacted.value(yield* tokens.issue("Zoë / ci", Duration.hours(1))))
      assert.notStrictEqual(other.jti, jti)
    }))

  it.effect("refuses a token from the second of its expiry, verified before or not", () =>
    Effect.gen(function*() {
      yield* setClock
      const [seen, fresh] = [yield* service, yield* service]
      const token = yield* seen.issue("ci", Duration.hours(1))
      yield* seen.verify(token)
      yield* TestClock.adjust(Duration.seconds(3599))
      yield* seen.verify(token)
      yield* TestClock.adjust(Duration.seconds(1))
      assert.strictEqual(yield* reasonOf(seen, Redacted.value(token)), "TOKEN_EXPIRED")
      assert.strictEqual(yield* reasonOf(fresh, Redacted.value(token)), "TOKEN_EXPIRED")
    }))

  it.effect("refuses what another key signed", () =>
    Effect.gen(function*() {
      yield* setClock
      const tokens = yield* service
      const other = Tokens.make(
        yield* SigningKey.make(Redacted.make("another secret of more than 32 bytes"), "another")
      )
      const token = yield* other.issue("ci", Duration.hours(1))
      assert.strictEqual(yield* reasonOf(tokens, Redacted.value(token)), "TOKEN_UNTRUSTED")
    }))

  it.effect("takes a token without kid, and none with an unknown one", () =>
    Effect.gen(function*() {
      yield* setClock
      const tokens = yield* service
      yield* tokens.verify(Redacted.make(yield* forge()))
      assert.strictEqual(yield* reasonOf(tokens, yield* forge({}, { kid: "other" })), "TOKEN_UNTRUSTED")
    }))

  it.effect("takes an issuer's clock that is up to a minute ahead", () =>
    Effect.gen(function*() {
      yield* setClock
      const tokens = yield* service
      yield* tokens.verify(Redacted.make(yield* forge({ iat: now + 60 })))
      assert.strictEqual(yield* reasonOf(tokens, yield* forge({ iat: now + 61 })), "TOKEN_UNTRUSTED")
    }))

  it.effect("judges the claims that only a careless issuer makes", () =>
    Effect.gen(function*() {
      yield* setClock
      const tokens = yield* service
      const cases: ReadonlyArray<readonly [Record<string, unknown>, Unauthenticated["reason"]]> = [
        [{ sub: "" }, "TOKEN_MALFORMED"],
        [{ sub: null }, "TOKEN_MALFORMED"],
        [{ jti: "" }, "TOKEN_MALFORMED"],
        [{ jti: 7 }, "TOKEN_MALFORMED"],
        [{ exp: null }, "TOKEN_MALFORMED"],
        [{ iat: "now" }, "TOKEN_MALFORMED"],
        [{ nbf: "now" }, "TOKEN_MALFORMED"],
        [{ nbf: now + 61 }, "TOKEN_UNTRUSTED"],
        [{ exp: now + 0.5 }, "TOKEN_EXPIRED"],
        [{ vibectl: { models: "openai/*" } }, "TOKEN_MALFORMED"],
        [{ vibectl: { modles: ["openai/*"] } }, "TOKEN_MALFORMED"],
        [{ vibectl: { limits: { max_requests_per_minute: 0 } } }, "TOKEN_MALFORMED"],
        [{ vibectl: null }, "TOKEN_MALFORMED"],
        [{ iss: ["vibectl-server"] }, "TOKEN_UNTRUSTED"],
        [{ aud: [] }, "TOKEN_UNTRUSTED"]
      ]
      for (const [claims, reason] of cases) {
        assert.strictEqual(yield* reasonOf(tokens, yield* forge(claims)), reason, JSON.stringify(claims))
      }
      yield* tokens.verify(Redacted.make(yield* forge({ nbf: now + 60, exp: now + 1.5 })))
    }))

  it.effect("issues for names only", () =>
    Effect.gen(function*() {
      const tokens = yield* service
      const problems = ["", " ", "\t\n", "a\nb", "a\u0000", "a\u2028b", "\u007f", "x".repeat(256)]
      for (const subject of problems) {
        const error = yield* Effect.flip(tokens.issue(subject, Duration.hours(1)))
        assert.strictEqual(error._tag, "InvalidSubject")
        assert.include(error.message, "ci-bot")
      }
      const longest = yield* tokens.issue("x".repeat(255), Duration.hours(1))
      assert.strictEqual((yield* tokens.verify(longest)).subject.length, 255)
    }))

  it("answers a token it knows at once", async () => {
    const tokens = await Effect.runPromise(service)
    const token = await Effect.runPromise(tokens.issue("ci", Duration.hours(1)))
    assert.throws(() => Effect.runSync(tokens.verify(token)), /async/i, "a signature takes a while to check")
    await Effect.runPromise(tokens.verify(token))
    assert.strictEqual(Effect.runSync(tokens.verify(token)).subject, "ci")
    // A token that is only like one that it knows is not known.
    const other = Redacted.make(Redacted.value(token).replace(/.$/, (last) => last === "A" ? "E" : "A"))
    assert.throws(() => Effect.runSync(tokens.verify(other)))
  })

  it.effect("is a service that a key makes", () =>
    Effect.gen(function*() {
      const key = yield* SigningKey.make(secret, "this test")
      const claims = yield* Effect.provide(
        Effect.flatMap(Tokens.Tokens, (tokens) => Effect.flatMap(tokens.issue("ci", Duration.hours(1)), tokens.verify)),
        Tokens.Tokens.layer(key)
      )
      assert.isAbove(claims.expiresAt * 1000, yield* Clock.currentTimeMillis)
    }))
})
