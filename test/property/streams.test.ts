/**
 * Random providers, faults and clients through everything from grpc-js' handler
 * down to the provider's contract: what an answer promises must hold in every
 * one of them.
 *
 * On virtual time. A failure prints its seed, its path and the smallest story
 * that shows it; `FUZZ_SEED` and `FUZZ_RUNS` play it again, or more.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Duration, Effect, Exit, FastCheck as fc, Layer, Logger, Scope } from "effect"
import { unrestricted } from "../../src/domain/Access.js"
import * as Authenticate from "../../src/grpc/Authenticate.js"
import * as Bridge from "../../src/grpc/Bridge.js"
import * as ClientMetadata from "../../src/grpc/ClientMetadata.js"
import * as ProxyService from "../../src/grpc/ProxyService.js"
import * as Status from "../../src/grpc/Status.js"
import * as Embedded from "../../src/limits/Embedded.js"
import { Limits } from "../../src/limits/Limits.js"
import { Store } from "../../src/limits/Store.js"
import * as Catalog from "../../src/models/Catalog.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import { expected } from "../support/Expected.js"
import * as FakeCall from "../support/FakeCall.js"
import * as Property from "../support/Property.js"
import * as Scripted from "../support/Scripted.js"
import * as VirtualTime from "../support/VirtualTime.js"

const client = fc.record({
  /** Milliseconds. */
  begins: fc.constantFrom(0, 0, 10),
  unary: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  features: fc.subarray(["start", "restart", "heartbeat"]),
  deadline: fc.constantFrom(Infinity, Infinity, Infinity, 100, 6000),
  leaves: fc.constantFrom(undefined, undefined, undefined, 0, 1, 45, 310, 5050),
  pace: fc.constantFrom(0, 0, 25)
})
const scenario = fc.record({
  providers: fc.array(Scripted.provider, { minLength: 1, maxLength: 3 }),
  clients: fc.array(client, { minLength: 1, maxLength: 3 }),
  /** When the server gives up on its calls. */
  shutdown: fc.constantFrom(undefined, undefined, undefined, undefined, 30, 400),
  seed: fc.nat()
})
type Scenario = typeof scenario extends fc.Arbitrary<infer A> ? A : never
type Client = Scenario["clients"][number]

/** One store for all: making it takes longer than a story. */
const store = Effect.runSync(Effect.provide(Store, Embedded.layerMemory))
const limits = Layer.provide(
  Limits.layer({
    models: {},
    queue: { max_waiting: 0, max_wait_seconds: 10 },
    reserveOutputTokens: 1024,
    onUnavailable: "refuse"
  }),
  Layer.succeed(Store, store)
)

/** Far beyond every delay of the scripts; what still runs then hangs. */
const long = 60_000

const play = (scenario: Scenario) => {
  const time = VirtualTime.make(scenario.seed)
  const world: Scripted.World = { time, attempts: [], served: new Map(), probing: false }
  const providers = scenario.providers.map((script, index) => Scripted.make(`p${index}`, script, world))
  const names = providers.map(({ name }) => `${name}/one`)
  const catalog = Catalog.Catalog.layer({
    providers,
    aliases: new Map(),
    defaultModel: undefined,
    fallbacks: new Map([[names[0]!, names.slice(1)]])
  })
  const lines: Array<string> = []
  const log = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void lines.push(String(message))))

  const scope = Effect.runSync(Scope.make())
  const close = () => time.fork(Scope.close(scope, Exit.void))
  let server: { readonly bridge: Bridge.Bridge; readonly handlers: Grpc.UntypedServiceImplementation } | undefined
  time.fork(
    Effect.gen(function*() {
      const bridge = yield* Bridge.make
      const proxy = yield* LlmProxy
      server = { bridge, handlers: ProxyService.handlers(bridge, proxy, Duration.millis(500)) }
    }).pipe(
      Scope.extend(scope),
      Effect.provide(Layer.merge(log, LlmProxy.layer.pipe(Layer.provide([catalog, limits]))))
    )
  )
  time.settle()
  const { bridge, handlers } = server!
  const { interceptor } = Authenticate.make(bridge, {
    tokens: undefined,
    authenticate: false,
    access: () => unrestricted,
    audit: { record: () => Effect.void },
    requestBytes: { watch: () => {} },
    clientIdentity: "none"
  })

  const calls = scenario.clients.map((client, index) => begin(client, index, time, interceptor, handlers))
  if (scenario.shutdown !== undefined) time.after(scenario.shutdown, close)
  time.run(long)
  const after = { open: openOf(world), statuses: calls.map(({ seen }) => seen.statuses.length) }
  // Clients that wait for something that hangs go now.
  for (const { leave } of calls) leave()
  time.settle()
  const left = openOf(world)
  world.probing = true
  const probes = providers.flatMap((provider, index) =>
    Array.from(
      { length: scenario.providers[index]!.maxConcurrent ?? 0 },
      () => time.fork(provider.complete({ model: "one", system: "", user: "probe", schema: undefined }))
    )
  )
  time.settle()
  const permits = probes.map((probe) => probe.unsafePoll() !== null)
  // The server still stands: what is left now was not cleared away by its end.
  return { world, calls, lines, after, left, permits, fibers: time.fibers(), sleeps: time.sleeps() }
}

const openOf = ({ served }: Scripted.World) => [...served.values()].reduce((sum, { now }) => sum + now, 0)

const begin = (
  client: Client,
  index: number,
  time: VirtualTime.VirtualTime,
  interceptor: Grpc.ServerInterceptor,
  handlers: Grpc.UntypedServiceImplementation
) => {
  const metadata = new Grpc.Metadata()
  metadata.set(ClientMetadata.featuresKey, client.features.join(","))
  const fake = FakeCall.make(time, {
    method: client.unary ? "Execute" : "StreamExecute",
    request: { system_fragments: [], user_fragments: [`call ${index}`], model_name: "p0/one", request_id: `r${index}` },
    metadata,
    deadline: client.begins + client.deadline,
    pace: client.pace
  })
  time.after(client.begins, () => fake.start(interceptor, handlers))
  if (client.leaves !== undefined) time.after(client.begins + client.leaves, fake.leave)
  return fake
}

type Played = ReturnType<typeof play>

const check = (scenario: Scenario): void => {
  const played = play(scenario)
  const { after, calls, fibers, left, lines, permits, sleeps, world } = played
  assert.strictEqual(left, 0, "no provider call outlives its client")
  assert.strictEqual(fibers, 0, "no fiber is left")
  assert.strictEqual(sleeps, 0, "no timer is left")
  assert.isTrue(permits.every(Boolean), "every permit has come back")
  assert.strictEqual(lines.filter((line) => line === "call ended").length, calls.length, "one line in the log per call")
  assert.notInclude(lines, "call failed by a defect")
  for (const [index, script] of scenario.providers.entries()) {
    const { most } = world.served.get(`p${index}`)!
    assert.isAtMost(most, script.maxConcurrent ?? Infinity, "no more calls than permits")
  }
  const hanging = after.statuses.filter((count, index) => count === 0 && calls[index]!.seen.leftAt === long).length
  assert.isAtMost(after.open, hanging, "only calls that hang have a connection")
  calls.forEach((_, index) => checkCall(scenario, played, index))
}

const checkCall = (scenario: Scenario, { calls, world }: Played, index: number): void => {
  const client = scenario.clients[index]!
  const { chunks, leftAt, statuses } = calls[index]!.seen
  const attempts = world.attempts.filter(({ call }) => call === `call ${index}`)
  const endedAt = Math.min(leftAt ?? Infinity, statuses[0]?.at ?? Infinity)
  const kinds = chunks.map(({ chunk }) => FakeCall.kind(chunk))
  const has = (feature: Client["features"][number]) => client.features.includes(feature)

  // One status, and what goes with it.
  if (leftAt === undefined) assert.lengthOf(statuses, 1, "one terminal status")
  else if (client.deadline === Infinity) assert.lengthOf(statuses, 0, "no status for a client that left")
  else assert.isAtMost(statuses.length, 1)
  const ok = statuses[0]?.code === Grpc.status.OK
  const words = kinds.filter((kind) => kind !== "heartbeat")
  const last = client.unary ? ["success"] : ["complete", "final_metrics"]
  if (ok) {
    assert.deepStrictEqual(words.slice(-last.length), last)
    assert.notInclude(words.slice(0, -last.length), "complete")
    assert.notInclude(words.slice(0, -last.length), "final_metrics")
    assert.notInclude(words, "error")
  } else {
    for (const kind of leftAt === undefined ? last : []) assert.notInclude(words, kind, "no ending of a failure")
    if (leftAt === undefined && !client.unary) {
      assert.strictEqual(kinds.at(-1), "error", "the in-band error is the last message")
      const { error_code } = chunks.at(-1)!.chunk["error"] as { error_code: keyof typeof Status.codes }
      assert.strictEqual(Status.codes[error_code], statuses[0]!.code)
    }
  }

  // The text after the last restart is one attempt's: all of it, or as much as came.
  const texts = chunks.slice(kinds.lastIndexOf("restart") + 1).map(({ chunk }) => FakeCall.text(chunk))
  const text = texts.join("")
  const answered = attempts.at(-1)
  if (ok) assert.strictEqual(text, answered?.text, "the text is one attempt's, and all of it")
  else assert.isTrue(text === "" || attempts.some((attempt) => attempt.text.startsWith(text)), "no text is mixed")
  assert.isTrue(texts.every((text) => !/[\uD800-\uDBFF]$/.test(text)), "no character is cut")

  // Extensions go only to those who asked.
  for (const kind of ["start", "restart", "heartbeat"] as const) if (!has(kind)) assert.notInclude(kinds, kind)
  if (!has("restart")) {
    const firstText = chunks.find(({ chunk }) => FakeCall.text(chunk) !== "")?.at ?? Infinity
    const late = attempts.filter(({ begunAt }) => begunAt > firstText)
    if (!client.unary) assert.lengthOf(late, 0, "no attempt begins after text")
    if (!client.unary && statuses[0]?.code !== Grpc.status.OK && text !== "") {
      assert.strictEqual(attempts.filter((attempt) => attempt.text.startsWith(text)).at(-1), answered)
    }
  }
  const starts = chunks.flatMap(({ chunk }) => FakeCall.startOf(chunk) ?? [])
  for (const start of starts) {
    const attempt = attempts[start.attempt - 1]
    assert.strictEqual(start.tier === "STREAM_TIER_REAL", attempt?.real, "simulated text is never called real")
    assert.strictEqual(start.provider, attempt?.provider)
  }
  if (has("start")) {
    for (const [at, kind] of words.entries()) {
      const segment = words.slice(Math.max(0, words.lastIndexOf("restart", at)), at)
      if (kind === "text_chunk") assert.include(segment, "start", "text is announced")
    }
  }
  const metrics = FakeCall.metrics(chunks.at(-1)?.chunk)
  if (ok) assert.strictEqual(metrics?.retry_count, attempts.length - 1, "retry_count is true")

  // Nothing goes on without its client, and nothing is cut without a reason.
  for (const [number, attempt] of attempts.entries()) {
    assert.isAtMost(attempt.begunAt, endedAt, "no attempt begins after the end")
    assert.isAtMost(attempt.endedAt, endedAt, "no attempt goes on after the end")
    const following = attempts[number + 1]
    if (following === undefined) continue
    assert.isAtMost(attempt.endedAt, following.begunAt, "one attempt at a time")
    if (attempt.how === "interrupted") {
      const { failoverAfter } = scenario.providers[Number(attempt.provider.slice(1))]!
      assert.isDefined(failoverAfter, "an attempt is cut for the sake of another model only")
      assert.notStrictEqual(attempt.provider, following.provider)
    }
    if (following.provider === attempt.provider && attempt.real === following.real) {
      if (attempt.real) assert.strictEqual(attempt.text, "", "no retry after text")
      const waited = following.begunAt - attempt.endedAt
      assert.isAtLeast(waited, Math.min(attempt.retryAfter ?? 0, 20_000), "Retry-After is honoured")
    }
  }
  if (answered?.how === "interrupted" && statuses.length === 1 && leftAt === undefined) {
    assert.strictEqual(statuses[0]!.code, Grpc.status.UNAVAILABLE, "the last attempt is cut by a shutdown only")
    assert.isDefined(scenario.shutdown)
  }

  // Where time plays no part, the attempts and the outcome are known beforehand.
  const { providers, shutdown } = scenario
  const timeless = shutdown === undefined && scenario.clients.length === 1 && client.leaves === undefined &&
    client.deadline === Infinity && providers.every(({ failoverAfter }) => failoverAfter === undefined)
  const model = timeless
    ? expected(providers, { restart: has("restart") && !client.unary, unary: client.unary })
    : undefined
  if (model === undefined) return
  assert.deepStrictEqual(attempts.map(({ provider, real }) => ({ provider, real })), [...model.attempts])
  const code = model.outcome === "OK" ? Grpc.status.OK : Status.codes[model.outcome as keyof typeof Status.codes]
  assert.strictEqual(statuses[0]?.code, code, model.outcome)
}

describe("an answer", () => {
  it("keeps its promises whatever providers and clients do", () => Property.check(fc.property(scenario, check), 1000))
})
