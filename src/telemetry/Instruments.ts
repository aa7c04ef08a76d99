/**
 * Counters, gauges and histograms as Effect metrics, which any reporter of the
 * process can read.
 *
 * Names are OpenTelemetry's: with dots where its conventions have them, and
 * with the unit apart. Every set of labels is bounded; a handle is made on its
 * first use and kept, so that counting costs a look-up. What counts from 0 and
 * has no labels is there from the start.
 */
import { Effect, Metric, MetricBoundaries, MetricKey, type MetricKeyType, MetricLabel } from "effect"

/** What a reporter can know of an instrument beforehand. */
export interface Instrument {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly description: string
  /** UCUM, e.g. `s`; undefined for what is only counted. */
  readonly unit: string | undefined
  readonly labels: ReadonlyArray<string>
  /** Of several processes that are one server, which value counts; else they add up. */
  readonly across?: "min" | "max" | undefined
}

/** All that were made, by name. */
export const all: ReadonlyMap<string, Instrument> = new Map()

/** Adds to it, with these labels. */
export interface Counter<Labels extends ReadonlyArray<string>> {
  (labels: Labels, amount?: number): Effect.Effect<void>
  /** The same at once, for what is synchronous anyway. */
  readonly unsafe: (labels: Labels, amount?: number) => void
}
export type Gauge<Labels extends ReadonlyArray<string>> = (labels: Labels, value: number) => Effect.Effect<void>
export interface Histogram<Labels extends ReadonlyArray<string>> {
  (labels: Labels, value: number): Effect.Effect<void>
  readonly unsafe: (labels: Labels, value: number) => void
}

type Keys<Labels extends ReadonlyArray<string>> = { readonly [index in keyof Labels]: string }

interface Options<Labels extends ReadonlyArray<string>> {
  readonly description: string
  readonly unit?: string
  readonly labels: Keys<Labels>
  readonly across?: Instrument["across"]
}

export const counter = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels>
): Counter<Labels> => {
  register(name, "counter", options)
  const key = MetricKey.counter(name, { description: options.description, incremental: true })
  const handle = fromZero(handles(options.labels, key), options)
  return countable((labels, amount = 1) => handle(labels).unsafeUpdate(amount, none))
}

/** What goes up and down; each call gives the present value. */
export const gauge = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels>
): Gauge<Labels> => {
  register(name, "gauge", options)
  const handle = handles(options.labels, MetricKey.gauge(name, { description: options.description }))
  return (labels, value) => Effect.sync(() => handle(labels).unsafeUpdate(value, none))
}

/** What goes up and down by steps, from 0 on. */
export const upDown = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels>
): Counter<Labels> => {
  register(name, "gauge", options)
  const handle = fromZero(
    handles(options.labels, MetricKey.gauge(name, { description: options.description })),
    options
  )
  return countable((labels, amount = 1) => handle(labels).unsafeModify(amount, none))
}

/** `boundaries` are the upper ends of its buckets, in the unit of the values. */
export const histogram = <const Labels extends ReadonlyArray<string>>(
  name: string,
  options: Options<Labels> & { readonly boundaries: ReadonlyArray<number> }
): Histogram<Labels> => {
  register(name, "histogram", options)
  const boundaries = MetricBoundaries.fromIterable(options.boundaries)
  const handle = fromZero(
    handles(options.labels, MetricKey.histogram(name, boundaries, options.description)),
    options
  )
  const unsafe = (labels: Labels, value: number) => handle(labels).unsafeUpdate(value, none)
  return Object.assign((labels: Labels, value: number) => Effect.sync(() => unsafe(labels, value)), { unsafe })
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

const countable = <Labels extends ReadonlyArray<string>>(unsafe: Counter<Labels>["unsafe"]): Counter<Labels> =>
  Object.assign((labels: Labels, amount?: number) => Effect.sync(() => unsafe(labels, amount)), { unsafe })

const register = <Labels extends ReadonlyArray<string>>(
  name: string,
  kind: Instrument["kind"],
  { across, description, labels, unit }: Options<Labels>
): Instrument => {
  const instrument: Instrument = { name, kind, description, unit, labels, across }
  ;(all as Map<string, Instrument>).set(name, instrument)
  return instrument
}

/** So that a first event is a step from 0, which a rate can see. */
const fromZero = <Handle extends (labels: ReadonlyArray<string>) => { readonly register: () => unknown }>(
  handle: Handle,
  { labels }: { readonly labels: ReadonlyArray<string> }
): Handle => {
  if (labels.length === 0) handle(labels).register()
  return handle
}

/** Labels of the running fiber are not taken: nobody bounds them. */
const none: ReadonlyArray<MetricLabel.MetricLabel> = []

/** Metrics of a whole key find their state once; those that are tagged later look it up with every update. */
const handles = <In, Out>(
  names: ReadonlyArray<string>,
  base: MetricKey.MetricKey<MetricKeyType.MetricKeyType<In, Out>>
) => {
  const made = new Map<string, Metric.Metric<MetricKeyType.MetricKeyType<In, Out>, In, Out>>()
  return (labels: ReadonlyArray<string>) => {
    const id = labels.length === 1 ? labels[0] ?? "" : labels.join("\0")
    let handle = made.get(id)
    if (handle === undefined) {
      const tags = names.map((name, index) => MetricLabel.make(name, labels[index] ?? ""))
      handle = Metric.fromMetricKey(MetricKey.taggedWithLabels(base, tags))
      made.set(id, handle)
    }
    return handle
  }
}
