// How long a provider goes on after its client has left.
//
// 1,000 calls through a real server are cancelled in every phase of their life; measured is the time from the
// client's cancel to the moment when the provider sees its connection close. Prints one row per phase, and fails when
// a connection stays open. Usage: npm run build && node bench/cancel.mjs [CALLS]
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, Fiber, Layer, Logger, LogLevel, Stream } from "effect"
import { ProxyClient } from "vibectl/client"
import { ServerConfig, ServerLayer } from "vibectl/server"
import { FakeVendor } from "vibectl/testing"

const calls = Number(process.argv[2] ?? 1000)
const phases = {
  "unary": { fault: { after: "request", how: "hang" } },
  "connecting": { fault: { after: "request", how: "hang" } },
  "before the first token": { fault: { after: 0, how: "hang" } },
  "mid-stream": { fault: { after: 2, how: "hang" } },
  "backing off": { status: 429, retryAfter: "15" }
}

const stage = Effect.gen(function*() {
  const vendor = yield* FakeVendor.make()
  const config = ServerConfig.layerTest({
    server: { enable_auth: false },
    providers: { p: { kind: "openai", base_url: vendor.openai, models: ["m"] } }
  })
  const context = yield* Layer.build(Layer.provide(ServerLayer.layer, Layer.merge(config, NodeFileSystem.layer)))
  const { host, port } = yield* Effect.provide(ServerLayer.Listening, context)
  const connection = yield* Layer.build(ProxyClient.layer({ host, port, tls: false }))
  return { vendor, client: yield* Effect.provide(ProxyClient, connection) }
})

const until = (condition) => Effect.repeat(Effect.sleep("1 millis"), { until: condition })

const cancelOne = ({ client, vendor }, phase, id) =>
  Effect.gen(function*() {
    const request = { user: [id] }
    const call = phase === "unary" ? client.execute(request) : Stream.runDrain(client.stream(request))
    const fiber = yield* Effect.fork(call)
    const seen = () => vendor.requests.find(({ body }) => body.messages.at(-1).content === id)
    yield* until(() => seen() !== undefined)
    yield* Effect.sleep(`${Math.floor(Math.random() * 20)} millis`)
    const left = performance.now()
    yield* Fiber.interruptFork(fiber)
    if (phase === "backing off") return 0
    yield* until(() => seen().abandonedAt !== undefined).pipe(Effect.timeout("5 seconds"))
    return seen().abandonedAt - left
  })

const program = Effect.scoped(Effect.gen(function*() {
  const world = yield* stage
  const each = Math.ceil(calls / Object.keys(phases).length)
  const rows = []
  for (const [phase, behaviour] of Object.entries(phases)) {
    world.vendor.otherwise(behaviour)
    const before = world.vendor.requests.length
    const ids = Array.from({ length: each }, (_, index) => `${phase} ${index}`)
    const times = yield* Effect.forEach(ids, (id) => cancelOne(world, phase, id), { concurrency: 8 })
    yield* until(() => world.vendor.counts.open === 0).pipe(Effect.timeout("5 seconds"))
    const sorted = times.sort((a, b) => a - b)
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1)
    const requests = world.vendor.requests.length - before
    rows.push({ phase, calls: each, requests, "p50 ms": at(0.5), "p99 ms": at(0.99), "max ms": at(1) })
    if (requests !== each) throw new Error(`${phase}: ${requests} requests for ${each} calls`)
  }
  console.table(rows)
  const { abandoned, answered, open } = world.vendor.counts
  console.log(`provider: ${abandoned} connections closed by us, ${answered} refusals answered, ${open} still open`)
}))

await Effect.runPromise(Effect.provide(program, Logger.minimumLogLevel(LogLevel.None)))
