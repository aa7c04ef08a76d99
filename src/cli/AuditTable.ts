/**
 * The audit log for people and for spreadsheets.
 */
import { DateTime } from "effect"
import type { Line } from "../assistant/AuditEntry.js"
import * as Display from "../kubectl/Display.js"
import * as Csv from "../terminal/Csv.js"
import * as Table from "../terminal/Table.js"
import * as Width from "../terminal/Width.js"

/** As wide as `columns`, if what is shortened for it is long enough to be of use. */
export const render = (lines: ReadonlyArray<Line>, columns: number): string => {
  const rows = lines.map(row)
  const head = ["Time", "Event", "Model", "Redacted", "Command", "Decision"]
  const fixed = rows.map((cells) => cells.map((cell, index) => Width.shorten(cell, most[index] ?? Infinity)))
  // Every column has a border and a blank on either side, and the table one border more.
  const others = head.map((name, index) =>
    index === command ? 0 : Math.max(name.length, ...fixed.map((cells) => Width.of(cells[index] ?? "")))
  )
  const left = Math.max(leastCommand, columns - others.reduce((sum, width) => sum + width, 0) - 3 * head.length - 1)
  return Table.render(head, fixed.map((cells) => cells.with(command, Width.shorten(cells[command] ?? "", left))))
}

/** Every field but the texts; the first line names them. */
export const toCsv = (lines: ReadonlyArray<Line>): string =>
  Csv.render(
    fields,
    lines.map((line) => {
      const values = new Map<string, unknown>(Object.entries(line))
      return fields.map((field) => cell(values.get(field)))
    })
  )

// -- internals ---------------------------------------------------------------

const command = 4
const leastCommand = 20
/** Columns of a cell at most. */
const most: ReadonlyArray<number> = [Infinity, Infinity, 24, 24]

const row = (line: Line): ReadonlyArray<string> => {
  const time = DateTime.formatIso(line.time)
  switch (line.event) {
    case "request":
      return [time, line.event, line.model ?? "", redactedOf(line), "", ""]
    case "response":
      return [time, line.event, line.model ?? "", "", "", line.outcome]
    case "command":
      return [time, line.event, "", "", Display.command(line.command), decisionOf(line)]
  }
}

const redactedOf = ({ redacted, sanitized }: Line & { readonly event: "request" }): string => {
  if (!sanitized) return "not sanitized"
  const counts = new Map<string, number>()
  for (const { kind } of redacted) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return [...counts].map(([kind, count]) => count === 1 ? kind : `${count} ${kind}`).join(", ")
}

const decisionOf = ({ decision, exit_code }: Line & { readonly event: "command" }): string =>
  exit_code === undefined || exit_code === 0 ? decision : `${decision}, exit ${exit_code}`

const fields = [
  "time",
  "event",
  "request_id",
  "profile",
  "server",
  "model",
  "purpose",
  "sanitized",
  "redacted",
  "outcome",
  "input_tokens",
  "output_tokens",
  "cost_usd",
  "duration_ms",
  "command",
  "verdict",
  "decision",
  "exit_code",
  "sha256",
  "characters"
]

const cell = (value: unknown): string | number => {
  if (typeof value === "number" || typeof value === "string") return value
  if (value === undefined) return ""
  if (DateTime.isDateTime(value)) return DateTime.formatIso(value)
  return JSON.stringify(value)
}
