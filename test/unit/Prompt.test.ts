import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Exit, Fiber, Layer, TestClock } from "effect"
import { PassThrough, Writable } from "node:stream"
import { Output } from "../../src/terminal/Output.js"
import { Prompt } from "../../src/terminal/Prompt.js"
import * as Patience from "../support/Patience.js"

const choices = [{ key: "y", label: "run it" }, { key: "n", label: "leave it" }, { key: "e", label: "change it" }]
const question = "Run it?"
const shown = "Run it?  [y] run it  [n] leave it  [e] change it "

/** So many milliseconds of the test's clock, and what the streams do meanwhile. */
const pass = (millis: number) => {
  const turns = Effect.repeatN(Effect.promise(() => new Promise((resolve) => setImmediate(resolve))), 10)
  return Effect.zipRight(turns, Effect.zipRight(TestClock.adjust(millis), turns))
}

/** A person at a keyboard, before a screen. */
const person = (
  options: {
    readonly keyboard?: boolean
    readonly screen?: boolean
    readonly columns?: number
    readonly passes?: Effect.Effect<void>
  } = {}
) =>
  Effect.gen(function*() {
    let seen = ""
    const raw: Array<boolean> = []
    const stdin = Object.assign(new PassThrough(), {
      isTTY: options.keyboard ?? true,
      setRawMode: (mode: boolean) => void raw.push(mode)
    })
    const stream = () =>
      Object.assign(
        new Writable({
          write: (piece, _, done) => {
            seen += String(piece)
            done()
          }
        }),
        { isTTY: options.screen ?? true, columns: options.columns ?? 80 }
      )
    const stderr = stream()
    const prompt = Context.get(
      yield* Layer.build(Layer.provide(Prompt.layer({ stdin, stderr }), Output.layer({ stdout: stream(), stderr })))
        .pipe(
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["NO_COLOR", "1"]])))
        ),
      Prompt
    )
    const sees = (text: string) =>
      Patience.eventually(
        Effect.suspend(() =>
          seen.includes(text) ? Effect.succeed(true) : Effect.as(options.passes ?? Effect.void, false)
        ),
        () => `${JSON.stringify(text)}, and saw ${JSON.stringify(seen)}`
      )
    return {
      prompt,
      stdin,
      raw,
      sees,
      seen: () => seen,
      forget: Effect.sync(() => void (seen = "")),
      type: (keys: string) => Effect.sync(() => void stdin.write(keys)),
      chooses: Effect.fork(prompt.choose(question, choices)),
      isFree: () =>
        raw.at(-1) !== true && stdin.isPaused() &&
        [stdin.listenerCount("data"), stdin.listenerCount("error")].join() === "0,0"
    }
  })

describe("Prompt.choose", () => {
  it.scopedLive("takes one key, and leaves the keyboard as it was", () =>
    Effect.gen(function*() {
      const { chooses, isFree, raw, seen, sees, type } = yield* person()
      const asked = yield* chooses
      yield* sees(shown)
      assert.deepStrictEqual(raw, [true])
      yield* type("n")
      assert.strictEqual(yield* Fiber.join(asked), "n")
      assert.strictEqual(seen(), `${shown}n\n`)
      assert.deepStrictEqual(raw, [true, false])
      assert.isTrue(isFree())
    }))

  for (const [what, keys] of [["with Enter", "y\r"], ["with a new line", "y\r\n"], ["in capitals", "Y"]] as const) {
    it.scopedLive(`takes a key ${what}`, () =>
      Effect.gen(function*() {
        const { chooses, sees, type } = yield* person()
        const asked = yield* chooses
        yield* sees(shown)
        yield* type(keys)
        assert.strictEqual(yield* Fiber.join(asked), "y")
      }))
  }

  for (const [what, keys] of [["Enter", "\r"], ["Enter as a new line", "\n"], ["Esc", "\u001b"]] as const) {
    it.scopedLive(`takes ${what} for the default, whose key is a capital`, () =>
      Effect.gen(function*() {
        const { prompt, sees, type } = yield* person()
        const asked = yield* Effect.fork(prompt.choose("Run it?", [
          { key: "y", label: "yes" },
          { key: "n", label: "no", isDefault: true }
        ]))
        yield* sees("[y] yes  [N] no ")
        yield* type(keys)
        assert.strictEqual(yield* Fiber.join(asked), "n")
      }))
  }

  for (
    const [what, keys] of [
      ["another key", "x"],
      ["Enter", "\r"],
      ["a blank", " "],
      ["a word", "yes\r"],
      ["what was pasted", "y\ny\ny\n"],
      ["what was pasted with brackets", "\u001b[200~y\u001b[201~"],
      ["an arrow key", "\u001b[A"],
      ["a letter with Alt", "\u001by"],
      ["Escape", "\u001b"],
      ["Ctrl-Z", "\u001a"],
      ["a letter of two bytes", "ÿ"]
    ] as const
  ) {
    it.scopedLive(`asks again after ${what}`, () =>
      Effect.gen(function*() {
        const { chooses, forget, seen, sees, type } = yield* person()
        const asked = yield* chooses
        yield* sees(shown)
        yield* forget
        yield* type(keys)
        yield* sees(shown)
        assert.strictEqual(seen(), `\nPlease press one of y, n, e.\n${shown}`)
        yield* type("e")
        assert.strictEqual(yield* Fiber.join(asked), "e")
      }))
  }

  it.scoped("takes what arrives in parts for one", () =>
    Effect.gen(function*() {
      const { chooses, forget, sees, type } = yield* person({ passes: pass(10) })
      const asked = yield* chooses
      yield* sees(shown)
      yield* forget
      for (const part of ["\u001b", "[", "y"]) {
        yield* type(part)
        yield* pass(5)
      }
      yield* sees("Please press")
      yield* sees(shown)
      yield* type("n")
      yield* pass(100)
      assert.strictEqual(yield* Fiber.join(asked), "n")
    }))

  it.scoped("is not answered by what was typed before it was shown", () =>
    Effect.gen(function*() {
      const { chooses, seen, sees, type } = yield* person({ passes: pass(10) })
      yield* type("y")
      const asked = yield* chooses
      yield* pass(10)
      yield* type("y")
      yield* pass(25)
      assert.strictEqual(seen(), "")
      yield* type("y\u0004")
      yield* sees(shown)
      yield* pass(100)
      assert.strictEqual(seen(), shown)
      yield* type("n")
      yield* pass(100)
      assert.strictEqual(yield* Fiber.join(asked), "n")
    }))

  it.scoped("is shown only when a key that is held down was let go", () =>
    Effect.gen(function*() {
      const { chooses, seen, sees, type } = yield* person({ passes: pass(10) })
      const asked = yield* chooses
      for (let i = 0; i < 10; i++) {
        yield* type("y")
        yield* pass(15)
      }
      assert.strictEqual(seen(), "")
      yield* sees(shown)
      yield* type("n")
      yield* pass(100)
      assert.strictEqual(yield* Fiber.join(asked), "n")
    }))

  it.scopedLive("is interrupted by Ctrl-C, at any time, and ends the line", () =>
    Effect.gen(function*() {
      const { chooses, isFree, seen, sees, type } = yield* person()
      const asked = yield* chooses
      yield* sees(shown)
      yield* type("n\u0003")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(asked)))
      assert.strictEqual(seen(), `${shown}\n`)
      assert.isTrue(isFree())
      const again = yield* chooses
      yield* type("\u0003")
      assert.isTrue(Exit.isInterrupted(yield* Fiber.await(again)))
      assert.isTrue(isFree())
    }))

  it.scopedLive("leaves the keyboard as it was when the program is told to stop", () =>
    Effect.gen(function*() {
      const { chooses, isFree, seen, sees } = yield* person()
      const asked = yield* chooses
      yield* sees(shown)
      yield* Fiber.interrupt(asked)
      assert.strictEqual(seen(), `${shown}\n`)
      assert.isTrue(isFree())
    }))

  it.scopedLive("is not answered by the end of input", () =>
    Effect.gen(function*() {
      const { chooses, isFree, seen, sees, stdin, type } = yield* person()
      const asked = yield* chooses
      yield* sees(shown)
      yield* type("\u0004")
      assert.isUndefined(yield* Fiber.join(asked))
      assert.strictEqual(seen(), `${shown}\n`)
      assert.isTrue(isFree())
      const again = yield* chooses
      yield* Effect.sleep("100 millis")
      stdin.end()
      assert.isUndefined(yield* Fiber.join(again))
      assert.isUndefined(yield* Fiber.join(yield* chooses))
    }))

  it.scopedLive("asks nobody where there is no keyboard or no screen", () =>
    Effect.gen(function*() {
      for (const one of [yield* person({ keyboard: false }), yield* person({ screen: false })]) {
        assert.isFalse(one.prompt.available)
        yield* one.type("y\n")
        assert.isUndefined(yield* one.prompt.choose(question, choices))
        assert.isUndefined(yield* one.prompt.line(question))
        assert.strictEqual(one.seen(), "")
        assert.deepStrictEqual(one.raw, [])
      }
      assert.isTrue((yield* person()).prompt.available)
    }))

  it.scopedLive("shows the choices below each other where one line is too short", () =>
    Effect.gen(function*() {
      const { chooses, sees, type } = yield* person({ columns: 40 })
      const asked = yield* chooses
      yield* sees("Run it?\n  [y] run it\n  [n] leave it\n  [e] change it\n> ")
      yield* type("y")
      assert.strictEqual(yield* Fiber.join(asked), "y")
    }))

  it.scopedLive("shows nothing that the terminal obeys", () =>
    Effect.gen(function*() {
      const { prompt, seen, sees, type } = yield* person()
      const asked = yield* Effect.fork(
        prompt.choose("Run \u001b[2Jls\u202e?\nReally?", [{ key: "y", label: "a\u001bb" }])
      )
      yield* sees("[y]")
      yield* type("y")
      yield* Fiber.join(asked)
      assert.strictEqual(seen(), "Run [2Jls?\nReally?  [y] ab y\n")
    }))
})

describe("Prompt.line", () => {
  it.scopedLive("takes a line", () =>
    Effect.gen(function*() {
      const { isFree, prompt, seen, sees, type } = yield* person()
      const asked = yield* Effect.fork(prompt.line("First\nWhat instead? "))
      yield* sees("First\nWhat instead? ")
      yield* type("pods in größe")
      yield* type(" 🚀\nmore\n")
      assert.strictEqual(yield* Fiber.join(asked), "pods in größe 🚀")
      assert.notInclude(seen(), "\u001b")
      assert.isTrue(isFree())
    }))

  it.scopedLive("is not answered by what was typed before it was shown", () =>
    Effect.gen(function*() {
      const { prompt, sees, type } = yield* person()
      yield* type("delete everything\n")
      const asked = yield* Effect.fork(prompt.line("What? "))
      yield* sees("What? ")
      yield* type("get pods\n")
      assert.strictEqual(yield* Fiber.join(asked), "get pods")
    }))

  it.scopedLive("is not answered by the end of input, and ends the line", () =>
    Effect.gen(function*() {
      const { isFree, prompt, seen, sees, stdin } = yield* person()
      const asked = yield* Effect.fork(prompt.line("What? "))
      yield* sees("What? ")
      stdin.end()
      assert.isUndefined(yield* Fiber.join(asked))
      assert.strictEqual(seen(), "What? \n")
      assert.isTrue(isFree())
    }))

  it.scopedLive("ends the line when the program is told to stop", () =>
    Effect.gen(function*() {
      const { isFree, prompt, seen, sees } = yield* person()
      const asked = yield* Effect.fork(prompt.line("What? "))
      yield* sees("What? ")
      yield* Fiber.interrupt(asked)
      assert.strictEqual(seen(), "What? \n")
      assert.isTrue(isFree())
    }))
})
