// Whether a server that works for long still holds what it held at the beginning.
//
// All kinds of calls at half of what the server can do, some given up by their client and some failed by the provider.
// Every few seconds: memory, open files and sockets, running calls. Fails when the medians of the last fifth of the time
// are clearly above those of the second, when a call ends otherwise than it should, or when something is left at the end.
// Usage: npm run build && node bench/soak.mjs [--minutes N] [--every SECONDS] [--write] [--server FILE]
//   --write   puts the samples into bench/soak.csv and their picture into bench/soak.svg
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as H2 from "./overhead/h2.mjs"
import * as Plot from "./overhead/plot.mjs"
import * as Procs from "./overhead/procs.mjs"
import { failing } from "./overhead/scenarios.mjs"
import * as Targets from "./overhead/targets.mjs"

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "30" },
    every: { type: "string", default: "5" },
    write: { type: "boolean", default: false },
    server: { type: "string" }
  }
})
const seconds = Number(options.minutes) * 60
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

Procs.pinSelf(1)
const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-soak-"))
const provider = Procs.start(1, [new URL("overhead/provider.mjs", import.meta.url).pathname], { ipc: true })
const { port: providerPort } = await Procs.heard(provider)
const { targets: [target], token } = await Targets.make({
  directory,
  providerPort,
  wanted: ["vibectl"],
  server: options.server
})
const port = await Procs.freePort()
const child = target.start(port)
const { pid } = child

/** Of 40 calls. `ends` is what a call is ended by: its answer, a failure, or its client. */
const mix = [
  ...Array(16).fill({ rpc: "stream", model: "bench-burst-100", ends: "answer" }),
  ...Array(8).fill({ rpc: "unary", model: "bench-unary-100", ends: "answer" }),
  ...Array(6).fill({ rpc: "info", ends: "answer" }),
  ...Array(4).fill({ rpc: "stream", model: "bench-paced-50x10", ends: "answer" }),
  ...Array(4).fill({ rpc: "stream", model: "bench-paced-20x250", ends: "client" }),
  ...failing.slice(1).map((model) => ({ rpc: "stream", model, ends: "failure" }))
].map((kind) => ({ ...kind, template: H2.template(kind.rpc, kind.model, token) }))

const counts = { calls: 0, good: 0, failed: 0, cancelled: 0, wrong: 0 }
const surprises = {}
const surprise = (what) => {
  counts.wrong++
  surprises[what] = (surprises[what] ?? 0) + 1
}

/** A connection and its calls; a new one takes its place when it is lost. */
const connections = []
const connectionOf = (call) => {
  const at = call % 4
  // Connections come and go too.
  if (call % 5000 < 4 && connections[at]?.running() === 0) {
    connections[at].close()
    connections[at] = undefined
  }
  connections[at] ??= H2.connect(port)
  return connections[at]
}

const makeCall = (ended = () => {}) => {
  const kind = mix[(counts.calls * 7) % mix.length]
  const connection = connectionOf(counts.calls++)
  const call = connection.call(kind.template, counts.calls % 100 === 0, (_, wrong) => {
    clearTimeout(leaving)
    if (kind.ends === "answer" && wrong === undefined) counts.good++
    else if (kind.ends === "failure" && wrong !== undefined) counts.failed++
    else surprise(`${kind.rpc} ${kind.model}: ${wrong ?? "an answer"}`)
    ended()
  })
  const leaving = kind.ends !== "client" ? undefined : setTimeout(() => {
    connection.cancel(call)
    counts.cancelled++
    ended()
  }, Math.random() * 2000)
}

/** Calls a second that the server can do. */
const capacity = async (within) => {
  let over = false
  const again = () => over || makeCall(again)
  for (let caller = 0; caller < 32; caller++) again()
  await sleep(within / 2)
  const before = counts.calls
  await sleep(within / 2)
  over = true
  return (counts.calls - before) / (within / 2)
}

/** The sum of all series of a metric. */
const sumOf = (text, name) =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([-0-9.e+]+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0
  )

const sample = async (from) => {
  const metrics = await (await fetch(`http://127.0.0.1:${target.metrics}/metrics`)).text()
  const heard = Procs.heard(provider)
  provider.send("counts")
  const { open } = await heard
  return {
    seconds: Math.round((performance.now() - from) / 1000),
    rss_mib: Number(Procs.residentMiB(pid).toFixed(1)),
    heap_mib: Number((sumOf(metrics, "nodejs_heap_size_used_bytes") / 2 ** 20).toFixed(1)),
    ...Procs.descriptors(pid),
    running: sumOf(metrics, "vibectl_calls_running"),
    provider_sockets: open,
    cpu_seconds: Number(Procs.cpuSeconds(pid).toFixed(1)),
    ...counts
  }
}

/** What must not grow, and how much more at the end is no growth. */
const watched = {
  rss_mib: [1.15, 16],
  heap_mib: [1.25, 16],
  fds: [1.1, 24],
  sockets: [1.1, 24],
  provider_sockets: [1.1, 24]
}

const judged = (samples) =>
  Object.entries(watched).map(([name, [factor, more]]) => {
    const fifth = Math.floor(samples.length / 5)
    const [early, late] = [samples.slice(fifth, 2 * fifth), samples.slice(-fifth)].map((part) =>
      Plot.median(part.map((one) => one[name]))
    )
    const rest = samples.slice(fifth)
    const perHour = Plot.slope(rest.map((one) => one.seconds), rest.map((one) => one[name])) * 3600
    return { what: name, early, late, "per hour": Number(perHour.toFixed(1)), grows: late > early * factor + more }
  })

const samples = []
const problems = []
try {
  for (let ready = false; !ready; await sleep(0.05)) {
    ready = await fetch(`http://127.0.0.1:${target.metrics}/readyz`).then(({ ok }) => ok, () => false)
    if (child.exitCode !== null) throw new Error("the server does not start")
  }
  // Also the time in which it gets warm.
  const rate = await capacity(Math.min(30, seconds / 4)) / 2
  console.log(`${rate.toFixed(0)} calls a second for ${options.minutes} minutes`)
  const from = performance.now()
  const before = counts.calls
  let nextSample = 0
  for (let now = 0; now < seconds; now = (performance.now() - from) / 1000) {
    for (let due = before + now * rate - counts.calls; due > 1; due--) makeCall()
    if (now >= nextSample) {
      samples.push(await sample(from))
      nextSample += Number(options.every)
    }
    await sleep(0.005)
  }
  await sleep(5)
  const left = await sample(from)
  if (left.running > 0) problems.push(`${left.running} calls still run`)
  console.table(judged(samples))
  problems.push(...judged(samples).filter(({ grows }) => grows).map(({ what }) => `${what} grows`))
} finally {
  connections.forEach((connection) => connection?.close())
  await Procs.stop(child)
  provider.disconnect()
  Fs.rmSync(directory, { recursive: true, force: true })
}

const { calls, cancelled, failed, good, wrong } = counts
console.log(`${calls} calls: ${good} answered, ${failed} failed by the provider, ${cancelled} given up, ${wrong} wrong`)
if (wrong > 0) problems.push(`wrong: ${JSON.stringify(surprises)}`)
if (options.write) {
  const columns = Object.keys(samples[0])
  Fs.writeFileSync(new URL("soak.csv", import.meta.url), Plot.csv(columns, samples))
  const shown = ["seconds", "rss_mib", "heap_mib", "fds", "sockets", "running", "provider_sockets"]
  const title = `vibectl-server at half load for ${options.minutes} minutes, ${calls} calls`
  Fs.writeFileSync(new URL("soak.svg", import.meta.url), Plot.svg(title, shown, samples))
}
for (const problem of problems) console.log(problem)
process.exitCode = problems.length > 0 ? 1 : 0
