// Whether a rolling restart of three servers that share one Redis loses a call.
//
// Streams run behind nginx and HAProxy, configured as docs/proxies.md shows, half of them of vibectl's client and half of
// a plain one (grpc-js), and from a plain one that balances by itself (`round_robin`), while one server after the other is stopped with SIGTERM and started again. The servers have
// their default settings. Fails when a call failed, was cut, or reached the provider twice.
// Needs redis-server, and nginx and haproxy for their fronts.
// Usage: npm run build && node bench/rolling.mjs [--streams N] [--seconds N] [--front nginx,haproxy,round-robin]
//   --streams   for each front, spread over the restarts (100)
//   --seconds   that each stream takes (4)
import * as Grpc from "@grpc/grpc-js"
import * as ProtoLoader from "@grpc/proto-loader"
import { Cause, Effect, Exit, Redacted, Scope, Stream } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { ProxyClient } from "vibectl/client"
import { FakeVendor } from "vibectl/testing"

const { values: options } = parseArgs({
  options: {
    streams: { type: "string", default: "100" },
    seconds: { type: "string", default: "4" },
    front: { type: "string", default: "nginx,haproxy,round-robin" }
  }
})
const streams = Number(options.streams)
const millis = Number(options.seconds) * 1000
const fronts = options.front.split(",")

const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis))
const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-rolling-"))
const children = new Set()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
  Fs.rmSync(directory, { recursive: true, force: true })
})

const start = (program, args, more = {}) => {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], ...more })
  children.add(child)
  child.once("exit", () => children.delete(child))
  return child
}

/** Below the ports that outgoing connections get, so that a server that is started again finds it free. */
const freePort = async () => {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = Net.createServer()
    const isFree = await new Promise((resolve) => {
      probe.once("error", () => resolve(false))
      probe.listen(port, "127.0.0.1", () => resolve(true))
    })
    if (!isFree) continue
    probe.close()
    await once(probe, "close")
    return port
  }
}

/** Until somebody listens on the port. */
const listening = async (port) => {
  for (let tries = 0; tries < 600; tries++) {
    const socket = Net.connect(port, "127.0.0.1")
    const stands = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    })
    socket.destroy()
    if (stands) return
    await sleep(100)
  }
  throw new Error(`nothing listens on port ${port}`)
}

// -- the servers, their Redis and their provider --------------------------------

const scope = Effect.runSync(Scope.make())
const vendor = await Effect.runPromise(Scope.extend(FakeVendor.make(), scope))
const count = 20
const pieces = Array.from({ length: count }, (_, index) => `piece ${index} `)
vendor.otherwise({ pieces, pace: millis / count })

const names = ["50051", "50052", "50053", "9095", "9096", "9097", "8443", "8444"]
const ports = new Map()
for (const name of names) ports.set(name, await freePort())

const redisPort = await freePort()
start("redis-server", ["--port", redisPort, "--bind", "127.0.0.1", "--save", "", "--dir", directory])
await listening(redisPort)

const main = new URL("../dist/server/main.js", import.meta.url).pathname
const environment = {
  HOME: directory,
  PATH: process.env.PATH,
  OPENAI_API_KEY: "sk-x",
  OPENAI_BASE_URL: vendor.openai,
  VIBECTL_STATE__URL: `redis://127.0.0.1:${redisPort}`
}
const token = execFileSync(process.execPath, [main, "generate-token", "rolling"], {
  env: environment,
  encoding: "utf8"
}).trim()

const serve = async (index) => {
  const port = ports.get(names[index])
  const ops = ports.get(names[index + 3])
  const child = start(
    process.execPath,
    [main, "--host", "0.0.0.0", "--port", port, "--insecure", "--model", "openai/m"],
    { env: { ...environment, VIBECTL_SERVER__METRICS_PORT: String(ops) } }
  )
  let log = ""
  child.stderr.setEncoding("utf8").on("data", (text) => log += text)
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`a server ended with ${code}:\n${log}`)
  })
  await Promise.race([listening(port), ended])
  ended.catch(() => {})
  return child
}

const servers = [await serve(0), await serve(1), await serve(2)]

// -- the fronts -------------------------------------------------------------------

const page = Fs.readFileSync(new URL("../docs/proxies.md", import.meta.url), "utf8")
/** The configuration of the page, with other ports. */
const configuration = (language) =>
  new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``).exec(page)[1]
    .replace(/\b(?:5005[1-3]|909[5-7]|844[34])\b/g, (port) => String(ports.get(port)))

const version = (program) => {
  const { stderr, stdout } = JSON.parse(execFileSync(
    process.execPath,
    [
      "-e",
      `const r=require("child_process").spawnSync("${program}",["-v"],{encoding:"utf8"});console.log(JSON.stringify(r))`
    ],
    { encoding: "utf8" }
  ))
  return /\d+\.\d+\.\d+/.exec(stdout + stderr)[0]
}

if (fronts.includes("nginx")) {
  const file = Path.join(directory, "nginx.conf")
  const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(" ")
  Fs.writeFileSync(
    file,
    `daemon off; pid ${directory}/nginx.pid; error_log ${directory}/nginx.log;\n`
      + configuration("nginx").replace("http {", `http { access_log off; ${scratch}`)
  )
  start("nginx", ["-c", file, "-p", directory, "-e", `${directory}/nginx.log`])
}
if (fronts.includes("haproxy")) {
  const file = Path.join(directory, "haproxy.cfg")
  Fs.writeFileSync(file, configuration("haproxy"))
  start("haproxy", ["-db", "-f", file])
}

const proto = createRequire(import.meta.url).resolve("vibectl/llm_proxy.proto")
const Client = Grpc.loadPackageDefinition(ProtoLoader.loadSync(proto, { keepCase: true, oneofs: true }))
  .vibectl.llm_proxy.VibectlLLMProxy
const connect = (address, more = {}) => new Client(address, Grpc.credentials.createInsecure(), more)

const proxied = { nginx: ports.get("8443"), haproxy: ports.get("8444") }
const balanced = connect(`ipv4:${[0, 1, 2].map((index) => `127.0.0.1:${ports.get(names[index])}`).join(",")}`, {
  "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  // A server that was started again is found within a second, not within up to two minutes.
  "grpc.max_reconnect_backoff_ms": 1000
})

const versions = {
  node: process.version,
  "grpc-js": createRequire(import.meta.url)("@grpc/grpc-js/package.json").version
}
if (fronts.includes("nginx")) versions.nginx = version("nginx")
if (fronts.includes("haproxy")) versions.haproxy = version("haproxy")
for (const front of fronts) {
  if (front in proxied) await listening(proxied[front])
}
// HAProxy asks each server before it uses it.
await sleep(2000)

// -- calls and restarts -------------------------------------------------------------

const metadata = new Grpc.Metadata()
metadata.set("authorization", `Bearer ${token}`)

/** What became of the calls of a front, and how often one was sent again. */
const results = Object.fromEntries(fronts.map((front) => [front, { whole: 0, failed: 0, cut: 0, retried: 0, why: {} }]))

/** A stream of the plain client. `isBegun` is false for what may be sent again: nothing of it came. */
const plain = (client) =>
  new Promise((resolve) => {
    let [text, isComplete] = ["", false]
    const call = client.StreamExecute({ user_fragments: ["hi"] }, metadata, { deadline: Date.now() + millis + 60_000 })
    call.on("data", (chunk) => {
      if (chunk.chunk_type === "text_chunk") text += chunk.text_chunk
      if (chunk.chunk_type === "complete") isComplete = true
    })
    call.on("error", () => {})
    call.on("status", ({ code, details }) => {
      const isWhole = code === Grpc.status.OK && isComplete
      const isBegun = code !== Grpc.status.UNAVAILABLE || text !== ""
      resolve({ isWhole, isBegun, text, why: `${Grpc.status[code]}: ${details}` })
    })
  })

/** The same of vibectl's client, whose own retries are off, so that they are counted here. */
const own = async (port) => {
  let [text, isComplete] = ["", false]
  const options = {
    host: "127.0.0.1",
    port,
    tls: false,
    token: Redacted.make(token),
    heartbeats: true,
    retryAttempts: 0
  }
  const exit = await ProxyClient.pipe(
    Effect.flatMap((client) =>
      Stream.runForEach(client.stream({ user: ["hi"] }), (event) =>
        Effect.sync(() => {
          if (event._tag === "Text") text += event.text
          if (event._tag === "Done") isComplete = true
        }))
    ),
    Effect.provide(ProxyClient.layer(options)),
    Effect.runPromiseExit
  )
  if (Exit.isSuccess(exit)) return { isWhole: isComplete, isBegun: true, text, why: "no complete" }
  const error = Cause.squash(exit.cause)
  return { isWhole: false, isBegun: error.begun !== "no", text, why: `${error._tag} ${error.reason}: ${error.message}` }
}

/** One connection a call behind a proxy, as each run of a program has; one for all calls where the client balances. */
const attempt = async (front, index) => {
  if (front === "round-robin") return plain(balanced)
  if (index % 2 === 0) return own(proxied[front])
  const client = connect(`127.0.0.1:${proxied[front]}`, { "grpc.use_local_subchannel_pool": 1 })
  const result = await plain(client)
  client.close()
  return result
}

const call = async (front, index) => {
  const result = results[front]
  for (let tries = 0;; tries++) {
    const { isBegun, isWhole, text, why } = await attempt(front, index)
    if (isWhole && text === pieces.join("")) return void result.whole++
    result.why[why] = (result.why[why] ?? 0) + 1
    if (isBegun || tries === 3) return void result[text === "" ? "failed" : "cut"]++
    result.retried++
    await sleep(200 * 2 ** tries)
  }
}

const began = performance.now()
const running = []
/** The streams of all fronts are spread over the restarts, which take about as long as three drains. */
const spread = 3 * (millis + 8000)
const calls = (async () => {
  for (let index = 0; index < streams; index++) {
    for (const front of fronts) running.push(call(front, index))
    await sleep(spread / streams)
  }
})()
await sleep(millis / 2)
for (const index of [0, 1, 2]) {
  const ended = once(servers[index], "exit")
  servers[index].kill("SIGTERM")
  const [code] = await ended
  if (code !== 0) throw new Error(`server ${index} ended with ${code}`)
  servers[index] = await serve(index)
  await sleep(2000)
}
const seconds = (performance.now() - began) / 1000
await calls
await Promise.all(running)
balanced.close()

const repeated = vendor.requests.length - streams * fronts.length
console.log(Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", "))
console.log(`${streams} streams of ${options.seconds} s for each front; three restarts in ${seconds.toFixed(0)} s`)
console.log("front         whole  failed  cut  retried")
for (const [front, { cut, failed, retried, whole, why }] of Object.entries(results)) {
  console.log(
    front.padEnd(12) + String(whole).padStart(7) + String(failed).padStart(8) + String(cut).padStart(5)
      + String(retried).padStart(9)
  )
  for (const [reason, times] of Object.entries(why)) console.log(`  ${times} × ${reason}`)
}
console.log(`asked twice of the provider: ${repeated}`)
await Effect.runPromise(Scope.close(scope, Exit.void))
const isGood = repeated === 0 &&
  Object.values(results).every(({ cut, failed, whole }) => cut === 0 && failed === 0 && whole === streams)
process.exit(isGood ? 0 : 1)
