import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Either, Exit, Layer, Option, Scope, TestClock } from "effect"
import Database from "libsql"
import * as Fs from "node:fs"
import * as Backlog from "../../src/limits/Backlog.js"
import * as Embedded from "../../src/limits/Embedded.js"
import * as Ledger from "../../src/limits/Ledger.js"
import * as LedgerFile from "../../src/limits/LedgerFile.js"
import { type Ask, type Booking, noCounts, Store, StoreUnavailable } from "../../src/limits/Store.js"
import { account, ask, bound, noon, row, used } from "../support/Asks.js"
import { logging } from "../support/AuditFiles.js"
import * as Patience from "../support/Patience.js"

const directory = Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped())

/** A server of its own on this file; it lives as long as the scope. */
const server = (file: string, onUnavailable: "refuse" | "allow" = "refuse") =>
  Effect.map(Layer.build(Embedded.layer({ file, keepDays: 400, onUnavailable })), Context.get(Store))

const nobody = 65_534

const today = { from: "2026-11-26", to: "2026-11-26" }

/** With a server in a new directory, at noon. */
const withServer = <A, E>(
  use: (store: Store["Type"], file: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(noon)
    const file = `${yield* directory}/usage.db`
    return yield* use(yield* server(file), file)
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const outcomes = (store: Store["Type"], asks: ReadonlyArray<Ask>) =>
  Effect.forEach(asks, (ask) => Effect.map(store.reserve(ask), (refusal) => refusal?.type ?? "passed"), {
    concurrency: "unbounded"
  })

/** While another program writes to the file, until that is done or `unlock`. */
const locked =
  (file: string) => <A, E, R>(use: (unlock: () => void) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const db = new Database(file)
        db.exec("BEGIN IMMEDIATE")
        return db
      }),
      (db) => use(() => void db.exec("COMMIT")),
      (db) => Effect.sync(() => void db.close())
    )

const passed = (outcomes: ReadonlyArray<string>) => outcomes.filter((outcome) => outcome === "passed").length

describe("quotas", () => {
  it.effect("refuse what would go beyond them, until the next day or month in UTC", () =>
    withServer((store) =>
      Effect.gen(function*() {
        const daily = [bound({ maxTokensPerDay: 25, maxTokensPerMonth: 1000, maxUsdPerMonth: 1 })]
        assert.strictEqual(passed(yield* outcomes(store, [ask(daily), ask(daily)])), 2)
        const late = ask(daily)
        assert.deepStrictEqual(yield* store.reserve(late), {
          bound: daily[0],
          type: "tokens_per_day",
          retryAfterMs: 12 * 3_600_000
        })
        assert.isUndefined(yield* store.reserve(ask(daily, { tokens: 5 })), "to the last token")
        assert.isUndefined(yield* store.reserve(ask(daily, { at: Date.UTC(2026, 10, 27) })))

        const monthly = [bound({ maxUsdPerDay: 0.000_001, maxUsdPerMonth: 0.000_001 }, "bob")]
        assert.isUndefined(yield* store.reserve(ask(monthly)))
        const refusal = yield* store.reserve(ask(monthly, { cost: 1 }))
        assert.strictEqual(refusal?.type, "usd_per_month", "a day would be too early")
        assert.strictEqual(refusal?.retryAfterMs, 12 * 3_600_000 + 4 * 86_400_000)
        assert.isUndefined(yield* store.reserve(ask(monthly, { at: Date.UTC(2026, 11, 1) })))
      })
    ))

  it.effect("know what was used before they were set, except of single tokens", () =>
    withServer((store) =>
      Effect.gen(function*() {
        const scopes = ["subject", "tenant", "model", "token"] as const
        yield* store.reserve(ask(scopes.map((scope) => bound({}, "x", scope))))
        const refused = yield* Effect.forEach(scopes, (scope) =>
          store.reserve(ask([bound({ maxTokensPerDay: 15 }, "x", scope)])))
        assert.deepStrictEqual(
          refused.map((refusal) =>
            refusal?.bound.scope
          ),
          ["subject", "tenant", "model", undefined]
        )
      })
    ))

  it.effect("take nothing for a refused call, of quotas or of rates", () =>
    withServer((store) =>
      Effect.gen(function*() {
        const tight = bound({ maxTokensPerDay: 10 }, "acme", "tenant")
        const wide = bound({ maxTokensPerDay: 20, maxRequestsPerMinute: 2, maxConcurrentRequests: 2 })
        yield* store.reserve(ask([tight]))
        assert.strictEqual(passed(yield* outcomes(store, Array.from({ length: 50 }, () => ask([wide, tight])))), 0)
        assert.strictEqual(passed(yield* outcomes(store, [ask([wide]), ask([wide])])), 2)
        assert.strictEqual(yield* store.outstanding, 3)
        const third = yield* store.reserve(ask([wide]))
        assert.strictEqual(third?.type, "tokens_per_day", "not to wait for a second only to be told to wait for a day")
      })
    ))

  it.effect("of two servers on one file let exactly as many of many at once pass as there is room for", () =>
    withServer((one, file) =>
      Effect.gen(function*() {
        const other = yield* server(file)
        const bounds = [bound({ maxTokensPerDay: 70 })]
        const stores = Array.from({ length: 64 }, (_, index) => index % 2 === 0 ? one : other)
        const ended = yield* Effect.forEach(
          stores,
          (store) => Effect.zipRight(Effect.yieldNow(), outcomes(store, [ask(bounds)])),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(passed(ended.flat()), 7)
        assert.strictEqual(yield* other.outstanding, 7, "those of both")
        const left = ask(bounds)
        assert.strictEqual((yield* one.reserve(left))?.type, "tokens_per_day")
      })
    ))
})

describe("Embedded", () => {
  it.effect("has nobody come between its check and its taking, however busy a fiber was before", () =>
    Effect.gen(function*() {
      const store = yield* Store
      // The runtime lets other fibers go on every 2,048 operations.
      for (let operations = 2020; operations < 2060; operations++) {
        const bounds = [bound({ maxConcurrentRequests: 1, maxTokensPerDay: 10 }, `${operations}`)]
        const busy = Effect.forEach(Array.from({ length: operations }), () => Effect.void, { discard: true })
        const ended = yield* Effect.forEach([1, 2, 3], () => Effect.zipRight(busy, outcomes(store, [ask(bounds)])), {
          concurrency: "unbounded"
        })
        assert.strictEqual(passed(ended.flat()), 1, `${operations}`)
      }
    }).pipe(Effect.provide(Embedded.layerMemory)))

  it.effect("books what was used instead of what was set aside, once", () =>
    withServer((store) =>
      Effect.gen(function*() {
        const bounds = [bound({ maxTokensPerDay: 100, maxConcurrentRequests: 1 })]
        const [first, second] = [ask(bounds, { tokens: 90 }), ask(bounds, { tokens: 41 })]
        yield* store.reserve(first)
        const rows = [
          { ...row(account, { tokens: 40, cost: 7 }), outputTokens: 3, cachedInputTokens: 1, unpricedTokens: 2 },
          { ...row({ ...account, model: "demo/other" }, { tokens: 20, cost: 5 }), failures: 1, estimated: 1 }
        ]
        const settlement = { charges: [{ tokens: 60, cost: 12 }], rows }
        yield* Effect.all([store.settle(first, settlement), store.settle(first, settlement)])
        yield* store.settle(ask(bounds), settlement)
        assert.strictEqual((yield* store.reserve(second))?.type, "tokens_per_day")
        assert.isUndefined(yield* store.reserve({ ...second, tokens: 40 }))
        assert.deepStrictEqual(yield* store.usage(today), rows.map((row) => ({ day: "2026-11-26", ...row })))
        assert.deepStrictEqual(yield* store.usage({ from: "2026-11-27", to: "2026-12-31" }), [])
        yield* store.ready
      })
    ))

  it.effect("books exact sums of whole numbers, however big", () =>
    withServer((store) =>
      Effect.gen(function*() {
        const cost = 2 ** 52 + 1
        for (let count = 0; count < 2; count++) {
          const made = ask([bound({})], { tokens: cost, cost: 1 })
          yield* store.reserve(made)
          yield* store.settle(made, used(made, { tokens: 1 - count, cost: count === 0 ? cost : 3 }))
        }
        assert.strictEqual((yield* store.usage(today))[0]?.cost, cost + 3)
      })
    ))

  it.effect("goes on after a restart where it was", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(noon)
      const file = `${yield* directory}/deep/usage.db`
      const bounds = [bound({ maxTokensPerMonth: 100 })]
      yield* Effect.scoped(Effect.flatMap(server(file), (store) => {
        const made = ask(bounds)
        return Effect.zipRight(store.reserve(made), store.settle(made, used(made, { tokens: 95, cost: 3 })))
      }))
      const store = yield* server(file)
      assert.strictEqual((yield* store.reserve(ask(bounds)))?.type, "tokens_per_month")
      assert.strictEqual((yield* store.usage(today))[0]?.inputTokens, 95)
      assert.strictEqual(yield* store.outstanding, 0)
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.effect("books what a server left behind that stopped without an end, and corrects it when it ends all the same", () =>
    withServer((other, file) =>
      Effect.gen(function*() {
        const bounds = [bound({ maxTokensPerDay: 100 })]
        // A process that has stopped: it has the file open, and no fiber of it goes on.
        const db = yield* LedgerFile.open(file)
        const stopped = Ledger.make(db, { server: "stopped", keepDays: 400 })
        const made = ask(bounds, { tokens: 60 })
        stopped.reserve(made, noon)
        yield* TestClock.adjust("19 seconds")
        assert.strictEqual(yield* other.outstanding, 1, "its lease has not ended")
        assert.deepStrictEqual(yield* other.usage(today), [])
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(yield* other.outstanding, 0)
        assert.deepStrictEqual(yield* other.usage(today), [{
          ...noCounts,
          ...account,
          day: "2026-11-26",
          requests: 1,
          failures: 1,
          estimated: 1,
          inputTokens: 60,
          cost: 1000
        }])
        assert.strictEqual((yield* other.reserve(ask(bounds, { tokens: 41 })))?.type, "tokens_per_day")

        const answered = { ...account, model: "demo/other" }
        const settlement = { charges: [{ tokens: 30, cost: 5 }], rows: [row(answered, { tokens: 30, cost: 5 })] }
        stopped.settle(made, settlement)
        stopped.settle(made, settlement)
        assert.deepStrictEqual(yield* other.usage(today), [
          { day: "2026-11-26", ...row(answered, { tokens: 30, cost: 5 }) }
        ])
        assert.strictEqual((yield* other.reserve(ask(bounds, { tokens: 71 })))?.type, "tokens_per_day")
        assert.isUndefined(yield* other.reserve(ask(bounds, { tokens: 70 })))
      })
    ))

  it.effect("books for a server that died what its calls had used by then, and corrects that when it lives after all", () =>
    withServer((other, file) =>
      Effect.gen(function*() {
        const stopped = Ledger.make(yield* LedgerFile.open(file), { server: "stopped", keepDays: 400 })
        const bounds = [bound({ maxTokensPerDay: 2000 })]
        stopped.renew(noon)
        const [silent, streamed] = [
          ask(bounds, { tokens: 1000, inputTokens: 10 }),
          ask(bounds, { tokens: 1000, inputTokens: 10, cost: 5000 })
        ]
        const further = ask([bound({ maxTokensPerDay: 2000 }, "p/b", "model")], { isFurther: true })
        for (const made of [silent, streamed, further]) assert.isUndefined(stopped.reserve(made, noon))
        const row = (counts: Partial<Booking>) => ({
          ...noCounts,
          ...account,
          requests: 1,
          failures: 1,
          estimated: 1,
          ...counts
        })
        stopped.progress([
          {
            ask: streamed,
            spent: { tokens: 20, cost: 90 },
            rows: [row({ inputTokens: 10, outputTokens: 10, cost: 90 })]
          },
          {
            ask: streamed,
            spent: { tokens: 30, cost: 100 },
            rows: [row({ inputTokens: 10, outputTokens: 20, cost: 100 })]
          },
          { ask: ask(bounds), spent: { tokens: 5, cost: 5 }, rows: [row({})] }
        ])
        assert.strictEqual(
          (yield* other.reserve(ask(bounds, { tokens: 1 })))?.type,
          "tokens_per_day",
          "2000 are set aside"
        )
        yield* TestClock.adjust("25 seconds")
        assert.strictEqual(yield* other.outstanding, 0)
        const totals = { requests: 2, failures: 2, estimated: 2, inputTokens: 20, outputTokens: 990 + 20, cost: 1100 }
        assert.deepStrictEqual(yield* other.usage(today), [{ day: "2026-11-26", ...row(totals) }])
        assert.strictEqual((yield* other.reserve(ask(bounds, { tokens: 971 })))?.type, "tokens_per_day")
        const rest = ask(bounds, { tokens: 970, cost: 0 })
        assert.isUndefined(yield* other.reserve(rest))
        yield* other.settle(rest, { charges: [{ tokens: 0, cost: 0 }], rows: [] })

        for (const made of [silent, streamed]) stopped.settle(made, used(made, { tokens: 100, cost: 7 }))
        stopped.progress([{ ask: streamed, spent: { tokens: 9, cost: 9 }, rows: [row({})] }])
        assert.deepStrictEqual(
          (yield* other.usage(today)).map(({ cost, inputTokens, requests }) => [requests, inputTokens, cost]),
          [[2, 200, 14]]
        )
        assert.strictEqual((yield* other.reserve(ask(bounds, { tokens: 1801 })))?.type, "tokens_per_day")
        assert.isUndefined(yield* other.reserve(ask(bounds, { tokens: 1800 })))
      })
    ))

  it.effect("has a server that was paused answer for its calls again", () =>
    withServer((other, file) =>
      Effect.gen(function*() {
        const paused = Ledger.make(yield* LedgerFile.open(file), { server: "paused", keepDays: 400 })
        paused.renew(noon)
        yield* TestClock.adjust("60 seconds")
        paused.reserve(ask([bound({})]), noon + 60_000)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* other.outstanding, 1)
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(yield* other.outstanding, 0, "it has not renewed")
      })
    ))

  it.effect("keeps its own calls while it renews, and books those it leaves at its end", () =>
    withServer((other, file) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const store = yield* Scope.extend(server(file), scope)
        yield* store.reserve(ask([bound({})]))
        yield* TestClock.adjust("1 minutes")
        assert.strictEqual(yield* other.outstanding, 1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* other.outstanding, 0)
        assert.strictEqual((yield* other.usage(today))[0]?.estimated, 1)
      })
    ))

  it.effect("fails to reserve while the file is locked, and writes what was settled then when it is not any more", () => {
    const { layer, logged } = logging()
    return withServer((store, file) =>
      Effect.gen(function*() {
        const bounds = [bound({ maxConcurrentRequests: 3, maxTokensPerDay: 1000 })]
        const asks = [ask(bounds), ask(bounds)]
        yield* outcomes(store, asks)
        yield* locked(file)((unlock) =>
          Effect.gen(function*() {
            const failure = yield* Effect.flip(store.reserve(ask(bounds)))
            assert.include(failure.message, file)
            yield* Effect.forEach(asks, (ask) => store.settle(ask, used(ask, { tokens: 1, cost: 1 })))
            yield* Effect.flip(store.ready)
            yield* TestClock.adjust("5 seconds")
            yield* Effect.flip(store.ready)
            yield* Effect.sync(unlock)
            yield* TestClock.adjust("500 millis")
            yield* Effect.flip(store.reserve(ask(bounds)))
          })
        )
        yield* TestClock.adjust("500 millis")
        assert.strictEqual(yield* store.outstanding, 2, "it is left alone for a second")
        const more = Array.from({ length: 4 }, () => ask(bounds))
        assert.deepStrictEqual(yield* outcomes(store, more), ["passed", "passed", "passed", "concurrency"])
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual(yield* store.outstanding, 3)
        const [row] = yield* store.usage(today)
        assert.deepStrictEqual([row?.requests, row?.inputTokens], [2, 2])
        assert.deepStrictEqual(logged.map(({ level }) => level), ["ERROR", "INFO"], "told once, and that it is over")
      })
    ).pipe(Effect.provide(layer))
  })

  it.effect("writes at its end what could not be written before", () =>
    withServer((other, file) =>
      Effect.gen(function*() {
        const made = ask([bound({})])
        yield* Effect.scoped(Effect.gen(function*() {
          const store = yield* server(file)
          yield* store.reserve(made)
          yield* locked(file)(() => store.settle(made, used(made, { tokens: 7, cost: 1 })))
        }))
        assert.deepStrictEqual(yield* other.usage(today), [
          { day: "2026-11-26", ...row(account, { tokens: 7, cost: 1 }) }
        ])
      })
    ))

  it.effect("takes nothing when the disk is full", () =>
    Effect.gen(function*() {
      const db = yield* LedgerFile.memory
      const ledger = Ledger.make(db, { server: "s", keepDays: 400 })
      ledger.renew(noon)
      db.pragma(`max_page_count = ${Number(db.prepare("PRAGMA page_count").pluck().all()[0]) + 1}`)
      const bounds = [bound({ maxTokensPerDay: 1000 }, "x".repeat(8000))]
      assert.throws(() => ledger.reserve(ask(bounds), noon), /full/)
      assert.strictEqual(ledger.outstanding(), 0)
      db.pragma("max_page_count = 1000")
      assert.isUndefined(ledger.reserve(ask(bounds, { tokens: 1000 }), noon), "none of the thousand was taken")
    }).pipe(Effect.scoped))

  it.effect("forgets what is too old, once a day", () =>
    Effect.gen(function*() {
      const db = yield* LedgerFile.memory
      const ledger = Ledger.make(db, { server: "s", keepDays: 100 })
      const day = 86_400_000
      const at = (days: number) => noon + days * day
      const made = ask([bound({})])
      ledger.reserve(made, noon)
      ledger.settle(made, used(made, { tokens: 1, cost: 1 }))
      const left = ask([bound({})], { at: at(100) })
      ledger.reserve(left, at(100))
      const rows = (table: string) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().all()[0]
      const counts = () => [rows("totals"), rows("usage"), rows("reservations")]
      ledger.renew(at(2))
      assert.deepStrictEqual(counts(), [4, 1, 1])
      ledger.renew(at(3))
      assert.deepStrictEqual(counts(), [3, 1, 1], "the day of two days ago, not the month")
      ledger.renew(at(66))
      assert.deepStrictEqual(counts(), [3, 1, 1], "January, and November is the month before last")
      ledger.renew(at(68))
      assert.deepStrictEqual(counts(), [2, 1, 1])
      ledger.renew(at(100))
      const other = Ledger.make(db, { server: "other", keepDays: 100 })
      other.renew(at(100) + 20_000)
      assert.deepStrictEqual(counts(), [2, 2, 1], "booked as abandoned, and kept to be corrected")
      other.renew(at(101) + 20_000)
      assert.deepStrictEqual(counts(), [2, 1, 0])
    }).pipe(Effect.scoped))
})

describe("Backlog", () => {
  it.effect("keeps so many and no more, in order, and tells of the others once", () => {
    const { layer, logged } = logging()
    return Effect.gen(function*() {
      const booked: Array<string> = []
      let works = false
      const backlog = Backlog.make(
        ({ ask }) =>
          works ? Effect.sync(() => void booked.push(ask.id)) : new StoreUnavailable({ store: "x", cause: "full" }),
        150
      )
      const asks = Array.from({ length: 155 }, () => ask([]))
      yield* Effect.forEach(asks, (ask) => backlog.settle({ ask, settlement: { charges: [], rows: [] } }))
      yield* Effect.flip(backlog.write)
      works = true
      yield* backlog.write
      yield* backlog.write
      assert.deepStrictEqual(booked, asks.slice(0, 150).map(({ id }) => id))
      assert.lengthOf(logged, 2)
      assert.include(logged[1]?.text, "5 calls")
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not let one that cannot be booked stop the others", () =>
    withServer((store) =>
      Effect.gen(function*() {
        const [broken, good] = [ask([bound({})]), ask([bound({})])]
        yield* outcomes(store, [broken, good])
        yield* store.settle(broken, used(broken, { tokens: 0.5, cost: 0 }))
        yield* store.settle(good, used(good, { tokens: 5, cost: 0 }))
        assert.strictEqual((yield* store.usage(today))[0]?.inputTokens, 5)
        yield* store.ready
      })
    ))
})

describe("a file that is deleted or replaced while the server runs", () => {
  const parts = ["", "-wal", "-shm"]
  const daily = [bound({ maxTokensPerDay: 100 })]
  const words = (logged: ReadonlyArray<{ readonly level: string; readonly text: string }>) =>
    logged.map(({ level, text }) => `${level} ${text}`)

  /** The periodic write comes again and again; what it does to files takes real time. */
  const eventually = (found: Effect.Effect<boolean, unknown>, what: string) =>
    Patience.eventually(
      Effect.zipRight(TestClock.adjust("5 seconds"), Effect.orElseSucceed(found, () => false)),
      what
    )
  const inputTokens = (store: Store["Type"]) => Effect.map(store.usage(today), ([row]) => row?.inputTokens)

  for (const [what, gone] of [["with what is beside it", parts], ["alone", [""]]] as const) {
    it.effect(`is written anew with all that was booked and reserved, which is logged once (${what})`, () => {
      const { layer, logged } = logging()
      return withServer((store, file) =>
        Effect.gen(function*() {
          const [first, open] = [ask(daily), ask(daily, { tokens: 40 })]
          yield* outcomes(store, [first, open])
          const settlement = used(first, { tokens: 7, cost: 3 })
          yield* store.settle(first, { ...settlement, rows: settlement.rows.map((row) => ({ ...row, cutOff: 1 })) })
          yield* store.outstanding
          for (const part of gone) Fs.rmSync(file + part)
          // This one is settled after it was deleted, and nobody has looked yet.
          const later = ask(daily, { tokens: 3 })
          yield* store.reserve(later)
          yield* store.settle(later, used(later, { tokens: 3, cost: 2 }))
          yield* eventually(Effect.sync(() => logged.length >= 2), "a new file")
          assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
          assert.lengthOf(logged, 2, words(logged).join("\n"))
          assert.match(words(logged)[0] ?? "", /^ERROR the record of usage was deleted while the server runs/)
          assert.match(words(logged)[1] ?? "", /^INFO the record of usage has a file again/)
          const other = yield* server(file)
          assert.deepStrictEqual(
            (yield* other.usage(today)).map(({ cost, cutOff, inputTokens, requests }) => [
              requests,
              inputTokens,
              cost,
              cutOff
            ]),
            [[2, 10, 5, 1]]
          )
          assert.strictEqual(yield* other.outstanding, 1)
          assert.strictEqual((yield* other.reserve(ask(daily, { tokens: 51 })))?.type, "tokens_per_day")
          assert.isUndefined(yield* other.reserve(ask(daily, { tokens: 50 })), "40 are reserved, and 10 were used")
          yield* store.settle(open, used(open, { tokens: 1, cost: 1 }))
          yield* eventually(Effect.map(inputTokens(other), (tokens) => tokens === 11), "the settlement")
        })
      ).pipe(Effect.provide(layer))
    })
  }

  it.effect("is made anew once by two servers that had it open, and nothing of either is lost", () =>
    withServer((one, file) =>
      Effect.gen(function*() {
        const two = yield* server(file)
        for (const part of parts) Fs.rmSync(file + part)
        const settled = Effect.fn(function*(store: Store["Type"], tokens: number) {
          const made = ask(daily, { tokens })
          assert.isUndefined(yield* store.reserve(made))
          yield* store.settle(made, used(made, { tokens, cost: 0 }))
        })
        // The second one has written into what the first one then moves, and has more in its memory.
        yield* settled(two, 5)
        yield* settled(one, 6)
        yield* settled(two, 7)
        yield* eventually(Effect.sync(() => Fs.existsSync(file)), "a new file")
        const third = yield* server(file)
        yield* eventually(Effect.map(inputTokens(third), (tokens) => tokens === 18), "all of both")
        yield* settled(two, 8)
        yield* settled(one, 9)
        yield* eventually(Effect.map(inputTokens(third), (tokens) => tokens === 35), "what came later")
        assert.strictEqual((yield* third.reserve(ask(daily, { tokens: 66 })))?.type, "tokens_per_day")
      })
    ))

  it.effect("keeps the larger of both counts when an older copy is put in its place", () => {
    const { layer, logged } = logging()
    return withServer((store, file) =>
      Effect.gen(function*() {
        const settled = Effect.fn(function*(tokens: number) {
          const made = ask(daily, { tokens })
          yield* store.reserve(made)
          yield* store.settle(made, used(made, { tokens, cost: 0 }))
          yield* store.outstanding
          yield* TestClock.adjust("50 millis")
        })
        yield* settled(10)
        const copy = `${file}.copy`
        yield* Effect.sync(() => {
          const db = new Database(file)
          db.pragma("wal_checkpoint(TRUNCATE)")
          db.close()
          Fs.copyFileSync(file, copy)
        })
        yield* settled(20)
        for (const part of ["-wal", "-shm"]) Fs.rmSync(file + part)
        Fs.renameSync(copy, file)
        yield* eventually(Effect.map(inputTokens(store), (tokens) => tokens === 30), "the larger count")
        assert.match(words(logged)[0] ?? "", /^ERROR the record of usage was replaced by another file/)
        assert.strictEqual((yield* store.reserve(ask(daily, { tokens: 71 })))?.type, "tokens_per_day")
      })
    ).pipe(Effect.provide(layer))
  })

  for (const choice of ["refuse", "allow"] as const) {
    it.effect(`${choice}s calls, as state.on_unavailable says, until there can be a file again`, () => {
      const { layer, logged } = logging()
      return withServer((_, beside) =>
        Effect.gen(function*() {
          const directory = `${beside}.d`
          const file = `${directory}/usage.db`
          Fs.mkdirSync(directory)
          const store = yield* server(file, choice)
          const first = ask(daily)
          yield* store.reserve(first)
          yield* store.outstanding
          Fs.rmSync(directory, { recursive: true })
          Fs.writeFileSync(directory, "")
          yield* store.settle(first, used(first, { tokens: 7, cost: 1 }))
          yield* eventually(
            Effect.sync(() => logged.some(({ text }) => text.includes("has no file;"))),
            "the failure"
          )
          for (let time = 0; time < 3; time++) {
            const tried = yield* Effect.either(store.reserve(ask(daily, { tokens: 94 })))
            if (choice === "refuse") {
              assert.include(Either.getOrThrow(Either.flip(tried)).message, file)
              assert.isTrue(Exit.isFailure(yield* Effect.exit(store.ready)))
            } else {
              assert.strictEqual(Either.getOrThrow(tried)?.type, "tokens_per_day", "they are counted all the same")
            }
            yield* TestClock.adjust("5 seconds")
          }
          assert.lengthOf(logged.filter(({ text }) => text.includes("was deleted")), 1)
          const consequence = choice === "refuse" ? "calls are refused until there is one" : "calls go on"
          assert.lengthOf(logged.filter(({ text }) => text.includes(`no file; ${consequence}`)), 1)
          Fs.rmSync(directory)
          yield* eventually(Effect.map(inputTokens(store), (tokens) => tokens === 7), "a file again")
          assert.isUndefined(yield* store.reserve(ask(daily, { tokens: 93 })))
          const other = yield* server(file)
          assert.strictEqual((yield* other.usage(today))[0]?.inputTokens, 7)
        })
      ).pipe(Effect.provide(layer))
    })
  }

  it.effect("is refused when it is no record of usage, and taken when one is there again", () => {
    const { layer, logged } = logging()
    return withServer((store, file) =>
      Effect.gen(function*() {
        const first = ask(daily)
        yield* store.reserve(first)
        for (const part of parts) Fs.rmSync(file + part)
        Fs.writeFileSync(file, "requests: 1\n".repeat(1000), { mode: 0o600 })
        yield* eventually(Effect.sync(() => words(logged).join("").includes("has no file;")), "the failure")
        assert.include(words(logged).join("\n"), "is damaged, or not a file of vibectl")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(store.reserve(ask(daily)))))
        assert.include(Fs.readFileSync(file, "utf8"), "requests: 1", "it is left alone")
        yield* store.settle(first, used(first, { tokens: 4, cost: 1 }))
        Fs.rmSync(file)
        yield* eventually(Effect.map(inputTokens(store), (tokens) => tokens === 4), "a file again")
      })
    ).pipe(Effect.provide(layer))
  })
})

describe("the file", () => {
  it.effect("of the version before is taken over, with its open reservations", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(noon)
      const file = `${yield* directory}/usage.db`
      const former = new Database(file)
      former.exec(`
        CREATE TABLE totals (key TEXT NOT NULL, period TEXT NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
          PRIMARY KEY (key, period)) STRICT, WITHOUT ROWID;
        CREATE TABLE reservations (id TEXT PRIMARY KEY, server TEXT NOT NULL, day TEXT NOT NULL, tokens INTEGER NOT NULL,
          cost INTEGER NOT NULL, subject TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL, booked INTEGER) STRICT, WITHOUT ROWID;
        CREATE TABLE usage (day TEXT NOT NULL, subject TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,
          requests INTEGER NOT NULL, failures INTEGER NOT NULL, estimated INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
          output_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
          reasoning_tokens INTEGER NOT NULL, cost INTEGER NOT NULL, unpriced_tokens INTEGER NOT NULL,
          PRIMARY KEY (day, subject, tenant, model)) STRICT, WITHOUT ROWID;
        CREATE TABLE servers (id TEXT PRIMARY KEY, alive_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        INSERT INTO totals VALUES ('subject ann', '2026-11-26', 60, 9);
        INSERT INTO reservations VALUES ('a', 'dead', '2026-11-26', 60, 9, 'ann', 'acme', 'p/a', NULL);
        PRAGMA application_id = 1986159476; PRAGMA user_version = 1;
      `)
      former.close()
      const store = yield* server(file)
      assert.deepStrictEqual(yield* store.usage(today), [{
        ...noCounts,
        ...{ day: "2026-11-26", subject: "ann", tenant: "acme", model: "p/a" },
        ...{ requests: 1, failures: 1, estimated: 1, inputTokens: 60, cost: 9 }
      }])
      yield* server(file)
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.effect("is for its owner only, as are those beside it", () =>
    withServer((store, file) =>
      Effect.gen(function*() {
        const files = yield* FileSystem.FileSystem
        yield* store.reserve(ask([bound({})]))
        const modes = () =>
          Effect.forEach(
            ["", "-wal", "-shm"],
            (part) => Effect.map(files.stat(file + part), ({ mode }) => (mode & 0o777).toString(8))
          )
        assert.deepStrictEqual(yield* modes(), ["600", "600", "600"])
        yield* Effect.forEach(["", "-wal"], (part) => files.chmod(file + part, 0o644))
        yield* server(file)
        assert.deepStrictEqual(yield* modes(), ["600", "600", "600"])
      })
    ))

  it.scoped.skipIf(process.getuid?.() !== 0)(
    "is the owner's of its directory when root makes it",
    () =>
      Effect.gen(function*() {
        const files = yield* FileSystem.FileSystem
        const path = yield* directory
        yield* files.chown(path, nobody, nobody)
        yield* Effect.scoped(Effect.gen(function*() {
          const store = yield* server(`${path}/usage.db`)
          yield* store.reserve(ask([bound({})]))
          for (const name of yield* files.readDirectory(path)) {
            assert.deepStrictEqual((yield* files.stat(`${path}/${name}`)).uid, Option.some(nobody), name)
          }
          assert.lengthOf(yield* files.readDirectory(path), 3)
        }))
      }).pipe(Effect.provide(NodeContext.layer))
  )

  /** What opening it says when it was made so. */
  const refusal = (make: (file: string) => void) =>
    Effect.gen(function*() {
      const file = `${yield* directory}/usage.db`
      make(file)
      const error = yield* Effect.flip(Effect.scoped(server(file)))
      assert.strictEqual(error._tag, "LedgerInvalid")
      assert.include(error.summary, file)
      return `${error.summary.replace(file, "F")} ${error.remedy}`
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

  const executed = (sql: string) => (file: string) => {
    const db = new Database(file)
    db.exec(sql)
    db.close()
  }

  it.effect("refuses the start when it is not SQLite, damaged, newer, or of another program", () =>
    Effect.gen(function*() {
      assert.match(
        yield* refusal((file) => Fs.writeFileSync(file, "requests: 1\n".repeat(1000))),
        /^F is damaged, or not/
      )
      assert.match(yield* refusal((file) => Fs.writeFileSync(file, "abc")), /^F is damaged, or not/)
      assert.match(yield* refusal((file) => Fs.mkdirSync(file)), /^F is not a regular file\. Move it away/)
      assert.match(yield* refusal(executed("CREATE TABLE t (a)")), /^F is a file of another program\. Move it away/)
      assert.match(
        yield* refusal(executed("PRAGMA application_id = 1986159476; PRAGMA user_version = 3")),
        /^F was made by a newer version of vibectl-server \(.*version 3, this knows 2\)\. Run that version/
      )
    }))

  it.effect("takes over a file of before answers' ends were counted, which a server of that version goes on to use", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(noon)
      const file = `${yield* directory}/usage.db`
      executed(`${Fs.readFileSync(new URL("../cases/usage-1.sql", import.meta.url), "utf8")}
        INSERT INTO usage VALUES ('2026-11-26', 'alice', 'acme', 'demo/echo', 3, 1, 0, 50, 5, 0, 0, 0, 7, 0);`)(file)
      const old = new Database(file)
      yield* Effect.addFinalizer(() => Effect.sync(() => old.close()))
      const store = yield* server(file)
      const first = ask([bound({})])
      yield* store.reserve(first)
      const ended = { ...row(account, { tokens: 10, cost: 1 }), cutOff: 1, refused: 1 }
      yield* store.settle(first, { charges: [{ tokens: 10, cost: 1 }], rows: [ended] })
      const sum = {
        ...row(account, { tokens: 60, cost: 8 }),
        outputTokens: 5,
        requests: 4,
        failures: 1,
        day: "2026-11-26"
      }
      assert.deepStrictEqual(yield* store.usage(today), [{ ...sum, cutOff: 1, refused: 1 }])
      // As that version writes.
      old.exec(
        `INSERT INTO usage SELECT '2026-11-26', 'alice', 'acme', 'demo/echo', 1, 0, 0, 9, 0, 0, 0, 0, 0, 0 WHERE true
        ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, input_tokens = input_tokens + excluded.input_tokens`
      )
      const again = ask([bound({})])
      yield* store.reserve(again)
      yield* store.settle(again, {
        charges: [{ tokens: 0, cost: 0 }],
        rows: [{ ...noCounts, ...account, filtered: 1, cutOff: 1 }]
      })
      assert.deepStrictEqual(yield* store.usage(today), [
        { ...sum, requests: 5, inputTokens: 69, cutOff: 2, refused: 1, filtered: 1 }
      ])
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))

  it.effect("refuses the start when a page of it is damaged", () =>
    withServer((store, file) =>
      Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 50 }), (_, index) => store.reserve(ask([bound({}, `s${index}`)])))
        yield* TestClock.adjust("50 millis")
        const files = yield* FileSystem.FileSystem
        const copy = `${file}-copy.db`
        yield* Effect.scoped(Effect.map(LedgerFile.open(file), (db) => void db.pragma("wal_checkpoint(TRUNCATE)")))
        yield* files.copyFile(file, copy)
        yield* Effect.scoped(server(copy))
        const bytes = yield* files.readFile(copy)
        bytes.fill(0x5a, 4096 + 8, 4096 + 1000)
        yield* files.writeFile(copy, bytes)
        const error = yield* Effect.flip(Effect.scoped(server(copy)))
        assert.match(error.message, /is damaged\. .*begins a new one/)
      })
    ))

  it.live("refuses the start when it stays locked", () =>
    Effect.gen(function*() {
      const file = `${yield* directory}/usage.db`
      // Once it is not ours yet, and once it is.
      for (let time = 0; time < 2; time++) {
        const error = yield* locked(file)(() => Effect.flip(Effect.scoped(server(file))))
        assert.include(error.message, `${file} is locked by another program`)
        yield* Effect.scoped(server(file))
      }
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))
})
