/**
 * Whatever comes as a bearer token: only a good one is taken, and everything
 * else fails as `Unauthenticated`, never as a defect.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Either, Exit, FastCheck as fc, Redacted } from "effect"
import * as Bearer from "../../src/auth/Bearer.js"
import * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Forgeries from "../support/Forgeries.js"
import { forAll } from "../support/Property.js"
import * as Property from "../support/Property.js"

const issued = Effect.gen(function*() {
  const tokens = Tokens.make(
    yield* SigningKey.make(Redacted.make("a secret of more than thirty-two bytes"), "this test")
  )
  const token = Redacted.value(yield* tokens.issue("ci", Duration.hours(1)))
  return { tokens, token }
})

const refused = (tokens: Tokens.Tokens["Type"]) => (token: string): Effect.Effect<void> =>
  Effect.map(Effect.exit(tokens.verify(Redacted.make(token))), (exit) => {
    assert.isTrue(Exit.isFailure(exit), "accepted")
    if (Exit.isSuccess(exit) || exit.cause._tag !== "Fail") throw new Error(`a defect: ${String(exit)}`)
    assert.strictEqual(exit.cause.error._tag, "Unauthenticated")
  })

describe("Bearer.parse", () => {
  it("gives a token without spaces, or Unauthenticated, for every text", async () => {
    const header = fc.oneof(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.tuple(fc.constantFrom("Bearer ", "bearer\t", " BEARER  "), fc.string({ unit: "binary" })).map((parts) =>
        parts.join("")
      )
    )
    await Property.check(
      fc.property(header, (header) => {
        const parsed = Bearer.parse(header)
        if (Either.isRight(parsed)) {
          const token = Redacted.value(parsed.right)
          assert.match(header, /^\s*bearer /i)
          assert.isTrue(header.trimEnd().endsWith(` ${token}`))
          assert.match(token, /^\S+$/)
        } else assert.strictEqual(parsed.left._tag, "Unauthenticated")
      }),
      5000
    )
  })

  it("takes the good token after every spelling of the scheme, and no header of the forgeries", async () => {
    for (const scheme of ["Bearer ", "bearer ", "BEARER   ", " bEaReR "]) {
      assert.strictEqual(Redacted.value(Either.getOrThrow(Bearer.parse(`${scheme}a.b.c `))), "a.b.c")
    }
    await Property.check(
      fc.property(Forgeries.header("e30.e30.c"), (header) => {
        const parsed = Bearer.parse(header)
        assert.isFalse(Either.isRight(parsed) && Redacted.value(parsed.right) === "e30.e30.c", header)
      }),
      2000
    )
  })
})

describe("Tokens.verify", () => {
  it.live("refuses every text that is not its token, as Unauthenticated", () =>
    Effect.gen(function*() {
      const { tokens, token } = yield* issued
      const anything = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), Forgeries.text(300))
      yield* forAll(anything, 1000, refused(tokens))
      assert.strictEqual((yield* tokens.verify(Redacted.make(token))).subject, "ci")
    }))

  it.live("refuses every token that is one step from a good one, as Unauthenticated, also when it knows that one", () =>
    Effect.gen(function*() {
      const { tokens, token } = yield* issued
      yield* forAll(Forgeries.mutated(token), 1500, refused(tokens))
      yield* tokens.verify(Redacted.make(token))
      yield* forAll(Forgeries.mutated(token), 1500, refused(tokens))
      assert.strictEqual((yield* tokens.verify(Redacted.make(token))).subject, "ci")
    }))

  it.live("has one text for each token: what a decoder overlooks makes no second one", () =>
    Effect.gen(function*() {
      const { tokens, token } = yield* issued
      const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
      const lasts = [...alphabet].map((last) => token.slice(0, -1) + last)
      const found = yield* Effect.filter(lasts, (text) => Effect.isSuccess(tokens.verify(Redacted.make(text))))
      assert.deepStrictEqual(found, [token])
    }))

  it.live("refuses a header whose alg is not even a text", () =>
    Effect.gen(function*() {
      const { tokens } = yield* issued
      for (const alg of [{ toString: 1 }, [{ toString: 1 }], {}, [], null, 1, true]) {
        const parts = [{ alg }, { iss: "vibectl-server" }].map((part) =>
          Buffer.from(JSON.stringify(part)).toString("base64url")
        )
        yield* refused(tokens)([...parts, "AA"].join("."))
      }
    }))

  it.live("comes to an end with a megabyte of anything", () =>
    Effect.gen(function*() {
      const { tokens, token } = yield* issued
      const size = 1 << 20
      const units = ["a", ".", "a.", "-", "=", " ", "\u0000", "\ud800", "é", "{", "[", "W3", "eyJh"]
      for (const unit of units) {
        const long = unit.repeat(size / unit.length)
        for (const text of [long, `${token}${long}`, `${long}.${token}`, `a.${long}.a`, `${long}.${long}.${long}`]) {
          assert.isTrue(Either.isEither(Bearer.parse(`Bearer ${text}`)))
          yield* refused(tokens)(text)
        }
      }
      const deep = Buffer.from("[".repeat(size)).toString("base64url")
      yield* refused(tokens)(`${deep}.${deep}.AA`)
    }))
})
