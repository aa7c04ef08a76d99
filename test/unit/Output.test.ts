import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Exit, Layer } from "effect"
import { Writable } from "node:stream"
import { harmless, Output } from "../../src/terminal/Output.js"

/** Both streams end up in one text, as on a screen; `broken` has no reader any more. */
const screen = (options: {
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly columns?: number
  readonly env?: Record<string, string>
  readonly broken?: boolean
}) =>
  Effect.gen(function*() {
    const shown: Array<string> = []
    const stream = (isTTY: boolean | undefined) =>
      Object.assign(
        new Writable({
          write: (piece, _, done) => {
            shown.push(String(piece))
            done(options.broken === true ? new Error("EPIPE") : null)
          }
        }),
        { isTTY: isTTY ?? false, columns: options.columns ?? 100 }
      )
    const [stdout, stderr] = [stream(options.stdout), stream(options.stderr)]
    const output = Context.get(
      yield* Layer.build(Output.layer({ stdout, stderr })).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(options.env ?? {}))))
      ),
      Output
    )
    return { output, stdout, stderr, text: () => shown.join("") }
  })

describe("Output", () => {
  it.scoped("knows the columns of a terminal, also when its window changes", () =>
    Effect.gen(function*() {
      const { output, stderr, stdout } = yield* screen({ stdout: true, stderr: true })
      assert.deepStrictEqual([output.columns, output.notes.columns], [100, 100])
      stdout.columns = 60
      stderr.columns = 50
      assert.deepStrictEqual([output.columns, output.notes.columns], [60, 50])
      assert.isTrue(output.isTerminal && output.notes.isTerminal)
      stdout.columns = 0
      assert.strictEqual(output.columns, 80)
    }))

  it.scoped("knows which of its streams is a terminal", () =>
    Effect.gen(function*() {
      const one = (yield* screen({ stdout: true })).output
      assert.deepStrictEqual([one.isTerminal, one.columns, one.colour], [true, 100, true])
      assert.deepStrictEqual({ ...one.notes }, { isTerminal: false, columns: undefined, colour: false })
      const other = (yield* screen({ stderr: true })).output
      assert.deepStrictEqual([other.isTerminal, other.columns, other.colour], [false, undefined, false])
      assert.deepStrictEqual({ ...other.notes }, { isTerminal: true, columns: 100, colour: true })
    }))

  it.scoped("has no colour with NO_COLOR, unless it is empty, nor on a dumb terminal", () =>
    Effect.gen(function*() {
      const colours = (env: Record<string, string>) =>
        Effect.map(
          screen({ stdout: true, stderr: true, env }),
          ({ output }) => [output.colour, output.notes.colour]
        )
      assert.deepStrictEqual(yield* colours({ NO_COLOR: "1" }), [false, false])
      assert.deepStrictEqual(yield* colours({ TERM: "dumb" }), [false, false])
      assert.deepStrictEqual(yield* colours({ NO_COLOR: "", TERM: "xterm" }), [true, true])
    }))

  it.scoped("writes a note above the line that is drawn", () =>
    Effect.gen(function*() {
      const { output, text } = yield* screen({ stdout: true, stderr: true })
      yield* output.status("\r\u001b[2K* Thinking")
      yield* output.note("Warning: a")
      yield* output.status("\r\u001b[2K")
      yield* output.note("Warning: b")
      assert.strictEqual(
        text(),
        "\r\u001b[2K* Thinking\r\u001b[2KWarning: a\n* Thinking\r\u001b[2KWarning: b\n"
      )
    }))

  it.scoped("wraps notes between words, as wide as a terminal is, and code not at all", () =>
    Effect.gen(function*() {
      const notes = [
        "Warning: this is a sentence of some words.",
        "  \u001b[33mIt hits every resource of the kind.\u001b[39m",
        "    kubectl get pods --namespace=shop --output=wide",
        "\u001b[2m$ kubectl get pods --namespace=shop --output=wide\u001b[22m",
        "See https://example.com/a/very/long/address/of/a/page",
        "数据库数据库数据库数据库数据库数据库"
      ]
      const shown = (options: Parameters<typeof screen>[0]) =>
        Effect.gen(function*() {
          const { output, text } = yield* screen(options)
          yield* Effect.forEach(notes, output.note)
          return text()
        })
      assert.deepStrictEqual((yield* shown({ stderr: true, columns: 30 })).split("\n"), [
        "Warning: this is a sentence of",
        "some words.",
        "  \u001b[33mIt hits every resource of",
        "  the kind.\u001b[39m",
        "    kubectl get pods --namespace=shop --output=wide",
        "\u001b[2m$ kubectl get pods --namespace=shop --output=wide\u001b[22m",
        "See",
        "https://example.com/a/very/long/address/of/a/page",
        "数据库数据库数据库数据库数据库",
        "数据库",
        ""
      ])
      assert.strictEqual(yield* shown({ stdout: true, columns: 30 }), `${notes.join("\n")}\n`)
    }))

  it.scoped("does so without escape sequences where there are no colours", () =>
    Effect.gen(function*() {
      const { output, text } = yield* screen({ stderr: true, env: { NO_COLOR: "1" } })
      yield* output.status("* Wait")
      yield* output.status(" 数")
      yield* output.note("a")
      assert.strictEqual(text(), `* Wait 数\r${" ".repeat(9)}\ra\n* Wait 数`)
    }))

  it.scoped("takes the line that is drawn away before it writes to the same terminal", () =>
    Effect.gen(function*() {
      const both = yield* screen({ stdout: true, stderr: true })
      yield* both.output.status("* Thinking")
      yield* both.output.write("a ")
      yield* both.output.line("b")
      yield* both.output.note("c")
      assert.strictEqual(both.text(), "* Thinking\r\u001b[2Ka b\nc\n")
      const one = yield* screen({ stderr: true })
      yield* one.output.status("* Thinking")
      yield* one.output.line("a")
      assert.strictEqual(one.text(), "* Thinkinga\n")
    }))

  it.scoped("does not take a line that is ended for one that is drawn", () =>
    Effect.gen(function*() {
      const { output, text } = yield* screen({ stdout: true, stderr: true })
      yield* output.status("Run it? ")
      yield* output.status("y\n")
      yield* output.note("a")
      assert.strictEqual(text(), "Run it? y\na\n")
    }))

  it.scoped("interrupts the program when the reader has gone", () =>
    Effect.gen(function*() {
      const { output } = yield* screen({ broken: true })
      assert.isTrue(Exit.isInterrupted(yield* Effect.exit(output.write("a"))))
    }))
})

describe("harmless", () => {
  it("takes out what a terminal obeys, and what turns the direction of writing", () => {
    assert.strictEqual(
      harmless("a\u001b[1m\u0007\u0000\rb\n\tc\u007f\u009b\u202ed\u2066\u2069\u2028"),
      "a[1mb\n\tcd"
    )
  })

  it("leaves alone what belongs to writing", () => {
    const text = "é שלום \u200f 👨‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿 数\u00a0"
    assert.strictEqual(harmless(text), text)
  })
})
