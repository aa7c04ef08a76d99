import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, TestClock } from "effect"
import { all } from "../../src/telemetry/Instruments.js"
import * as ProcessMetrics from "../../src/telemetry/ProcessMetrics.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import { parse, type Sample } from "../support/Exposition.js"

const exposed = Effect.map(Metric.snapshot, (pairs) => {
  const samples = new Map<string, Sample>(parse(Prometheus.render(pairs, all)).map((sample) => [sample.name, sample]))
  return (name: string) => samples.get(name)?.value ?? Number.NaN
})

describe("ProcessMetrics.layer", () => {
  it.live("measures this process, as often as one likes", () =>
    Effect.gen(function*() {
      const { collect } = yield* ProcessMetrics.ProcessMetrics
      yield* collect
      const first = yield* exposed
      assert.isAbove(first("process_cpu_seconds_total"), 0.05)
      assert.isAbove(first("process_resident_memory_bytes"), first("nodejs_heap_size_used_bytes"))
      assert.isAbove(first("nodejs_heap_size_total_bytes"), 1e6)
      const begun = first("process_start_time_seconds") * 1000
      assert.strictEqual(Math.round(begun), Math.round(performance.timeOrigin))
      assert.strictEqual(first("vibectl_build_info"), 1)

      // A block is seen between two looks at the event loop: there has to be a first one.
      yield* Effect.sleep("50 millis")
      const busy = Date.now() + 120
      while (Date.now() < busy);
      yield* Effect.sleep("30 millis")
      const seconds = () => (process.cpuUsage().system + process.cpuUsage().user) / 1e6
      const least = seconds()
      for (let reader = 0; reader < 3; reader++) yield* collect
      const then = yield* exposed
      assert.isAtLeast(then("process_cpu_seconds_total"), least)
      assert.isAtMost(then("process_cpu_seconds_total"), seconds(), "counted once")
      assert.isAbove(then("nodejs_eventloop_lag_max_seconds"), 0.08)
      assert.isAtLeast(then("nodejs_eventloop_lag_p99_seconds"), then("nodejs_eventloop_lag_p50_seconds"))
      assert.isAtLeast(then("nodejs_eventloop_lag_max_seconds"), then("nodejs_eventloop_lag_p99_seconds"))

      const files = yield* FileSystem.FileSystem
      const before = then("process_open_fds")
      yield* Effect.replicateEffect(files.open("/dev/null"), 40)
      yield* collect
      if (process.platform === "linux") assert.closeTo((yield* exposed)("process_open_fds"), before + 40, 20)
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(ProcessMetrics.ProcessMetrics.layer, NodeContext.layer))))
})

describe("ProcessMetrics.watch", () => {
  it.scoped("keeps the worst of a minute, whoever has looked", () =>
    Effect.gen(function*() {
      let present = { p50: 0, p99: 0, max: 0 }
      const lateness = yield* ProcessMetrics.watch({
        read: () => present,
        reset: () => {
          present = { p50: 0, p99: 0, max: 0 }
        }
      })
      yield* TestClock.adjust("1 seconds")
      present = { p50: 1, p99: 2, max: 9 }
      assert.deepStrictEqual(yield* lateness, { p50: 1, p99: 2, max: 9 }, "at once")
      yield* TestClock.adjust("20 seconds")
      present = { p50: 3, p99: 1, max: 1 }
      const worst = { p50: 3, p99: 2, max: 9 }
      assert.deepStrictEqual(yield* lateness, worst)
      assert.deepStrictEqual(yield* lateness, worst, "another reader")
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(yield* lateness, worst, "71 s after the start")
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* lateness, { p50: 0, p99: 0, max: 0 })
    }))
})
