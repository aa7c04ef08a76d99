import { assert, describe, it } from "@effect/vitest"
import * as VerifiedTokens from "../../src/auth/VerifiedTokens.js"

describe("VerifiedTokens", () => {
  it("forgets the oldest first", () => {
    const verified = VerifiedTokens.make<{ readonly expiresAt: number }>(2)
    for (const token of ["a", "b", "b", "c"]) verified.add(token, { expiresAt: 10 })
    assert.isUndefined(verified.get("a", 0))
    assert.deepStrictEqual(verified.get("b", 0), { expiresAt: 10 })
    assert.deepStrictEqual(verified.get("c", 0), { expiresAt: 10 })
  })

  it("keeps nothing past its expiry, not even if the clock goes back", () => {
    const verified = VerifiedTokens.make<{ readonly expiresAt: number }>()
    verified.add("a", { expiresAt: 10 })
    assert.isDefined(verified.get("a", 9))
    assert.isUndefined(verified.get("a", 10))
    assert.isUndefined(verified.get("a", 9))
  })
})
