import { assert, describe, it } from "@effect/vitest"
import * as VerifiedTokens from "../../src/auth/VerifiedTokens.js"

describe("VerifiedTokens", () => {
  it("forgets the oldest first", () => {
    const verified = VerifiedTokens.make<{ readonly of: string }>(2)
    for (const token of ["a", "b", "b", "c"]) verified.add(token, { of: token }, 10)
    assert.isUndefined(verified.get("a", 0))
    assert.deepStrictEqual(verified.get("b", 0), { of: "b" })
    assert.deepStrictEqual(verified.get("c", 0), { of: "c" })
  })

  it("keeps nothing past its expiry, not even if the clock goes back", () => {
    const verified = VerifiedTokens.make<{ readonly of: string }>()
    verified.add("a", { of: "a" }, 10)
    assert.isDefined(verified.get("a", 9))
    assert.isUndefined(verified.get("a", 10))
    assert.isUndefined(verified.get("a", 9))
  })

  it("forgets all when it is told to", () => {
    const verified = VerifiedTokens.make<{ readonly of: string }>()
    verified.add("a", { of: "a" }, 10)
    verified.clear()
    assert.isUndefined(verified.get("a", 0))
  })
})
