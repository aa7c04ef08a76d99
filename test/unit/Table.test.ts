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

  it("wraps the widest columns so that it fits", () => {
    const rows = [["Supported Models", "openai/gpt-4o, anthropic/claude-sonnet-4-0, demo/echo"]]
    assert.deepStrictEqual(Table.render(["Property", "Value"], rows, { width: 40 }).split("\n"), [
      "┏━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓",
      "┃ Property         ┃ Value             ┃",
      "┡━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩",
      "│ Supported Models │ openai/gpt-4o,    │",
      "│                  │ anthropic/claude- │",
      "│                  │ sonnet-4-0,       │",
      "│                  │ demo/echo         │",
      "└──────────────────┴───────────────────┘"
    ])
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
