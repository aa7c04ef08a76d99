// How long a provider goes on after its client has left.
//
// 1,000 calls through a real server are cancelled in every phase of their life; measured is the time from the
// client's cancel to the moment when the provider sees its connection close. Prints one row per phase, and fails when
// a connection stays open, an answer runs on, or the provider hears of a call whose client had left.
// Usage: npm run build && node bench/cancel.mjs [CALLS]
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, Fiber, Layer, Logger, LogLevel, Stream } from "effect"
import { ProxyClient } from "vibectl/client"
import { ServerConfig, ServerLayer } from "vibectl/server"
import { FakeVendor } from "vibectl/testing"

const calls = Number(process.argv[2] ?? 1000)
const hang = { fault: { after: "request", how: "hang" } }
/** Each with what the provider does, the provider to call, and how many requests it sees of one call. */
const phases = {
  "unary": { behaviour: hang, model: "p/m", requests: 1 },
  "waiting for a permit": { behaviour: hang, model: "narrow/m", requests: 0 },
  "connecting": { behaviour: {}, model: "far/m", requests: 0 },
  "before the head": { behaviour: hang, model: "p/m", requests: 1 },
  "before the first token": { behaviour: { fault: { after: 0, how: "hang" } }, model: "p/m", requests: 1 },
  "mid-stream": { behaviour: { fault: { after: 2, how: "hang" } }, model: "p/m", requests: 1 },
  "backing off": { behaviour: { status: 429, retryAfter: "15" }, model: "p/m", requests: 1 }
}

const stage = Effect.gen(function*() {
  const vendor = yield* FakeVendor.make()
  const config = ServerConfig.layerTest({
    server: { enable_auth: false },
    providers: {
      p: { kind: "openai", base_url: vendor.openai, models: ["m"] },
      narrow: { kind: "openai", base_url: vendor.openai, models: ["m"], max_concurrent_requests: 1 },
      far: { kind: "openai", base_url: vendor.unreachable, models: ["m"] }
    }
  })
  const context = yield* Layer.build(Layer.provide(ServerLayer.layer, Layer.merge(config, NodeFileSystem.layer)))
  const { host, port } = yield* Effect.provide(ServerLayer.Listening, context)
  const connection = yield* Layer.build(ProxyClient.layer({ host, port, tls: false }))
  return { vendor, client: yield* Effect.provide(ProxyClient, connection) }
})

const until = (condition) => Effect.repeat(Effect.sleep("1 millis"), { until: condition })

const cancelOne = ({ client, vendor }, phase, id) =>
  Effect.gen(function*() {
    const { model } = phases[phase]
    const request = { user: [id], model }
    const call = phase === "unary" ? client.execute(request) : Stream.runDrain(client.stream(request))
    const knocks = vendor.counts.knocks
    const fiber = yield* Effect.fork(call)
    const seen = () => vendor.requests.find(({ body }) => body.messages.at(-1).content === id)
    if (phase === "connecting") yield* until(() => vendor.counts.knocks > knocks)
    else if (phase !== "waiting for a permit") yield* until(() => seen() !== undefined)
    yield* Effect.sleep(`${Math.floor(Math.random() * 20)} millis`)
    const left = performance.now()
    yield* Fiber.interruptFork(fiber)
    // These two leave nothing at the provider that could close.
    if (phase === "backing off" || phase === "waiting for a permit") return 0
    if (phase === "connecting") {
      yield* until(() => vendor.counts.knocking === 0).pipe(Effect.timeout("5 seconds"))
      return vendor.counts.knockedUntil - left
    }
    yield* until(() => seen().abandonedAt !== undefined).pipe(Effect.timeout("5 seconds"))
    return seen().abandonedAt - left
  })

const program = Effect.scoped(Effect.gen(function*() {
  const world = yield* stage
  const { client, vendor } = world
  const each = Math.ceil(calls / Object.keys(phases).length)
  const rows = []
  for (const [phase, { behaviour, requests }] of Object.entries(phases)) {
    vendor.otherwise(behaviour)
    // The one permit is held by a call that goes on for as long as the phase.
    const holder = yield* Effect.fork(
      phase === "waiting for a permit" ? client.execute({ user: ["holder"], model: "narrow/m" }) : Effect.void
    )
    if (phase === "waiting for a permit") yield* until(() => vendor.counts.open === 1)
    const before = vendor.requests.length
    const ids = Array.from({ length: each }, (_, index) => `${phase} ${index}`)
    // A connection that is given up cannot say whose it was, so these go one by one.
    const concurrency = phase === "connecting" ? 1 : 8
    const times = yield* Effect.forEach(ids, (id) => cancelOne(world, phase, id), { concurrency })
    yield* Fiber.interrupt(holder)
    yield* until(() => vendor.counts.open === 0 && vendor.counts.knocking === 0).pipe(Effect.timeout("5 seconds"))
    yield* Effect.sleep("50 millis")
    const seen = vendor.requests.length - before
    if (seen !== each * requests) throw new Error(`${phase}: ${seen} requests for ${each} calls`)
    const sorted = times.sort((a, b) => a - b)
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(1)
    const measured = sorted.at(-1) > 0 ? { "p50 ms": at(0.5), "p99 ms": at(0.99), "max ms": at(1) } : {}
    rows.push({ phase, calls: each, requests: seen, ...measured })
  }
  // Had a permit been lost, this would wait for ever.
  vendor.otherwise({})
  yield* client.execute({ user: ["last"], model: "narrow/m" }).pipe(Effect.timeout("5 seconds"))
  console.table(rows)
  const { abandoned, answered, bytesSent, knocks, open } = vendor.counts
  yield* Effect.sleep("200 millis")
  if (vendor.counts.bytesSent !== bytesSent) throw new Error("an answer runs on")
  console.log(
    `provider: ${abandoned} answers and ${knocks} connections given up by us, ${answered} answered, ${open} still open`
  )
}))

await Effect.runPromise(Effect.provide(program, Logger.minimumLogLevel(LogLevel.None)))
