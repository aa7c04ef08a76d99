import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope, TestClock } from "effect"
import { unrestricted } from "../../src/domain/Access.js"
import type { Caller } from "../../src/domain/Answer.js"
import { type Limits as Settings, unlimited } from "../../src/domain/Limits.js"
import type { Price } from "../../src/domain/ModelInfo.js"
import * as Embedded from "../../src/limits/Embedded.js"
import * as Limits from "../../src/limits/Limits.js"
import type { Attempted } from "../../src/limits/Spending.js"
import { Store, StoreUnavailable } from "../../src/limits/Store.js"

/** The call that ends with the scope. */
const inScope = Effect.flatMap(
  Effect.zip(Effect.scope, Effect.clock),
  ([scope, clock]) =>
    Effect.succeed<Limits.Admitting>({
      now: () => clock.unsafeCurrentTimeMillis(),
      face: { isDebugging: false },
      onEnd: (release) => Effect.runSync(Scope.addFinalizerExit(scope, release))
    })
)

const admit = (limits: Limits.Limits["Type"], asking: Limits.Asking) =>
  Effect.flatMap(inScope, (call) => limits.admit(asking, call))

const caller = (limits: Partial<Settings>, more: Partial<Caller> = {}, tokenLimits?: Partial<Settings>): Caller => ({
  subject: "ci",
  tokenId: "j1",
  access: {
    ...unrestricted,
    limits: { ...unlimited, ...limits },
    tokenLimits: tokenLimits === undefined ? undefined : { ...unlimited, ...tokenLimits }
  },
  features: new Set(),
  deadline: Infinity,
  ...more
})

const options: Limits.Options = {
  models: {},
  queue: { max_waiting: 0, max_wait_seconds: 10 },
  reserveOutputTokens: 0,
  onUnavailable: "refuse"
}
const price: Price = { input: 1, output: 10 }
const used = (inputTokens: number, outputTokens: number, more: Partial<Attempted> = {}): Attempted => ({
  model: "p/a",
  usage: { inputTokens, outputTokens },
  estimated: false,
  cost: undefined,
  ...more
})

const call = (who: Caller, more: Partial<Limits.Asking> = {}): Limits.Asking => ({
  caller: who,
  model: "p/a",
  price: undefined,
  listed: true,
  length: 1,
  inputTokens: 1,
  spending: () => ({ attempts: [], succeeded: true }),
  soFar: () => [],
  ...more
})

const limited = <A, E>(
  test: (limits: Limits.Limits["Type"], store: Store["Type"]) => Effect.Effect<A, E, Scope.Scope>,
  more: Partial<Limits.Options> = {}
) =>
  Effect.gen(function*() {
    const store = yield* Store
    return yield* test(yield* Limits.make({ ...options, ...more }, store), store)
  }).pipe(Effect.scoped, Effect.provide(Embedded.layerMemory))

/** A call that has ended already: `passed`, or why not. */
const ended = (limits: Limits.Limits["Type"], who: Caller, more: Partial<Limits.Asking> = {}) =>
  Effect.match(Effect.scoped(admit(limits, call(who, more))), {
    onSuccess: () => "passed",
    onFailure: (error) => error._tag === "LimitExceeded" ? error.type : error.reason
  })

const refusal = (limits: Limits.Limits["Type"], who: Caller, more: Partial<Limits.Asking> = {}) =>
  Effect.flatMap(
    Effect.flip(Effect.scoped(admit(limits, call(who, more)))),
    (error) => error._tag === "LimitExceeded" ? Effect.succeed(error) : Effect.die(error)
  )

describe("Limits", () => {
  it.effect("lets exactly as many of many at once pass as the limit says", () =>
    Effect.gen(function*() {
      for (const limit of [{ maxRequestsPerMinute: 7 }, { maxConcurrentRequests: 7 }, { maxTokensPerDay: 7 }]) {
        yield* limited((limits) =>
          Effect.gen(function*() {
            const exits = yield* Effect.forEach(
              Array.from({ length: 64 }),
              () => Effect.exit(admit(limits, call(caller(limit)))),
              { concurrency: "unbounded" }
            )
            assert.lengthOf(exits.filter(Exit.isSuccess), 7)
          })
        )
      }
    }))

  it.effect("counts every span of 60 seconds, and says when the next one may come", () =>
    limited((limits) =>
      Effect.gen(function*() {
        const who = caller({ maxRequestsPerMinute: 2 })
        assert.strictEqual(yield* ended(limits, who), "passed")
        yield* TestClock.adjust("50 seconds")
        assert.strictEqual(yield* ended(limits, who), "passed")
        const refused = yield* refusal(limits, who)
        assert.strictEqual(Duration.toSeconds(refused.retryAfter), 10)
        assert.include(refused.message, "'ci' reached its limit of 2 requests per minute")
        yield* TestClock.adjust("9999 millis")
        assert.strictEqual(yield* ended(limits, who), "rpm", "a millisecond too early")
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* ended(limits, who), "passed")
        assert.strictEqual(yield* ended(limits, who), "rpm", "the second of the two is still in the span")
      })
    ))

  it.effect("gives a place back however the call ends, and takes none for a refused one", () =>
    limited((limits) =>
      Effect.gen(function*() {
        const who = caller({ maxConcurrentRequests: 1, maxRequestsPerMinute: 100 })
        for (const ending of [Effect.void, Effect.fail("broken"), Effect.die("bug"), Effect.interrupt]) {
          yield* Effect.exit(Effect.scoped(Effect.zipRight(admit(limits, call(who)), ending)))
          assert.strictEqual(yield* ended(limits, who), "passed")
        }
        const scope = yield* Scope.make()
        yield* Scope.extend(admit(limits, call(who)), scope)
        for (let count = 0; count < 200; count++) assert.strictEqual(yield* ended(limits, who), "concurrency")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* ended(limits, who), "passed", "200 refused ones have not used up the minute")
      })
    ))

  it.effect("counts a subject's tokens together, a token's own limits and a tenant's apart, a model's for everybody", () =>
    limited((limits) =>
      Effect.gen(function*() {
        const own = { maxRequestsPerMinute: 1 }
        assert.strictEqual(yield* ended(limits, caller({}, { tokenId: "j1" }, own)), "passed")
        assert.strictEqual(yield* ended(limits, caller({}, { tokenId: "j2" }, own)), "passed")
        const token = yield* refusal(limits, caller({}, { tokenId: "j1" }, own))
        assert.include(token.message, "A token of 'ci' reached its limit of 1 requests per minute")

        const tenant = (subject: string): Caller => ({
          ...caller({}, { subject }),
          access: { ...unrestricted, tenant: "acme", tenantLimits: { ...unlimited, maxRequestsPerMinute: 2 } }
        })
        assert.strictEqual(yield* ended(limits, tenant("a")), "passed")
        assert.strictEqual(yield* ended(limits, tenant("b")), "passed")
        const together = yield* refusal(limits, tenant("c"))
        assert.deepStrictEqual([together.scope, together.name], ["tenant", "acme"])
        assert.strictEqual(yield* ended(limits, caller({}, { subject: "acme" })), "passed", "a subject of that name")

        const anybody = (subject: string, model: string) => ended(limits, caller({}, { subject }), { model })
        assert.strictEqual(yield* anybody("x", "p/big-1"), "passed")
        assert.strictEqual(yield* anybody("y", "p/big-2"), "rpm")
        assert.strictEqual(yield* anybody("y", "p/small"), "passed")
      }), { models: { "p/big*": { max_requests_per_minute: 1 } } }))

  it.effect("books what was used in place of what was set aside", () =>
    limited((limits, store) =>
      Effect.gen(function*() {
        const who = caller({ maxTokensPerDay: 100 })
        const spend = (attempts: ReadonlyArray<Attempted>, inputTokens = 10) =>
          ended(limits, who, { inputTokens, spending: () => ({ attempts, succeeded: true }) })
        assert.strictEqual(yield* spend([used(40, 20)]), "passed")
        assert.strictEqual(yield* spend([], 41), "tokens_per_day", "60 are used, 41 more are too many")
        assert.strictEqual(yield* spend([used(40, 20)]), "passed", "nobody knows beforehand")
        const refused = yield* refusal(limits, who)
        assert.strictEqual(Duration.toHours(refused.retryAfter), 24)
        yield* TestClock.adjust("23 hours")
        assert.strictEqual(Duration.toHours((yield* refusal(limits, who)).retryAfter), 1)
        yield* TestClock.adjust("1 hours")
        assert.strictEqual(yield* spend([]), "passed", "a new day")
        const rows = yield* store.usage({ from: "1970-01-01", to: "1970-01-01" })
        assert.deepStrictEqual(
          rows.map(({ day, inputTokens, outputTokens, requests }) => [day, requests, inputTokens, outputTokens]),
          [["1970-01-01", 2, 80, 40]]
        )
        assert.strictEqual(yield* store.outstanding, 0)
      })
    ))

  it.effect("does not let its record grow by every name that callers make up", () =>
    limited((limits, store) =>
      Effect.gen(function*() {
        for (const model of ["p/x1", "p/x2", "p/x3"]) {
          yield* ended(limits, caller({}), {
            model,
            listed: false,
            spending: () => ({ attempts: [], succeeded: false })
          })
        }
        const spending = () => ({ attempts: [used(1, 1, { model: "p/real" })], succeeded: true })
        yield* ended(limits, caller({}), { model: "p/real", listed: false, spending })
        const rows = yield* store.usage({ from: "1970-01-01", to: "1970-01-01" })
        const counts = rows.map(({ failures, model, requests }) => [model, requests, failures])
        assert.sameDeepMembers(counts, [["p/*", 3, 3], ["p/real", 1, 0]])
      })
    ))

  it.effect("limits dollars only where there is a price for them", () =>
    limited((limits) =>
      Effect.gen(function*() {
        const who = caller({ maxUsdPerMonth: 0.01 })
        assert.strictEqual(yield* ended(limits, who), "MODEL_NOT_ALLOWED")
        assert.isFalse(limits.mayPay(who, "p/b", undefined))
        assert.isTrue(limits.mayPay(who, "p/b", price))
        assert.isTrue(limits.mayPay(caller({}), "p/b", undefined))
        const spending = () => ({ attempts: [used(1000, 900, { cost: 10_000_000 })], succeeded: true })
        assert.strictEqual(yield* ended(limits, who, { price, spending }), "passed")
        assert.strictEqual(yield* ended(limits, who, { price, spending }), "usd_per_month")
      })
    ))

  it.effect("lets a call try another model within that model's own limits, and charges each its own", () =>
    limited((limits, store) =>
      Effect.gen(function*() {
        const spending = () => ({ attempts: [used(10, 0), used(10, 5, { model: "p/b" })], succeeded: true })
        const trying = call(caller({}), { spending })
        const both = Effect.zipRight(
          admit(limits, trying),
          Effect.flatMap(inScope, (own) => limits.admitModel(trying, "p/b", undefined, own))
        )
        yield* Effect.scoped(both)
        const refused = yield* Effect.flip(Effect.scoped(both))
        assert.deepStrictEqual(refused._tag === "LimitExceeded" && [refused.type, refused.name], ["tpm", "p/b"])
        assert.strictEqual(yield* store.outstanding, 0)
        const rows = yield* store.usage({ from: "1970-01-01", to: "1970-01-01" })
        const counts = rows.map((
          { inputTokens, model, outputTokens, requests }
        ) => [model, requests, inputTokens, outputTokens])
        assert.sameDeepMembers(counts, [["p/a", 0, 20, 0], ["p/b", 2, 20, 10]])
      }), { models: { "p/b": { max_tokens_per_minute: 15 }, "p/*": {} } }))

  it.effect("refuses what is too long before it takes anything", () =>
    limited((limits) =>
      Effect.gen(function*() {
        const who = caller({ maxInputLength: 10, maxRequestsPerMinute: 1 }, {}, { maxInputLength: 8 })
        assert.strictEqual(yield* ended(limits, who, { length: 9 }), "INPUT_TOO_LONG")
        assert.strictEqual(yield* ended(limits, who, { length: 6 }), "INPUT_TOO_LONG")
        assert.strictEqual(yield* ended(limits, who, { length: 5 }), "passed")
      }), { models: { "p/*": { max_input_length: 5 } } }))
})

describe("Limits, with a store that is gone", () => {
  const gone = new StoreUnavailable({ store: "redis at r:6379", cause: undefined })
  const store = (settled: Array<string>): Store["Type"] => ({
    reserve: () => gone,
    settle: ({ id }) => Effect.sync(() => void settled.push(id)),
    progress: () => gone,
    usage: () => gone,
    outstanding: gone,
    ready: gone
  })

  it.effect("refuses, or lets pass and books it later, as it is told", () =>
    Effect.gen(function*() {
      const settled: Array<string> = []
      const refusing = yield* Limits.make(options, store(settled))
      assert.strictEqual(yield* ended(refusing, caller({})), "LIMITS_UNAVAILABLE")
      assert.lengthOf(settled, 0)
      const allowing = yield* Limits.make({ ...options, onUnavailable: "allow" }, store(settled))
      assert.strictEqual(yield* ended(allowing, caller({ maxRequestsPerMinute: 1 })), "passed")
      assert.strictEqual(yield* ended(allowing, caller({ maxRequestsPerMinute: 1 })), "passed")
      assert.strictEqual(new Set(settled).size, 2)
    }).pipe(Effect.scoped))
})
