/**
 * What is counted before it is in the file: nobody sees more room than there is,
 * and little is lost with the process.
 */
import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, TestClock } from "effect"
import * as Ahead from "../../src/limits/Ahead.js"
import * as Embedded from "../../src/limits/Embedded.js"
import * as Ledger from "../../src/limits/Ledger.js"
import * as LedgerFile from "../../src/limits/LedgerFile.js"
import { Store } from "../../src/limits/Store.js"
import { account, ask, bound, noon, row, used } from "../support/Asks.js"

const today = { from: "2026-11-26", to: "2026-11-26" }

const inDirectory = <A, E, R>(use: (file: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(noon)
    const files = yield* FileSystem.FileSystem
    return yield* use(`${yield* files.makeTempDirectoryScoped()}/usage.db`)
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const server = (file: string) => Effect.map(Layer.build(Embedded.layer({ file, keepDays: 400 })), Context.get(Store))

const totalOf = (db: LedgerFile.Connection, key: string) => {
  const found = db.prepare("SELECT tokens FROM totals WHERE key = ? AND period = '2026-11-26'").get([key]) as
    | { readonly tokens: number }
    | undefined
  return found?.tokens ?? 0
}

/** A ledger in memory, with what is counted ahead of it. */
const alone = Effect.map(LedgerFile.memory, (db) => {
  const ledger = Ledger.make(db, { server: "s", keepDays: 400 })
  ledger.renew(noon)
  return { db, ledger, ahead: Ahead.make(ledger) }
})

describe("Ahead", () => {
  it.effect("takes calls without quotas at once, and has them and what they used in the file a moment later", () =>
    inDirectory((file) =>
      Effect.gen(function*() {
        const store = yield* server(file)
        const other = yield* server(file)
        const [first, second] = [ask([bound({})]), ask([bound({})])]
        yield* store.reserve(first)
        yield* store.reserve(second)
        yield* store.settle(first, used(first, { tokens: 7, cost: 3 }))
        yield* store.settle(first, used(first, { tokens: 50, cost: 50 }))
        assert.strictEqual(yield* other.outstanding, 0)
        yield* TestClock.adjust("50 millis")
        assert.strictEqual(yield* other.outstanding, 1)
        assert.deepStrictEqual(yield* other.usage(today), [
          { day: "2026-11-26", ...row(account, { tokens: 7, cost: 3 }) }
        ])
        yield* store.settle(second, used(second, { tokens: 1, cost: 1 }))
        yield* store.settle(first, used(first, { tokens: 100, cost: 100 }))
        assert.strictEqual((yield* other.usage(today))[0]?.requests, 1)
        yield* TestClock.adjust("50 millis")
        assert.deepStrictEqual(yield* other.usage(today), [
          { day: "2026-11-26", ...row(account, { tokens: 8, cost: 4 }), requests: 2 }
        ])
      })
    ))

  it.effect("has at any moment no less in the file than calls with quotas were let use, and little more", () =>
    Effect.gen(function*() {
      const { ahead, db } = yield* alone
      const bounds = [bound({ maxTokensPerDay: 1_000_000 })]
      let [taken, looks] = [0, 0]
      for (let count = 0; count < 5000; count++) {
        const made = ask(bounds)
        if (!ahead.take(made, noon + count)) {
          looks++
          assert.isUndefined(ahead.reserve(made, noon + count))
        }
        taken += made.tokens
        const total = totalOf(db, "subject alice")
        assert.isAtLeast(total, taken)
        assert.isAtMost(total - taken, (1_000_000 - taken) / 64 + 10)
        if (count % 100 === 0) ahead.write()
      }
      assert.isBelow(looks, 50)
      ahead.free(true)
      assert.strictEqual(totalOf(db, "subject alice"), taken)
    }))

  it.effect("gives back what it has set aside and nobody has touched for a while", () =>
    Effect.gen(function*() {
      const { ahead, db } = yield* alone
      const bounds = [bound({ maxTokensPerDay: 100_000 })]
      const total = () => totalOf(db, "subject alice")
      ahead.reserve(ask(bounds), noon)
      assert.strictEqual(total(), 170)
      ahead.free()
      assert.isTrue(ahead.take(ask(bounds), noon))
      ahead.free()
      assert.strictEqual(total(), 170)
      ahead.free()
      assert.strictEqual(total(), 20)
      assert.isFalse(ahead.take(ask(bounds), noon))
    }))

  it.effect("goes to the file for another limit of the same, and for the last of each", () =>
    Effect.gen(function*() {
      const { ahead } = yield* alone
      const wide = [bound({ maxTokensPerDay: 100_000 })]
      assert.isFalse(ahead.take(ask(wide), noon))
      assert.isUndefined(ahead.reserve(ask(wide), noon))
      assert.isTrue(ahead.take(ask(wide), noon))
      const narrow = [bound({ maxTokensPerDay: 25 })]
      assert.isFalse(ahead.take(ask(narrow), noon))
      ahead.write()
      assert.strictEqual(ahead.reserve(ask(narrow), noon)?.type, "tokens_per_day")
      assert.isFalse(ahead.take(ask(wide, { at: noon + 86_400_000 }), noon), "another day")
      assert.isFalse(ahead.take(ask(wide), noon + 20_000), "nobody would book it")
      assert.isFalse(ahead.take(ask([...wide, bound({ maxTokensPerMonth: 1000 }, "acme", "tenant")]), noon))
      assert.isTrue(ahead.take(ask(wide), noon))
    }))

  it.effect("of two servers lets exactly as many pass as there is room for, once nothing is set aside any more", () =>
    inDirectory((file) =>
      Effect.gen(function*() {
        const stores = [yield* server(file), yield* server(file)]
        const bounds = [bound({ maxTokensPerDay: 20_000 })]
        let passed = 0
        for (let round = 0; round < 4; round++) {
          for (let refused = 0; refused < 4;) {
            const store = stores[(passed + refused) % 2]!
            const made = ask(bounds)
            if ((yield* store.reserve(made)) === undefined) passed++
            else refused++
            assert.isAtMost(passed, 2000)
          }
          // Other servers may have something set aside: a 64th of what was left, and no more.
          assert.isAtLeast(passed, 1960)
          yield* TestClock.adjust("10 seconds")
        }
        assert.strictEqual(passed, 2000)
      })
    ))
})
