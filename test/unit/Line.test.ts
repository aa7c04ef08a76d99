import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Either, Exit, FastCheck as fc, Fiber, type Scope, TestClock, TestContext } from "effect"
import { unlimited } from "../../src/domain/Limits.js"
import * as Embedded from "../../src/limits/Embedded.js"
import * as Line from "../../src/limits/Line.js"
import { type Ask, type Bound, type Counted, Store } from "../../src/limits/Store.js"
import { forAll } from "../support/Property.js"

const bound = (name: string, limits: Partial<Counted>): Bound => ({
  scope: "model",
  name,
  key: `model ${name}`,
  limits: { ...unlimited, ...limits }
})

let ids = 0
const ask = (subject: string, ...bounds: ReadonlyArray<Bound>): Ask => ({
  id: `a${ids++}`,
  at: 0,
  bounds,
  tokens: 1,
  inputTokens: 1,
  cost: 0,
  account: { subject, tenant: "", model: "p/a" }
})
const nothing = ({ bounds }: Ask) => ({ charges: bounds.map(() => ({ tokens: 0, cost: 0 })), rows: [] })

interface World {
  readonly line: Line.Line
  readonly store: Store["Type"]
  readonly scope: Scope.Scope
}

const inLine = <A, E>(most: number, test: (world: World) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function*() {
    const store = yield* Store
    return yield* test({ line: yield* Line.make(store, most), store, scope: yield* Effect.scope })
  }).pipe(Effect.scoped, Effect.provide(Embedded.layerMemory))

/** Runs for so long once it has passed; its name goes into `log` when it passes, with `!` when it is refused. */
const run = ({ line, store }: World, log: Array<string>, name: string, given: Ask, millis: number, patience = 60_000) =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const passed = yield* line.pass({ ...given, at: now }, now + patience)
    if (Either.isLeft(passed)) return void log.push(`${name}!`)
    log.push(name)
    const back = Effect.zipRight(
      store.settle(passed.right, nothing(passed.right)),
      Effect.sync(() => line.freed(passed.right))
    )
    yield* Effect.ensuring(Effect.sleep(millis), back)
  })

describe("Line", () => {
  it.effect("lets subjects take turns, and keeps the order of each", () =>
    inLine(100, (world) =>
      Effect.gen(function*() {
        const one = bound("m", { maxConcurrentRequests: 1 })
        const log: Array<string> = []
        const names = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]
        for (const name of names) {
          yield* Effect.forkScoped(run(world, log, name, ask(name.slice(0, 1), one), 1000))
          yield* TestClock.adjust(1)
        }
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(log, ["a1", "a2", "b1", "c1", "a3", "b2", "a4"])
        assert.strictEqual(yield* world.store.outstanding, 0)
      })))

  it.effect("lets nobody overtake who waits for the same, and holds up nobody who does not", () =>
    inLine(100, (world) =>
      Effect.gen(function*() {
        const [shared, free] = [bound("m", { maxConcurrentRequests: 1 }), bound("n", {})]
        const log: Array<string> = []
        yield* Effect.forkScoped(run(world, log, "first", ask("a", shared), 1000))
        yield* TestClock.adjust(1)
        yield* Effect.forkScoped(run(world, log, "second", ask("a", shared), 1000))
        yield* TestClock.adjust(1)
        yield* Effect.forkScoped(run(world, log, "other", ask("a", free), 1000))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(log, ["first", "other"])
        yield* TestClock.adjust("1 seconds")
        yield* Effect.forkScoped(run(world, log, "late", ask("b", shared), 1000))
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(log, ["first", "other", "second", "late"])
      })))

  it.effect("lets pass at the very moment that a rate allows it", () =>
    inLine(100, (world) =>
      Effect.gen(function*() {
        const rate = bound("m", { maxRequestsPerMinute: 2 })
        const log: Array<string> = []
        for (const name of ["1", "2", "3"]) {
          yield* Effect.forkScoped(run(world, log, name, ask("a", rate), 0))
          yield* TestClock.adjust("10 seconds")
        }
        yield* TestClock.adjust("29999 millis")
        assert.deepStrictEqual(log, ["1", "2"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(log, ["1", "2", "3"])
      })))

  it.effect("refuses at once who would wait in vain, and in time who waits for nothing", () =>
    inLine(100, (world) =>
      Effect.gen(function*() {
        const rate = bound("m", { maxRequestsPerMinute: 1 })
        const day = bound("q", { maxTokensPerDay: 1 })
        const place = bound("c", { maxConcurrentRequests: 1 })
        const log: Array<string> = []
        for (const each of [rate, day]) {
          yield* Effect.forkScoped(run(world, log, `${each.name}1`, ask("a", each), 60_000))
          yield* TestClock.adjust(1)
          yield* Effect.forkScoped(run(world, log, `${each.name}2`, ask("a", each), 0, 5000))
          yield* TestClock.adjust(1)
        }
        assert.deepStrictEqual(log, ["m1", "m2!", "q1", "q2!"])
        yield* Effect.forkScoped(run(world, log, "c1", ask("a", place), 60_000))
        yield* TestClock.adjust(1)
        yield* Effect.forkScoped(run(world, log, "c2", ask("a", place), 0, 5000))
        yield* TestClock.adjust("4999 millis")
        assert.notInclude(log, "c2!")
        yield* TestClock.adjust("1 millis")
        assert.include(log, "c2!")
      })))

  it.effect("is bounded, and it is the subject with most of it that gives a place up", () =>
    inLine(3, (world) =>
      Effect.gen(function*() {
        const one = bound("m", { maxConcurrentRequests: 1 })
        const log: Array<string> = []
        for (const name of ["a1", "a2", "a3", "a4", "a5", "b1", "b2", "c1"]) {
          yield* Effect.forkScoped(run(world, log, name, ask(name.slice(0, 1), one), 1000))
          yield* TestClock.adjust(1)
        }
        // a5 found it full of its own, b1 took a4's place; b2 would have had as many as a; c1 took a3's.
        assert.deepStrictEqual(log, ["a1", "a5!", "a4!", "b2!", "a3!"])
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(log.slice(5), ["a2", "b1", "c1"])
      })))

  it.effect("has nobody wait in vain behind others, and nobody give way to one that does not wait", () =>
    inLine(2, (world) =>
      Effect.gen(function*() {
        const rate = bound("m", { maxRequestsPerMinute: 1 })
        const log: Array<string> = []
        yield* Effect.forkScoped(run(world, log, "a1", ask("a", rate), 0))
        yield* TestClock.adjust(1)
        yield* Effect.forkScoped(run(world, log, "a2", ask("a", rate), 0, 70_000))
        yield* Effect.forkScoped(run(world, log, "a3", ask("a", rate), 0, 130_000))
        yield* TestClock.adjust(1)
        yield* Effect.forkScoped(run(world, log, "b1", ask("b", rate), 0, 10_000))
        yield* Effect.forkScoped(run(world, log, "b2", ask("b", rate), 0, 0))
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(log, ["a1", "b1!", "b2!"])
        yield* TestClock.adjust("3 minutes")
        assert.deepStrictEqual(log.slice(3), ["a2", "a3"])
      })))

  it.effect("refuses at once who meets a quota while it waits, and goes on with the next", () =>
    inLine(10, (world) =>
      Effect.gen(function*() {
        const one = bound("m", { maxConcurrentRequests: 1, maxTokensPerDay: 2 })
        const log: Array<string> = []
        const using = (name: string, tokens: number) =>
          Effect.gen(function*() {
            const now = yield* Clock.currentTimeMillis
            const passed = yield* world.line.pass({ ...ask(name, one), at: now }, now + 60_000)
            if (Either.isLeft(passed)) return void log.push(`${name} ${passed.left.type}`)
            log.push(name)
            yield* Effect.sleep(1000)
            yield* world.store.settle(passed.right, { charges: [{ tokens, cost: 0 }], rows: [] })
            world.line.freed(passed.right)
          })
        for (const name of ["a", "b", "c"]) {
          yield* Effect.forkScoped(using(name, 2))
          yield* TestClock.adjust(1)
        }
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(log, ["a", "b tokens_per_day", "c tokens_per_day"])
      })))

  it.effect("leaves nothing behind, whoever comes and goes when", () =>
    forAll(
      fc.array(
        fc.record({
          subject: fc.constantFrom("a", "b", "c"),
          which: fc.constantFrom(0, 1, 2),
          after: fc.nat(2000),
          runs: fc.nat(3000),
          patience: fc.nat(8000),
          leaves: fc.option(fc.nat(6000), { nil: undefined })
        }),
        { maxLength: 25 }
      ),
      25,
      (calls) =>
        inLine(5, (world) =>
          Effect.gen(function*() {
            const [shared, rate] = [bound("m", { maxConcurrentRequests: 2 }), bound("n", { maxRequestsPerMinute: 6 })]
            const kinds = [[shared], [rate], [shared, rate]]
            const log: Array<string> = []
            const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
            let at = 0
            for (const [index, { after, leaves, patience, runs, subject, which }] of calls.entries()) {
              const given = ask(subject, ...kinds[which] ?? [])
              const fiber = yield* Effect.forkScoped(
                Effect.delay(run(world, log, `${index}`, given, runs, patience), at)
              )
              fibers.push(fiber)
              if (leaves !== undefined) yield* Effect.forkScoped(Effect.delay(Fiber.interrupt(fiber), at + leaves))
              at += after
            }
            yield* TestClock.adjust("5 minutes")
            for (const fiber of fibers) assert.isNotNull(fiber.unsafePoll(), "a call waits for ever")
            assert.strictEqual(yield* world.store.outstanding, 0)
            const fresh = yield* Effect.exit(world.line.pass({ ...ask("z", shared), at: 1e6 }, 1e6))
            assert.isTrue(Exit.isSuccess(fresh) && Either.isRight(fresh.value), "all places are free")
          })).pipe(Effect.orDie, Effect.provide(TestContext.TestContext))
    ))
})
