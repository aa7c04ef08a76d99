import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Scope, TestClock } from "effect"
import { Output } from "../../src/terminal/Output.js"
import * as Spinner from "../../src/terminal/Spinner.js"

interface Screen {
  readonly isTerminal?: boolean
  readonly columns?: number
  readonly colour?: boolean
}

/** What `use` draws, for each time that something was drawn. */
const drawing = <A>(
  screen: Screen,
  use: (drawn: Array<string>) => Effect.Effect<A, never, Output | Scope.Scope>,
  env: Record<string, string> = {}
) =>
  Effect.suspend(() => {
    const drawn: Array<string> = []
    const output = Layer.succeed(Output, {
      write: () => Effect.dieMessage("to stdout"),
      line: () => Effect.dieMessage("to stdout"),
      note: () => Effect.dieMessage("a note"),
      status: (text) => Effect.sync(() => void drawn.push(text)),
      isTerminal: true,
      columns: 100,
      colour: true,
      notes: { isTerminal: true, columns: 40, colour: false, ...screen }
    })
    return Effect.as(
      Effect.provide(
        use(drawn),
        Layer.merge(output, Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))))
      ),
      drawn
    )
  })

/** What a terminal shows in its line. */
const line = (drawn: ReadonlyArray<string>) => drawn.join("").split("\u001b[2K").at(-1)?.split("\r").at(-1)

describe("Spinner.start", () => {
  it.scoped("draws at once, and then ten times a second, over what it drew", () =>
    drawing({}, (drawn) =>
      Effect.gen(function*() {
        yield* Spinner.start("Thinking…")
        assert.deepStrictEqual(drawn, ["⠋ Thinking…"])
        yield* TestClock.adjust("100 millis")
        assert.deepStrictEqual(drawn.slice(1), [`\r${" ".repeat(11)}\r⠙ Thinking…`])
        yield* TestClock.adjust("900 millis")
        assert.strictEqual(drawn.length, 11)
        assert.strictEqual(line(drawn), "⠋ Thinking…")
      })))

  it.scoped("says how long it has taken, after two seconds", () =>
    drawing({}, (drawn) =>
      Effect.gen(function*() {
        yield* Spinner.start("Thinking…")
        yield* TestClock.adjust("1900 millis")
        assert.notMatch(drawn.join(""), /\d/)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(line(drawn), "⠋ Thinking… 2s")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(line(drawn), "⠋ Thinking… 3s")
      })))

  it.scoped("fits into the line, with the seconds, and is on one", () =>
    drawing({ columns: 20 }, (drawn) =>
      Effect.gen(function*() {
        yield* Spinner.start("Running kubectl\n\u001b[2Jget pods…")
        assert.strictEqual(drawn[0], "⠋ Running kubectl …")
        yield* TestClock.adjust("12 seconds")
        assert.strictEqual(line(drawn), "⠋ Running kube… 12s")
      })))

  it.scoped("has a colour, and is taken away by the terminal, where that is welcome", () =>
    drawing({ colour: true }, (drawn) =>
      Effect.gen(function*() {
        const spinner = yield* Spinner.start("a")
        yield* spinner.stop
        assert.deepStrictEqual(drawn, ["\u001b[36m⠋\u001b[39m a", "\r\u001b[2K"])
      })))

  it.scoped("says something else", () =>
    drawing({}, (drawn) =>
      Effect.gen(function*() {
        const spinner = yield* Spinner.start("long label")
        yield* spinner.label("b")
        assert.strictEqual(line(drawn), "⠋ b")
        yield* TestClock.adjust("100 millis")
        assert.strictEqual(line(drawn), "⠙ b")
      })))

  it.scoped("stops, leaves an empty line, and draws nothing any more", () =>
    drawing({}, (drawn) =>
      Effect.gen(function*() {
        const spinner = yield* Spinner.start("a")
        yield* TestClock.adjust("100 millis")
        yield* spinner.stop
        assert.strictEqual(drawn.at(-1), `\r${" ".repeat(3)}\r`)
        const { length } = drawn
        yield* spinner.stop
        yield* spinner.label("b")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(drawn.length, length)
      })))

  it.scoped("stops with its scope, once", () =>
    drawing({}, (drawn) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Scope.extend(Spinner.start("a"), scope)
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(drawn, ["⠋ a", `\r${" ".repeat(3)}\r`])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(drawn.length, 2)
      })))

  it.scoped("draws nothing where there is no terminal, or a dumb one", () =>
    Effect.gen(function*() {
      const silent = () =>
        Effect.gen(function*() {
          const spinner = yield* Spinner.start("a")
          yield* spinner.label("b")
          yield* TestClock.adjust("1 second")
          yield* spinner.stop
        })
      assert.deepStrictEqual(yield* drawing({ isTerminal: false }, silent), [])
      assert.deepStrictEqual(yield* drawing({}, silent, { TERM: "dumb" }), [])
      assert.notDeepEqual(yield* drawing({}, silent, { TERM: "xterm" }), [])
    }))
})
