/**
 * What the process itself uses: processor, memory, files, and how late its
 * event loop is.
 *
 * Names are those of Prometheus' own clients, so that ready-made dashboards
 * find them.
 * Sources: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics,
 * https://github.com/siimon/prom-client#default-metrics
 */
import { FileSystem } from "@effect/platform"
import { Context, Duration, Effect, GlobalValue, Layer, Schedule, type Scope } from "effect"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import { packageVersion } from "../domain/PackageVersion.js"
import { counter, gauge } from "./Instruments.js"
import { buildInfo } from "./Metrics.js"

export class ProcessMetrics extends Context.Tag("vibectl/telemetry/ProcessMetrics")<ProcessMetrics, {
  /** Brings the instruments up to date; any number of readers may do so, none takes anything from another. */
  readonly collect: Effect.Effect<void>
}>() {
  /** The event loop is watched while the layer lives. */
  static readonly layer: Layer.Layer<ProcessMetrics, never, FileSystem.FileSystem> = Layer.scoped(
    this,
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const lateness = yield* watch(yield* eventLoop)
      yield* buildInfo([packageVersion, process.version], 1)
      yield* started([], performance.timeOrigin / 1000)
      const collect = Effect.gen(function*() {
        const { heapTotal, heapUsed, rss } = process.memoryUsage()
        const late = yield* lateness
        yield* cpu([], unreported())
        yield* resident([], rss)
        yield* heapSizeUsed([], heapUsed)
        yield* heapSizeTotal([], heapTotal)
        yield* lagP50([], late.p50)
        yield* lagP99([], late.p99)
        yield* lagMax([], late.max)
        // Only Linux has it; the list has the handle it was read with.
        yield* Effect.flatMap(
          files.readDirectory("/proc/self/fd"),
          (open) => openFiles([], open.length - 1)
        ).pipe(Effect.ignore)
      })
      return { collect }
    })
  )
}

/** How late timers were in one window, in seconds. */
export interface Lateness {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Measures lateness since it was last reset. */
export interface Meter {
  readonly read: () => Lateness
  readonly reset: () => void
}

/**
 * The worst of the present window and of those of the last minute, measure by measure: whoever looks once a minute
 * misses nothing, whoever else looks in between.
 */
export const watch = (meter: Meter): Effect.Effect<Effect.Effect<Lateness>, never, Scope.Scope> =>
  Effect.suspend(() => {
    let past: ReadonlyArray<Lateness> = []
    const turn = Effect.sync(() => {
      past = [meter.read(), ...past].slice(0, windows)
      meter.reset()
    })
    const worst = Effect.sync(() => [...past, meter.read()].reduce(worse))
    return Effect.as(Effect.forkScoped(Effect.repeat(Effect.delay(turn, window), Schedule.forever)), worst)
  })

// -- internals ---------------------------------------------------------------

const window = Duration.seconds(15)
const windows = 4

const worse = (one: Lateness, other: Lateness): Lateness => ({
  p50: Math.max(one.p50, other.p50),
  p99: Math.max(one.p99, other.p99),
  max: Math.max(one.max, other.max)
})

/** Between two looks at the event loop, in milliseconds. */
const resolution = 10

const eventLoop = Effect.acquireRelease(
  Effect.sync(() => {
    const histogram = monitorEventLoopDelay({ resolution })
    histogram.enable()
    return histogram
  }),
  (histogram) => Effect.sync(() => histogram.disable())
).pipe(Effect.map((histogram): Meter => ({
  read: () => ({
    p50: late(histogram.percentile(50)),
    p99: late(histogram.percentile(99)),
    max: late(histogram.max)
  }),
  reset: () => histogram.reset()
})))

/** Node gives the nanoseconds between two looks, those that were asked for included. */
const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - resolution / 1e3)

/** Seconds of processor time that are not in the counter yet. */
const unreported = (): number => {
  const { system, user } = process.cpuUsage()
  const used = (system + user) / 1e6
  const more = used - reported.seconds
  reported.seconds = used
  return more
}

/** Where Effect keeps the counter itself: two copies of this module in one process have one counter. */
const reported = GlobalValue.globalValue("vibectl/telemetry/ProcessMetrics/reported", () => ({ seconds: 0 }))

const cpu = counter("process_cpu_seconds_total", {
  description: "Processor time, of the user and of the system",
  unit: "s",
  labels: []
})

const resident = gauge("process_resident_memory_bytes", {
  description: "Memory that is resident",
  unit: "By",
  labels: []
})

const started = gauge("process_start_time_seconds", {
  description: "When the process began, since the epoch",
  unit: "s",
  labels: [],
  across: "min"
})

const openFiles = gauge("process_open_fds", { description: "Open files and sockets", labels: [] })

const heapSizeUsed = gauge("nodejs_heap_size_used_bytes", {
  description: "Heap that is used",
  unit: "By",
  labels: []
})

const heapSizeTotal = gauge("nodejs_heap_size_total_bytes", {
  description: "Heap that was taken from the system",
  unit: "By",
  labels: []
})

const lateBy = "by which timers were late, in the worst of the windows of 15 s of the last minute"

const lagP50 = gauge("nodejs_eventloop_lag_p50_seconds", {
  description: `Median ${lateBy}`,
  unit: "s",
  labels: [],
  across: "max"
})

const lagP99 = gauge("nodejs_eventloop_lag_p99_seconds", {
  description: `99th percentile ${lateBy}`,
  unit: "s",
  labels: [],
  across: "max"
})

const lagMax = gauge("nodejs_eventloop_lag_max_seconds", {
  description: `The most ${lateBy}`,
  unit: "s",
  labels: [],
  across: "max"
})
