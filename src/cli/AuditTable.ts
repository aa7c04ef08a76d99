/**
 * The audit log for people and for spreadsheets.
 */
import { DateTime } from "effect"
import type { Line } from "../assistant/AuditEntry.js"
import * as Display from "../kubectl/Display.js"
import * as Csv from "../terminal/Csv.js"
import * as Table from "../terminal/Table.js"
import * as Width from "../terminal/Width.js"

/** As wide as `columns`; without them times are whole, and nothing is wrapped. */
export const render = (lines: ReadonlyArray<Line>, columns: number | undefined): string =>
  Table.render(
    [columns === undefined ? "Time" : "Time (UTC)", "Event", "Model", "What", "Outcome"],
    lines.map((line) => {
      const time = DateTime.formatIso(line.time)
      return [columns === undefined ? time : time.slice(5, 19).replace("T", " "), ...row(line)]
    }),
    { width: columns }
  )

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

const row = (line: Line): ReadonlyArray<string> => {
  switch (line.event) {
    case "request":
      return [line.event, line.model ?? "", redactedOf(line), ""]
    case "response":
      return [line.event, line.model ?? "", "", line.outcome]
    case "command":
      return [line.event, "", Width.shorten(Display.command(line.command), most), decisionOf(line)]
  }
}

/** Columns of a command: a patch in it may be as long as a book. */
const most = 300

const redactedOf = ({ redacted, sanitized }: Line & { readonly event: "request" }): string => {
  if (!sanitized) return "not sanitized"
  const counts = new Map<string, number>()
  for (const { kind } of redacted) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const kinds = [...counts].map(([kind, count]) => count === 1 ? kind : `${count} ${kind}`).join(", ")
  return kinds === "" ? "" : `redacted: ${kinds}`
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
  "finish_reason",
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
