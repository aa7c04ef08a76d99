/**
 * Whatever is reserved and settled, in whatever order and time: the store
 * answers as the plainest model does, and its books are balanced in the end.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import * as Embedded from "../../src/limits/Embedded.js"
import * as Ledger from "../../src/limits/Ledger.js"
import * as LedgerFile from "../../src/limits/LedgerFile.js"
import { type Account, type Ask, type Counted, Store } from "../../src/limits/Store.js"
import { ask, bound, row, settable, used } from "../support/Asks.js"
import { forAll } from "../support/Property.js"
import * as StoreModel from "../support/StoreModel.js"

const count = (max: number) => fc.integer({ min: 1, max })
const dollars = (max: number) => count(max).map((billionths) => billionths / 1e9)

/** At most two of them, so that each has something to say. */
const limits: fc.Arbitrary<Partial<Counted>> = fc.tuple(
  fc.record({
    maxRequestsPerMinute: count(8),
    maxConcurrentRequests: count(6),
    maxTokensPerMinute: count(600),
    maxTokensPerDay: count(3000),
    maxTokensPerMonth: count(6000),
    maxUsdPerDay: dollars(3000),
    maxUsdPerMonth: dollars(6000)
  }),
  fc.subarray(
    [
      "maxRequestsPerMinute",
      "maxConcurrentRequests",
      "maxTokensPerMinute",
      "maxTokensPerDay",
      "maxTokensPerMonth",
      "maxUsdPerDay",
      "maxUsdPerMonth"
    ] as const,
    { maxLength: 2 }
  )
).map(([all, names]) => Object.fromEntries(names.map((name) => [name, all[name]])))

const charge = fc.record({ tokens: fc.integer({ min: 0, max: 200 }), cost: fc.integer({ min: 0, max: 200 }) })

const reserving = fc.record({ kind: fc.constant("reserve" as const), keys: fc.integer({ min: 1, max: 15 }), charge })

/** `which` counts from the last that was reserved. */
const settling = fc.record({ kind: fc.constant("settle" as const), which: fc.nat(8), charge })

const passing = fc.record({
  kind: fc.constant("pass" as const),
  millis: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 1, max: 25_000 }) },
    { weight: 3, arbitrary: fc.integer({ min: 59_990, max: 60_010 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 * 86_400_000 }) }
  )
})

const step = fc.oneof(
  { weight: 5, arbitrary: reserving },
  { weight: 4, arbitrary: settling },
  { weight: 2, arbitrary: passing }
)

/** So that days and months end in the middle of it. */
const start = Date.UTC(2026, 10, 30, 23, 58)

/** What a store answers to a story, beside what the model does; yields how many calls were refused. */
const told = (
  of: ReadonlyArray<Partial<Counted>>,
  story: ReadonlyArray<typeof step extends fc.Arbitrary<infer A> ? A : never>
) => {
  const { clock, now, pass } = settable(start)
  const bounds = [
    bound(of[0] ?? {}),
    bound(of[1] ?? {}, "alice", "token"),
    bound(of[2] ?? {}, "acme", "tenant"),
    bound(of[3] ?? {}, "demo/echo", "model")
  ]
  const model = StoreModel.make()
  const asked: Array<Ask> = []
  let refusals = 0
  return Effect.gen(function*() {
    const store = yield* Store
    for (const step of story) {
      if (step.kind === "pass") pass(step.millis)
      else if (step.kind === "reserve") {
        const made = ask(bounds.filter((_, index) => (step.keys & 1 << index) > 0), { at: now(), ...step.charge })
        const refusal = yield* store.reserve(made)
        assert.deepStrictEqual(
          refusal && { key: refusal.bound.key, type: refusal.type, retryAfterMs: refusal.retryAfterMs },
          model.reserve(made, now())
        )
        if (refusal === undefined) asked.push(made)
        else refusals++
      } else {
        // Some of them for the second time.
        const settled = asked.at(-1 - step.which)
        if (settled === undefined) continue
        const charges = settled.bounds.map((_, index) => ({ ...step.charge, tokens: step.charge.tokens * index }))
        const settlement = { ...used(settled, step.charge), charges }
        yield* store.settle(settled, settlement)
        model.settle(settled, settlement.charges)
      }
    }
    return refusals
  }).pipe(Effect.provide(Embedded.layerMemory), Effect.withClock(clock), Effect.orDie)
}

const fourLimits = fc.tuple(limits, limits, limits, limits)

/** So small that there is room for very many of them, until some use far more than was thought. */
const small = fc.record({ tokens: fc.integer({ min: 0, max: 3 }), cost: fc.integer({ min: 0, max: 3 }) })

describe("a store of limits", () => {
  it.live("answers as the model does", () => {
    let refusals = 0
    return forAll(
      fc.tuple(fourLimits, fc.array(step, { minLength: 20, maxLength: 80 })),
      150,
      ([of, story]) => Effect.map(told(of, story), (count) => void (refusals += count))
    ).pipe(Effect.tap(() => assert.isAbove(refusals, 500, "the stories are about refusals")))
  })

  it.live("answers as the model does where there is room for many calls, and where there suddenly is none", () => {
    let refusals = 0
    const wide = fc.record({
      maxTokensPerDay: fc.integer({ min: 1000, max: 3000 }),
      maxUsdPerMonth: dollars(6000)
    })
    const often = fc.oneof(
      { weight: 20, arbitrary: fc.record({ kind: fc.constant("reserve" as const), keys: count(15), charge: small }) },
      { weight: 6, arbitrary: settling },
      { weight: 1, arbitrary: passing }
    )
    return forAll(
      fc.tuple(fc.tuple(wide, limits, wide, wide), fc.array(often, { minLength: 60, maxLength: 250 })),
      60,
      ([of, story]) => Effect.map(told(of, story), (count) => void (refusals += count))
    ).pipe(Effect.tap(() => assert.isAbove(refusals, 200, "the stories are about refusals")))
  })

  it.live("has nothing left and balanced books when all is settled, whoever died in between", () =>
    forAll(
      fc.array(
        fc.record({
          subject: fc.constantFrom("alice", "bob"),
          tenant: fc.constantFrom("", "acme"),
          model: fc.constantFrom("demo/echo", "demo/other"),
          reserved: charge,
          used: charge,
          server: fc.nat(2),
          /** How many steps later. */
          settled: fc.nat(12),
          millis: fc.integer({ min: 0, max: 15_000 })
        }),
        { minLength: 5, maxLength: 40 }
      ),
      60,
      (story) =>
        Effect.scoped(Effect.gen(function*() {
          const db = yield* LedgerFile.memory
          // Only the first renews its lease: the others' reservations are booked as abandoned again and again.
          const servers = [0, 1, 2].map((server) => Ledger.make(db, { server: `s${server}`, keepDays: 400 }))
          const [first] = servers
          let now = start
          const later = new Map<number, Array<() => void>>()
          const due = (index: number) => later.get(index)?.forEach((settle) => settle())
          for (const [index, call] of story.entries()) {
            now += call.millis
            const account: Account = { subject: call.subject, tenant: call.tenant, model: call.model }
            const bounds = [
              bound({}, call.subject),
              ...call.tenant === "" ? [] : [bound({}, call.tenant, "tenant")],
              bound({}, call.model, "model")
            ]
            const made = ask(bounds, { at: now, account, ...call.reserved })
            const ledger = servers[call.server]!
            assert.isUndefined(ledger.reserve(made, now))
            const settle = () => ledger.settle(made, { ...used(made, call.used), rows: [row(account, call.used)] })
            later.set(index + call.settled, [...later.get(index + call.settled) ?? [], settle, settle])
            due(index)
            first!.renew(now)
          }
          for (let index = story.length; index < story.length + 12; index++) due(index)

          assert.strictEqual(first!.outstanding(), 0)
          const usage = first!.usage("2026-01-01", "2027-12-31")
          assert.strictEqual(usage.reduce((sum, { requests }) => sum + requests, 0), story.length)
          assert.strictEqual(usage.reduce((sum, { failures }) => sum + failures, 0), 0, "nothing stays abandoned")
          const sums = new Map<string, [tokens: number, cost: number]>()
          for (const { cost, day, inputTokens, model, subject, tenant } of usage) {
            const keys = [`subject ${subject}`, ...tenant === "" ? [] : [`tenant ${tenant}`], `model ${model}`]
            for (const key of keys.flatMap((key) => [`${key} ${day}`, `${key} ${day.slice(0, 7)}`])) {
              const [tokens, costs] = sums.get(key) ?? [0, 0]
              sums.set(key, [tokens + inputTokens, costs + cost])
            }
          }
          assert.deepStrictEqual(totals(db), sums)
        }))
    ))
})

const totals = (db: LedgerFile.Connection) =>
  new Map(
    (db.prepare("SELECT key, period, tokens, cost FROM totals").all() as Array<
      { key: string; period: string; tokens: number; cost: number }
    >).map(({ cost, key, period, tokens }) => [`${key} ${period}`, [tokens, cost]])
  )
