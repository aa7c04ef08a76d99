import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Either, ExecutionStrategy, Fiber, Ref, Scope, TestClock } from "effect"
import { ProviderFailure } from "../../src/domain/Errors.js"
import { type Provider, StreamingUnsupported } from "../../src/models/Provider.js"
import * as Tiers from "../../src/streaming/Tiers.js"
import * as FakeProvider from "../../src/testing/FakeProvider.js"

const failure = (reason: ProviderFailure["reason"]) =>
  new ProviderFailure({ provider: "fake", reason, detail: undefined, retryAfter: undefined, cause: "test" })
const outage = failure("PROVIDER_UNAVAILABLE")
const request = { model: "one", system: "", user: "why?", schema: undefined }

interface Scenario {
  readonly restartable?: boolean
  readonly whole?: boolean
  readonly streams?: boolean
  readonly others?: ReadonlyArray<Provider>
  readonly deadline?: number
}

/** Every event in order, and the failure that ended it, if one did. */
const collect = (provider: Provider, options: Scenario = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const streams = options.streams ?? true
    const others = options.others ?? []
    const candidate = (provider: Provider): Tiers.Candidate => ({
      provider,
      request,
      fullName: `${provider.name}/one`,
      streams
    })
    const pull = Tiers.pull({
      scope: Scope.fork(yield* Effect.scope, ExecutionStrategy.sequential),
      candidates: [candidate(provider), ...others.map(candidate)],
      restartable: options.restartable ?? false,
      whole: options.whole ?? false,
      deadline: options.deadline ?? Infinity,
      onUnsupported: () => Effect.void,
      onFailed: () => Effect.void
    })
    const seen: Array<Tiers.TierEvent<Tiers.Candidate>> = []
    for (;;) {
      const event = yield* Effect.either(pull)
      if (Either.isLeft(event)) return { seen, error: event.left }
      seen.push(event.right)
      if (event.right._tag === "End") return { seen, error: undefined }
    }
  }))

const summary = (events: ReadonlyArray<Tiers.TierEvent<Tiers.Candidate>>) =>
  events.map((event) => {
    switch (event._tag) {
      case "Start":
        return `start:${event.tier}:${event.attempt}`
      case "Restart":
        return `restart:${event.reason}`
      case "Text":
        return event.text
      case "End":
        return `end:${event.retries}`
    }
  })

describe("Tiers.pull", () => {
  it.effect("passes real pieces through unchanged, with the usage the provider reports", () =>
    Effect.gen(function*() {
      const usage = { inputTokens: 3, outputTokens: 2 }
      const provider = FakeProvider.make({
        stream: () =>
          Effect.sync(() =>
            FakeProvider.pieces([FakeProvider.text("a"), FakeProvider.text("b"), FakeProvider.end(usage)])
          )
      })
      const { seen } = yield* collect(provider)
      assert.deepStrictEqual(summary(seen), ["start:real:1", "a", "b", "end:0"])
      assert.deepInclude(seen.at(-1), { _tag: "End", usage, retries: 0 })
    }))

  it.effect("simulates for a model that is known not to stream, in pieces of 100", () =>
    Effect.gen(function*() {
      const provider = FakeProvider.make({
        stream: () => Effect.dieMessage("must not be asked"),
        complete: () => Effect.succeed({ text: "x".repeat(250), usage: undefined })
      })
      const { seen } = yield* collect(provider, { streams: false })
      assert.deepStrictEqual(summary(seen), [
        "start:simulated:1",
        "x".repeat(100),
        "x".repeat(100),
        "x".repeat(50),
        "end:0"
      ])
    }))

  it.effect("leaves an answer whole for a client that takes it in one message, an empty one too", () =>
    Effect.gen(function*() {
      for (const text of ["x".repeat(250), ""]) {
        const provider = FakeProvider.make({ complete: () => Effect.succeed({ text, usage: undefined }) })
        const { seen } = yield* collect(provider, { streams: false, whole: true })
        assert.deepStrictEqual(summary(seen), ["start:simulated:1", ...text === "" ? [] : [text], "end:0"])
      }
    }))

  it.effect("never cuts a simulated piece inside a surrogate pair", () =>
    Effect.gen(function*() {
      const text = `${"x".repeat(99)}😀${"y".repeat(120)}`
      const { seen } = yield* collect(
        FakeProvider.make({ complete: () => Effect.succeed({ text, usage: undefined }) }),
        { streams: false }
      )
      const pieces = seen.flatMap((event) => event._tag === "Text" ? [event.text] : [])
      assert.deepStrictEqual(pieces.map((piece) => piece.length), [99, 100, 22])
      assert.strictEqual(pieces.join(""), text)
    }))

  it.effect("simulates when the provider refuses to stream", () =>
    Effect.gen(function*() {
      const provider = FakeProvider.make({
        stream: () => new StreamingUnsupported({ provider: "fake", answer: undefined })
      })
      assert.deepStrictEqual(summary((yield* collect(provider)).seen), ["start:simulated:1", "whole answer", "end:0"])
    }))

  it.effect("does not ask twice when the provider sent the whole answer instead of a stream", () =>
    Effect.gen(function*() {
      const provider = FakeProvider.make({
        stream: () => new StreamingUnsupported({ provider: "fake", answer: { text: "here", usage: undefined } }),
        complete: () => Effect.dieMessage("must not be asked")
      })
      assert.deepStrictEqual(summary((yield* collect(provider)).seen), ["start:simulated:1", "here", "end:0"])
    }))

  for (
    const [where, stream] of [
      ["opening", () => Effect.fail(outage)],
      ["before its first piece", () => Effect.succeed(Effect.fail(outage))]
    ] as const
  ) {
    it.effect(`falls back with a fresh call when the stream breaks ${where}`, () =>
      Effect.gen(function*() {
        const { error, seen } = yield* collect(FakeProvider.make({ stream }))
        assert.isUndefined(error)
        assert.deepStrictEqual(summary(seen), ["start:fallback:2", "whole answer", "end:1"])
      }))
  }

  it.effect("never sends text twice: a client without restart gets STREAM_INTERRUPTED", () =>
    Effect.gen(function*() {
      const calls = yield* Ref.make(0)
      const provider = FakeProvider.make({
        stream: () => Effect.sync(() => FakeProvider.pieces([FakeProvider.text("half"), Effect.fail(outage)])),
        complete: () => Effect.as(Ref.update(calls, (n) => n + 1), { text: "whole", usage: undefined })
      })
      const { error, seen } = yield* collect(provider)
      assert.deepStrictEqual(summary(seen), ["start:real:1", "half"])
      assert.strictEqual(error?.reason, "STREAM_INTERRUPTED")
      assert.strictEqual(yield* Ref.get(calls), 0)
    }))

  it.effect("restarts for a client that understands it; the text after the restart is one attempt's", () =>
    Effect.gen(function*() {
      const provider = FakeProvider.make({
        stream: () => Effect.sync(() => FakeProvider.pieces([FakeProvider.text("half"), Effect.fail(outage)]))
      })
      const { error, seen } = yield* collect(provider, { restartable: true })
      assert.isUndefined(error)
      assert.deepStrictEqual(summary(seen), [
        "start:real:1",
        "half",
        "restart:PROVIDER_UNAVAILABLE",
        "start:fallback:2",
        "whole answer",
        "end:1"
      ])
    }))

  for (const reason of ["PROVIDER_REJECTED", "PROVIDER_RATE_LIMITED"] as const) {
    it.effect(`does not call again when the provider answered ${reason}`, () =>
      Effect.gen(function*() {
        const provider = FakeProvider.make({
          stream: () => Effect.fail(failure(reason)),
          complete: () => Effect.dieMessage("must not be asked")
        })
        const { error, seen } = yield* collect(provider)
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(error?.reason, reason)
      }))
  }

  it.effect("closes the broken stream before it calls again, and the last one with the scope", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const provider = FakeProvider.make({
        stream: () =>
          Effect.as(
            Effect.acquireRelease(Effect.sync(() => log.push("open")), () => Effect.sync(() => log.push("close"))),
            Effect.fail(outage)
          ),
        complete: () =>
          Effect.sync(() => {
            log.push("call")
            return { text: "", usage: undefined }
          })
      })
      yield* collect(provider)
      assert.deepStrictEqual(log, ["open", "close", "call"])
    }))

  it.effect("makes an attempt again that failed before its first text, as often as the provider allows", () =>
    Effect.gen(function*() {
      const calls = yield* Ref.make(0)
      const flaky = (good: number) =>
        FakeProvider.make({
          maxRetries: 2,
          stream: () =>
            Effect.flatMap(Ref.updateAndGet(calls, (n) => n + 1), (n) =>
              n < good
                ? Effect.fail(outage)
                : Effect.sync(() => FakeProvider.pieces([FakeProvider.text("a"), FakeProvider.end()])))
        })
      const fiber = yield* Effect.fork(collect(flaky(3)))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(summary((yield* Fiber.join(fiber)).seen), ["start:real:3", "a", "end:2"])
    }))

  it.effect("waits as long as the provider asks, and no shorter", () =>
    Effect.gen(function*() {
      const limited = new ProviderFailure({
        ...outage,
        reason: "PROVIDER_RATE_LIMITED",
        retryAfter: Duration.seconds(7)
      })
      const calls = yield* Ref.make(0)
      const provider = FakeProvider.make({
        maxRetries: 1,
        complete: () =>
          Effect.flatMap(
            Ref.updateAndGet(calls, (n) => n + 1),
            (n) => n === 1 ? Effect.fail(limited) : Effect.succeed({ text: "a", usage: undefined })
          )
      })
      const fiber = yield* Effect.fork(collect(provider, { streams: false }))
      yield* TestClock.adjust("6999 millis")
      assert.strictEqual(yield* Ref.get(calls), 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(summary((yield* Fiber.join(fiber)).seen), ["start:simulated:2", "a", "end:1"])
    }))

  it.effect("does not wait beyond the caller's deadline", () =>
    Effect.gen(function*() {
      const limited = new ProviderFailure({
        ...outage,
        reason: "PROVIDER_RATE_LIMITED",
        retryAfter: Duration.seconds(7)
      })
      const provider = FakeProvider.make({ maxRetries: 5, complete: () => Effect.fail(limited) })
      const { error } = yield* collect(provider, { streams: false, deadline: 5000 })
      assert.strictEqual(error?.reason, "PROVIDER_RATE_LIMITED")
    }))

  it.effect("tries the other models in order, and says who answered", () =>
    Effect.gen(function*() {
      const limited = failure("PROVIDER_RATE_LIMITED")
      const down = (name: string, error: ProviderFailure) =>
        FakeProvider.make({ name, stream: () => Effect.fail(error), complete: () => Effect.fail(error) })
      const good = FakeProvider.make({ name: "good" })
      const { seen } = yield* collect(down("a", limited), { others: [down("b", outage), good] })
      assert.deepStrictEqual(summary(seen), ["start:real:3", "whole ", "answer", "end:2"])
      assert.deepInclude(seen[0], { provider: "good", model: "good/one" })
      const last = seen.at(-1)
      assert.strictEqual(last?._tag === "End" && last.by.fullName, "good/one")
    }))

  for (const streams of [true, false]) {
    it.effect(
      `asks a dead provider twice at most while another model is left, ${
        streams ? "streamed" : "whole"
      }, and the last one as often as it allows`,
      () =>
        Effect.gen(function*() {
          const asked: Array<string> = []
          const dead = (name: string) => {
            const fail = () => Effect.zipRight(Effect.sync(() => asked.push(name)), Effect.fail(outage))
            return FakeProvider.make({ name, maxRetries: 3, stream: fail, complete: fail })
          }
          const fiber = yield* Effect.fork(collect(dead("a"), { streams, others: [dead("b"), dead("c")] }))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* Fiber.join(fiber)).error?.reason, "PROVIDER_UNAVAILABLE")
          assert.strictEqual(asked.join(""), `aabb${"c".repeat(streams ? 5 : 4)}`)
        })
    )
  }

  for (const [seconds, asked] of [[10, "ab"], [1.5, "ab"], [1, "aab"]] as const) {
    it.effect(`with another model left, ${asked === "ab" ? "does not wait" : "waits"} the ${seconds} s that a provider asks for`, () =>
      Effect.gen(function*() {
        const limited = new ProviderFailure({
          ...outage,
          reason: "PROVIDER_RATE_LIMITED",
          retryAfter: Duration.seconds(seconds)
        })
        const seen: Array<string> = []
        const fail = () => Effect.zipRight(Effect.sync(() => seen.push("a")), Effect.fail(limited))
        const first = FakeProvider.make({ name: "a", maxRetries: 3, stream: fail, complete: fail })
        const second = FakeProvider.make({
          name: "b",
          complete: () => Effect.sync(() => ({ text: "b", usage: void seen.push("b") }))
        })
        const fiber = yield* Effect.fork(collect(first, { streams: false, others: [second] }))
        yield* TestClock.adjust(asked === "ab" ? "0 millis" : `${seconds} seconds`)
        assert.isUndefined((yield* Fiber.join(fiber)).error)
        assert.strictEqual(seen.join(""), asked)
      }))
  }

  it.effect("does not try other models with a request that was refused", () =>
    Effect.gen(function*() {
      const refused = FakeProvider.make({ stream: () => Effect.fail(failure("PROVIDER_REJECTED")) })
      const { error } = yield* collect(refused, { others: [FakeProvider.make({ name: "good" })] })
      assert.strictEqual(error?.reason, "PROVIDER_REJECTED")
    }))

  it.effect("goes to another model after text only for a client that understands restart", () =>
    Effect.gen(function*() {
      const breaks = FakeProvider.make({
        stream: () => Effect.sync(() => FakeProvider.pieces([FakeProvider.text("half"), Effect.fail(outage)])),
        complete: () => Effect.fail(outage)
      })
      const others = [FakeProvider.make({ name: "good" })]
      const plain = yield* collect(breaks, { others })
      assert.deepStrictEqual(summary(plain.seen), ["start:real:1", "half"])
      assert.strictEqual(plain.error?.reason, "STREAM_INTERRUPTED")
      const restarted = yield* collect(breaks, { others, restartable: true })
      assert.deepStrictEqual(summary(restarted.seen), [
        "start:real:1",
        "half",
        "restart:PROVIDER_UNAVAILABLE",
        "start:real:3",
        "whole ",
        "answer",
        "end:2"
      ])
    }))
})
