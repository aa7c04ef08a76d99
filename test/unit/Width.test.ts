import { assert, describe, it } from "@effect/vitest"
import * as Width from "../../src/terminal/Width.js"

describe("Width.of", () => {
  for (
    const [what, text, width] of [
      ["letters", "kubectl", 7],
      ["letters with accents", "Zürich", 6],
      ["a letter with a combining mark", "e\u0301", 1],
      ["Chinese", "数据库", 6],
      ["Japanese with a voiced mark of its own", "か\u3099", 2],
      ["Korean", "한국어", 6],
      ["Korean in single letters", "\u1112\u1161\u11ab", 2],
      ["full and half width forms", "Ａｱ", 3],
      ["an emoji", "🚀", 2],
      ["a sign that is an emoji only with the selector", "⚠", 1],
      ["a sign with the selector for emoji", "⚠\ufe0f", 2],
      ["a keycap", "1\ufe0f\u20e3", 2],
      ["a colour of skin", "👍🏽", 2],
      ["a family of joined emoji", "👨‍👩‍👧‍👦", 2],
      ["a flag", "🇩🇪", 2],
      ["two flags", "🇩🇪🇫🇷", 4],
      ["half a flag", "🇩", 1],
      ["a flag of joined emoji", "🏳️‍🌈", 2],
      ["ticks and bars", "✓ ┃ • …", 7],
      ["a blank of no width", "a\u200bb", 2],
      ["a soft hyphen", "数\u00ad", 3],
      ["an ambiguous sign", "±", 1],
      ["a hexagram", "䷀", 2],
      ["a character beyond the first plane", "𠀀", 2],
      ["nothing", "", 0]
    ] as const
  ) {
    it(what, () => assert.strictEqual(Width.of(text), width))
  }
})

describe("Width.split", () => {
  it("takes what fits", () => {
    assert.deepStrictEqual(Width.split("kubectl", 3), ["kub", "ectl"])
    assert.deepStrictEqual(Width.split("数据库", 5), ["数据", "库"])
  })

  it("keeps together what is seen as one character", () => {
    assert.deepStrictEqual(Width.split("👨‍👩‍👧‍👦🚀", 3), ["👨‍👩‍👧‍👦", "🚀"])
    assert.deepStrictEqual(Width.split("e\u0301e\u0301", 1), ["e\u0301", "e\u0301"])
  })

  it("takes one character at least", () => {
    assert.deepStrictEqual(Width.split("数据", 1), ["数", "据"])
    assert.deepStrictEqual(Width.split("ab", 0), ["a", "b"])
  })
})

describe("Width.shorten", () => {
  it("leaves alone what fits", () => {
    assert.strictEqual(Width.shorten("pods", 4), "pods")
    assert.strictEqual(Width.shorten("数据", 4), "数据")
  })

  it("says with an ellipsis that something is missing, within the width", () => {
    assert.strictEqual(Width.shorten("nodes", 4), "nod…")
    assert.strictEqual(Width.shorten("数据库", 4), "数…")
    assert.strictEqual(Width.shorten("nodes", 1), "…")
    assert.strictEqual(Width.shorten("nodes", 0), "")
    assert.strictEqual(Width.shorten("nodes", -3), "")
  })
})
