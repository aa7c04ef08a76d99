/**
 * The assistant as people see it: the answer on stdout, all else on stderr.
 *
 * On a terminal the answer is rendered as it comes; into a pipe it goes as it is.
 */
import { Effect } from "effect"
import type { Decision, Face, Planned, Report } from "../assistant/Face.js"
import * as Markdown from "../terminal/Markdown.js"
import { harmless, Output } from "../terminal/Output.js"
import { Prompt } from "../terminal/Prompt.js"
import * as Spinner from "../terminal/Spinner.js"
import * as Shown from "./Shown.js"

export interface Options {
  readonly showKubectl: boolean
  readonly showMetrics: boolean
  /** Whether to say that secrets were replaced. */
  readonly warnSanitization: boolean
}

export const make = (options: Options): Effect.Effect<Face, never, Output | Prompt> =>
  Effect.gen(function*() {
    const output = yield* Output
    const prompt = yield* Prompt
    const style = Shown.style(output.notes.colour)
    const note = (text: string) => output.note(harmless(text))
    const dim = (text: string) => output.note(style.dim(harmless(text)))

    let stopSpinner: Effect.Effect<void> = Effect.void
    const quiet = Effect.suspend(() => stopSpinner)
    const screen = answering(output)
    /** What was confirmed has just been shown. */
    let confirmed = ""

    return {
      busy: (label) =>
        Effect.gen(function*() {
          yield* quiet
          const spinner = yield* Effect.provideService(Spinner.start(harmless(label)), Output, output)
          stopSpinner = spinner.stop
        }),
      answer: (piece) => Effect.zipRight(quiet, screen.push(piece)),
      answered: screen.end,
      restarted: Effect.zipRight(
        screen.end,
        note("Warning: Ignore the text above; the answer starts again.")
      ),
      simulated: output.isTerminal
        ? Effect.zipRight(quiet, note("Warning: Model doesn't support streaming, falling back to simulated"))
        : Effect.void,
      thought: dim,
      ignored: (text) =>
        options.showKubectl ? dim(`Not part of the model's plan, and ignored: ${Shown.short(text)}`) : Effect.void,
      running: (command) =>
        Effect.suspend(() => options.showKubectl && command !== confirmed ? dim(`$ ${command}`) : Effect.void),
      ran: (command) =>
        Effect.suspend(() => {
          const wasShown = options.showKubectl || command.command === confirmed
          const lines = Shown.ended(command, wasShown, style)
          return lines.length === 0
            ? Effect.void
            : Effect.zipRight(quiet, Effect.forEach(lines, (line) => output.note(line), { discard: true }))
        }),
      note,
      redacted: (text) => options.warnSanitization ? dim(text) : Effect.void,
      planned: (planned) =>
        Effect.zipRight(output.line(onTerminal(output, Shown.script(planned))), note(Shown.judgement(planned))),
      confirm: (planned) =>
        Effect.gen(function*() {
          if (!prompt.available) return undefined
          yield* quiet
          yield* Effect.forEach(Shown.question(planned, style), (line) => output.note(line), { discard: true })
          const decision = yield* ask(prompt, planned)
          if (decision?._tag === "Yes") confirmed = planned.command
          return decision
        }),
      reply: () =>
        prompt.available
          ? Effect.map(prompt.line("> "), (line) => line === undefined || line.trim() === "" ? undefined : line)
          : Effect.succeed(undefined),
      hasPerson: prompt.available,
      hasTerminal: prompt.available && output.isTerminal,
      ended: (report) => options.showMetrics ? note(Shown.metrics(report.totals)) : Effect.void
    }
  })

/** One JSON document on stdout, when all is done; questions and warnings as ever. */
export const makeJson = (options: Options): Effect.Effect<Face, never, Output | Prompt> =>
  Effect.gen(function*() {
    const output = yield* Output
    const face = yield* make({ ...options, showMetrics: false })
    let planned: Planned | undefined
    return {
      ...face,
      answer: () => Effect.void,
      answered: Effect.void,
      restarted: Effect.void,
      planned: (command) =>
        Effect.sync(() => {
          planned = command
        }),
      ended: (report: Report) => output.line(JSON.stringify(Shown.toJson(report, planned), undefined, 2))
    }
  })

// -- internals ---------------------------------------------------------------

/** Writes an answer, and ends it with exactly one newline. */
const answering = (output: Output["Type"]) => {
  const renderer = () =>
    output.isTerminal && output.columns !== undefined
      ? Markdown.renderer({ columns: output.columns, colour: output.colour })
      : { push: output.isTerminal ? harmless : (piece: string) => piece, end: () => "" }
  let current = renderer()
  let isFresh = true
  const write = (text: string) => {
    if (text === "") return Effect.void
    isFresh = text.endsWith("\n")
    return output.write(text)
  }
  return {
    push: (piece: string) => Effect.suspend(() => write(current.push(piece))),
    end: Effect.suspend(() => {
      const rest = current.end()
      current = renderer()
      return Effect.zipRight(write(rest), Effect.suspend(() => isFresh ? Effect.void : write("\n")))
    })
  }
}

const onTerminal = (output: Output["Type"], text: string): string => output.isTerminal ? harmless(text) : text

const ask = (prompt: Prompt["Type"], planned: Planned): Effect.Effect<Decision | undefined> =>
  Effect.gen(function*() {
    const key = yield* prompt.choose(Shown.last(planned), [
      { key: "y", label: "yes" },
      { key: "n", label: "no", isDefault: true },
      { key: "b", label: "no, but …" }
    ])
    if (key === "y") return { _tag: "Yes" }
    if (key !== "b") return { _tag: "No" }
    const text = yield* prompt.line(`Instead of ${planned.command.split(" ", 2).join(" ")}: `)
    return text === undefined || text.trim() === "" ? { _tag: "No" } : { _tag: "But", text }
  })
