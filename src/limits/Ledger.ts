/**
 * What was used, in tables of SQLite: quotas of days and months, reservations,
 * and the record of usage.
 *
 * Each method is one transaction, and synchronous; what it throws is SQLite's.
 * Any number of processes may share the file. Each shows that it lives by a
 * lease; what one had reserved is booked by the others when its lease ended, and
 * corrected when it settles all the same.
 */
import { fromUsd } from "../domain/Cost.js"
import type { LimitType } from "../domain/Errors.js"
import { type Connection, within } from "./LedgerFile.js"
import { dayOf, monthOf, nextDay, nextMonth } from "./Periods.js"
import { abandoned, type Account, type Ask, type Bound, type Charge, type Refusal } from "./Store.js"
import type { Booking, Counted, Settlement, UsageRow } from "./Store.js"

/** Times are in milliseconds since the epoch. */
export interface Ledger {
  /** What would refuse it now, if anything. */
  readonly refusal: (ask: Ask, now: number) => Refusal | undefined
  /** What refuses it, if anything; else it is reserved. */
  readonly reserve: (ask: Ask, now: number) => Refusal | undefined
  /** Books what was used instead of what was reserved; what is not reserved any more is left alone. */
  readonly settle: (ask: Ask, settlement: Settlement) => void
  /** Renews the lease, books what servers left behind whose lease ended, and forgets once a day what is too old. */
  readonly renew: (now: number) => void
  /** Ends the lease, and books what this server leaves behind. */
  readonly leave: (now: number) => void
  /** Of the days from `from` to `to`, both inclusive; by day, subject, tenant and model. */
  readonly usage: (from: string, to: string) => ReadonlyArray<UsageRow>
  /** Reservations that are neither settled nor booked as abandoned. */
  readonly outstanding: () => number
}

export interface Options {
  /** Unique among all that ever used the file. */
  readonly server: string
  readonly keepDays: number
}

/** How long a server is taken to live after it renewed its lease. */
export const leaseMillis = 20_000

export const make = (db: Connection, { keepDays, server }: Options): Ledger => {
  const run = statements(db)
  let leaseEnds = 0
  let cleaned = ""

  const bookAbandoned = (now: number): void => {
    for (const left of run.left.all()) {
      run.addUsage.run(usageRow(left.day, abandoned({ account: left, cost: left.cost, tokens: left.tokens }), 1))
      run.book.run(now, left.id)
    }
  }

  const clean = (now: number): void => {
    run.forgetTotals.run(dayOf(now - 2 * day), monthOf(now - 62 * day))
    run.forgetUsage.run(dayOf(now - keepDays * day))
    run.forgetBooked.run(now - day)
  }

  const refusal = (ask: Ask, now: number) => refusalOf(ask, now, run.total.get)

  return {
    refusal,
    reserve: (ask, now) => {
      // What nobody answers for would stay for ever if this process, paused till now, died at once.
      const isDue = now >= leaseEnds
      const refused = within(db, () => {
        const refused = refusal(ask, now)
        if (refused !== undefined) return refused
        if (isDue) run.keepAlive.run(server, now + leaseMillis)
        const { account: { model, subject, tenant }, cost, id, tokens } = ask
        run.reserve.run(id, server, dayOf(ask.at), tokens, cost, subject, tenant, model)
        run.addTotals.run(totals(ask, () => ask))
        return undefined
      })
      if (isDue && refused === undefined) leaseEnds = now + leaseMillis
      return refused
    },
    settle: (ask, settlement) =>
      within(db, () => {
        const reserved = run.take.get(ask.id)
        if (reserved === undefined) return
        const { booked, cost, day, tokens } = reserved
        run.addTotals.run(totals(ask, (index) => {
          const charge = settlement.charges[index] ?? reserved
          return { cost: charge.cost - cost, tokens: charge.tokens - tokens }
        }))
        for (const booking of settlement.rows) run.addUsage.run(usageRow(day, booking, 1))
        if (booked === null) return
        run.addUsage.run(usageRow(day, abandoned({ account: reserved, cost, tokens }), -1))
        run.forgetEmpty.run(day, reserved.subject, reserved.tenant, reserved.model)
      }),
    renew: (now) => {
      const today = dayOf(now)
      within(db, () => {
        run.keepAlive.run(server, now + leaseMillis)
        run.endLeases.run(now)
        bookAbandoned(now)
        if (today !== cleaned) clean(now)
      })
      leaseEnds = now + leaseMillis
      cleaned = today
    },
    leave: (now) =>
      within(db, () => {
        run.endLease.run(server)
        bookAbandoned(now)
      }),
    usage: (from, to) => run.usage.all(from, to),
    outstanding: () => run.outstanding.all()[0]?.count ?? 0
  }
}

// -- internals ---------------------------------------------------------------

const day = 86_400_000

interface Reserved extends Account, Charge {
  readonly day: string
}

/** Amounts go in as JSON: a number by itself is a float to SQLite, whose sums are not exact. */
const statements = (db: Connection) => {
  /** The types of rows are what the text of each says. */
  const prepare = <Row = never>(sql: string) => {
    const statement = db.prepare(sql)
    return {
      run: (...values: ReadonlyArray<string | number>) => void statement.run(values),
      get: (...values: ReadonlyArray<string | number>) => statement.get(values) as Row | undefined,
      all: (...values: ReadonlyArray<string | number>) => statement.all(values) as Array<Row>
    }
  }
  return {
    total: prepare<Charge>("SELECT tokens, cost FROM totals WHERE key = ? AND period = ?"),
    addTotals: prepare(`
      INSERT INTO totals SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?) WHERE true
      ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens, cost = cost + excluded.cost`),
    reserve: prepare("INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)"),
    take: prepare<Reserved & { readonly booked: number | null }>(`
      DELETE FROM reservations WHERE id = ? RETURNING day, tokens, cost, subject, tenant, model, booked`),
    left: prepare<Reserved & { readonly id: string }>(`
      SELECT id, day, tokens, cost, subject, tenant, model FROM reservations
      WHERE booked IS NULL AND server NOT IN (SELECT id FROM servers)`),
    book: prepare("UPDATE reservations SET booked = ? WHERE id = ?"),
    outstanding: prepare<{ readonly count: number }>(
      "SELECT count(*) AS count FROM reservations WHERE booked IS NULL"
    ),
    addUsage: prepare(`
      INSERT INTO usage SELECT ${
      Array.from({ length: 4 + counts.length }, (_, index) => `?1->>${index}`).join(", ")
    } WHERE true
      ON CONFLICT DO UPDATE SET ${counts.map(([column]) => `${column} = ${column} + excluded.${column}`).join(", ")}`),
    forgetEmpty: prepare(`
      DELETE FROM usage WHERE day = ? AND subject = ? AND tenant = ? AND model = ?
      AND ${counts.map(([column]) => `${column} = 0`).join(" AND ")}`),
    usage: prepare<UsageRow>(`
      SELECT day, subject, tenant, model, ${counts.map(([column, name]) => `${column} AS ${name}`).join(", ")}
      FROM usage WHERE day BETWEEN ? AND ? ORDER BY day, subject, tenant, model`),
    keepAlive: prepare(
      "INSERT INTO servers VALUES (?, ?) ON CONFLICT DO UPDATE SET alive_until = excluded.alive_until"
    ),
    endLeases: prepare("DELETE FROM servers WHERE alive_until <= ?"),
    endLease: prepare("DELETE FROM servers WHERE id = ?"),
    forgetTotals: prepare(
      "DELETE FROM totals WHERE length(period) = 10 AND period < ? OR length(period) = 7 AND period < ?"
    ),
    forgetUsage: prepare("DELETE FROM usage WHERE day < ?"),
    forgetBooked: prepare("DELETE FROM reservations WHERE booked <= ?")
  }
}

/** What each count of a {@link Booking} is called in the table, whose columns are day, subject, tenant, model and these. */
const counts = [
  ["requests", "requests"],
  ["failures", "failures"],
  ["estimated", "estimated"],
  ["input_tokens", "inputTokens"],
  ["output_tokens", "outputTokens"],
  ["cached_input_tokens", "cachedInputTokens"],
  ["cache_write_tokens", "cacheWriteTokens"],
  ["reasoning_tokens", "reasoningTokens"],
  ["cost", "cost"],
  ["unpriced_tokens", "unpricedTokens"]
] as const

const usageRow = (day: string, booking: Booking, times: 1 | -1): string =>
  JSON.stringify([
    day,
    booking.subject,
    booking.tenant,
    booking.model,
    ...counts.map(([, name]) => times * booking[name])
  ])

/** Those of the day and the month of the ask, of every bound that is kept; `amount` is of the bound with that index. */
const totals = (ask: Ask, amount: (index: number) => Charge): string => {
  const names = periods.map(({ of }) => of(ask.at))
  return JSON.stringify(ask.bounds.flatMap((bound, index) => {
    if (!isKept(bound)) return []
    const { cost, tokens } = amount(index)
    return names.map((period) => [bound.key, period, tokens, cost])
  }))
}

/** A quota that is set later must know what was used before; of tokens there are too many for that. */
const isKept = ({ limits, scope }: Bound): boolean =>
  scope !== "token" || periods.some(({ quotas }) => quotas.some(({ limit }) => limits[limit] !== undefined))

/** Of two that refuse, the one that does so for longer comes first. */
const periods: ReadonlyArray<{
  readonly of: (at: number) => string
  readonly next: (at: number) => number
  readonly quotas: ReadonlyArray<{
    readonly type: LimitType
    readonly limit: keyof Counted
    readonly what: keyof Charge
  }>
}> = [
  {
    of: monthOf,
    next: nextMonth,
    quotas: [
      { type: "tokens_per_month", limit: "maxTokensPerMonth", what: "tokens" },
      { type: "usd_per_month", limit: "maxUsdPerMonth", what: "cost" }
    ]
  },
  {
    of: dayOf,
    next: nextDay,
    quotas: [
      { type: "tokens_per_day", limit: "maxTokensPerDay", what: "tokens" },
      { type: "usd_per_day", limit: "maxUsdPerDay", what: "cost" }
    ]
  }
]

const refusalOf = (
  ask: Ask,
  now: number,
  total: (key: string, period: string) => Charge | undefined
): Refusal | undefined => {
  for (const bound of ask.bounds) {
    for (const { next, of, quotas } of periods) {
      const set = quotas.filter(({ limit }) => bound.limits[limit] !== undefined)
      if (set.length === 0) continue
      const used = total(bound.key, of(ask.at)) ?? { tokens: 0, cost: 0 }
      for (const { limit, type, what } of set) {
        const given = bound.limits[limit] ?? Infinity
        if (used[what] + ask[what] > (what === "cost" ? fromUsd(given) : given)) {
          return { bound, type, retryAfterMs: Math.max(1, next(ask.at) - now) }
        }
      }
    }
  }
  return undefined
}
