import { assert, describe, it } from "@effect/vitest"
import { Duration, Either, FastCheck, Schema } from "effect"
import * as Fs from "node:fs"
import { Lifetime, type LifetimeInvalid, parse } from "../../src/domain/Lifetime.js"
import * as Property from "../support/Property.js"

const reference = JSON.parse(
  Fs.readFileSync(new URL("../conformance/duration_days.json", import.meta.url), "utf8")
) as { readonly inputs: ReadonlyArray<string> }

/** Days, or why not. The comments say where the deployed Python system answers otherwise. */
const expected: Record<string, number | LifetimeInvalid["problem"]> = {
  "30": 30,
  "  30  ": 30,
  "30d": 30,
  "6m": 180,
  "1y": 365,
  "2y": 730,
  "30D": 30,
  "6M": 180,
  "2Y": 730,
  // It makes a token that has expired when it is printed.
  "0": "ZERO",
  "0d": "ZERO",
  "1": 1,
  // It takes a negative number with a unit.
  "-5d": "NOT_A_LIFETIME",
  "-5": "NOT_A_LIFETIME",
  // It takes whatever Python's int() takes: signs, spaces, underscores, other scripts' digits.
  "+5d": "NOT_A_LIFETIME",
  "3 m": "NOT_A_LIFETIME",
  "1_000d": "NOT_A_LIFETIME",
  "٣d": "NOT_A_LIFETIME",
  "٣": "NOT_A_LIFETIME",
  abc: "NOT_A_LIFETIME",
  "30x": "NOT_A_LIFETIME",
  d: "NOT_A_LIFETIME",
  m: "NOT_A_LIFETIME",
  "": "NOT_A_LIFETIME",
  " ": "NOT_A_LIFETIME",
  "abc d": "NOT_A_LIFETIME",
  "1.5d": "NOT_A_LIFETIME",
  // It has no hours and weeks.
  "24h": 1,
  "2w": 14,
  "90s": "NOT_A_LIFETIME",
  "12": 12,
  // It fails later, when it computes the expiry.
  "999999999y": "TOO_LONG",
  "1y6m": "NOT_A_LIFETIME",
  d30: "NOT_A_LIFETIME"
}

describe("Lifetime.parse", () => {
  it("decides every input of the reference, and no other", () => {
    assert.sameMembers(Object.keys(expected), [...reference.inputs])
  })

  for (const input of reference.inputs) {
    it(`decides ${JSON.stringify(input)}`, () => {
      const found = Either.match(parse(input), { onLeft: (error) => error.problem, onRight: Duration.toDays })
      assert.strictEqual(found, expected[input])
    })
  }

  it("takes up to 100 years in every unit and not one more", () => {
    for (const [most, unit] of [[876_000, "h"], [36_500, "d"], [36_500, ""], [5214, "w"], [1216, "m"], [100, "y"]]) {
      assert.isTrue(Either.isRight(parse(`${most}${unit}`)), `${most}${unit}`)
      assert.strictEqual(Either.getOrThrow(Either.flip(parse(`${Number(most) + 1}${unit}`))).problem, "TOO_LONG")
    }
    assert.strictEqual(Either.getOrThrow(Either.flip(parse("9".repeat(400)))).problem, "TOO_LONG")
  })

  it("says what was found and what would do", () => {
    const { message } = Either.getOrThrow(Either.flip(parse("90s")))
    assert.include(message, "\"90s\"")
    for (const example of ["12h", "30d", "2w", "6m", "1y"]) assert.include(message, example)
    assert.include(Either.getOrThrow(Either.flip(parse("101y"))).message, "longer than 100 years")
    assert.isBelow(Either.getOrThrow(Either.flip(parse("x\n".repeat(5000)))).summary.length, 120)
  })
})

describe("Lifetime", () => {
  it("is the same grammar as a schema, with the same message", () => {
    assert.deepStrictEqual(Schema.decodeSync(Lifetime)(" 2W "), Duration.days(14))
    const result = Schema.decodeEither(Lifetime)("soon")
    assert.include(
      Either.getOrThrow(Either.flip(result)).message,
      Either.getOrThrow(Either.flip(parse("soon"))).message
    )
  })

  it("encodes what it decodes", async () => {
    await Property.check(FastCheck.property(FastCheck.integer({ min: 1, max: 876_000 }), (hours) => {
      const lifetime = Duration.hours(hours)
      const text = Schema.encodeSync(Lifetime)(lifetime)
      assert.deepStrictEqual(Schema.decodeSync(Lifetime)(text), lifetime)
    }))
  })

  it("does not encode what it could not decode", () => {
    for (const duration of [Duration.zero, Duration.minutes(90), Duration.infinity, Duration.days(36_501)]) {
      assert.isTrue(Either.isLeft(Schema.encodeEither(Lifetime)(duration)))
    }
  })
})
