/**
 * Lines of the log for people at a terminal: one line an event, the time first, then what happened.
 *
 * `22:04:10 ok StreamExecute my-client openai/gpt-4o real 100 in 506 out 8.6 s 30db97b4` is a call that ended well. Any
 * other event has its level, its message and its annotations. Nothing in a line is obeyed by the terminal.
 */
import { Cause, HashMap, Inspectable, type Logger, LogLevel } from "effect"
import * as LogLine from "../telemetry/LogLine.js"
import { harmless } from "../terminal/Output.js"
import * as Style from "../terminal/Style.js"

/** Without the last line end; `colour` is whether the terminal shows colours. */
export const render = (line: Logger.Logger.Options<unknown>, colour: boolean): string => {
  const paint = (style: Style.Style, text: string) => colour ? Style.apply(style, text) : text
  const { cause, date, logLevel } = line
  const values = valuesOf(line)
  const message = oneLine([line.message].flat().map((part) => toText(part)).join(" "))
  const words = message === "call ended" && typeof values["outcome"] === "string"
    ? callOf(values, paint)
    : [
      paint(levels[logLevel.label] ?? Style.none, logLevel.label.padEnd(5)),
      message,
      ...Object.entries(values).sort(([one], [other]) => one < other ? -1 : 1).map(([name, value]) =>
        paint(Style.dim, `${name}=${quoted(value)}`)
      )
    ]
  const head = [paint(Style.dim, timeOf(date)), ...words].join(" ")
  if (Cause.isEmpty(cause)) return head
  const trace = harmless(Cause.pretty(cause, { renderErrorCause: true })).split("\n")
  return [head, ...trace.map((text) => `  ${text}`)].join("\n")
}

// -- internals ---------------------------------------------------------------

type Values = Readonly<Record<string, unknown>>
type Paint = (style: Style.Style, text: string) => string

const levels: { readonly [label: string]: Style.Style } = {
  [LogLevel.Debug.label]: Style.dim,
  [LogLevel.Info.label]: Style.cyan,
  [LogLevel.Warning.label]: Style.yellow,
  [LogLevel.Error.label]: Style.red,
  [LogLevel.Fatal.label]: Style.red
}

/** What happened to a call, in the order in which a person asks for it. */
const callOf = (values: Values, paint: Paint): ReadonlyArray<string> => {
  const text = (name: string) => values[name] === undefined ? "" : oneLine(toText(values[name]))
  const count = (name: string, unit: string) => typeof values[name] === "number" ? `${values[name]} ${unit}` : ""
  const outcome = text("outcome")
  const retries = values["retries"]
  const words = [
    outcome === "OK" ? paint(Style.green, "ok") : paint(Style.red, outcome),
    text("rpc").split("/").at(-1) ?? "",
    text("subject"),
    text("model"),
    text("tier"),
    count("inputTokens", "in"),
    count("outputTokens", "out"),
    typeof retries === "number" && retries > 0 ? `${retries} ${retries === 1 ? "retry" : "retries"}` : "",
    typeof values["durationMs"] === "number" ? secondsOf(values["durationMs"]) : "",
    paint(Style.dim, text("requestId").slice(0, 8)),
    text("detail")
  ]
  return words.filter((word) => word !== "")
}

const secondsOf = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

/** Of the machine's own time zone, as the person's clock shows it. */
const timeOf = (date: Date): string =>
  [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":")

const valuesOf = (line: Logger.Logger.Options<unknown>): Values =>
  LogLine.valuesOf(line) ?? Object.fromEntries(HashMap.filter(line.annotations, (value) => value !== undefined))

const toText = (value: unknown): string => typeof value === "string" ? value : Inspectable.toStringUnknown(value, 0)

const oneLine = (text: string): string => harmless(text.replace(/\s+/g, " ").trim())

const quoted = (value: unknown): string => {
  const text = oneLine(toText(value))
  return text === "" || /[\s"=]/.test(text) ? JSON.stringify(text) : text
}
