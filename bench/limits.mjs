// What limits cost, and whether they hold, per call of the proxy without any transport.
//
// Exactness: ROUNDS times, 64 calls at once against a limit of 19; fails when another number passes.
// Cost: CPU per call with a store that counts nothing, with no limit, and with rates and quotas of a token, its subject
// and its tenant; as ratios to the first, medians of interleaved rounds.
// Usage: npm run build && node bench/limits.mjs [CALLS] [ROUNDS]
import { NodeFileSystem } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Access, Limits as LimitsOf } from "vibectl"
import { Catalog, Limits, LlmProxy, ServerConfig, State, Store } from "vibectl/server"
import { FakeProvider } from "vibectl/testing"

const calls = Number(process.argv[2] ?? 2000)
const rounds = Number(process.argv[3] ?? 7)
const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-limits-"))

const request = { requestId: "r", model: "fake/one", system: [], user: ["hello"], responseSchema: undefined }
const caller = (limits) => ({
  subject: "ada",
  tokenId: "t1",
  access: {
    ...Access.unrestricted,
    limits,
    ...(limits === LimitsOf.unlimited ? {} : { tokenLimits: limits, tenant: "acme", tenantLimits: limits })
  },
  features: new Set(),
  deadline: Infinity
})
const plenty = LimitsOf.fromKeys({
  max_requests_per_minute: 1e9,
  max_tokens_per_minute: 1e12,
  max_concurrent_requests: 1e6,
  max_tokens_per_day: 1e12,
  max_tokens_per_month: 1e12
})

const nothing = Layer.succeed(Store.Store, {
  reserve: () => Effect.void,
  settle: () => Effect.void,
  usage: () => Effect.succeed([]),
  outstanding: Effect.succeed(0),
  ready: Effect.void
})
const config = ServerConfig.layerTest({ state: { file: Path.join(directory, "usage.db") } })
const file = State.store.pipe(Layer.provide(config), Layer.provide(NodeFileSystem.layer))
const proxyOn = (store) =>
  LlmProxy.layer.pipe(
    Layer.provide(Limits.Limits.layer({
      models: {},
      queue: { max_waiting: 0, max_wait_seconds: 1 },
      reserveOutputTokens: 100,
      onUnavailable: "refuse"
    })),
    Layer.provide(store),
    Layer.provide(Catalog.Catalog.layer({
      providers: [FakeProvider.make()],
      aliases: new Map(),
      defaultModel: undefined
    }))
  )
const build = (store) => Effect.map(Layer.build(proxyOn(store)), (context) => Context.get(context, LlmProxy))

const drain = (proxy, who) =>
  Effect.scoped(Effect.gen(function*() {
    const pull = yield* proxy.open(request, who)
    for (;;) if ((yield* pull)._tag === "Metrics") return
  }))

/** Microseconds of CPU per call. */
const cpuOf = (proxy, who) =>
  Effect.gen(function*() {
    const before = process.cpuUsage()
    for (let call = 0; call < calls; call++) yield* drain(proxy, who)
    const { system, user } = process.cpuUsage(before)
    return (system + user) / calls
  })

const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]

await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const [bare, kept] = [yield* build(nothing), yield* build(file)]
  for (let round = 0; round < rounds; round++) {
    const who = { ...caller(LimitsOf.fromKeys({ max_requests_per_minute: 19 })), subject: `rush ${round}` }
    who.access = { ...Access.unrestricted, limits: LimitsOf.fromKeys({ max_requests_per_minute: 19 }) }
    const exits = yield* Effect.forEach(Array.from({ length: 64 }), () => Effect.exit(drain(kept, who)), {
      concurrency: "unbounded"
    })
    const passed = exits.filter((exit) => exit._tag === "Success").length
    if (passed !== 19) return yield* Effect.dieMessage(`${passed} calls passed a limit of 19`)
  }
  console.log(`exactness: 64 at once against 19, ${rounds} times: 19 passed every time`)

  const kinds = {
    "nothing counted": [bare, caller(LimitsOf.unlimited)],
    "no limit, usage kept": [kept, caller(LimitsOf.unlimited)],
    "rates and quotas of three": [kept, caller(plenty)]
  }
  const cpu = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]))
  for (const [proxy, who] of Object.values(kinds)) yield* cpuOf(proxy, who)
  for (let round = 0; round < rounds; round++) {
    for (const [kind, [proxy, who]] of Object.entries(kinds)) cpu[kind].push(yield* cpuOf(proxy, who))
  }
  const base = median(cpu["nothing counted"])
  for (const [kind, values] of Object.entries(cpu)) {
    console.log(`${kind}: ${median(values).toFixed(0)} us of CPU per call, ratio ${(median(values) / base).toFixed(2)}`)
  }
})))
Fs.rmSync(directory, { recursive: true, force: true })
