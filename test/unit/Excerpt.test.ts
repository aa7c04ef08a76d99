import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import * as Excerpt from "../../src/assistant/Excerpt.js"
import * as Property from "../support/Property.js"

describe("Excerpt", () => {
  it("keeps what fits as it is", () => {
    assert.strictEqual(Excerpt.of("0123456789", { head: 6, tail: 4 }), "0123456789")
  })

  it("keeps the beginning and the end of what does not, and says how much is missing", () => {
    assert.strictEqual(
      Excerpt.of("0123456789ab", { head: 6, tail: 4 }),
      "012345\n[… 2 characters are left out here …]\n89ab"
    )
  })

  it("does not depend on the pieces, and stays small", async () => {
    await Property.check(fc.property(fc.array(fc.string({ maxLength: 900 }), { maxLength: 30 }), (pieces) => {
      const excerpt = Excerpt.make({ head: 100, tail: 50 })
      for (const piece of pieces) excerpt.push(piece)
      assert.strictEqual(excerpt.text(), Excerpt.of(pieces.join(""), { head: 100, tail: 50 }))
      assert.isBelow(excerpt.text().length, 210)
    }))
  })

  it("leaves no half of a character at its cuts", () => {
    const text = Excerpt.of("😀".repeat(20), { head: 5, tail: 5 })
    assert.strictEqual(text, "😀😀\n[… 30 characters are left out here …]\n😀😀")
  })
})
