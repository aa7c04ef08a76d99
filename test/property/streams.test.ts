/**
 * Random providers, random faults, random clients: what an answer promises must
 * hold in every one of them. Runs on virtual time; a failure prints its seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, FastCheck as fc, Fiber, Layer, Logger, Option, TestClock } from "effect"
import type { AnswerEvent, AnswerRequest } from "../../src/domain/Answer.js"
import { ProviderFailure } from "../../src/domain/Errors.js"
import * as Catalog from "../../src/models/Catalog.js"
import { type Pieces, type Provider, StreamingUnsupported } from "../../src/models/Provider.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"

const reasons = ["PROVIDER_RATE_LIMITED", "PROVIDER_UNAVAILABLE", "PROVIDER_TIMEOUT", "PROVIDER_REJECTED"] as const

/** Few different times: every step of the virtual clock costs real time. */
const delay = fc.constantFrom(0, 0, 100)

/** How one call to a provider goes. `delay` is milliseconds before each step. */
const ending = fc.oneof(
  { weight: 3, arbitrary: fc.constant("end" as const) },
  { weight: 3, arbitrary: fc.constantFrom(...reasons) },
  { weight: 1, arbitrary: fc.constant("hang" as const) }
)
const stream = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("pieces" as const), pieces: fc.nat(4), ending, delay })
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("refused" as const), reason: fc.constantFrom(...reasons) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("unsupported" as const), answer: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: "hang" as const }) }
)
const whole = fc.record({ length: fc.nat(250), ending, delay })
const provider = fc.record({
  streams: fc.boolean(),
  maxRetries: fc.nat(2),
  retryAfter: fc.constantFrom(undefined, 0, 5000, 30_000),
  /** One for each call, the last for all further ones. */
  calls: fc.array(fc.record({ stream, whole }), { minLength: 1, maxLength: 3 })
})
const scenario = fc.record({
  providers: fc.array(provider, { minLength: 1, maxLength: 3 }),
  restart: fc.boolean(),
  /** Milliseconds. */
  deadline: fc.constantFrom(Infinity, Infinity, 300, 6000),
  /** When the client leaves: after so many milliseconds, or never. */
  leaves: fc.constantFrom(undefined, undefined, 0, 50, 150, 5050),
  unary: fc.boolean()
})
type Script = typeof provider extends fc.Arbitrary<infer A> ? A : never
type Scenario = typeof scenario extends fc.Arbitrary<infer A> ? A : never

interface Attempt {
  readonly provider: string
  readonly real: boolean
  /** What it would say in all, if nothing breaks. */
  text: string
  /** How much text the client had when this attempt was begun, since the last restart. */
  readonly held: number
}

/** What the world saw of one call. */
interface World {
  readonly attempts: Array<Attempt>
  /** Provider calls that are open at this moment. */
  open: number
  held: number
}

const failure = (name: string, reason: ProviderFailure["reason"], script: Script) =>
  new ProviderFailure({
    provider: name,
    reason,
    detail: undefined,
    retryAfter: script.retryAfter === undefined ? undefined : Duration.millis(script.retryAfter),
    cause: "scripted"
  })

const make = (name: string, script: Script, world: World): Provider => {
  let calls = 0
  const next = () => script.calls[Math.min(calls++, script.calls.length - 1)]!
  const begin = (real: boolean): Attempt => {
    const attempt = { provider: name, real, text: "", held: world.held }
    world.attempts.push(attempt)
    return attempt
  }
  const opened = Effect.acquireRelease(
    Effect.sync(() => {
      world.open += 1
    }),
    () =>
      Effect.sync(() => {
        world.open -= 1
      })
  )
  const wholeCall = (plan: Script["calls"][number]["whole"], attempt: Attempt) =>
    Effect.scoped(Effect.gen(function*() {
      yield* opened
      yield* Effect.sleep(plan.delay)
      attempt.text = `<${world.attempts.length}${"w".repeat(plan.length)}>`
      if (plan.ending === "hang") return yield* Effect.never
      if (plan.ending !== "end") return yield* failure(name, plan.ending, script)
      return { text: attempt.text, usage: undefined }
    }))

  return FakeProvider.make({
    name,
    maxRetries: script.maxRetries,
    models: [{ name: "one", streams: script.streams, contextLength: undefined, price: undefined }],
    complete: () => Effect.suspend(() => wholeCall(next().whole, begin(false))),
    stream: () =>
      Effect.gen(function*() {
        const { stream: plan, whole } = next()
        yield* opened
        const attempt = begin(true)
        if (plan.kind === "hang") return yield* Effect.never
        if (plan.kind === "refused") return yield* failure(name, plan.reason, script)
        if (plan.kind === "unsupported") {
          // Finding out is part of the attempt that follows.
          world.attempts.pop()
          if (!plan.answer) return yield* new StreamingUnsupported({ provider: name, answer: undefined })
          const text = "u".repeat(whole.length)
          world.attempts.push({ ...attempt, real: false, text })
          return yield* new StreamingUnsupported({ provider: name, answer: { text, usage: undefined } })
        }
        const pieces = Array.from({ length: plan.pieces }, (_, index) => `(${world.attempts.length}.${index})`)
        attempt.text = pieces.join("")
        const last: Pieces = plan.ending === "end"
          ? FakeProvider.end()
          : plan.ending === "hang"
          ? Effect.never
          : Effect.fail(failure(name, plan.ending, script))
        const pulls = [...pieces.map(FakeProvider.text), last]
        return FakeProvider.pieces(pulls.map((pull) => Effect.zipRight(Effect.sleep(plan.delay), pull)))
      })
  })
}

const request: AnswerRequest = {
  requestId: "r",
  model: "p0/one",
  system: [],
  user: ["why?"],
  responseSchema: undefined
}

const play = (scenario: Scenario) =>
  Effect.gen(function*() {
    const world: World = { attempts: [], open: 0, held: 0 }
    const providers = scenario.providers.map((script, index) => make(`p${index}`, script, world))
    const names = providers.map(({ name }) => `${name}/one`)
    const catalog = Catalog.Catalog.layer({
      providers,
      aliases: new Map(),
      defaultModel: undefined,
      fallbacks: new Map([[names[0]!, names.slice(1)]])
    })
    const proxy = yield* Effect.provide(LlmProxy, LlmProxy.layer.pipe(Layer.provide(catalog)))
    const caller = {
      subject: "t",
      tokenId: undefined,
      features: new Set(scenario.restart ? ["start", "restart"] as const : []),
      deadline: scenario.deadline
    }
    const events: Array<AnswerEvent> = []
    const take = (event: AnswerEvent) => {
      events.push(event)
      if (event._tag === "Text") world.held += event.text.length
      if (event._tag === "Restart") world.held = 0
    }
    const streamed = Effect.scoped(Effect.flatMap(proxy.open(request, caller), (pull) => {
      const loop: Effect.Effect<void, Effect.Effect.Error<typeof pull>> = Effect.flatMap(pull, (event) => {
        take(event)
        return event._tag === "Metrics" ? Effect.void : loop
      })
      return loop
    }))
    const unary = Effect.map(proxy.execute(request, caller), ({ metrics, model, text }) => {
      take({ _tag: "Text", text })
      take({ _tag: "Done", model })
      take(metrics)
    })
    const fiber = yield* Effect.fork(scenario.unary ? unary : streamed)
    if (scenario.leaves !== undefined) {
      yield* Effect.fork(Effect.delay(Fiber.interrupt(fiber), scenario.leaves))
    }
    yield* Effect.sleep("10 minutes")
    const ended = Option.getOrUndefined(yield* Fiber.poll(fiber))
    // A hang without a client that leaves is the bridge's business: the deadline interrupts the fiber there.
    if (ended === undefined) yield* Fiber.interrupt(fiber)
    return { world, events, ended }
  })

const check = ({ ended, events, world }: Effect.Effect.Success<ReturnType<typeof play>>, scenario: Scenario) => {
  const tags = events.map(({ _tag }) => _tag)
  const lastRestart = tags.lastIndexOf("Restart")
  const text = events.slice(lastRestart + 1).map((event) => event._tag === "Text" ? event.text : "").join("")
  const succeeded = ended !== undefined && Exit.isSuccess(ended)

  assert.strictEqual(world.open, 0, "every provider call is closed")
  assert.deepStrictEqual(
    tags.filter((tag) => tag === "Done" || tag === "Metrics"),
    succeeded ? ["Done", "Metrics"] : tags.at(-1) === "Done" ? ["Done"] : [],
    "Done and Metrics come once, on success"
  )
  const last = world.attempts.at(-1)
  if (succeeded) {
    assert.deepStrictEqual(tags.slice(-2), ["Done", "Metrics"])
    assert.strictEqual(text, last?.text, "the text is one attempt's, and all of it")
    const metrics = events.at(-1)!
    assert.strictEqual(metrics._tag === "Metrics" && metrics.retryCount, world.attempts.length - 1, "retry_count")
    const done = events.at(-2)!
    assert.strictEqual(done._tag === "Done" && done.model, `${last?.provider}/one`)
  } else {
    assert.isTrue(text === "" || world.attempts.some((attempt) => attempt.text.startsWith(text)), "no text is mixed")
  }
  if (!scenario.restart) {
    assert.notInclude(tags, "Restart")
    assert.isTrue(world.attempts.every(({ held }) => held === 0), "no attempt begins after text")
  }
  for (const event of events) {
    if (event._tag !== "Start") continue
    const attempt = world.attempts[event.attempt - 1]!
    assert.strictEqual(event.tier === "real", attempt.real, "simulated text is never called real")
    assert.strictEqual(event.provider, attempt.provider)
  }
  for (const [index, tag] of tags.entries()) {
    const segment = tags.slice(Math.max(0, tags.lastIndexOf("Restart", index)), index)
    if (!scenario.unary && tag === "Text") assert.include(segment, "Start", "text is announced")
    if (tag === "Restart") assert.strictEqual(tags[index + 1] ?? "Start", "Start", "a new attempt follows")
  }
}

describe("an answer", () => {
  // Many at once: advancing the virtual clock is what takes time.
  const scenarios = fc.array(scenario, { minLength: 1, maxLength: 100, size: "max" })
  const quiet = Logger.remove(Logger.defaultLogger)
  it.effect.prop("keeps its promises whatever provider and client do", [scenarios], ([scenarios]) =>
    Effect.provide(
      Effect.gen(function*() {
        const playing = yield* Effect.fork(Effect.forEach(scenarios, play, { concurrency: "unbounded" }))
        yield* TestClock.adjust("10 minutes")
        for (const [index, seen] of (yield* Fiber.join(playing)).entries()) check(seen, scenarios[index]!)
      }),
      quiet
    ), { fastCheck: { numRuns: 20 }, timeout: 120_000 })
})
