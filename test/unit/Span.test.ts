import { assert, describe, it } from "@effect/vitest"
import { Duration, FastCheck as fc } from "effect"
import { LimitExceeded, type LimitType } from "../../src/domain/LimitErrors.js"
import * as Span from "../../src/domain/Span.js"
import * as Property from "../support/Property.js"

const words: ReadonlyArray<readonly [Duration.DurationInput, string]> = [
  [0, "1 s"],
  ["1 millis", "1 s"],
  ["36001 millis", "37 s"],
  ["59999 millis", "1 min"],
  ["60 seconds", "1 min"],
  ["61 seconds", "1 min 1 s"],
  ["3599500 millis", "1 h"],
  ["7500 seconds", "2 h 5 min"],
  ["86399 seconds", "1 d"],
  ["90000 seconds", "1 d 1 h"],
  ["31 days", "31 d"]
]

describe("Span.inWords", () => {
  for (const [span, expected] of words) {
    it(`says ${expected} for ${String(span)}`, () => assert.strictEqual(Span.inWords(Duration.decode(span)), expected))
  }

  it("never says less than the span, and at most a smaller unit more", async () => {
    const sizes: Record<string, number> = { s: 1, min: 60, h: 3600, d: 86_400 }
    await Property.check(fc.property(fc.integer({ min: 1, max: 40 * 86_400_000 }), (millis) => {
      const found = Span.inWords(Duration.millis(millis)).match(/\d+ [a-z]+/g) ?? []
      const seconds = found.reduce((sum, part) => sum + parseInt(part) * (sizes[part.split(" ")[1]!] ?? NaN), 0)
      const slack = seconds >= 86_400 ? 3600 : seconds >= 3600 ? 60 : 1
      assert.isTrue(
        seconds * 1000 >= millis && seconds * 1000 - millis <= slack * 1000,
        `${millis}: ${found.join(" ")}`
      )
    }))
  })
})

describe("a refusal by a limit", () => {
  const refusal = (type: LimitType, setsAside?: string) =>
    new LimitExceeded({
      reason: "QUOTA_EXCEEDED",
      type,
      scope: "subject",
      name: "ada",
      limit: "300 tokens per day",
      setsAside,
      retryAfter: Duration.seconds(7500)
    })
  const moments: ReadonlyArray<readonly [LimitType, string]> = [
    ["rpm", "Try again in 2 h 5 min, or"],
    ["concurrency", "Try again when one of the calls has ended, or in 2 h 5 min, or"],
    ["tokens_per_day", "Try again at 00:00 UTC, in 2 h 5 min, or"],
    ["usd_per_month", "Try again on the 1st at 00:00 UTC, in 2 h 5 min, or"]
  ]
  for (const [type, expected] of moments) {
    it(`says when there is room again: ${type}`, () => assert.include(refusal(type).remedy, expected))
  }

  it("says what one request sets aside where that alone is more than the limit, and does not ask to wait", () => {
    const { remedy, summary } = refusal("tokens_per_day", "1,486 tokens")
    assert.strictEqual(summary, "This request sets aside 1,486 tokens, and 'ada' may use 300 tokens per day.")
    assert.notInclude(remedy, "Try again")
  })
})
