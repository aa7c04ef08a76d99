import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, TestClock } from "effect"
import * as Readiness from "../../src/ops/Readiness.js"

describe("Readiness.all", () => {
  it.effect("waits two seconds for each, all at once, and says all that is wrong", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(Effect.flip(Readiness.all({
        fine: Effect.void,
        silent: Effect.never,
        mute: Effect.never,
        store: Effect.fail({ message: "gone" }),
        broken: Effect.dieMessage("a detail for the log")
      })))
      yield* TestClock.adjust("1999 millis")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 millis")
      const { checks, message } = yield* Fiber.join(fiber)
      assert.deepStrictEqual<unknown>(checks, [
        { name: "silent", reason: "no answer within 2 seconds" },
        { name: "mute", reason: "no answer within 2 seconds" },
        { name: "store", reason: "gone" },
        { name: "broken", reason: "the check itself failed; the log has the cause" }
      ])
      assert.include(message, "store: gone")
    }))

  it.effect("succeeds when all do", () => Readiness.all({ one: Effect.void, other: Effect.void }))
})
