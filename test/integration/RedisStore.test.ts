import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  FastCheck as fc,
  Fiber,
  Layer,
  Logger,
  Redacted,
  Scope
} from "effect"
import * as RedisStore from "../../src/limits/RedisStore.js"
import { type Ask, type Counted, noCounts, Store, StoreUnavailable } from "../../src/limits/Store.js"
import * as Patience from "../support/Patience.js"
import { forAll } from "../support/Property.js"
import * as Redis from "../support/Redis.js"
import { account, ask, bound, row, used } from "../support/Reservations.js"

const has = Redis.available()
const why = has ? "" : ` (skipped: apt-get install ${Redis.packages})`

const day = { from: "2026-11-26", to: "2026-11-26" }

const open = (url: string, prefix: string, timeoutMs = 2000) =>
  Effect.map(
    Layer.build(RedisStore.layer({
      url: Redacted.make(url),
      prefix,
      timeout: Duration.millis(Patience.scaled(timeoutMs)),
      keepDays: 40
    })),
    Context.get(Store)
  )

let prefixes = 0
const fresh = () => `test-${prefixes++}`

/** Once it holds. */
const eventually = (holds: Effect.Effect<boolean, unknown>) =>
  Patience.eventually(Effect.orElseSucceed(holds, () => false))

const logging = () => {
  const lines: Array<string> = []
  const logger = Logger.make((entry) => void lines.push(Logger.logfmtLogger.log(entry)))
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}

describe.skipIf(!has)(`RedisStore${why}`, () => {
  let scope: Scope.CloseableScope
  let shared: { readonly url: string; readonly redis: Redis.Client }
  beforeAll(() =>
    Effect.runPromise(Effect.gen(function*() {
      scope = yield* Scope.make()
      const { url } = yield* Scope.extend(Redis.server(), scope)
      shared = { url, redis: yield* Scope.extend(Redis.client(url), scope) }
    }))
  )
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  /** One or more servers that share a Redis in which nobody was before. */
  const servers = (count: number) =>
    Effect.gen(function*() {
      const prefix = fresh()
      const { redis, url } = shared
      const stores = yield* Effect.replicateEffect(open(url, prefix), count)
      return {
        one: stores[0]!,
        two: stores.at(-1)!,
        redis,
        key: (rest: string) => `{${prefix}}:${rest}`
      }
    })

  const exactly: ReadonlyArray<readonly [string, Partial<Counted>, number]> = [
    ["rpm", { maxRequestsPerMinute: 20 }, 60_000],
    ["concurrency", { maxConcurrentRequests: 20 }, 1000],
    ["tpm", { maxTokensPerMinute: 209 }, 60_000],
    ["tokens_per_day", { maxTokensPerDay: 209 }, 12 * 3_600_000],
    ["tokens_per_month", { maxTokensPerMonth: 200 }, (4 * 24 + 12) * 3_600_000],
    ["usd_per_day", { maxUsdPerDay: 0.000_02 }, 12 * 3_600_000],
    ["usd_per_month", { maxUsdPerMonth: 0.000_02 }, (4 * 24 + 12) * 3_600_000]
  ]
  for (const [type, limits, wait] of exactly) {
    it.scopedLive(`${type}: of 64 calls at two servers at once exactly as many pass as it says`, () =>
      Effect.gen(function*() {
        const { one, two } = yield* servers(2)
        const refusals = yield* Effect.forEach(
          Array.from({ length: 64 }, (_, index) => index),
          (index) => (index % 2 === 0 ? one : two).reserve(ask([bound({}, "tenant free"), bound(limits)])),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(refusals.filter((refusal) => refusal === undefined).length, 20)
        for (const refusal of refusals) {
          if (refusal === undefined) continue
          assert.strictEqual(refusal.type, type)
          assert.strictEqual(refusal.bound.key, "subject ann")
          assert.isAbove(refusal.retryAfterMs, wait - 5000)
          assert.isAtMost(refusal.retryAfterMs, wait)
        }
        assert.strictEqual(yield* one.outstanding, 20)
      }))
  }

  it.scopedLive("a refused call takes nothing of any bound", () =>
    Effect.gen(function*() {
      const { one, redis, key } = yield* servers(1)
      const wide = bound({ maxRequestsPerMinute: 9, maxConcurrentRequests: 9, maxTokensPerMinute: 99 }, "tenant wide")
      assert.isUndefined(yield* one.reserve(ask([wide, bound({ maxTokensPerDay: 15 })])))
      assert.strictEqual((yield* one.reserve(ask([wide, bound({ maxTokensPerDay: 15 })])))?.type, "tokens_per_day")
      const counts = yield* Effect.promise(() =>
        Promise.all([
          redis.zCard(key("rpm:tenant wide")),
          redis.get(key("tpm-sum:tenant wide")),
          redis.hVals(key("running:tenant wide")),
          redis.hGet(key("total:2026-11:tenant wide"), "tokens")
        ])
      )
      assert.deepStrictEqual(counts, [1, "10", ["1"], "10"])
    }))

  it.scopedLive("says the quota of a later bound before the rate of an earlier one", () =>
    Effect.gen(function*() {
      const { one } = yield* servers(1)
      const bounds = [
        bound({ maxRequestsPerMinute: 1 }),
        bound({ maxTokensPerDay: 10, maxTokensPerMonth: 10 }, "tenant a")
      ]
      assert.isUndefined(yield* one.reserve(ask(bounds)))
      const refusal = yield* one.reserve(ask(bounds))
      assert.strictEqual(refusal?.type, "tokens_per_month")
      assert.strictEqual(refusal?.bound, bounds[1])
      // Another month begins with nothing.
      const later = ask(bounds.slice(1), { at: Date.UTC(2026, 11, 1) })
      assert.isUndefined(yield* one.reserve(later))
    }))

  /** The time of Redis. */
  const clock = (redis: Redis.Client) =>
    Effect.promise(async () => {
      const [seconds, micros] = await redis.sendCommand(["TIME"]) as unknown as [string, string]
      return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
    })

  it.scopedLive("requests leave the minute one by one, and the delay is the time until one has", () =>
    Effect.gen(function*() {
      const { one, redis, key } = yield* servers(1)
      const call = ask([bound({ maxRequestsPerMinute: 2 })])
      const now = yield* clock(redis)
      const begun = (value: string, score: number) =>
        Effect.promise(() => redis.zAdd(key("rpm:subject ann"), { value, score }))
      yield* begun("old", now - 60_000)
      yield* begun("older", now - 59_000)
      yield* begun("new", now - 1000)
      const refusal = yield* one.reserve(call)
      const passed = (yield* clock(redis)) - now
      assert.isAtMost(refusal!.retryAfterMs, 1000)
      assert.isAtLeast(refusal!.retryAfterMs, 1000 - passed)
      yield* begun("older", now - 60_000)
      assert.isUndefined(yield* one.reserve(call))
      assert.isAbove((yield* one.reserve(ask([bound({ maxRequestsPerMinute: 2 })])))!.retryAfterMs, 50_000)
      // A lower limit counts from now on: two have to leave.
      assert.isAbove((yield* one.reserve(ask([bound({ maxRequestsPerMinute: 1 })])))!.retryAfterMs, 59_000)
    }))

  it.scopedLive("tokens leave the minute one by one, and the delay is the time until enough have", () =>
    Effect.gen(function*() {
      const { one, redis, key } = yield* servers(1)
      const call = (tokens: number) => ask([bound({ maxTokensPerMinute: 1000 })], { tokens })
      const now = yield* clock(redis)
      // 200 of 5 tokens each, a tenth of a second apart, the last of them a second ago.
      const entries = Array.from(
        { length: 200 },
        (_, index) => ({ value: `c${index}:5`, score: now - 21_000 + index * 100 })
      )
      yield* Effect.promise(() => redis.zAdd(key("tpm:subject ann"), entries))
      yield* Effect.promise(() => redis.set(key("tpm-sum:subject ann"), 1000))
      for (
        const [tokens, wait] of [[1, 39_000], [5, 39_000], [6, 39_100], [750, 53_900], [1000, 58_900], [
          99_999,
          58_900
        ]] as const
      ) {
        const refusal = yield* one.reserve(call(tokens))
        const passed = (yield* clock(redis)) - now
        assert.isAtMost(refusal!.retryAfterMs, wait, `${tokens}`)
        assert.isAtLeast(refusal!.retryAfterMs, wait - passed, `${tokens}`)
      }
      yield* Effect.promise(() =>
        redis.zAdd(key("tpm:subject ann"), entries.slice(0, 2).map(({ value }) => ({ value, score: now - 60_000 })))
      )
      assert.isUndefined(yield* one.reserve(call(10)))
      assert.isDefined(yield* one.reserve(call(1)))
    }))

  it.scopedLive("more tokens than a minute may have count as all of them, until it is known how many they were", () =>
    Effect.gen(function*() {
      const { one } = yield* servers(1)
      const call = (tokens: number) => ask([bound({ maxTokensPerMinute: 100 })], { tokens })
      const large = call(5000)
      assert.isUndefined(yield* one.reserve(large))
      assert.strictEqual((yield* one.reserve(call(1)))?.type, "tpm")
      yield* one.settle(large, used(large, 70))
      assert.strictEqual((yield* one.reserve(call(31)))?.type, "tpm")
      const small = call(30)
      assert.isUndefined(yield* one.reserve(small))
      yield* one.settle(small, used(small, 0))
      assert.isUndefined(yield* one.reserve(call(30)))
    }))

  it.scopedLive("a clock that was set back holds nobody up for longer than a minute", () =>
    Effect.gen(function*() {
      const { one, redis, key } = yield* servers(1)
      const now = yield* clock(redis)
      yield* Effect.promise(() => redis.zAdd(key("rpm:subject ann"), { value: "x", score: now + 900_000 }))
      yield* Effect.promise(() => redis.zAdd(key("tpm:tenant a"), { value: "x:5", score: now + 900_000 }))
      yield* Effect.promise(() => redis.set(key("tpm-sum:tenant a"), 5))
      for (const one_ of [bound({ maxRequestsPerMinute: 1 }), bound({ maxTokensPerMinute: 10 }, "tenant a")]) {
        assert.isAtMost((yield* one.reserve(ask([one_])))!.retryAfterMs, 60_000)
      }
    }))

  it.scopedLive("whatever is reserved and settled in whatever order, nothing stays behind and every sum is true", () =>
    forAll(
      fc.record({
        limits: fc.array(
          fc.record({
            maxRequestsPerMinute: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
            maxConcurrentRequests: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
            maxTokensPerMinute: fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
            maxTokensPerDay: fc.option(fc.integer({ min: 1, max: 900 }), { nil: undefined }),
            maxUsdPerMonth: fc.option(fc.constantFrom(0.000_001, 0.001, 9000), { nil: undefined })
          }),
          { minLength: 1, maxLength: 4 }
        ),
        calls: fc.array(
          fc.record({
            tokens: fc.nat(200),
            cost: fc.oneof(fc.nat(2000), fc.nat(2 ** 43)),
            used: fc.nat(300),
            paid: fc.oneof(fc.nat(2000), fc.nat(2 ** 43)),
            second: fc.boolean(),
            times: fc.integer({ min: 1, max: 2 }),
            subject: fc.constantFrom("ann", "b\"ob", "\ud800", "{x}:y", "ä 😀")
          }),
          { maxLength: 12 }
        ),
        atOnce: fc.boolean()
      }),
      12,
      ({ atOnce, calls, limits }) =>
        Effect.scoped(Effect.gen(function*() {
          const { one, two, redis, key } = yield* servers(2)
          const bounds = limits.map((each, index) => bound(each, `subject ${index}:"{}`))
          const sums = { tokens: 0, cost: 0, passed: 0 }
          yield* Effect.forEach(calls, (call) =>
            Effect.gen(function*() {
              const store = call.second ? two : one
              const wanted = ask(bounds, {
                tokens: call.tokens,
                cost: call.cost,
                account: { ...account, subject: call.subject }
              })
              const refusal = yield* store.reserve(wanted)
              if (refusal !== undefined) return assert.isAbove(refusal.retryAfterMs, 0)
              sums.passed++
              sums.tokens += call.used
              sums.cost += call.paid
              for (let time = 0; time < call.times; time++) {
                yield* store.settle(wanted, used(wanted, call.used, call.paid))
              }
            }), { concurrency: atOnce ? "unbounded" : 1 })
          assert.strictEqual(yield* one.outstanding, 0)
          const rows = yield* two.usage(day)
          const booked = rows.reduce(
            (sum, { cost, inputTokens, requests }) => ({
              tokens: sum.tokens + inputTokens,
              cost: sum.cost + cost,
              passed: sum.passed + requests
            }),
            { tokens: 0, cost: 0, passed: 0 }
          )
          assert.deepStrictEqual(booked, sums)
          assert.isTrue(rows.every(({ subject }) => calls.some((call) => call.subject === subject)))
          const keys = yield* Effect.promise(() => redis.keys(key("*")))
          assert.deepStrictEqual(keys.filter((name) => /}:(running|open):/.test(name)), [])
          for (const { key: name } of bounds) {
            for (const period of ["2026-11-26", "2026-11"]) {
              const total = yield* Effect.promise(() =>
                redis.hGetAll(key(`total:${period}:${JSON.stringify(name).slice(1, -1)}`))
              )
              assert.deepStrictEqual([Number(total["tokens"] ?? 0), Number(total["cost"] ?? 0)], [
                sums.tokens,
                sums.cost
              ])
            }
          }
          const forever = yield* Effect.promise(async () => {
            const lives = await Promise.all(keys.map(async (name) => [name, await redis.ttl(name)] as const))
            return lives.filter(([, life]) => life === -1).map(([name]) => name).sort()
          })
          assert.deepStrictEqual(forever.filter((name) => !/}:(servers|days)$/.test(name)), [])
        })).pipe(Effect.orDie)
    ))

  it.scopedLive("numbers as large as they may be are exact", () =>
    Effect.gen(function*() {
      const { one } = yield* servers(1)
      const call = ask([bound({ maxTokensPerMinute: 5, maxTokensPerDay: Number.MAX_SAFE_INTEGER })], {
        tokens: 2 ** 52 + 1,
        cost: 2 ** 52 + 1
      })
      assert.isUndefined(yield* one.reserve(call))
      yield* one.settle(call, used(call, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER))
      assert.strictEqual((yield* one.reserve(ask([bound({ maxTokensPerMinute: 5 })])))?.type, "tpm")
      const [only] = yield* one.usage(day)
      assert.deepStrictEqual(only, {
        ...row({ inputTokens: Number.MAX_SAFE_INTEGER, cost: Number.MAX_SAFE_INTEGER }),
        day: "2026-11-26"
      })
    }))

  it.scopedLive("usage is by day and account, from one day to another", () =>
    Effect.gen(function*() {
      const { one } = yield* servers(1)
      for (const [date, subject] of [[25, "ann"], [26, "ann"], [26, "bob"], [27, "ann"]] as const) {
        const call = ask([], { at: Date.UTC(2026, 10, date, 23, 59), account: { ...account, subject } })
        yield* one.settle(call, used(call, date))
      }
      const rows = yield* one.usage({ from: "2026-11-26", to: "2026-11-27" })
      const told = rows.map(({ day, inputTokens, requests, subject }) => [day, subject, inputTokens, requests])
      assert.sameDeepMembers(told, [["2026-11-26", "ann", 26, 1], ["2026-11-26", "bob", 26, 1], [
        "2026-11-27",
        "ann",
        27,
        1
      ]])
      assert.deepStrictEqual(yield* one.usage({ from: "2026-11-28", to: "9999-12-31" }), [])
    }))

  /** As if it had not been heard of for long enough. */
  const die = (
    { redis, key }: { redis: Redis.Client; key: (rest: string) => string },
    call: Ask
  ) =>
    Effect.promise(async () => {
      for (const name of await redis.zRange(key("servers"), 0, -1)) {
        if (await redis.hExists(key(`open:${name}`), call.id) === 1) {
          await redis.zAdd(key("servers"), { value: name, score: 1 })
        }
      }
    })

  it.scopedLive("every count that is booked is there for the other servers, and adds up", () =>
    Effect.gen(function*() {
      const { one, two } = yield* servers(2)
      const counts = Object.fromEntries(Object.keys(noCounts).map((name, index) => [name, index + 1]))
      for (const store of [one, two]) {
        const wanted = ask([bound({})])
        yield* store.reserve(wanted)
        yield* store.settle(wanted, {
          charges: [{ tokens: 0, cost: 0 }],
          rows: [row(counts)]
        })
      }
      const doubled = Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, 2 * count]))
      assert.deepStrictEqual(yield* one.usage(day), [{ ...row(doubled), day: day.from }])
    }))

  it.scopedLive("what a server that died had used by then is booked, of quotas too, and corrected when it lives after all", () =>
    Effect.gen(function*() {
      const { one, two, ...rest } = yield* servers(2)
      const limits = [bound({ maxTokensPerDay: 2000 })]
      const [silent, streamed] = [
        ask(limits, { tokens: 1000, inputTokens: 10 }),
        ask(limits, { tokens: 1000, inputTokens: 10, cost: 5000 })
      ]
      const further = ask([], { isFurther: true })
      for (const made of [silent, streamed, further]) assert.isUndefined(yield* one.reserve(made))
      const counts = { failures: 1, estimated: 1, inputTokens: 10, outputTokens: 20, cost: 100 }
      yield* one.progress([
        { ask: streamed, spent: { tokens: 30, cost: 100 }, rows: [row(counts)] },
        { ask: ask(limits), spent: { tokens: 30, cost: 100 }, rows: [row(counts)] }
      ])
      assert.strictEqual((yield* two.reserve(ask(limits, { tokens: 1 })))?.type, "tokens_per_day", "2000 are set aside")
      yield* die(rest, streamed)
      const third = ask(limits, { tokens: 970, cost: 0 })
      assert.isUndefined(yield* two.reserve(third))
      assert.strictEqual((yield* two.reserve(ask(limits, { tokens: 1 })))?.type, "tokens_per_day")
      const [only] = yield* two.usage(day)
      assert.deepStrictEqual(only, {
        ...row({ requests: 2, failures: 2, estimated: 2, inputTokens: 20, outputTokens: 1010, cost: 1100 }),
        day: "2026-11-26"
      })
      // It was not dead after all.
      for (const made of [silent, streamed]) yield* one.settle(made, used(made, 100, 7))
      yield* one.progress([{ ask: streamed, spent: { tokens: 9, cost: 9 }, rows: [row(counts)] }])
      yield* two.settle(third, { charges: [{ tokens: 0, cost: 0 }], rows: [] })
      const [corrected] = yield* two.usage(day)
      assert.deepStrictEqual(corrected, { ...row({ requests: 2, inputTokens: 200, cost: 14 }), day: "2026-11-26" })
      assert.strictEqual((yield* two.reserve(ask(limits, { tokens: 1801 })))?.type, "tokens_per_day")
      assert.isUndefined(yield* two.reserve(ask(limits, { tokens: 1800 })))
    }))

  it.scopedLive("what a server that died had is booked as it was estimated, and its places are free", () =>
    Effect.gen(function*() {
      const { one, two, ...rest } = yield* servers(2)
      const limits = [bound({ maxConcurrentRequests: 2, maxTokensPerDay: 30 })]
      const [first, second] = [ask(limits), ask(limits)]
      yield* one.reserve(first)
      yield* one.reserve(second)
      assert.strictEqual((yield* two.reserve(ask(limits)))?.type, "concurrency")
      yield* die(rest, first)
      const third = ask(limits)
      assert.isUndefined(yield* two.reserve(third))
      assert.strictEqual(yield* two.outstanding, 1)
      const [only] = yield* two.usage(day)
      assert.deepStrictEqual(only, {
        ...row({}),
        requests: 2,
        failures: 2,
        estimated: 2,
        inputTokens: 20,
        cost: 2000,
        day: "2026-11-26"
      })
      // All of the quota is taken: what was set aside by the dead one stays.
      assert.strictEqual((yield* two.reserve(ask(limits)))?.type, "tokens_per_day")

      // It was not dead after all.
      yield* one.settle(first, used(first, 3, 7))
      yield* one.settle(first, used(first, 3, 7))
      assert.isUndefined(yield* one.reserve(ask(limits, { tokens: 1 })))
      yield* one.settle(second, {
        charges: [{ tokens: 1, cost: 1 }],
        rows: [row({ model: "fake/two", inputTokens: 1, cost: 1 })]
      })
      yield* two.settle(third, used(third, 5, 5))
      const rows = yield* one.usage(day)
      assert.sameDeepMembers([...rows], [
        { ...row({ requests: 2, inputTokens: 8, cost: 12 }), day: "2026-11-26" },
        { ...row({ model: "fake/two", inputTokens: 1, cost: 1 }), day: "2026-11-26" }
      ])
      const total = yield* Effect.promise(() => rest.redis.hGetAll(rest.key("total:2026-11-26:subject ann")))
      assert.deepStrictEqual({ ...total }, { tokens: "10", cost: "1013" })
      assert.isUndefined(yield* one.reserve(ask(limits, { tokens: 1 })))
      assert.strictEqual((yield* one.reserve(ask(limits, { tokens: 1 })))?.type, "concurrency")
    }))

  it.scopedLive("a row that turns out not to be one is gone", () =>
    Effect.gen(function*() {
      const { one, two, ...rest } = yield* servers(2)
      const call = ask([bound({})])
      yield* one.reserve(call)
      yield* die(rest, call)
      yield* two.reserve(ask([]))
      assert.strictEqual((yield* two.usage(day)).length, 1)
      yield* one.settle(call, { charges: [], rows: [] })
      assert.deepStrictEqual(yield* two.usage(day), [])
    }))

  it.scopedLive("what was settled before it could be reserved is never taken", () =>
    Effect.gen(function*() {
      const { one } = yield* servers(1)
      const call = ask([bound({ maxTokensPerDay: 100 })])
      yield* one.settle(call, used(call, 3))
      assert.instanceOf(yield* Effect.flip(one.reserve(call)), StoreUnavailable)
      assert.strictEqual(yield* one.outstanding, 0)
      assert.strictEqual((yield* one.usage(day))[0]?.inputTokens, 3)
    }))

  it.scopedLive("a server that stops leaves no trace", () =>
    Effect.gen(function*() {
      const { one, redis, key } = yield* servers(1)
      yield* Effect.scoped(Effect.gen(function*() {
        const other = yield* open(shared.url, key("").slice(1, -2))
        const call = ask([bound({ maxConcurrentRequests: 1 })])
        yield* other.reserve(call)
        assert.strictEqual(yield* one.outstanding, 1)
        yield* other.settle(call, used(call, 1))
      }))
      assert.strictEqual(yield* one.outstanding, 0)
      assert.isAtMost((yield* Effect.promise(() => redis.zRange(key("servers"), 0, -1))).length, 1)
    }))

  describe("while Redis is away", () => {
    it.scopedLive("nobody waits longer than configured, and what was taken too late is given back", () =>
      Effect.gen(function*() {
        const server = yield* Redis.server()
        const store = yield* open(server.url, "p", 400)
        const limits = [
          bound({ maxConcurrentRequests: 5, maxRequestsPerMinute: 4, maxTokensPerMinute: 40, maxTokensPerDay: 400 })
        ]
        const [running, asked] = [ask(limits), ask(limits)]
        assert.isUndefined(yield* store.reserve(running))
        yield* server.freeze
        const [took, failure] = yield* Effect.timed(Patience.bounded(Effect.flip(store.reserve(asked))))
        assert.instanceOf(failure, StoreUnavailable)
        const [later, failures] = yield* Effect.timed(Effect.all([
          Effect.flip(store.reserve(ask(limits))),
          Effect.flip(store.usage(day)),
          Effect.flip(store.outstanding),
          Effect.flip(store.ready),
          store.settle(running, used(running, 1))
        ]))
        // Four waits would take four times as long as the one before them.
        assert.isBelow(Duration.toMillis(later), 2 * Duration.toMillis(took))
        assert.isTrue(failures.slice(0, 4).every((each) => each instanceof StoreUnavailable))
        yield* server.thaw
        yield* eventually(Effect.map(store.outstanding, (count) => count === 0))
        // Redis took it after we had gone, and a call that was let in without being counted is counted in the end.
        yield* store.settle(asked, used(asked, 2))
        const [only] = yield* store.usage(day)
        assert.strictEqual(only?.inputTokens, 3)
        const redis = yield* Redis.client(server.url)
        assert.deepStrictEqual(
          { ...yield* Effect.promise(() => redis.hGetAll("{p}:total:2026-11:subject ann")) },
          { tokens: "3", cost: "0" }
        )
        assert.strictEqual(yield* Effect.promise(() => redis.zCard("{p}:rpm:subject ann")), 1)
        assert.strictEqual(yield* Effect.promise(() => redis.get("{p}:tpm-sum:subject ann")), "1")
        for (let place = 0; place < 3; place++) assert.isUndefined(yield* store.reserve(ask(limits)))
        assert.strictEqual((yield* store.reserve(ask(limits)))?.type, "rpm")
      }))

    it.scopedLive("a caller that goes away meanwhile leaves no reservation", () =>
      Effect.gen(function*() {
        const server = yield* Redis.server()
        const store = yield* open(server.url, "p", 5000)
        yield* server.freeze
        const caller = yield* Effect.fork(store.reserve(ask([bound({ maxConcurrentRequests: 1 })])))
        // One that holds on to what it gets, however it is interrupted.
        const got = yield* Deferred.make<void>()
        const holder = yield* Effect.fork(
          Effect.uninterruptible(
            Effect.zipRight(store.reserve(ask([bound({}, "tenant b")])), Deferred.succeed(got, undefined))
          )
        )
        yield* Effect.sleep("50 millis")
        const interrupting = yield* Effect.fork(
          Effect.all([Fiber.interrupt(caller), Fiber.interrupt(holder)], { concurrency: 2 })
        )
        yield* Effect.sleep("50 millis")
        yield* server.thaw
        const [exit] = yield* Fiber.join(interrupting)
        assert.isTrue(Exit.isInterrupted(exit))
        yield* Deferred.await(got)
        assert.strictEqual(yield* store.outstanding, 1)
      }))

    it.scopedLive("what is settled is written when it is back, though it forgot everything; it is told once, without the password", () =>
      Effect.gen(function*() {
        const { layer, lines } = logging()
        const server = yield* Redis.server("hunter2secret")
        yield* Effect.gen(function*() {
          const store = yield* open(server.url, "p", 1000)
          const limits = [bound({ maxConcurrentRequests: 50, maxTokensPerDay: 1000 })]
          const calls = Array.from({ length: 40 }, () => ask(limits))
          for (const call of calls) yield* store.reserve(call)
          yield* server.kill
          const failure = yield* Patience.bounded(Effect.flip(store.reserve(ask(limits))))
          assert.notInclude(`${failure.message} ${JSON.stringify(failure)} ${String(failure.cause)}`, "hunter2secret")
          assert.include(failure.message, `127.0.0.1:${server.port}`)
          for (const call of calls) yield* store.settle(call, used(call, 3, 4))
          yield* store.settle(calls[0]!, used(calls[0]!, 3, 4))
          yield* server.start
          yield* eventually(Effect.map(store.usage(day), ([only]) => only?.requests === 40))
          yield* store.ready
          assert.strictEqual(yield* store.outstanding, 0)
          const redis = yield* Redis.client(server.url)
          assert.deepStrictEqual(
            { ...yield* Effect.promise(() => redis.hGetAll("{p}:total:2026-11-26:subject ann")) },
            { tokens: "120", cost: "160" }
          )
        }).pipe(Effect.scoped, Effect.provide(layer))
        const told = lines.map((line) => /message="?([^"]*)/.exec(line)?.[1])
        assert.deepStrictEqual(told, ["Redis cannot be used; trying again until it can", "Redis can be used again"])
        assert.include(lines[0], `redis=127.0.0.1:${server.port}`)
        assert.notInclude(lines.join("\n"), "hunter2secret")
      }))

    it.scopedLive("a server starts, and is ready when Redis is", () =>
      Effect.gen(function*() {
        const server = yield* Redis.server()
        yield* server.kill
        const store = yield* Patience.bounded(open(server.url, "p", 2000))
        yield* Effect.flip(store.ready)
        yield* server.start
        yield* eventually(Effect.as(store.ready, true))
      }))

    it.scopedLive("one that may not be written to counts as away", () =>
      Effect.gen(function*() {
        const server = yield* Redis.server()
        const store = yield* open(server.url, "p", 2000)
        const redis = yield* Redis.client(server.url)
        yield* Effect.promise(() => redis.sendCommand(["REPLICAOF", "127.0.0.1", "1"]))
        const call = ask([])
        // The lease may have been refused before it, which ends the connection.
        assert.match(String((yield* Effect.flip(store.reserve(call))).cause), /READONLY|Disconnects client/)
        yield* Effect.flip(store.ready)
        yield* store.settle(call, used(call, 1))
        // Behind its name there may be another one by now.
        yield* eventually(Effect.map(
          Effect.promise(() => redis.info("stats")),
          (stats) => Number(/total_connections_received:(\d+)/.exec(stats)?.[1]) > 2
        ))
        yield* Effect.promise(() => redis.sendCommand(["REPLICAOF", "NO", "ONE"]))
        yield* eventually(Effect.map(store.usage(day), (rows) => rows.length === 1))
      }))

    it.scopedLive("a server stops in time, and says what is lost", () =>
      Effect.gen(function*() {
        const { layer, lines } = logging()
        const server = yield* Redis.server()
        const scope = yield* Scope.make()
        const store = yield* open(server.url, "p", 300).pipe(Scope.extend(scope), Effect.provide(layer))
        const call = ask([])
        yield* store.reserve(call)
        yield* server.freeze
        yield* store.settle(call, used(call, 1))
        yield* Patience.bounded(Scope.close(scope, Exit.void))
        assert.include(lines.join("\n"), "calls=1")
      }))

    it.scopedLive("what waits is written when the server stops, and no socket stays open", () =>
      Effect.gen(function*() {
        const server = yield* Redis.server()
        const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length
        const before = sockets()
        yield* Effect.gen(function*() {
          const store = yield* open(server.url, "p", 400)
          const call = ask([])
          yield* store.reserve(call)
          yield* server.freeze
          yield* store.settle(call, used(call, 1))
          yield* server.thaw
        }).pipe(Effect.scoped)
        yield* eventually(Effect.sync(() => sockets() === before))
        const again = yield* open(server.url, "p", 1000)
        assert.strictEqual(yield* again.outstanding, 0)
        assert.strictEqual((yield* again.usage(day)).length, 1)
      }))
  })
})
