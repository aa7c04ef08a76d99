// Numbers of rounds as a table.
import * as Fs from "node:fs"

const page = new URL("../../docs/performance.md", import.meta.url)
const marks = ["<!-- bench: begin -->", "<!-- bench: end -->"]

/** Medians of all rounds with their spread, and ratios to `bare`, each of one round. */
export const make = ({ facts, idle, runs, scenarios, starts }) => ({
  facts,
  rows: scenarios.flatMap(({ name }) =>
    targetsOf(runs.filter(({ scenario }) => scenario === name)).map((target) => {
      const own = runs.filter((run) => run.scenario === name && run.target === target).map(measures)
      const bare = runs.filter((run) => run.scenario === name && run.target === "bare").map(measures)
      const of = (key) => spread(own.map((run) => run[key]))
      const ratio = (key) =>
        target === "bare"
          ? undefined
          : spread(own.map((run) => run[key] / bare.find(({ round }) => round === run.round)?.[key]))
      const added = (key) =>
        target === "bare"
          ? undefined
          : spread(own.map((run) => run[key] - bare.find(({ round }) => round === run.round)?.[key]))
      return {
        scenario: name,
        target,
        perSecond: of("perSecond"),
        perSecondRatio: ratio("perSecond"),
        cpu: of("cpu"),
        cpuRatio: ratio("cpu"),
        cpuPerToken: of("cpuPerToken"),
        first50: of("first50"),
        first99: of("first99"),
        added50: added("first50"),
        added99: added("first99"),
        peakMiB: of("peakMiB"),
        targetShare: of("targetShare"),
        providerShare: of("providerShare"),
        loadShare: of("loadShare")
      }
    })
  ),
  starts: targetsOf(starts).map((target) => {
    const own = starts.filter((start) => start.target === target)
    return {
      target,
      startMs: spread(own.map((one) => one.startMs)),
      startMiB: spread(own.map((one) => one.startMiB)),
      idleMiB: idle.find((one) => one.target === target)?.idleMiB
    }
  })
})

/** One run, for whoever waits. */
export const line = (run) => {
  const { cpu, first50, first99, loadShare, perSecond, providerShare, targetShare } = measures(run)
  const wrong = Object.keys(run.errors).length === 0 ? "" : ` WRONG ${JSON.stringify(run.errors)}`
  return `${run.scenario} ${run.target}: ${perSecond.toFixed(0)}/s, CPU ${cpu.toFixed(2)} ms a call, `
    + `first text ${first50?.toFixed(1) ?? "-"}/${first99?.toFixed(1) ?? "-"} ms, shares of a core: target ${
      percent(targetShare)
    }, `
    + `provider ${percent(providerShare)}, load ${percent(loadShare)}${wrong}`
}

export const markdown = ({ facts, rows, starts }) => {
  const table = (heads, lines) =>
    [heads, heads.map((_, index) => index < 2 ? "---" : "---:"), ...lines].map((cells) => `| ${cells.join(" | ")} |`)
      .join("\n")
  const noise = rows.filter(({ target }) => target === "bare")
    .flatMap(({ cpu }) => cpu === undefined ? [] : (cpu.max - cpu.min) / cpu.median)
  return [
    `Node ${facts.node}, ${facts.cores} cores, ${
      facts.pinned ? "targets on one core, load and provider on another" : "not bound to cores"
    }; `
    + `${facts.rounds} rounds${
      facts.short ? " (short)" : ""
    }; median (least to most). Spread of bare's CPU between rounds: `
    + `${percent(Math.max(0, ...noise))} at most.`,
    table(
      [
        "scenario",
        "target",
        "requests/s",
        "to bare",
        "CPU s per 1,000",
        "to bare",
        "CPU us per token",
        "first text p50, p99 ms",
        "added p50, p99 ms",
        "RSS MiB"
      ],
      rows.map((row) => [
        row.scenario,
        row.target,
        show(row.perSecond, 0),
        show(row.perSecondRatio, 2),
        show(row.cpu, 2),
        show(row.cpuRatio, 2),
        brief(row.cpuPerToken, 1),
        row.first50 === undefined ? "" : `${brief(row.first50, 1)}, ${brief(row.first99, 1)}`,
        row.added50 === undefined ? "" : `${brief(row.added50, 1)}, ${brief(row.added99, 1)}`,
        brief(row.peakMiB, 0)
      ])
    ),
    table(
      ["target", "", "first good answer after ms", "RSS then MiB", "RSS after an idle minute MiB"],
      starts.map(({ idleMiB, startMiB, startMs, target }) => [
        target,
        "",
        show(startMs, 0),
        show(startMiB, 0),
        idleMiB?.toFixed(0) ?? ""
      ])
    ),
    table(
      ["scenario", "target", "share of a core: target", "provider", "load"],
      rows.map((row) => [
        row.scenario,
        row.target,
        ...[row.targetShare, row.providerShare, row.loadShare].map((share) => percent(share?.median))
      ])
    )
  ].join("\n\n")
}

/** Puts it between the marks of docs/performance.md. */
export const write = (report) => {
  const text = Fs.readFileSync(page, "utf8")
  const [from, to] = marks.map((mark) => text.indexOf(mark))
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no ${marks.join(" … ")}`)
  Fs.writeFileSync(page, `${text.slice(0, from + marks[0].length)}\n\n${markdown(report)}\n\n${text.slice(to)}`)
}

const targetsOf = (list) => [...new Set(list.map(({ target }) => target))].sort((one, other) => rank(one) - rank(other))

const rank = (name) => ["bare", "vibectl", "baseline", "portkey"].indexOf(name)

const measures = ({ calls, cpu, first, peakMiB, round, seconds, tokens }) => ({
  round,
  perSecond: calls / seconds,
  /** Seconds per 1,000 calls are milliseconds per call. */
  cpu: cpu.target / calls * 1000,
  cpuPerToken: tokens > 0 ? cpu.target / tokens * 1e6 : undefined,
  first50: first?.p50,
  first99: first?.p99,
  peakMiB,
  targetShare: cpu.target / seconds,
  providerShare: cpu.provider / seconds,
  loadShare: cpu.load / seconds
})

const spread = (values) => {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((one, other) => one - other)
  if (sorted.length === 0) return undefined
  const middle = (sorted.length - 1) / 2
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
  return { median, min: sorted[0], max: sorted.at(-1) }
}

const brief = (value, digits) => value === undefined ? "" : value.median.toFixed(digits)

const show = (value, digits) =>
  value === undefined
    ? ""
    : `${value.median.toFixed(digits)} (${value.min.toFixed(digits)} to ${value.max.toFixed(digits)})`

const percent = (share) => share === undefined ? "" : `${Math.round(share * 100)} %`
