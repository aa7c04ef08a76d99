// Calls a proxy as fast as it answers: a child process that takes jobs from its parent, one after the other.
//
// A job: { port, headers | token, scenario, connections, pids } and, for the first call of a server that is starting,
// `first`. Its result has what was completed within the window, and every call that went wrong, also outside of it.
import * as H2 from "./h2.mjs"
import * as Http1 from "./http1.mjs"
import * as Procs from "./procs.mjs"
import { shapeOf } from "./scenarios.mjs"

process.on("message", (job) => {
  const work = job.first ? firstAnswer(job) : run(job)
  work.then((result) => process.send(result), (error) => process.send({ failed: String(error.stack ?? error) }))
})
process.on("disconnect", () => process.exit(0))

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

const templateOf = ({ headers, scenario: { model, rpc }, token }) =>
  headers === undefined ? H2.template(rpc, model, token) : Http1.template(rpc, model, headers)

const connect = (job, onText) => (job.headers === undefined ? H2 : Http1).connect(job.port, onText)

/** Tries until there is a good answer. */
async function firstAnswer(job) {
  const template = templateOf(job)
  const until = performance.now() + 30_000
  for (;;) {
    const connection = connect(job)
    const wrong = await new Promise((resolve) => connection.call(template, true, (_, wrong) => resolve(wrong)))
    connection.close()
    if (wrong === undefined) return {}
    if (performance.now() > until) throw new Error(`no good answer in 30 s: ${wrong}`)
    await sleep(0.005)
  }
}

async function run(job) {
  const { pids, scenario } = job
  const template = templateOf(job)
  const errors = {}
  const window = { completed: 0, bytes: 0, first: [], total: [] }
  const peaks = {}
  let [started, completed, measuring, over] = [0, 0, false, false]
  let finished = () => {}
  const allDone = new Promise((resolve) => {
    finished = resolve
  })

  const connections = Array.from({ length: job.connections }, () =>
    connect(job, (bytes) => {
      if (measuring) window.bytes += bytes
    }))
  const running = () => connections.reduce((sum, connection) => sum + connection.running(), 0)
  const ended = (call, wrong) => {
    if (wrong !== undefined) errors[wrong] = (errors[wrong] ?? 0) + 1
    else {
      completed++
      if (measuring) {
        window.completed++
        window.total.push(performance.now() - call.startedAt)
        if (call.firstAt !== undefined) window.first.push(call.firstAt - call.startedAt)
      }
    }
    // A server that fails every call must not be asked in a tight loop.
    if (wrong === undefined) again(call.connection)
    else setTimeout(again, 20, call.connection)
  }
  const again = (connection) => {
    if (over || started === scenario.calls) {
      if (running() === 0) finished()
      return
    }
    started++
    connection.call(template, scenario.checkAll || started % 1000 === 1, ended).connection = connection
  }
  for (let stream = 0; stream < scenario.streams; stream++) {
    const connection = connections[stream % connections.length]
    if (scenario.ramp === 0) again(connection)
    else setTimeout(again, (stream / scenario.streams) * scenario.ramp * 1000, connection)
  }

  if (scenario.calls !== undefined) {
    const late = await Promise.race([allDone, sleep(scenario.atMost).then(() => true)])
    if (late && scenario.checkAll) errors["never ended"] = running()
    over = true
    connections.forEach((connection) => connection.close())
    return { errors, completed }
  }

  await sleep(scenario.lead)
  const cpu = () => Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, Procs.cpuSeconds(pid)]))
  const sampling = setInterval(() => {
    peaks.target = Math.max(peaks.target ?? 0, Procs.residentMiB(pids.target))
  }, 250)
  const [before, from] = [cpu(), process.hrtime.bigint()]
  measuring = true
  await sleep(scenario.window)
  measuring = false
  over = true
  const [after, to] = [cpu(), process.hrtime.bigint()]
  clearInterval(sampling)
  // The ends of the short ones are judged too; those of the long ones are not waited for.
  if (scenario.ramp < 2 && running() > 0) {
    if (await Promise.race([allDone, sleep(15).then(() => "late")]) === "late") errors["never ended"] = running()
  }
  connections.forEach((connection) => connection.close())
  const tokens = scenario.tokens === 0
    ? 0
    : window.bytes / (template.wants ?? Buffer.byteLength(shapeOf(scenario.model).text)) * scenario.tokens
  return {
    errors,
    completed: window.completed,
    tokens,
    calls: callsOf(scenario, tokens, window.completed),
    seconds: Number(to - from) / 1e9,
    /** Of the monotonic clock, in microseconds: what a CPU profile counts in. */
    window: [Number(from / 1000n), Number(to / 1000n)],
    cpu: Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]])),
    peakMiB: peaks.target,
    first: quantiles(window.first),
    total: quantiles(window.total)
  }
}

/** Long ones are not over within the window, but their parts are. NaN where the server was so late that it says nothing. */
function callsOf({ model, ramp, streams, tokens: each, window }, tokens, completed) {
  if (ramp === 0) return completed
  const calls = tokens / each
  const possible = streams * window * 1000 / (each * shapeOf(model).pause)
  return calls < possible / 10 ? Number.NaN : calls
}

/** In milliseconds. */
function quantiles(values) {
  const sorted = Float64Array.from(values).sort()
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
  return sorted.length === 0 ? undefined : { p50: at(0.5), p99: at(0.99) }
}
