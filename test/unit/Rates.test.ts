import { assert, describe, it } from "@effect/vitest"
import * as Rates from "../../src/limits/Rates.js"
import type { Ask, Refusal } from "../../src/limits/Store.js"
import { ask, bound, used } from "../support/Asks.js"

const start = 7_200_000

/** Takes it unless it is refused. */
const reserve = (rates: Rates.Rates, ask: Ask, now: number): Refusal | undefined => {
  const refusal = rates.refusal(ask, now)
  if (refusal === undefined) rates.take(ask, now)
  return refusal
}

const outcome = (rates: Rates.Rates, ask: Ask, now: number) => {
  const refusal = reserve(rates, ask, now)
  return refusal === undefined ? "passed" : `${refusal.type} ${refusal.retryAfterMs}`
}

const settle = (rates: Rates.Rates, ask: Ask, tokens: number, now: number) =>
  rates.settle(ask, used(ask, { tokens, cost: 0 }).charges, now)

describe("Rates", () => {
  it("counts the requests of every span of 60 seconds, and says to the millisecond when the next one may come", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxRequestsPerMinute: 2 })]
    const at = (millis: number) => outcome(rates, ask(bounds), start + millis)
    assert.strictEqual(at(0), "passed")
    assert.strictEqual(at(50_000), "passed")
    assert.strictEqual(at(50_000), "rpm 10000")
    assert.strictEqual(at(59_999), "rpm 1")
    assert.strictEqual(at(60_000), "passed")
    assert.strictEqual(at(60_000), "rpm 50000", "the second of the two is still in the span")
  })

  it("sets tokens aside, and has what was used in their place as soon as that is known", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxTokensPerMinute: 100 })]
    const [first, second] = [ask(bounds, { tokens: 60 }), ask(bounds, { tokens: 40 })]
    assert.strictEqual(outcome(rates, first, start), "passed")
    assert.strictEqual(outcome(rates, second, start + 1000), "passed")
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 1 }), start + 2000), "tpm 58000")
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 61 }), start + 2000), "tpm 59000", "both have to leave")
    settle(rates, first, 10, start + 3000)
    assert.strictEqual(
      outcome(rates, ask(bounds, { tokens: 51 }), start + 4000),
      "tpm 56000",
      "in the place of the first"
    )
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 50 }), start + 4000), "passed")
  })

  it("lets others wait until the window is below the limit when more was used than was set aside", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxTokensPerMinute: 100 })]
    const [first, second] = [ask(bounds, { tokens: 50 }), ask(bounds, { tokens: 50 })]
    assert.strictEqual(outcome(rates, first, start), "passed")
    assert.strictEqual(outcome(rates, second, start + 10_000), "passed")
    settle(rates, second, 250, start + 20_000)
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 1 }), start + 60_000), "tpm 10000")
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 100 }), start + 70_000), "passed")
  })

  it("lets a call with more tokens than the limit pass when nothing else is in the window", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxTokensPerMinute: 100 })]
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 5000 }), start), "passed")
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 1 }), start + 1), "tpm 59999", "it has the whole window")
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 5000 }), start + 60_000), "passed")
  })

  it("corrects nothing that has left the window, and nothing twice", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxTokensPerMinute: 100, maxConcurrentRequests: 3 })]
    const [old, fresh] = [ask(bounds, { tokens: 50 }), ask(bounds, { tokens: 50 })]
    assert.strictEqual(outcome(rates, old, start), "passed")
    settle(rates, old, 100, start + 60_000)
    assert.strictEqual(outcome(rates, fresh, start + 60_000), "passed")
    settle(rates, old, 0, start + 60_001)
    settle(rates, fresh, 40, start + 60_001)
    settle(rates, fresh, 0, start + 60_001)
    settle(rates, ask(bounds), 0, start + 60_001)
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 61 }), start + 60_002), "tpm 59998")
    const outcomes = [1, 2, 3, 4].map(() => outcome(rates, ask(bounds, { tokens: 0 }), start + 60_002))
    assert.deepStrictEqual(outcomes, ["passed", "passed", "passed", "concurrency 1000"])
  })

  it("takes nothing of any bound for a call that one of them refuses", () => {
    const rates = Rates.make()
    const subject = bound({ maxRequestsPerMinute: 1, maxTokensPerMinute: 10, maxConcurrentRequests: 1 })
    const busy = bound({ maxConcurrentRequests: 1 }, "acme", "tenant")
    const first = ask([busy])
    assert.strictEqual(outcome(rates, first, start), "passed")
    for (let count = 0; count < 100; count++) {
      const refusal = reserve(rates, ask([subject, busy]), start)
      assert.strictEqual(refusal?.bound, busy)
    }
    settle(rates, first, 0, start)
    assert.strictEqual(outcome(rates, ask([subject, busy]), start), "passed")
  })

  it("counts a key's calls together, and those of others apart", () => {
    const rates = Rates.make()
    const subject = bound({ maxRequestsPerMinute: 3 })
    const [one, other] = ["j1", "j2"].map((name) => bound({ maxRequestsPerMinute: 2 }, name, "token"))
    const outcomes = [one, one, one, other, other].map((token) =>
      reserve(rates, ask([subject, token!]), start)?.bound.scope ?? "passed"
    )
    assert.deepStrictEqual(outcomes, ["passed", "passed", "token", "passed", "subject"])
    assert.strictEqual(outcome(rates, ask([bound({ maxRequestsPerMinute: 3 }, "bob")]), start), "passed")
  })

  it("holds nobody up for longer than a minute when the clock is set back", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxRequestsPerMinute: 2, maxTokensPerMinute: 100 })]
    const early = ask(bounds, { tokens: 100 })
    assert.strictEqual(outcome(rates, early, start + 3_600_000), "passed")
    assert.strictEqual(outcome(rates, ask(bounds), start), "tpm 60000")
    settle(rates, early, 10, start)
    assert.strictEqual(outcome(rates, ask(bounds), start + 1), "passed")
    assert.strictEqual(outcome(rates, ask(bounds), start + 59_999), "rpm 1")
    assert.strictEqual(outcome(rates, ask(bounds), start + 60_000), "passed")
  })

  it("corrects nothing that had left the window before the clock was set back", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxTokensPerMinute: 100 })]
    const early = ask(bounds, { tokens: 100 })
    assert.strictEqual(outcome(rates, early, start), "passed")
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 100 }), start + 60_000), "passed")
    settle(rates, early, 0, start + 1)
    assert.strictEqual(outcome(rates, ask(bounds, { tokens: 100 }), start + 1), "tpm 60000", "the second is untouched")
  })

  it("forgets none that is busy when there are very many keys, and counts on when it has forgotten idle ones", () => {
    const rates = Rates.make()
    const busy = [bound({ maxRequestsPerMinute: 1 }, "busy")]
    const long = [bound({ maxConcurrentRequests: 1 }, "long")]
    assert.strictEqual(outcome(rates, ask(long), start - 120_000), "passed")
    assert.strictEqual(outcome(rates, ask(busy), start), "passed")
    const spent = ask([bound({ maxTokensPerMinute: 10 }, "spent")])
    assert.strictEqual(outcome(rates, spent, start), "passed")
    settle(rates, spent, 10, start)
    for (let index = 0; index < 10_050; index++) {
      assert.strictEqual(outcome(rates, ask([bound({ maxRequestsPerMinute: 1 }, `s${index}`)]), start), "passed")
    }
    assert.strictEqual(outcome(rates, ask(busy), start), "rpm 60000")
    assert.strictEqual(outcome(rates, ask(long), start), "concurrency 1000")
    assert.strictEqual(outcome(rates, ask(spent.bounds), start), "tpm 60000")
    assert.strictEqual(outcome(rates, ask([bound({ maxRequestsPerMinute: 1 }, "late")]), start + 70_000), "passed")
    assert.strictEqual(outcome(rates, ask(busy), start + 70_000), "passed")
    assert.strictEqual(outcome(rates, ask(long), start + 70_000), "concurrency 1000")
  })

  it("counts exactly in a window that is full for long", () => {
    const rates = Rates.make()
    const bounds = [bound({ maxRequestsPerMinute: 3000 })]
    let passed = 0
    // One every 20 milliseconds is just as many as may.
    for (let now = start; now < start + 600_000; now += 20) {
      if (outcome(rates, ask(bounds), now) === "passed") passed++
    }
    assert.strictEqual(passed, 30_000)
    assert.strictEqual(outcome(rates, ask(bounds), start + 599_999), "rpm 1")
  })
})
