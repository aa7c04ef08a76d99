import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as CallScheduler from "../../src/grpc/CallScheduler.js"

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

describe("CallScheduler", () => {
  it.effect("runs what was scheduled later, in its order, with what that schedules after it", () =>
    Effect.gen(function*() {
      const scheduler = CallScheduler.make()
      const ran: Array<string> = []
      scheduler.scheduleTask(() => {
        ran.push("a")
        scheduler.scheduleTask(() => ran.push("c"), 0)
      }, 0)
      scheduler.scheduleTask(() => ran.push("b"), 0)
      assert.deepStrictEqual(ran, [])
      yield* turn
      assert.deepStrictEqual(ran, ["a", "b", "c"])
      scheduler.scheduleTask(() => ran.push("d"), 0)
      yield* turn
      assert.deepStrictEqual(ran, ["a", "b", "c", "d"])
    }))

  it.effect("goes on after a task that throws, and tells of it", () =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      // Those of the test runner would fail the test.
      const others = process.listeners("unhandledRejection")
      process.removeAllListeners("unhandledRejection").on("unhandledRejection", (reason) => told.push(reason))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          process.removeAllListeners("unhandledRejection")
          for (const other of others) process.on("unhandledRejection", other)
        })
      )
      const scheduler = CallScheduler.make()
      const ran: Array<string> = []
      const thrown = new Error("thrown by a task")
      scheduler.scheduleTask(() => {
        scheduler.scheduleTask(() => ran.push("later"), 0)
        throw thrown
      }, 0)
      scheduler.scheduleTask(() => ran.push("next"), 0)
      yield* turn
      yield* turn
      assert.deepStrictEqual(ran, ["next", "later"])
      assert.deepStrictEqual(told, [thrown])
    }).pipe(Effect.scoped))

  it.live("lets sockets and timers have their turn beside fibers that always have more to do", () =>
    Effect.gen(function*() {
      let rounds = 0
      // Not for ever: without turns for others, nobody could end it.
      const busy = Effect.whileLoop({
        while: () => rounds++ < 100_000,
        body: () => Effect.yieldNow(),
        step: () => undefined
      })
      const fiber = yield* Effect.fork(busy).pipe(Effect.withScheduler(CallScheduler.make()))
      yield* turn
      yield* turn
      assert.isAbove(rounds, 0)
      assert.isBelow(rounds, 1000)
      yield* Fiber.interrupt(fiber)
    }))

  it.live("makes a fiber of very many steps yield to the others", () =>
    Effect.gen(function*() {
      const ran: Array<string> = []
      let steps = 0
      const many = Effect.whileLoop({
        while: () => !ran.includes("other") && steps++ < 100_000,
        body: () => Effect.sync(() => undefined),
        step: () => undefined
      })
      const long = Effect.zipRight(many, Effect.sync(() => ran.push("long")))
      const other = Effect.sync(() => ran.push("other"))
      yield* Effect.all([long, other], { concurrency: "unbounded" }).pipe(Effect.withScheduler(CallScheduler.make()))
      assert.deepStrictEqual(ran, ["other", "long"])
    }))
})
