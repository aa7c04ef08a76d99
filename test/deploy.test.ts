/**
 * The files in `deploy` ask for metrics and labels that this server has.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Yaml from "yaml"
import { codes } from "../src/grpc/Status.js"
import { all } from "../src/telemetry/Instruments.js"
import "../src/telemetry/Metrics.js"
import "../src/telemetry/ProcessMetrics.js"
import * as Prometheus from "../src/telemetry/Prometheus.js"
import * as PromQl from "./support/PromQl.js"
import { promtool } from "./support/Promtool.js"
import * as Temporary from "./support/Temporary.js"

const deploy = new URL("../deploy/", import.meta.url).pathname
const read = (file: string) => Fs.readFileSync(Path.join(deploy, file), "utf8")

/** Those that Prometheus adds to everything it reads. */
const added = ["job", "instance"]

/** Every series that can be read from a server, and Prometheus' own, with their labels. */
const series = new Map<string, ReadonlyArray<string>>([["up", added]])
for (const instrument of all.values()) {
  const [name, labels] = [Prometheus.nameOf(instrument), [...added, ...instrument.labels.map(Prometheus.labelOf)]]
  if (instrument.kind === "histogram") {
    series.set(`${name}_bucket`, [...labels, "le"]).set(`${name}_sum`, labels).set(`${name}_count`, labels)
  } else series.set(name, labels)
}

const outcomes = [...Object.keys(codes), "OK", "CANCELLED", "INTERNAL", "DEADLINE_EXCEEDED"]

const holds = (query: string) => {
  const uses = PromQl.asked(query)
  assert.isAbove(uses.length, 0, query)
  for (const { labels, metric } of uses) {
    const known = series.get(metric)
    assert.isDefined(known, `${metric} in ${query}`)
    for (const label of labels) assert.include(known, label, `${metric} in ${query}`)
  }
  for (const outcome of PromQl.values(query, "outcome")) assert.include(outcomes, outcome)
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly datasource?: { readonly uid: string }
  readonly targets?: ReadonlyArray<{ readonly refId: string; readonly expr: string; readonly legendFormat: string }>
}
interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}

describe("the reader of queries", () => {
  it("sees every metric and the labels it is asked for", () => {
    assert.deepStrictEqual(
      PromQl.asked("topk(3, sum by (a, b) (rate(x_total{c=~\"}(y)\"}[5m]))) * 2 / sum(z) or w{d!=\"1\",e=\"2\"} > 1e3"),
      [
        { metric: "x_total", labels: ["c", "a", "b"] },
        { metric: "z", labels: [] },
        { metric: "w", labels: ["d", "e"] }
      ]
    )
    assert.throws(() => PromQl.asked("sum(x) by (a)"), /not understood/)
    assert.throws(() => PromQl.asked("sum without (a) (x)"), /not understood/)
    assert.throws(() => holds("sum(rate(vibectl_calls_totals[5m]))"), /vibectl_calls_totals/)
    assert.throws(() => holds("sum by (model) (vibectl_calls_total)"), /model/)
    assert.throws(() => holds("vibectl_calls_total{outcome=\"FINE\"}"), /FINE/)
  })
})

describe("deploy/grafana-dashboard.json", () => {
  const dashboard = JSON.parse(read("grafana-dashboard.json")) as {
    readonly panels: ReadonlyArray<Panel>
    readonly templating: { readonly list: ReadonlyArray<{ readonly name: string; readonly query: unknown }> }
  }
  const charts = dashboard.panels.filter(({ type }) => type !== "row")

  it("asks only for what there is, and names only labels that a result has", () => {
    for (const { targets = [], title } of charts) {
      assert.isAbove(targets.length, 0, title)
      for (const { expr, legendFormat } of targets) {
        holds(expr)
        const plain = !/\bsum\b|\bcount\b/.test(expr)
        const labels = [...PromQl.grouped(expr), ...plain ? added : []]
        for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.include(labels, label, title)
      }
    }
    for (const { query } of dashboard.templating.list) {
      const [, selector, label] = /label_values\((.*), (\w+)\)"/.exec(JSON.stringify(query)) ?? []
      if (selector === undefined || label === undefined) continue
      holds(JSON.parse(`"${selector}"`) as string)
      assert.include(added, label)
    }
  })

  it("shows something of every metric", () => {
    const shown = new Set(
      charts.flatMap(({ targets = [] }) => targets).flatMap(({ expr }) => PromQl.asked(expr))
        .map(({ metric }) => metric)
    )
    // What the used heap is a part of.
    const left = new Set(["nodejs_heap_size_total_bytes"])
    for (const instrument of all.values()) {
      const name = Prometheus.nameOf(instrument)
      const found = [name, `${name}_bucket`, `${name}_sum`, `${name}_count`].some((one) => shown.has(one))
      assert.strictEqual(found, !left.has(name), name)
    }
  })

  it("can be imported: ids are unique, panels do not overlap, the data source is a choice", () => {
    assert.strictEqual(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
    assert.deepStrictEqual(dashboard.templating.list.map(({ name }) => name), ["datasource", "job", "instance"])
    const taken = new Set<string>()
    for (const { datasource, gridPos: { h, w, x, y }, title, type } of dashboard.panels) {
      if (type !== "row") assert.strictEqual(datasource?.uid, "${datasource}", title)
      assert.isAtMost(x + w, 24, title)
      for (let across = x; across < x + w; across++) {
        for (let down = y; down < y + h; down++) {
          assert.isFalse(taken.has(`${across} ${down}`), title)
          taken.add(`${across} ${down}`)
        }
      }
    }
  })
})

describe("deploy/prometheus-alerts.yaml", () => {
  const { groups } = Yaml.parse(read("prometheus-alerts.yaml")) as {
    readonly groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }>
  }
  const rules = groups.flatMap((group) => group.rules)

  for (const { alert, annotations, expr, labels } of rules) {
    it(`${alert} asks for what there is, and says what to do`, () => {
      holds(expr)
      assert.match(labels.severity, /^(page|ticket)$/)
      assert.isAbove(annotations.summary.length, 20)
      assert.isAbove(annotations.runbook.length, 40)
      const known = [...PromQl.grouped(expr), ...added]
      for (const [, label] of annotations.summary.matchAll(/\$labels\.(\w+)/g)) assert.include(known, label)
      const panels = read("grafana-dashboard.json")
      for (const [, panel] of annotations.runbook.matchAll(/"([^"]+)"/g)) assert.include(panels, `"title": "${panel}"`)
    })
  }

  it("promtool takes it, and the configuration that names it", (test) => {
    if (promtool === undefined) return test.skip("there is no promtool here")
    execFileSync(promtool, ["check", "rules", Path.join(deploy, "prometheus-alerts.yaml")])
    execFileSync(promtool, ["check", "config", Path.join(deploy, "prometheus.yaml")])
  })

  it("each fires when it should, and none while all is well", (test) => {
    if (promtool === undefined) return test.skip("there is no promtool here")
    const directory = Temporary.directory("alerts")
    try {
      const file = Path.join(directory, "test.yaml")
      const tests = [scenario(rules, true), scenario(rules, false)]
      Fs.writeFileSync(file, JSON.stringify({ rule_files: [Path.join(deploy, "prometheus-alerts.yaml")], tests }))
      execFileSync(promtool, ["test", "rules", file], { encoding: "utf8" })
    } finally {
      Fs.rmSync(directory, { recursive: true })
    }
  })
})

const target = "job=\"vibectl\",instance=\"one\""
const model = `${target},gen_ai_provider_name="openai",gen_ai_request_model="openai/m"`

/** Of a server that has nothing but good, or nothing but bad, of each kind. */
const samples = (well: boolean): ReadonlyArray<{ readonly series: string; readonly values: string }> => {
  const grow = (perMinute: number) => `0+${perMinute}x60`
  return [
    { series: `up{${target}}`, values: `${well ? 1 : 0}x60` },
    { series: `vibectl_calls_total{${target},outcome="OK"}`, values: grow(100) },
    // The callers' own failures are nobody's alert.
    { series: `vibectl_calls_total{${target},outcome="INVALID_REQUEST"}`, values: grow(100) },
    { series: `vibectl_calls_total{${target},outcome="PROVIDER_UNAVAILABLE"}`, values: grow(well ? 5 : 50) },
    { series: `gen_ai_client_operation_duration_seconds_count{${model}}`, values: grow(100) },
    {
      series: `gen_ai_client_operation_duration_seconds_count{${model},error_type="timeout"}`,
      values: grow(well ? 50 : 200)
    },
    { series: `vibectl_limits_unavailable_total{${target},choice="refused"}`, values: grow(well ? 0 : 1) },
    { series: `nodejs_eventloop_lag_p99_seconds{${target}}`, values: `${well ? 0.1 : 0.4}x60` },
    { series: `gen_ai_server_time_to_first_token_seconds_bucket{${model},le="2.5"}`, values: grow(well ? 99 : 50) },
    { series: `gen_ai_server_time_to_first_token_seconds_bucket{${model},le="7.5"}`, values: grow(100) },
    { series: `gen_ai_server_time_to_first_token_seconds_bucket{${model},le="+Inf"}`, values: grow(100) },
    { series: `vibectl_authentications_total{${target},result="accepted"}`, values: grow(200) },
    { series: `vibectl_authentications_total{${target},result="expired"}`, values: grow(well ? 20 : 120) }
  ]
}

/** What each alert says of a server of which everything is bad: its own labels and its summary. */
const fired: { readonly [alert: string]: readonly [labels: { readonly [name: string]: string }, summary: string] } = {
  VibectlServerDown: [{ instance: "one" }, "vibectl-server on one does not answer Prometheus."],
  VibectlErrors: [{ instance: "one" }, "20% of the calls to one fail, and not by their callers."],
  VibectlProviderFailing: [
    { gen_ai_provider_name: "openai" },
    "66.67% of the attempts at the provider openai fail."
  ],
  VibectlLimitsStoreUnavailable: [
    { instance: "one", choice: "refused" },
    "one cannot reach its store of limits; calls are refused."
  ],
  VibectlEventLoopDelay: [{ instance: "one" }, "The event loop of one is 400ms late, so every stream stutters."],
  VibectlFirstTokenSlow: [
    { gen_ai_request_model: "openai/m" },
    "Of the calls to openai/m, 5% wait more than 7s for their first text."
  ],
  VibectlCallersRefused: [
    { instance: "one" },
    "one refuses 2 callers a second: somebody tries tokens, or many have expired."
  ]
}

const scenario = (rules: ReadonlyArray<Rule>, well: boolean) => ({
  interval: "1m",
  input_series: samples(well),
  alert_rule_test: rules.map(({ alert, annotations: { runbook }, labels }) => {
    const [own, summary] = fired[alert] ?? [{}, ""]
    const firing = { exp_labels: { job: "vibectl", ...labels, ...own }, exp_annotations: { summary, runbook } }
    return { eval_time: "50m", alertname: alert, exp_alerts: well ? [] : [firing] }
  })
})
