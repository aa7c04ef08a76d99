/**
 * What the assistant shows, as text.
 */
import type { Planned, Ran, Report } from "../assistant/Face.js"
import type { Targets } from "../assistant/Targets.js"
import type { Totals } from "../assistant/Totals.js"
import * as Where from "../kubectl/Where.js"
import { harmless } from "../terminal/Output.js"
import * as Width from "../terminal/Width.js"

export interface Style {
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
  readonly warn: (text: string) => string
  readonly danger: (text: string) => string
}

/** Without colour, text stays as it is. */
export const style = (colour: boolean): Style => {
  const sgr = (begin: number, end: number) => (text: string) => colour ? `\u001b[${begin}m${text}\u001b[${end}m` : text
  return { dim: sgr(2, 22), bold: sgr(1, 22), warn: sgr(33, 39), danger: sgr(31, 39) }
}

/** A planned command as lines of shell, with what goes to its standard input as a here-document. */
export const script = ({ command, stdin }: Planned): string => {
  if (stdin === "") return command
  const lines = stdin.replace(/\n$/, "").split("\n")
  // A line of the manifest that looks like the end would end it.
  let end = "EOF"
  while (lines.includes(end)) end += "_"
  return [`${command} <<'${end}'`, ...lines, end].join("\n")
}

/** How a command would be treated. */
export const judgement = ({ also, verdict }: Planned): string => {
  if (verdict._tag === "Refused") return `Never run: ${verdict.because}.`
  const because = also ?? (verdict._tag === "ReadOnly" ? undefined : verdict.because)
  return because === undefined ? "It only reads." : `It would need a yes: ${because}.`
}

/** The beginning of a text of the model, on one line. */
export const short = (text: string): string => Width.shorten(harmless(text.replace(/\s+/g, " ").trim()), mostIgnored)

/** What is asked about: why, what exactly, and where, and what it affects. */
export const question = (planned: Planned, { bold, danger, dim, warn }: Style): ReadonlyArray<string> => {
  const { also, targets, text, verdict, where } = planned
  const because = verdict._tag === "Confirm" ? [verdict.because] : []
  const [first = "", ...others] = harmless(script(planned)).split("\n")
  const isDestructive = verdict._tag === "Confirm" && verdict.destructive
  return [
    // On one line, so that it cannot imitate what stands below it.
    ...(text.trim() === "" ? [] : [Width.shorten(harmless(text.replace(/\s+/g, " ").trim()), mostReason)]),
    ...(where === undefined ? [] : [placed(where, { dim, danger, bold })]),
    // Four blanks make it code, which is not wrapped and can be copied.
    `    ${bold(isDestructive ? danger(first) : first)}`,
    // Those of a manifest, and of an argument that has several.
    ...others.map((line) => `    ${line}`),
    ...[...because, ...(also === undefined ? [] : [also])].map((reason) => warn(`  ${capital(harmless(reason))}.`)),
    ...(targets === undefined ? [] : hits(targets).map((line) => dim(`  ${harmless(line)}`))),
    ...(targets === undefined && isDestructive
      ? [dim("  What it affects could not be listed.")]
      : [])
  ]
}

/** How a command ended: nothing of one that succeeded and printed nothing worth showing. */
export const ended = (
  { command, exitCode, lines, timedOut }: Ran,
  wasShown: boolean,
  { dim, warn }: Style
): ReadonlyArray<string> => {
  const shown = lines.map((line) => Width.shorten(harmless(line), maxColumns))
  if (exitCode === 0) return shown.map((line, index) => dim(index === 0 ? `✓ ${line}` : `  ${line}`))
  const outcome = timedOut ? "ended after its time limit" : `exit ${exitCode}`
  const [said = "no error message"] = shown
  return [
    warn(wasShown ? `✗ ${outcome}: ${said}` : `✗ ${harmless(Width.shorten(command, maxColumns))}: ${outcome}: ${said}`)
  ]
}

/** One line: what it took. */
export const metrics = (totals: Totals): string => {
  const about = totals.estimated ? "about " : ""
  return [
    ...(totals.model === undefined ? [] : [totals.model]),
    `${totals.calls} ${totals.calls === 1 ? "call" : "calls"}`,
    `${about}${totals.inputTokens} tokens in, ${totals.outputTokens} out`,
    totals.costUsd === undefined ? "cost unknown" : `$${totals.costUsd.toFixed(totals.costUsd < 0.01 ? 6 : 4)}`,
    ...(totals.firstTokenMs === undefined ? [] : [`first token after ${seconds(totals.firstTokenMs)}`]),
    `${seconds(totals.durationMs)} in all`
  ].join(" · ")
}

export const toJson = ({ answer, commands, totals }: Report, planned: Planned | undefined): object => ({
  answer,
  ...(planned === undefined
    ? {}
    : { planned: { command: planned.command, stdin: planned.stdin, verdict: planned.verdict, reason: planned.text } }),
  commands: commands.map(({ command, decision, exitCode }) => ({ command, decision, exit_code: exitCode ?? null })),
  metrics: {
    model: totals.model ?? null,
    finish_reason: totals.finishReason ?? null,
    calls: totals.calls,
    input_tokens: totals.inputTokens,
    output_tokens: totals.outputTokens,
    tokens_estimated: totals.estimated,
    cost_usd: totals.costUsd ?? null,
    first_token_ms: totals.firstTokenMs ?? null,
    duration_ms: totals.durationMs
  }
})

/** What is asked at last; of a long command its beginning once more, which may have been scrolled away. */
export const last = (planned: Planned): string => {
  const lines = script(planned).split("\n")
  if (lines.length <= fewLines) return "Run it?"
  return `Run ${Width.shorten(harmless(lines[0] ?? ""), mostCommand)} (${lines.length} lines)?`
}

// -- internals ---------------------------------------------------------------

/** Lines that a person sees at once. */
const fewLines = 15
/** Columns. */
const [mostReason, mostCommand, mostIgnored, maxColumns, maxName] = [400, 60, 100, 300, 120]

const placed = (where: Where.Where, { bold, danger, dim }: Pick<Style, "bold" | "danger" | "dim">): string => {
  const text = `  context ${shortName(where.context)} · namespace ${shortName(where.namespace)}`
  return Where.isProduction(where) ? bold(danger(text)) : dim(text)
}

const shortName = (name: string): string => Width.shorten(harmless(name), maxName)

const hits = ({ count, isPartial, names }: Targets): ReadonlyArray<string> => {
  if (count === 0) return ["Affects nothing now."]
  const more = count - names.length
  return [
    `Affects ${isPartial ? "at least " : ""}${count} ${count === 1 ? "object" : "objects"}:`,
    ...names.map((name) => `  ${name}`),
    ...(more > 0 ? [`  … and ${more} more`] : [])
  ]
}

/** With a blank at which no line ends. */
const seconds = (millis: number): string => `${(millis / 1000).toFixed(millis < 10_000 ? 2 : 1)}\u00a0s`

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1).replace(/\.$/, "")
