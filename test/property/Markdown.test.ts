import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import * as Markdown from "../../src/terminal/Markdown.js"
import { withoutStyle } from "../../src/terminal/Output.js"
import * as Width from "../../src/terminal/Width.js"
import * as Property from "../support/Property.js"

const check = <Ts>(property: fc.IRawProperty<Ts>) => Property.check(property, 200)

const words = [
  "pod",
  "web-7d9c",
  "snake_case",
  "数据库",
  "é",
  "🚀",
  "👨‍👩‍👧‍👦",
  "⚠️",
  "12",
  "x".repeat(70),
  "漢。",
  "\ud83d",
  "a.b"
]
const signs = [" ", " ", " ", "  ", "\n", "\n", "\n\n", "\t", ".", ":", "(", ")", "\\", "\u001b[2J", "\r\n", "<", "/"]
const marks = [
  "*",
  "**",
  "***",
  "_",
  "`",
  "``",
  "[lab](",
  "url)",
  "[",
  "]",
  "# ",
  "- ",
  "-",
  "---\n",
  "1. ",
  "> ",
  "   ",
  "1",
  "~"
]
const address = ["https://example.com/a_b_c?d=*e*", `(http://x/${"y".repeat(60)})`]
const tables = ["|", "| a | b |\n", "|---|---|\n", "| **c** | `d` |\n"]
const fences = ["```\n", "~~~\n", "````\n", "```yaml\n", "```"]

const texts = (...fragments: ReadonlyArray<ReadonlyArray<string>>) =>
  fc.array(fc.oneof(...fragments.map((list) => fc.constantFrom(...list))), { maxLength: 60 }).map((all) => all.join(""))
const everything = texts(words, signs, marks, address, tables, fences)
const columns = fc.integer({ min: 20, max: 90 })
const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })

/** In pieces of these lengths, over and over. */
const pieces = (text: string, lengths: ReadonlyArray<number>) => {
  const all: Array<string> = []
  for (let at = 0, next = 0; at < text.length; next++) {
    const end = at + lengths[next % lengths.length]!
    all.push(text.slice(at, end))
    at = end
  }
  return all
}
const outputs = (all: ReadonlyArray<string>, width: number, colour: boolean) => {
  const renderer = Markdown.renderer({ columns: width, colour })
  return [...all.map(renderer.push), renderer.end()]
}
/** The name of a language behind a fence is not shown. */
const namesLanguage = (text: string) => /(?:`{3}|~{3})[ \t\r]*[^\s`~]/.test(text)
const letters = (text: string) => text.match(/[\p{L}\p{N}]/gu) ?? []

describe("Markdown.renderer", () => {
  it("shows the same, however the text is cut", () =>
    check(fc.property(everything, columns, fc.boolean(), cuts, (text, width, colour, lengths) => {
      assert.strictEqual(
        outputs(pieces(text, lengths), width, colour).join(""),
        outputs([text], width, colour).join("")
      )
    })))

  for (
    const [what, few] of [
      ["marks in a line", ["*", "**", "_", "`", "a", "b", " ", "数", "\\", ".", "://", "[a](", ")"]],
      ["beginnings of lines", ["1", ".", " ", "  ", "-", "#", ">", "`", "|", "a", "\n", "\n", "\t"]]
    ] as const
  ) {
    it(`shows the same, wherever ${what} are cut`, () =>
      check(fc.property(texts(few), columns, fc.boolean(), cuts, (text, width, colour, lengths) => {
        const whole = outputs([text], width, colour).join("")
        assert.strictEqual(outputs(pieces(text, [1]), width, colour).join(""), whole)
        assert.strictEqual(outputs(pieces(text, lengths), width, colour).join(""), whole)
      })))
  }

  it("shows the same, however a text with long marks is cut", () =>
    check(fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom("*", "**", "`", "[a", "](b", ")", "-", " ", "| ", "```"),
          fc.integer({ min: 1, max: 300 })
        ),
        {
          maxLength: 8
        }
      ).map((all) => all.map(([mark, times]) => mark + "ab ".repeat(times) + mark.repeat(times)).join("")),
      columns,
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 }),
      (text, width, colour, lengths) => {
        assert.strictEqual(
          outputs(pieces(text, lengths), width, colour).join(""),
          outputs([text], width, colour).join("")
        )
      }
    )))

  it("loses and repeats no letter", () =>
    check(
      fc.property(
        texts(words, signs, marks, address, ["```\n", "~~~\n"]),
        columns,
        fc.boolean(),
        cuts,
        (text, width, colour, lengths) => {
          fc.pre(!namesLanguage(text))
          // What is left of a sequence for the terminal is text.
          assert.deepStrictEqual(
            letters(withoutStyle(outputs(pieces(text, lengths), width, colour).join(""))),
            letters(text)
          )
        }
      )
    ))

  it("loses and repeats no letter of a table", () =>
    check(
      fc.property(texts(words, signs, marks, tables), columns, fc.boolean(), cuts, (text, width, colour, lengths) => {
        fc.pre(!namesLanguage(text))
        assert.deepStrictEqual(
          letters(withoutStyle(outputs(pieces(text, lengths), width, colour).join(""))).sort(),
          letters(text).sort()
        )
      })
    ))

  it("is not wider than the terminal, but for addresses", () =>
    check(
      fc.property(
        texts(words, signs, marks, address, tables),
        columns,
        fc.boolean(),
        cuts,
        (text, width, colour, lengths) => {
          for (const line of withoutStyle(outputs(pieces(text, lengths), width, colour).join("")).split("\n")) {
            if (/^(?:[│•# ]|\d+[.)] )*\S*:\/\/\S*$/.test(line)) continue
            assert.isAtMost(Width.of(line), width, line)
          }
        }
      )
    ))

  it("leaves the terminal in its own style after each piece, and without colours never changes it", () =>
    check(fc.property(everything, columns, fc.boolean(), cuts, (text, width, colour, lengths) => {
      for (const output of outputs(pieces(text, lengths), width, colour)) {
        const styles = output.match(/\u001b\[\d+m/g) ?? []
        const closing = styles.filter((style) => /\[(22|23|39)m/.test(style))
        assert.strictEqual(styles.length, colour ? 2 * closing.length : 0)
        assert.strictEqual(output.split("\u001b").length - 1, styles.length)
      }
    })))
})
