// What vibectl-server costs against a bare grpc-js proxy, and against a published gateway.
//
// Targets run on one core, the load generator and the provider on the other. Each target is started some times, then
// warmed with some thousand calls; each round runs every scenario with each of them, one after the other, in an order
// that changes; ratios are of one round.
// Fails when an answer is not whole.
// Usage: npm run bench -- [--short] [--only SCENARIO,…] [--targets bare,vibectl,portkey] [--rounds N] [--json FILE]
//   --write               puts the table into docs/performance.md
//   --server FILE         another built server instead of this one's; --baseline FILE one to compare with
//   --cpu-profile DIR     where the server's CPU goes, instead of a comparison
//   --smoke               a few calls of each scenario: are the answers whole?
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as Procs from "./procs.mjs"
import * as Profile from "./profile.mjs"
import * as Report from "./report.mjs"
import * as Scenarios from "./scenarios.mjs"
import * as Targets from "./targets.mjs"

const { values: options } = parseArgs({
  options: {
    "short": { type: "boolean", default: false },
    "smoke": { type: "boolean", default: false },
    "write": { type: "boolean", default: false },
    "only": { type: "string" },
    "targets": { type: "string" },
    "rounds": { type: "string" },
    "json": { type: "string" },
    "server": { type: "string" },
    "baseline": { type: "string" },
    "cpu-profile": { type: "string" }
  }
})

const chosen = (text, known) => {
  const names = text.split(",")
  for (const name of names) if (!known.includes(name)) throw new Error(`${name} is none of ${known.join(", ")}`)
  return known.filter((name) => names.includes(name))
}

const profiling = options["cpu-profile"] !== undefined
const short = options.short || profiling
const shape = options.smoke ? Scenarios.tiny : short ? Scenarios.short : (one) => one
const everyScenario = Scenarios.scenarios.map(({ name }) => name)
const names = chosen(options.only ?? (profiling ? "burst,writes,unary" : everyScenario.join(",")), everyScenario)
const scenarios = Scenarios.scenarios.filter(({ name }) => names.includes(name)).map(shape)
const usual = ["bare", "vibectl", ...options.baseline !== undefined ? ["baseline"] : short ? [] : ["portkey"]]
const wanted = profiling
  ? ["vibectl"]
  : options.targets !== undefined
  ? chosen(options.targets, Targets.names)
  : options.smoke
  ? ["bare", "vibectl"]
  : usual
const rounds = options.smoke ? 1 : Number(options.rounds ?? (short ? 2 : 5))

const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-bench-"))
const here = (file) => new URL(file, import.meta.url).pathname
Procs.pinSelf(1)
const provider = Procs.start(1, [here("provider.mjs")], { ipc: true })
const load = Procs.start(1, [here("load.mjs")], { ipc: true })
const { port: providerPort } = await Procs.heard(provider)

const ask = async (job) => {
  const result = Procs.heard(load)
  load.send(job)
  const { failed, ...rest } = await result
  if (failed !== undefined) throw new Error(failed)
  return rest
}

const { notes, targets, token } = await Targets.make({
  directory,
  providerPort,
  wanted,
  server: options.server,
  baseline: options.baseline
})
if (!Procs.pins) notes.push("processes cannot be bound to cores here: their numbers disturb each other")

const jobOf = (target, scenario) => ({
  port: target.port,
  token,
  headers: target.headers,
  scenario,
  connections: 4,
  pids: { target: target.child.pid, provider: provider.pid, load: load.pid }
})

/** Starts it on a port of its own; yields milliseconds to its first good answer. */
const startUp = async (target) => {
  target.port = await Procs.freePort()
  const startedAt = performance.now()
  target.child = target.start(target.port)
  const easiest = { ...Scenarios.scenarios.find(({ name }) => name === (target.headers ? "unary" : "info")) }
  await ask({ ...jobOf(target, easiest), first: true })
  return performance.now() - startedAt
}

/** As Prometheus does, more often. */
const scraping = ({ metrics }) => {
  if (metrics === undefined) return { stop: () => {} }
  const timer = setInterval(() => {
    Http.get({ port: metrics, host: "127.0.0.1", path: "/metrics" }, (response) => response.resume()).on(
      "error",
      () => {}
    )
  }, 1000)
  return { stop: () => clearInterval(timer) }
}

/** Waits until it has done with what it was asked before. */
const quiet = async ({ child }) => {
  let still = 0
  for (let waited = 0; waited < 30 && still < 3; waited += 0.25) {
    const before = Procs.cpuSeconds(child.pid)
    await new Promise((resolve) => setTimeout(resolve, 250))
    still = Procs.cpuSeconds(child.pid) - before > 0.03 ? 0 : still + 1
  }
}

const runOne = async (target, scenario) => {
  if (!options.smoke) await quiet(target)
  const scraped = scraping(target)
  try {
    return await ask(jobOf(target, scenario))
  } finally {
    scraped.stop()
  }
}

const rotated = (list, by) => [...list.slice(by % list.length), ...list.slice(0, by % list.length)]

const runs = []
const starts = []
const starting = async (number) => {
  for (const target of rotated(targets, number)) {
    const startMs = await startUp(target)
    // It may have something left to do.
    if (!options.smoke) await new Promise((resolve) => setTimeout(resolve, 500))
    starts.push({ round: number, target: target.name, startMs, startMiB: Procs.residentMiB(target.child.pid) })
    if (number < rounds - 1) await Procs.stop(target.child)
  }
}

/** What V8 needs to see that nothing happens, and to give back what the start has used. */
const settling = 60_000
const idle = []
const settled = async () => {
  if (options.smoke) return
  process.stderr.write("idle for a minute\n")
  await new Promise((resolve) => setTimeout(resolve, settling))
  for (const { child, name } of targets) idle.push({ target: name, idleMiB: Procs.residentMiB(child.pid) })
}

const warm = async (target) => {
  for (const scenario of scenarios.filter((one) => Scenarios.warms(one) && target.serves(one))) {
    const { completed } = await runOne(target, Scenarios.warming(scenario, short ? 3000 : 10_000, short ? 5 : 30))
    process.stderr.write(`warm: ${target.name} ${scenario.name}, ${completed} calls\n`)
  }
}

const round = async (number) => {
  for (const [index, scenario] of scenarios.entries()) {
    for (const target of rotated(targets, number + index)) {
      if (!target.serves(scenario)) continue
      const result = await runOne(target, scenario)
      runs.push({ round: number, scenario: scenario.name, target: target.name, ...result })
      if (!options.smoke) process.stderr.write(`round ${number + 1}/${rounds} ${Report.line(runs.at(-1))}\n`)
    }
  }
}

try {
  if (profiling) {
    for (const scenario of scenarios) {
      await Profile.record({ directory: options["cpu-profile"], scenario, targets, startUp, runOne })
    }
  } else {
    for (let number = 0; number < rounds; number++) await starting(number)
    await settled()
    if (!options.smoke) { for (const target of targets) await warm(target) }
    for (let number = 0; number < rounds; number++) await round(number)
  }
} finally {
  await Promise.all(targets.map(({ child }) => child && Procs.stop(child)))
  load.disconnect()
  provider.disconnect()
  Fs.rmSync(directory, { recursive: true, force: true })
}

for (const note of notes) console.log(`note: ${note}`)
const wrong = runs.filter(({ errors }) => Object.keys(errors).length > 0)
for (const { errors, scenario, target } of wrong) console.log(`wrong: ${scenario} ${target} ${JSON.stringify(errors)}`)
if (options.smoke) {
  const whole = runs.reduce((sum, { completed }) => sum + completed, 0)
  console.log(`${whole} whole answers of ${runs.length} runs`)
} else if (!profiling) {
  const facts = { node: process.version, cores: Os.cpus().length, pinned: Procs.pins, rounds, short }
  const report = Report.make({ facts, scenarios, runs, starts, idle })
  console.log(Report.markdown(report))
  if (options.json !== undefined) {
    Fs.writeFileSync(options.json, `${JSON.stringify({ ...report, runs, starts, idle }, null, 1)}\n`)
  }
  if (options.write) Report.write(report)
}
process.exitCode = wrong.length > 0 ? 1 : 0
