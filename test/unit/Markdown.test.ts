import { assert, describe, it } from "@effect/vitest"
import * as Markdown from "../../src/terminal/Markdown.js"

const render = (text: string, columns = 60, colour = false) => {
  const renderer = Markdown.renderer({ columns, colour })
  return renderer.push(text) + renderer.end()
}
const shows = (text: string, expected: string, columns = 60) =>
  assert.strictEqual(render(text, columns), `${expected}\n`)
/** With styles in words: `<1>` is bold, `</22>` the end of it. */
const styled = (text: string, columns = 60) =>
  render(text, columns, true).replaceAll(
    /\u001b\[(\d+)m/g,
    (_, code: string) => Number(code) < 10 || code === "36" ? `<${code}>` : `</${code}>`
  )
    .replace(/\n$/, "")

describe("text", () => {
  it("is wrapped between words", () => {
    shows("one two three four five six", "one two three four\nfive six", 20)
    shows(`${"a".repeat(10)} ${"b".repeat(9)}`, `${"a".repeat(10)} ${"b".repeat(9)}`, 20)
    shows(`${"a".repeat(10)} ${"b".repeat(10)}`, `${"a".repeat(10)}\n${"b".repeat(10)}`, 20)
  })

  it("keeps its lines, its blank lines and the blanks within a line", () => {
    shows("NAME   READY\nweb    1/1\n\n\nend", "NAME   READY\nweb    1/1\n\n\nend")
  })

  it("goes on below where an indented line has begun", () => {
    shows("   one two three four five", "   one two three\n   four five", 20)
  })

  it("ends with one newline, and is nothing if there was nothing", () => {
    assert.strictEqual(render("a"), "a\n")
    assert.strictEqual(render("a\n"), "a\n")
    assert.strictEqual(render("a\n\n"), "a\n\n")
    assert.strictEqual(render(""), "")
    assert.strictEqual(render("  "), "")
  })

  it("breaks a word that is wider than a line, but no address", () => {
    shows(`x ${"a".repeat(45)} y`, `x\n${"a".repeat(20)}\n${"a".repeat(20)}\naaaaa y`, 20)
    const address = `https://example.com/${"a".repeat(40)}`
    shows(`see ${address} now`, `see\n${address}\nnow`, 20)
    shows(`see (${address}).`, `see\n(${address}).`, 20)
  })

  it("counts the columns of wide characters and never parts what is seen as one", () => {
    shows("数据库".repeat(5), "数据库数据库数据库数\n据库数据库", 20)
    shows("👨‍👩‍👧‍👦".repeat(11), `${"👨‍👩‍👧‍👦".repeat(10)}\n👨‍👩‍👧‍👦`, 20)
    shows(`${"e\u0301".repeat(20)} b`, `${"e\u0301".repeat(20)}\nb`, 20)
  })

  it("begins no line with a sign that ends a Chinese sentence", () => {
    shows(`${"数".repeat(10)}。数`, `${"数".repeat(9)}\n数。数`, 20)
    shows(`${"数".repeat(9)}（数）`, `${"数".repeat(9)}\n（数）`, 20)
  })

  it("has nothing in it that the terminal obeys", () => {
    assert.notMatch(
      render(
        "a\u001b]0;title\u0007 \u001b[2J\r\n\u009b1m \u202ereversed\n```\n\u001b[2J\n```\n| \u001b |b|\n|-|-|\n",
        60,
        true
      )
        .replaceAll(/\u001b\[\d+m/g, "").replaceAll("\n", ""),
      /[\u0000-\u001f\u007f-\u009f\u202e]/
    )
  })

  it("has no style where there are no colours", () => {
    assert.notInclude(render("# a **b** *c* `d` [e](f)\n> g\n```\nh\n```\n---\n"), "\u001b")
  })

  it("takes a tab for blanks", () => shows("a\tb\tc", "a       b       c"))
})

describe("streaming", () => {
  it("gives out a word as soon as it is complete", () => {
    const renderer = Markdown.renderer({ columns: 60, colour: false })
    assert.strictEqual(renderer.push("Hello wor"), "Hello")
    assert.strictEqual(renderer.push("ld and"), " world")
    assert.strictEqual(renderer.push(" "), " and")
    assert.strictEqual(renderer.push("you\n"), " you\n")
    assert.strictEqual(renderer.end(), "")
  })

  it("gives out Chinese character by character", () => {
    const renderer = Markdown.renderer({ columns: 60, colour: false })
    assert.strictEqual(renderer.push("数据库"), "数据")
    assert.strictEqual(renderer.end(), "库\n")
  })

  it("waits for the end of a mark, but not longer than for the end of the line", () => {
    const renderer = Markdown.renderer({ columns: 60, colour: false })
    assert.strictEqual(renderer.push("an **open mark "), "an")
    assert.strictEqual(renderer.push("and more words "), "")
    assert.strictEqual(renderer.push("\n"), " **open mark and more words\n")
  })

  it("waits for the end of a mark, but not for ever", () => {
    const renderer = Markdown.renderer({ columns: 10_000, colour: false })
    assert.strictEqual(renderer.push("a `" + "kubectl get pods ".repeat(10)), "a")
    assert.match(renderer.push("x ".repeat(500)), /^ `kubectl get pods/)
  })

  it("waits with a line only until it is known what it is", () => {
    const renderer = Markdown.renderer({ columns: 60, colour: false })
    assert.strictEqual(renderer.push("1"), "")
    assert.strictEqual(renderer.push("2 pods run"), "12 pods")
    assert.strictEqual(renderer.push("\n- a "), " run\n• a")
    assert.strictEqual(renderer.push("\n-"), "\n")
    assert.strictEqual(renderer.push("-flag "), "--flag")
  })

  it("waits with a line of blanks or marks no longer than for some characters", () => {
    const renderer = Markdown.renderer({ columns: 1000, colour: false })
    assert.strictEqual(renderer.push("-".repeat(199)), "")
    assert.strictEqual(renderer.push("-".repeat(10) + " a "), `${"-".repeat(209)} a`)
  })

  it("waits for the second half of a character", () => {
    const renderer = Markdown.renderer({ columns: 60, colour: false })
    assert.strictEqual(renderer.push("a 🚀".slice(0, -1)), "a")
    assert.strictEqual(renderer.push("🚀".slice(1) + " "), " 🚀")
  })

  it("is as new after the end", () => {
    const renderer = Markdown.renderer({ columns: 60, colour: false })
    assert.strictEqual(renderer.push("```\na\n") + renderer.end(), "  a\n")
    assert.strictEqual(renderer.push("- b ") + renderer.end(), "• b\n")
    assert.strictEqual(renderer.push("| c ") + renderer.end(), "| c\n")
    assert.strictEqual(renderer.push("d *e") + renderer.end(), "d *e\n")
  })
})

describe("marks", () => {
  for (
    const [what, text, expected] of [
      ["bold", "a **b c** d", "a <1>b</22> <1>c</22> d"],
      ["italic", "*a* _b_", "<3>a</23> <3>b</23>"],
      ["both", "***a***", "<1><3>a</23></22>"],
      ["italic in bold", "**a *b***", "<1>a</22> <1><3>b</23></22>"],
      ["bold in italic", "*a **b** c*", "<3>a</23> <3><1>b</22></23> <3>c</23>"],
      ["code", "run `kubectl get pods`, then", "run <36>kubectl</39> <36>get</39> <36>pods</39>, then"],
      ["code with marks in it", "`a **b** \\*`", "<36>a</39> <36>**b**</39> <36>\\*</39>"],
      ["code with a backtick in it", "`` a`b ``", "<36>a`b</39>"],
      ["bold around code with stars in it", "**a `**` b**", "<1>a</22> <1><36>**</39></22> <1>b</22>"],
      ["bold in a text without blanks", "这是**粗**字", "这是<1>粗</22>字"],
      ["bold with punctuation", "(**a**): **b:** c", "(<1>a</22>): <1>b:</22> c"],
      ["a link", "[the docs](https://k8s.io/a_(b))", "the docs <2>(https://k8s.io/a_(b))</22>"],
      ["a link in bold", "**[a](b)**", "<1>a</22> <1><2>(b)</22></22>"],
      ["a link that shows its address", "[https://a.b](https://a.b)", "https://a.b"]
    ] as const
  ) {
    it(what, () => assert.strictEqual(styled(text), expected))
  }

  for (
    const text of [
      "snake_case_name and _private",
      "2*3*4 and 2 * 3 * 4",
      "*.yaml and test*",
      "**/*.ts and **",
      "a ** b ** c",
      "**open and *open and `open and [open",
      "[x] and [a](b c) and [](b) and a[0](1",
      "https://a.b/_c_/*d*/[e](f)",
      "**** and *** and ````",
      "a\\b and \\",
      "**a **b",
      "*a *b c",
      "a*b c* d",
      "**a b**c d",
      "`a",
      "~5 <b> &amp; #1 1.5 -x |"
    ]
  ) {
    it(`are none: ${text}`, () => assert.strictEqual(styled(text), text))
  }

  it("are text after a backslash", () => shows("\\*a\\* \\_b\\_ \\`c\\`", "*a* _b_ `c`"))

  it("end with the line", () => shows("**a\nb** *c\n\nd*", "**a\nb** *c\n\nd*"))

  it("are left away without colours, but for those of code", () => {
    shows("**a** *b* `c d` [e](f)", "a b `c d` e (f)")
  })
})

describe("headings", () => {
  it("are bold", () => {
    assert.strictEqual(styled("# A *b*\ntext"), "<1>A</22> <1><3>b</23></22>\ntext")
    assert.strictEqual(styled("###### A"), "<1>A</22>")
  })

  it("keep their marks where nothing is bold", () => shows("## A b", "## A b"))

  it("are none without a blank, nor with seven marks", () => {
    assert.strictEqual(styled("#1 is open"), "#1 is open")
    assert.strictEqual(styled("####### a"), "####### a")
    assert.strictEqual(styled("#"), "#")
  })
})

describe("lists", () => {
  it("hang", () => {
    shows("- one two three four five\n* six", "• one two three four\n  five\n• six", 20)
    shows("10. one two three four five\n2) six", "10. one two three\n    four five\n2) six", 20)
  })

  it("hang on every line", () => {
    shows(
      "- aaaa bbbb cccc dddd eeee ffff gggg hhhh iiii jjjj",
      "• aaaa bbbb cccc\n  dddd eeee ffff\n  gggg hhhh iiii\n  jjjj",
      20
    )
    shows(`10. ${"a".repeat(40)}`, `10. ${"a".repeat(16)}\n    ${"a".repeat(16)}\n    aaaaaaaa`, 20)
  })

  it("are nested", () => {
    shows("- a\n  - one two three four five\n\t- b", "• a\n  • one two three\n    four five\n    • b", 20)
  })

  it("are none of numbers and signs in a text", () => {
    shows("-1 degrees\n1.5 cores\n2024 was\n+ a\n1.", "-1 degrees\n1.5 cores\n2024 was\n+ a\n1.")
  })
})

describe("quotes", () => {
  it("have a bar before each line", () => {
    shows("> one two three four five\n>\n>> six", "│ one two three four\n│ five\n│ \n│ │ six", 20)
  })

  it("hold lists and headings", () => {
    shows("> - one two three four five", "│ • one two three\n│   four five", 20)
    assert.strictEqual(styled("> # a"), "<2>│ </22><1>a</22>")
  })

  it("leave room for text, however deep", () => {
    for (const line of render(`${"> ".repeat(50)}one two three four five six`, 20).split("\n")) {
      assert.isAtMost(line.length, 20)
    }
  })
})

describe("rules", () => {
  it("are drawn", () => {
    for (const text of ["---", "***", "_ _ _", "----------"]) shows(text, "─".repeat(20), 20)
    shows("---", "─".repeat(60), 200)
    shows("> ---", `│ ${"─".repeat(18)}`, 20)
  })

  it("need three marks of a kind", () => shows("--\n-*-\n--- a", "--\n-*-\n--- a"))
})

describe("code blocks", () => {
  it("are indented and not changed", () => {
    const code = `kubectl  get pods -o wide   # **a** ${"x".repeat(40)}\n\n\tb _c_ \\*`
    shows(`\`\`\`sh\n${code}\n\`\`\`\nd`, `  ${code.replaceAll(/\n(?=\t)/g, "\n  ")}\nd`, 20)
    assert.strictEqual(styled("```\na  b\n```"), "  <36>a  b</39>")
  })

  it("end with as many of the same marks as they began with", () => {
    shows("````\n```\n~~~~\n`````\na", "  ```\n  ~~~~\na")
    shows("~~~\n```\n~~~\na", "  ```\na")
    shows("```\na ```\n``` a\n", "  a ```\n  ``` a")
  })

  it("end with the text", () => {
    shows("```\na", "  a")
    shows("```\na\n```", "  a")
  })

  it("lose the blanks that the fence has before it", () => {
    shows("  ```\n  a\n    b\n c\n  ```", "    a\n      b\n    c")
  })

  it("show what is more than the name of a language", () => shows("```yaml a.yaml\nb\n```", "  yaml a.yaml\n  b"))

  it("are not begun by code in a line", () => shows("```a``` b", "```a``` b"))
})

describe("tables", () => {
  it("are drawn, with the text of their cells", () => {
    shows(
      "| Name | `State` |\n|:-----|---:|\n| **web** | a\\|b |\n| db |\nend",
      [
        "┏━━━━━━┳━━━━━━━┓",
        "┃ Name ┃ State ┃",
        "┡━━━━━━╇━━━━━━━┩",
        "│ web  │ a|b   │",
        "│ db   │       │",
        "└──────┴───────┘",
        "end"
      ].join("\n")
    )
  })

  it("fit the width", () => {
    const lines = render(`| a | b |\n|---|---|\n| ${"word ".repeat(20)} | ${"x".repeat(50)} |\n`, 40).trimEnd().split(
      "\n"
    )
    for (const line of lines) assert.strictEqual(line.length, 40)
  })

  it("are shown as they are written where there is no room", () => {
    const row = "| a | b | c | d |"
    shows(`${row}\n|---|---|---|---|`, `${row}\n|---|---|---|---|`, 20)
  })

  it("lose no cell", () => assert.include(render("| a | b |\n|-|-|\n| 1 | 2 | 3 |\n"), "│ 1 │ 2 | 3 │"))

  it("need a delimiter in the second line", () => {
    shows("| grep a\n| wc -l\nb", "| grep a\n| wc -l\nb")
    shows("| a |\nb", "| a |\nb")
    assert.include(render("| x |\n| a |\n|---|\n| b |"), "| x |\n┏━━━┓\n┃ a ┃")
  })
})
