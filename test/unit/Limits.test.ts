import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Scope, TestClock } from "effect"
import { unrestricted } from "../../src/domain/Access.js"
import type { Caller } from "../../src/domain/Answer.js"
import { unlimited } from "../../src/domain/Limits.js"
import type { Limits as Settings } from "../../src/domain/Limits.js"
import * as Limits from "../../src/proxy/Limits.js"

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

/** A call that has ended already: `passed`, or why not. */
const call = (limits: Limits.Limits, who: Caller, length = 1) =>
  Effect.match(Effect.scoped(limits.take(who, length)), {
    onSuccess: () => "passed",
    onFailure: (error) => error.reason
  })

describe("Limits", () => {
  it.effect("lets exactly as many of many at once pass as the limit says", () =>
    Effect.gen(function*() {
      for (const limit of [{ maxRequestsPerMinute: 7 }, { maxConcurrentRequests: 7 }]) {
        const limits = Limits.make()
        const scope = yield* Scope.make()
        const ended = yield* Effect.forEach(
          Array.from({ length: 64 }),
          () => Effect.exit(Scope.extend(limits.take(caller(limit), 1), scope)),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(ended.filter(Exit.isSuccess), 7)
        yield* Scope.close(scope, Exit.void)
      }
    }))

  it.effect("counts every span of 60 seconds, and says when the next one may come", () =>
    Effect.gen(function*() {
      const limits = Limits.make()
      const who = caller({ maxRequestsPerMinute: 2 })
      assert.strictEqual(yield* call(limits, who), "passed")
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(yield* call(limits, who), "passed")
      const refused = yield* Effect.flip(Effect.scoped(limits.take(who, 1)))
      assert.strictEqual(refused._tag, "LimitExceeded")
      if (refused._tag !== "LimitExceeded") return
      assert.strictEqual(Duration.toSeconds(refused.retryAfter), 10)
      assert.include(refused.message, "2 requests per minute")
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(yield* call(limits, who), "RATE_LIMITED", "a millisecond too early")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* call(limits, who), "passed")
      assert.strictEqual(yield* call(limits, who), "RATE_LIMITED", "the second of the two is still in the span")
    }))

  it.effect("gives a place back however the call ends, and takes none for a refused one", () =>
    Effect.gen(function*() {
      const limits = Limits.make()
      const who = caller({ maxConcurrentRequests: 1, maxRequestsPerMinute: 100 })
      for (const ending of [Effect.void, Effect.fail("broken"), Effect.die("bug"), Effect.interrupt]) {
        yield* Effect.exit(Effect.scoped(Effect.zipRight(limits.take(who, 1), ending)))
        assert.strictEqual(yield* call(limits, who), "passed")
      }
      const scope = yield* Scope.make()
      yield* Scope.extend(limits.take(who, 1), scope)
      for (let count = 0; count < 200; count++) assert.strictEqual(yield* call(limits, who), "CONCURRENCY_LIMITED")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* call(limits, who), "passed", "200 refused ones have not used up the minute")
    }))

  it.effect("counts a subject's tokens together, and what a token allows itself apart", () =>
    Effect.gen(function*() {
      const limits = Limits.make()
      const [one, other] = ["j1", "j2"].map((tokenId) =>
        caller({ maxRequestsPerMinute: 3 }, { tokenId }, { maxRequestsPerMinute: 2 })
      ) as [Caller, Caller]
      const ended = []
      for (const who of [one, one, one, other, other]) ended.push(yield* call(limits, who))
      assert.deepStrictEqual(ended, ["passed", "passed", "RATE_LIMITED", "passed", "RATE_LIMITED"])
      assert.strictEqual(yield* call(limits, caller({ maxRequestsPerMinute: 3 }, { subject: "other" })), "passed")
    }))

  it.effect("measures the input, and counts nothing for one that is too long", () =>
    Effect.gen(function*() {
      const limits = Limits.make()
      const who = caller({ maxInputLength: 10, maxRequestsPerMinute: 1 })
      assert.strictEqual(yield* call(limits, who, 11), "INPUT_TOO_LONG")
      assert.strictEqual(yield* call(limits, who, 10), "passed")
      assert.strictEqual(yield* call(limits, caller({}, {}, { maxInputLength: 5 }), 6), "INPUT_TOO_LONG")
    }))

  it.effect("has nobody come between its check and its taking, however busy a fiber was before", () =>
    Effect.gen(function*() {
      // The runtime lets other fibers go on every 2,048 operations.
      for (let operations = 2020; operations < 2060; operations++) {
        const limits = Limits.make()
        const scope = yield* Scope.make()
        const busy = Effect.forEach(Array.from({ length: operations }), () => Effect.void, { discard: true })
        const ended = yield* Effect.forEach(
          [1, 2, 3],
          () =>
            Effect.exit(
              Effect.zipRight(busy, Scope.extend(limits.take(caller({ maxConcurrentRequests: 1 }), 1), scope))
            ),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(ended.filter(Exit.isSuccess), 1, `${operations}`)
        yield* Scope.close(scope, Exit.void)
      }
    }))

  it.effect("holds nobody up for longer than a minute when the clock is set back", () =>
    Effect.gen(function*() {
      const limits = Limits.make()
      const who = caller({ maxRequestsPerMinute: 1 })
      yield* TestClock.setTime(7_200_000)
      assert.strictEqual(yield* call(limits, who), "passed")
      yield* TestClock.setTime(3_600_000)
      assert.strictEqual(yield* call(limits, who), "RATE_LIMITED")
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(yield* call(limits, who), "passed")
    }))

  it.effect("forgets none that is busy when there are very many subjects", () =>
    Effect.gen(function*() {
      const limits = Limits.make()
      // Late enough that idle ones are looked for.
      yield* TestClock.adjust("1 hours")
      const busy = caller({ maxRequestsPerMinute: 1 }, { subject: "busy" })
      assert.strictEqual(yield* call(limits, busy), "passed")
      for (let index = 0; index < 10_050; index++) {
        yield* call(limits, caller({ maxRequestsPerMinute: 1 }, { subject: `s${index}` }))
      }
      assert.strictEqual(yield* call(limits, busy), "RATE_LIMITED")
    }))
})
