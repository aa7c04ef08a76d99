/**
 * Questions to the person at the terminal, on stderr, so that stdout holds only data.
 *
 * Only what is typed after a question was shown answers it. Ctrl-C interrupts
 * the program; end of input (Ctrl-D) is no answer. In every case the terminal
 * is left as it was, with the cursor at the beginning of a line, and stdin is
 * free for programs that are started afterwards.
 */
import { Context, Effect, Layer } from "effect"
import * as Readline from "node:readline"
import * as Keys from "./Keys.js"
import { harmless, Output } from "./Output.js"
import * as Style from "./Style.js"
import * as Width from "./Width.js"

export interface Choice {
  /** The key to press, in lower case; Enter may follow it. */
  readonly key: string
  readonly label: string
  /** Enter alone or Esc choose it, too; its key is shown as a capital. */
  readonly isDefault?: boolean
}

export class Prompt extends Context.Tag("vibectl/terminal/Prompt")<Prompt, {
  /** Whether somebody can be asked: stdin and stderr are terminals. */
  readonly available: boolean
  /** The key of a choice; anything else asks again. Undefined at the end of input, or if nobody can be asked. */
  readonly choose: (question: string, choices: ReadonlyArray<Choice>) => Effect.Effect<string | undefined>
  /** A line of text. Undefined at the end of input, or if nobody can be asked. */
  readonly line: (question: string) => Effect.Effect<string | undefined>
}>() {
  /** The process's own streams; `stdin` is not touched before a question. */
  static readonly layer = (streams: Streams): Layer.Layer<Prompt, never, Output> =>
    Layer.effect(this, Effect.map(Output, (output) => make(streams, output)))
}

export interface Streams {
  readonly stdin: Keys.Keyboard
  readonly stderr: NodeJS.WritableStream
}

// -- internals ---------------------------------------------------------------

const make = (streams: Streams, output: Output["Type"]): Prompt["Type"] => ({
  get available() {
    return isAvailable(streams, output)
  },
  choose: (question, choices) =>
    Effect.scoped(Effect.gen(function*() {
      const keys = isAvailable(streams, output) ? yield* Keys.open(streams.stdin) : undefined
      if (keys === undefined) return undefined
      const text = asked(harmless(question), choices, output.notes)
      for (;;) {
        yield* keys.forget
        yield* output.status(text)
        const typed = yield* Effect.onInterrupt(keys.next, () => output.status("\n"))
        if (typed === undefined) {
          yield* output.status("\n")
          return undefined
        }
        const choice = chosen(typed, choices)
        if (choice !== undefined) {
          yield* output.status(`${choice.key}\n`)
          return choice.key
        }
        yield* output.status(`\nPlease press one of ${choices.map(({ key }) => key).join(", ")}.\n`)
      }
    })),
  line: (question) =>
    Effect.gen(function*() {
      if (!isAvailable(streams, output)) return undefined
      const ready = yield* Effect.scoped(
        Effect.flatMap(Keys.open(streams.stdin), (keys) => keys === undefined ? Effect.succeed(false) : keys.forget)
      )
      if (!ready) return undefined
      const lines = harmless(question).split("\n")
      const last = lines.pop() ?? ""
      if (lines.length > 0) yield* output.status(`${lines.join("\n")}\n`)
      const answer = yield* Effect.onInterrupt(
        edited(streams, last, output.notes.colour),
        () => output.status("\n")
      )
      if (answer === undefined) yield* output.status("\n")
      return answer
    })
})

const escape = "\u001b"

const isAvailable = (streams: Streams, output: Output["Type"]): boolean =>
  streams.stdin.isTTY === true && output.notes.isTerminal

/** One key, alone or with Enter; not a word, nor what was pasted. */
const chosen = (typed: string, choices: ReadonlyArray<Choice>): Choice | undefined => {
  const key = typed.replace(/[\r\n]{1,2}$/, "")
  if (key === "" || key === escape) return choices.find(({ isDefault }) => isDefault === true)
  return choices.find((choice) => choice.key === key) ?? choices.find((choice) => choice.key === key.toLowerCase())
}

/** On one line, or else with a line for each choice. */
const asked = (question: string, choices: ReadonlyArray<Choice>, notes: Output["Type"]["notes"]): string => {
  const styled = (style: Style.Style, text: string) => notes.colour ? Style.apply(style, text) : text
  const shown = choices.map(({ isDefault, key, label }) => {
    const mark = `[${isDefault === true ? key.toUpperCase() : key}]`
    return {
      width: Width.of(`${mark} ${harmless(label)}`),
      text: `${styled(Style.cyan, mark)} ${harmless(label)}`
    }
  })
  const last = question.split("\n").at(-1) ?? ""
  const width = shown.reduce((sum, choice) => sum + choice.width + 2, Width.of(last) + 2)
  const choosable = shown.map(({ text }) => text)
  return width < (notes.columns ?? Infinity)
    ? `${styled(Style.bold, question)}  ${choosable.join("  ")} `
    : `${styled(Style.bold, question)}\n${choosable.map((text) => `  ${text}\n`).join("")}> `
}

/** A line that can be edited while it is typed: by us, or by the terminal itself if it must get no escape sequences. */
const edited = (streams: Streams, question: string, terminal: boolean): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const lines = Readline.createInterface({
      input: streams.stdin,
      output: streams.stderr,
      terminal,
      historySize: 0
    })
    const closed = () => resume(Effect.succeed(undefined))
    const finish = (result: Effect.Effect<string>) => {
      lines.removeListener("close", closed)
      lines.close()
      resume(result)
    }
    lines.once("SIGINT", () => finish(Effect.interrupt))
    lines.once("close", closed)
    lines.question(question, (answer) => finish(Effect.succeed(harmless(answer))))
    return Effect.sync(() => lines.close())
  })
