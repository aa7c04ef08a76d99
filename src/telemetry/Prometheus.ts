/**
 * What was counted and measured, as the text that Prometheus reads: exposition
 * format 0.0.4, of the instruments of this program only.
 *
 * Names follow OpenTelemetry's rules, so that they are the same whether they
 * come this way or through a collector.
 * Sources: https://prometheus.io/docs/instrumenting/exposition_formats/,
 * https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 */
import { Effect, Metric, type MetricKey, type MetricPair, MetricState } from "effect"
import * as Instruments from "./Instruments.js"

export const contentType = "text/plain; version=0.0.4; charset=utf-8"

/** As it is now; every family once, with its HELP and TYPE. */
export const exposition: Effect.Effect<string> = Effect.map(Metric.snapshot, (pairs) => render(pairs))

/** The pairs of other programs' instruments are left out. */
export const render = (
  pairs: ReadonlyArray<MetricPair.MetricPair.Untyped>,
  instruments: ReadonlyMap<string, Instruments.Instrument> = Instruments.all
): string => {
  const families = new Map([...instruments.values()].map((instrument) => {
    const name = nameOf(instrument)
    const head = `# HELP ${name} ${escapeHelp(instrument.description)}\n# TYPE ${name} ${instrument.kind}\n`
    return [instrument.name, { name, text: head }]
  }))
  for (const { metricKey, metricState } of pairs) {
    const family = families.get(metricKey.name)
    if (family !== undefined) family.text += sample(family.name, labelsOf(metricKey), metricState)
  }
  let text = ""
  for (const family of families.values()) text += family.text
  return text
}

/** What Prometheus calls it; a histogram's series also end in `_bucket`, `_sum` and `_count`. */
export const nameOf = ({ kind, name, unit }: Pick<Instruments.Instrument, "kind" | "name" | "unit">): string => {
  const plain = legal(name)
  const base = kind === "counter" ? plain.replace(/_total$/, "") : plain
  const suffix = suffixOf(unit)
  const measured = suffix === "" || base.endsWith(suffix) ? base : base + suffix
  return kind === "counter" ? `${measured}_total` : measured
}

/** What Prometheus calls a label. */
export const labelOf = (label: string): string => legal(label)

// -- internals ---------------------------------------------------------------

const legal = (name: string): string => name.replace(/[^a-zA-Z0-9]+/g, "_").replace(/^(?=\d)/, "_")

const units: { readonly [unit: string]: string } = { s: "_seconds", By: "_bytes" }

/** What is only counted, `{token}`, has none. */
const suffixOf = (unit: string | undefined): string =>
  unit === undefined || unit.startsWith("{") ? "" : units[unit] ?? `_${legal(unit)}`

/** `a="1",b="2"`. A handle is kept for as long as the program runs, and its labels never change. */
const labelsOf = (key: MetricKey.MetricKey.Untyped): string => {
  const known = labels.get(key)
  if (known !== undefined) return known
  const made = key.tags.filter(({ value }) => value !== "").map(({ key, value }) =>
    `${labelOf(key)}="${escapeValue(value)}"`
  ).join(",")
  labels.set(key, made)
  return made
}

const labels = new WeakMap<MetricKey.MetricKey.Untyped, string>()

const sample = (name: string, labels: string, state: MetricState.MetricState.Untyped): string => {
  const braced = labels === "" ? "" : `{${labels}}`
  if (MetricState.isCounterState(state)) return `${name}${braced} ${number(state.count)}\n`
  if (MetricState.isGaugeState(state)) return `${name}${braced} ${number(state.value)}\n`
  if (!MetricState.isHistogramState(state)) return ""
  const bucket = `${name}_bucket{${labels === "" ? "" : `${labels},`}le="`
  let text = ""
  for (const [boundary, count] of state.buckets) {
    // Effect adds this one to every histogram; it misses values that are no number.
    if (boundary !== Number.POSITIVE_INFINITY) text += `${bucket}${number(boundary)}"} ${count}\n`
  }
  return text + `${bucket}+Inf"} ${state.count}\n`
    + `${name}_sum${braced} ${number(state.sum)}\n${name}_count${braced} ${state.count}\n`
}

const number = (value: number | bigint): string =>
  value === Number.POSITIVE_INFINITY ? "+Inf" : value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value)

const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const escapeValue = (text: string): string => escapeHelp(text).replace(/"/g, "\\\"")
