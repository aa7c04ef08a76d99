/**
 * The metrics of several processes as those of one.
 *
 * What is counted adds up, also of processes that are no more, so that no
 * counter ever goes back. Of what goes up and down, each instrument says how
 * that of several is found; what it does not say adds up too.
 */
import { MetricBoundaries, MetricKey, MetricLabel, MetricPair, MetricState } from "effect"
import * as Instruments from "./Instruments.js"

type Pairs = ReadonlyArray<MetricPair.MetricPair.Untyped>

/** The instruments of one process at one moment, as JSON. */
export type Snapshot = ReadonlyArray<Sample>

/** Of this program's instruments alone. */
export const encode = (pairs: Pairs): Snapshot => pairs.flatMap((pair) => sampleOf(pair) ?? [])

/** What stays of a process that is no more. */
export const counted = (snapshot: Snapshot): Snapshot => snapshot.filter(({ state }) => state.kind !== "gauge")

/** One sample for each set of labels, in the order in which they come. */
export const merge = (snapshots: ReadonlyArray<Snapshot>): Snapshot => {
  const merged = new Map<string, Sample>()
  for (const sample of snapshots.flat()) {
    const id = JSON.stringify([sample.name, sample.labels])
    const known = merged.get(id)
    merged.set(id, known === undefined ? sample : { ...known, state: both(sample.name, known.state, sample.state) })
  }
  return [...merged.values()]
}

export const decode = (snapshot: Snapshot): Pairs => snapshot.map(pairOf)

// -- internals ---------------------------------------------------------------

interface Sample {
  readonly name: string
  readonly labels: ReadonlyArray<readonly [name: string, value: string]>
  readonly state: State
}

type State =
  | { readonly kind: "counter" | "gauge"; readonly value: number }
  | {
    readonly kind: "histogram"
    readonly buckets: ReadonlyArray<readonly [boundary: number | null, count: number]>
    readonly count: number
    readonly sum: number
  }

const sampleOf = ({ metricKey, metricState }: MetricPair.MetricPair.Untyped): Sample | undefined => {
  const state = Instruments.all.has(metricKey.name) ? stateOf(metricState) : undefined
  return state && { name: metricKey.name, labels: metricKey.tags.map(({ key, value }) => [key, value]), state }
}

const stateOf = (state: MetricState.MetricState.Untyped): State | undefined => {
  if (MetricState.isCounterState(state)) return { kind: "counter", value: Number(state.count) }
  if (MetricState.isGaugeState(state)) return { kind: "gauge", value: Number(state.value) }
  if (!MetricState.isHistogramState(state)) return undefined
  const { buckets, count, sum } = state
  // JSON has no infinity.
  return { kind: "histogram", buckets: buckets.map(([le, count]) => [le === Infinity ? null : le, count]), count, sum }
}

const both = (name: string, one: State, other: State): State => {
  if (one.kind === "histogram" && other.kind === "histogram") {
    return {
      kind: "histogram",
      buckets: one.buckets.map(([le, count], index) => [le, count + (other.buckets[index]?.[1] ?? 0)]),
      count: one.count + other.count,
      sum: one.sum + other.sum
    }
  }
  if (one.kind === "histogram" || other.kind === "histogram") return one
  const across = Instruments.all.get(name)?.across
  if (across === undefined) return { kind: one.kind, value: one.value + other.value }
  return { kind: one.kind, value: Math[across](one.value, other.value) }
}

const pairOf = ({ labels, name, state }: Sample): MetricPair.MetricPair.Untyped => {
  const tags = labels.map(([name, value]) => MetricLabel.make(name, value))
  switch (state.kind) {
    case "counter":
      return MetricPair.unsafeMake(
        MetricKey.taggedWithLabels(MetricKey.counter(name), tags),
        MetricState.counter(state.value)
      )
    case "gauge":
      return MetricPair.unsafeMake(
        MetricKey.taggedWithLabels(MetricKey.gauge(name), tags),
        MetricState.gauge(state.value)
      )
    case "histogram": {
      const buckets = state.buckets.map(([le, count]) => [le ?? Infinity, count] as const)
      const boundaries = MetricBoundaries.fromIterable(buckets.map(([le]) => le))
      return MetricPair.unsafeMake(
        MetricKey.taggedWithLabels(MetricKey.histogram(name, boundaries), tags),
        MetricState.histogram({ buckets, count: state.count, sum: state.sum, min: 0, max: 0 })
      )
    }
  }
}
