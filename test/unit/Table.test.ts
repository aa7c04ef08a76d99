import { assert, describe, it } from "@effect/vitest"
import * as Table from "../../src/terminal/Table.js"
import * as Width from "../../src/terminal/Width.js"

const widths = (table: string) => new Set(table.split("\n").map(Width.of))

describe("Table.render", () => {
  it("draws a heavy head over light rows", () => {
    assert.deepStrictEqual(Table.render(["Name", "Ready"], [["web", "1/1"], ["db"]]).split("\n"), [
      "┏━━━━━━┳━━━━━━━┓",
      "┃ Name ┃ Ready ┃",
      "┡━━━━━━╇━━━━━━━┩",
      "│ web  │ 1/1   │",
      "│ db   │       │",
      "└──────┴───────┘"
    ])
  })

  it("aligns wide characters", () => {
    const table = Table.render(["名前", "State"], [["数据库", "⚠️"], ["👨‍👩‍👧‍👦", "🇩🇪"], ["e\u0301", "ok"]])
    assert.deepStrictEqual([...widths(table)], [18])
  })

  it("is as wide as its text without a width, blanks included", () => {
    assert.include(Table.render(["A", "B"], [["x".repeat(300), " y  z "]]), `│ ${"x".repeat(300)} │  y  z  │`)
    assert.strictEqual(
      Table.render(["A", "B"], [["x", " y  z "]], { width: undefined }),
      Table.render(["A", "B"], [["x", " y  z "]], { width: 200 })
    )
  })

  it("wraps between words first, and leaves names whole", () => {
    const rows = [["checkout-7d9c5b6f4-x2v9q", "The image example.com/shop/checkout:1.9.3 does not exist."]]
    const drawn = (width: number) => Table.render(["Pod", "Why"], rows, { width }).split("\n").slice(3, -1)
    assert.deepStrictEqual(drawn(70), [
      "│ checkout-7d9c5b6f4-x2v9q │ The image                               │",
      "│                          │ example.com/shop/checkout:1.9.3 does    │",
      "│                          │ not exist.                              │"
    ])
    // Too narrow for the longest word: that of the text is broken, and the name stays as it is.
    assert.include(drawn(50)[0], "│ checkout-7d9c5b6f4-x2v9q │ The image ")
    assert.include(drawn(47)[0], "│ checkout-7d9c5b6f4-x2v9q │ The image ")
    assert.notInclude(drawn(46)[0], "checkout-7d9c5b6f4-x2v9q")
    assert.deepStrictEqual([...widths(drawn(46).join("\n"))], [46])
  })

  it("wraps the head and what has no blanks too", () => {
    const table = Table.render(["A long heading", "https://example.com"], [["数据库数据库数据库", "b"]], { width: 20 })
    assert.deepStrictEqual([...widths(table)], [20])
    assert.strictEqual(table.replaceAll(/[^a-z数据库:/.]/g, "").length, "longheadinghttps://example.comb".length + 9)
  })

  it("leaves a few letters to each column, also where there is no room for them", () => {
    assert.deepStrictEqual([...widths(Table.render(["abcdefgh", "ij"], [], { width: 5 }))], [13])
  })

  it("shows nothing that a terminal would obey", () => {
    const table = Table.render(["\u001b[2J", "b"], [["c\rd\u202e", "\u009b1m\n"]])
    assert.notMatch(table.replaceAll("\n", ""), /[\u0000-\u001f\u0080-\u009f\u202e]/)
    assert.strictEqual(table.split("\n").length, 5)
  })
})

describe("Table.fits", () => {
  it("says whether each column has room for a few letters", () => {
    assert.isTrue(Table.fits(2, 15))
    assert.isFalse(Table.fits(2, 14))
  })
})
