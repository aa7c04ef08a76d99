/**
 * Counters, gauges and histograms as Effect metrics, which any reporter of the
 * process can read.
 *
 * Names are OpenTelemetry's: with dots where its conventions have them, and
 * with the unit apart. Every set of labels is bounded; a handle is made on its
 * first use and kept, so that counting costs a look-up.
 */
import { Effect, Metric, MetricBoundaries } from "effect"

/** What a reporter can know of an instrument beforehand. */
export interface Instrument {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly description: string
  /** UCUM, e.g. `s`; undefined for what is only counted. */
  readonly unit: string | undefined
  readonly labels: ReadonlyArray<string>
}

/** All that were made, by name. */
export const all: ReadonlyMap<string, Instrument> = new Map()

/** Adds to it, with these labels. */
export type Counter<Labels extends ReadonlyArray<string>> = (labels: Labels, amount?: number) => Effect.Effect<void>
export type Gauge<Labels extends ReadonlyArray<string>> = (labels: Labels, value: number) => Effect.Effect<void>
export type Histogram<Labels extends ReadonlyArray<string>> = (labels: Labels, value: number) => Effect.Effect<void>

type Keys<Labels extends ReadonlyArray<string>> = { readonly [index in keyof Labels]: string }

interface Options<Labels extends ReadonlyArray<string>> {
  readonly description: string
  readonly unit?: string
  readonly labels: Keys<Labels>
}

export const counter = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels>
): Counter<Labels> => {
  const base = Metric.counter(name, { description: options.description, incremental: true })
  const handle = handles(register(name, "counter", options), base)
  return (labels, amount = 1) => Metric.incrementBy(handle(labels), amount)
}

/** What goes up and down; each call gives the present value. */
export const gauge = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels>
): Gauge<Labels> => {
  const handle = handles(register(name, "gauge", options), Metric.gauge(name, { description: options.description }))
  return (labels, value) => Metric.set(handle(labels), value)
}

/** What goes up and down by steps, from 0 on. */
export const upDown = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels>
): Counter<Labels> => {
  const handle = handles(register(name, "gauge", options), Metric.gauge(name, { description: options.description }))
  const present = new Map<string, number>()
  return (labels, amount = 1) =>
    Effect.suspend(() => {
      const id = labels.join("\0")
      const next = (present.get(id) ?? 0) + amount
      present.set(id, next)
      return Metric.set(handle(labels), next)
    })
}

/** `boundaries` are the upper ends of its buckets, in the unit of the values. */
export const histogram = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels> & { readonly boundaries: ReadonlyArray<number> }
): Histogram<Labels> => {
  const base = Metric.histogram(name, MetricBoundaries.fromIterable(options.boundaries), options.description)
  const handle = handles(register(name, "histogram", options), base)
  return (labels, value) => Metric.update(handle(labels), value)
}

/**
 * Names from outside as labels of a bounded set: those that were announced, and the first `most` others; all
 * further ones are `other`.
 */
export const bounded = (
  most: number
): { readonly add: (name: string) => void; readonly of: (name: string) => string } => {
  const known = new Set<string>()
  let others = 0
  return {
    add: (name) => void known.add(name),
    of: (name) => {
      if (known.has(name)) return name
      if (others >= most) return "other"
      others++
      known.add(name)
      return name
    }
  }
}

// -- internals ---------------------------------------------------------------

const register = <Labels extends ReadonlyArray<string>>(
  name: string,
  kind: Instrument["kind"],
  { description, labels, unit }: Options<Labels>
): Instrument => {
  const instrument: Instrument = { name, kind, description, unit, labels }
  ;(all as Map<string, Instrument>).set(name, instrument)
  return instrument
}

const handles = <Type, In, Out>(
  { labels: keys }: Instrument,
  base: Metric.Metric<Type, In, Out>
): (labels: ReadonlyArray<string>) => Metric.Metric<Type, In, Out> => {
  const made = new Map<string, Metric.Metric<Type, In, Out>>()
  return (labels) => {
    const id = labels.join("\0")
    let handle = made.get(id)
    if (handle === undefined) {
      handle = keys.reduce((metric, key, index) => Metric.tagged(metric, key, labels[index] ?? ""), base)
      made.set(id, handle)
    }
    return handle
  }
}
