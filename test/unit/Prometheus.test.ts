import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Metric, MetricBoundaries, type MetricPair } from "effect"
import { execFileSync } from "node:child_process"
import { all, type Instrument } from "../../src/telemetry/Instruments.js"
import * as Metrics from "../../src/telemetry/Metrics.js"
import "../../src/telemetry/ProcessMetrics.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import { parse } from "../support/Exposition.js"
import * as Patience from "../support/Patience.js"
import { promtool } from "../support/Promtool.js"
import * as Property from "../support/Property.js"

const instrument = (name: string, kind: Instrument["kind"], labels: ReadonlyArray<string> = [], unit?: string) => ({
  name,
  kind,
  unit,
  description: `About ${name}`,
  labels
})

/** What these metrics hold now, as text. */
const exposed = (instruments: ReadonlyArray<Instrument>) =>
  Effect.map(Metric.snapshot, (pairs) => Prometheus.render(pairs, new Map(instruments.map((one) => [one.name, one]))))

/** Names that no other test has used: metrics are the process's. */
let used = 0
const fresh = () => `test_${used++}`

describe("Prometheus.nameOf", () => {
  for (
    const [name, kind, unit, expected] of [
      ["gen_ai.server.request.duration", "histogram", "s", "gen_ai_server_request_duration_seconds"],
      ["gen_ai.client.token.usage", "histogram", "{token}", "gen_ai_client_token_usage"],
      ["a.seconds", "gauge", "s", "a_seconds"],
      ["process_cpu_seconds_total", "counter", "s", "process_cpu_seconds_total"],
      ["read", "counter", "By", "read_bytes_total"],
      ["vibectl_calls_total", "counter", undefined, "vibectl_calls_total"],
      ["calls", "counter", undefined, "calls_total"],
      ["9-._lives", "gauge", undefined, "_9_lives"]
    ] as const
  ) {
    it(`${name} in ${unit ?? "nothing"} is ${expected}`, () => {
      assert.strictEqual(Prometheus.nameOf({ name, kind, unit }), expected)
    })
  }

  it("tells all instruments of the program apart, and their labels", () => {
    const names = [...all.values()].map(Prometheus.nameOf)
    assert.strictEqual(new Set(names).size, names.length)
    for (const { labels } of all.values()) {
      assert.strictEqual(new Set(labels.map(Prometheus.labelOf)).size, labels.length)
      for (const label of labels.map(Prometheus.labelOf)) assert.match(label, /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/)
    }
  })
})

describe("Prometheus.render", () => {
  it.effect("any label and any number survive", () =>
    Effect.promise(() =>
      Property.check(
        fc.asyncProperty(
          fc.string({ unit: "binary", maxLength: 20 }),
          fc.string({ unit: fc.constantFrom("\\", "\"", "\n", "n", "{", "}", ",", "=", " "), maxLength: 8 }),
          fc.double(),
          (one, other, value) =>
            Effect.runPromise(Effect.gen(function*() {
              const name = fresh()
              yield* Metric.set(
                Metric.gauge(name).pipe(Metric.tagged("a.b", one), Metric.tagged("c", other)),
                value
              )
              const text = yield* exposed([instrument(name, "gauge", ["a.b", "c"])])
              const [sample, ...more] = parse(text)
              assert.deepStrictEqual(more, [])
              const labels = Object.entries({ a_b: one, c: other }).filter(([, value]) => value !== "")
              assert.deepStrictEqual(sample, { name, labels: Object.fromEntries(labels), value: value + 0 })
            }))
        ),
        200
      )
    ))

  it.effect("the buckets of a histogram hold all that is not above them", () =>
    Effect.gen(function*() {
      const name = fresh()
      const metric = Metric.histogram(name, MetricBoundaries.fromIterable([0.1, 1]))
      for (const value of [0.05, 0.1, 0.5, 7, 8]) yield* Metric.update(Metric.tagged(metric, "of", "x"), value)
      const text = yield* exposed([instrument(name, "histogram", ["of"], "s")])
      assert.deepStrictEqual(text.split("\n"), [
        `# HELP ${name}_seconds About ${name}`,
        `# TYPE ${name}_seconds histogram`,
        `${name}_seconds_bucket{of="x",le="0.1"} 2`,
        `${name}_seconds_bucket{of="x",le="1"} 3`,
        `${name}_seconds_bucket{of="x",le="+Inf"} 5`,
        `${name}_seconds_sum{of="x"} 15.65`,
        `${name}_seconds_count{of="x"} 5`,
        ""
      ])
    }))

  it.effect("leaves out what is not ours, and names what was not counted yet", () =>
    Effect.gen(function*() {
      const [mine, theirs] = [fresh(), fresh()]
      yield* Metric.increment(Metric.counter(theirs))
      const text = yield* exposed([instrument(mine, "counter", ["x"])])
      assert.strictEqual(text, `# HELP ${mine}_total About ${mine}\n# TYPE ${mine}_total counter\n`)
    }))
})

describe("Prometheus.exposition", () => {
  it.effect("begins at 0 where there are no labels, and leaves out Effect's own metrics", () =>
    Effect.gen(function*() {
      const text = yield* Prometheus.exposition
      const samples = parse(text)
      for (const name of ["vibectl_overhead_seconds_count", "vibectl_limits_wait_seconds_bucket"]) {
        assert.isTrue(samples.some((sample) => sample.name === name), name)
      }
      assert.isTrue(samples.some(({ name }) => name === "vibectl_limits_waiting"))
      assert.include(text, "# TYPE vibectl_restarts_total counter\n")
      assert.notInclude(text, "effect_fiber")
    }))

  it.effect("promtool finds nothing to say against it", (test) =>
    Effect.gen(function*() {
      yield* Metrics.requests(["\"weird\\\n\u00fc"])
      yield* Metrics.duration(["chat", "demo", "demo/echo", ""], 0.3)
      yield* Metrics.tokens(["chat", "demo", "demo/echo", "input"], 12)
      const text = yield* Prometheus.exposition
      if (promtool === undefined) return test.skip("there is no promtool here")
      const said = execFileSync(promtool, ["check", "metrics"], { input: text, encoding: "utf8" })
      assert.strictEqual(said, "")
    }))

  it.effect("5000 series are read fast", () =>
    Effect.gen(function*() {
      const name = fresh()
      const metric = Metric.histogram(name, MetricBoundaries.fromIterable(Array.from({ length: 14 }, (_, i) => 2 ** i)))
      const counters = fresh()
      for (let index = 0; index < 4500; index++) {
        yield* Metric.increment(Metric.tagged(Metric.counter(counters), "sub", `subject-${index}`))
      }
      for (let index = 0; index < 500; index++) {
        yield* Metric.update(Metric.tagged(metric, "model", `openai/model-${index}`), index)
      }
      const instruments = new Map([
        [name, instrument(name, "histogram", ["model"])],
        [counters, instrument(counters, "counter", ["sub"])]
      ])
      const pairs: ReadonlyArray<MetricPair.MetricPair.Untyped> = yield* Metric.snapshot
      const tenth = pairs.filter((_, index) => index % 10 === 0)
      const ofTenth = Patience.spent(() => Prometheus.render(tenth, instruments))
      const ofAll = Patience.spent(() => assert.isAbove(Prometheus.render(pairs, instruments).length, 500_000))
      // A hundred times as long, if it grew with the square.
      assert.isBelow(ofAll, 30 * ofTenth + 100)
    }))
})
