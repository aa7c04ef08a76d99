/**
 * `vibectl memory show|set|clear`: what the assistant is told with every request.
 */
import { Args, Command } from "@effect/cli"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect } from "effect"
import { fitted, Memory } from "../../assistant/Memory.js"
import { ClientConfig } from "../../config/ClientConfig.js"
import { harmless, Output } from "../../terminal/Output.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as Wrap from "../../terminal/Wrap.js"

const show = Command.make("show", {}, () =>
  Effect.gen(function*() {
    const screen = yield* Output
    const { file, read } = yield* Memory
    const text = yield* read
    if (text === "") return yield* screen.note(`The memory is empty (${file}).`)
    yield* screen.write(screen.columns === undefined ? text : Wrap.prose(harmless(text), screen.columns))
  })).pipe(Command.withDescription("Print the memory"))

const set = Command.make("set", {
  words: Args.text({ name: "TEXT" }).pipe(
    Args.withDescription("The whole of the new memory; - reads it from stdin"),
    Args.atLeast(1)
  )
}, ({ words }) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const memory = yield* Memory
    const { value: { assistant } } = yield* (yield* ClientConfig).load
    const text = words.length === 1 && words[0] === "-" ? yield* fromStdin : words.join(" ")
    if (text.trim() === "") {
      return yield* new UsageInvalid({
        summary: "There is no text to remember.",
        remedy: "Give it, e.g. `vibectl memory set \"We deploy to namespace shop.\"`; `vibectl memory clear` forgets."
      })
    }
    const kept = fitted(text, assistant.memory_max_chars)
    yield* memory.write(kept.text)
    yield* screen.note(`✓ Memory saved (${[...kept.text].length} characters) in ${memory.file}.`)
    if (kept.cut > 0) {
      yield* screen.note(
        `Warning: ${kept.cut} characters at the end were cut off: assistant.memory_max_chars is ${assistant.memory_max_chars}.`
      )
    }
    if (!assistant.memory) yield* screen.note("Warning: assistant.memory is false, so that no request carries it.")
  })).pipe(Command.withDescription("Replace the memory"))

const clear = Command.make("clear", {}, () =>
  Effect.gen(function*() {
    yield* (yield* Memory).clear
    yield* (yield* Output).note("✓ The memory is empty.")
  })).pipe(Command.withDescription("Forget all of it"))

export const memory = Command.make("memory").pipe(
  Command.withDescription("What the assistant is told with every request"),
  Command.withSubcommands([show, set, clear]),
  Command.provide(Memory.layer)
)

// -- internals ---------------------------------------------------------------

/** Far more than a memory may have, so that what is cut can be counted. */
const fromStdin = NodeStream.toString(() => process.stdin, {
  maxBytes: 10_000_000,
  onFailure: () =>
    new UsageInvalid({ summary: "stdin cannot be read.", remedy: "Give the text itself, or pipe it in." })
})
