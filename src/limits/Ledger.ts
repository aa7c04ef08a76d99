/**
 * What was used, in tables of SQLite: quotas of days and months, reservations,
 * and the record of usage.
 *
 * Each method is one transaction, and synchronous; what it throws is SQLite's,
 * and then nothing of it was done. Any number of processes may share the file.
 * Each shows that it lives by a lease; what one had reserved is booked by the
 * others when its lease ended, and corrected when it settles all the same.
 */
import { type Connection, within } from "./LedgerFile.js"
import * as Tables from "./LedgerTables.js"
import { dayOf, monthOf } from "./Periods.js"
import * as Quotas from "./Quotas.js"
import {
  abandoned,
  type Ask,
  type Charge,
  type Progress,
  type Refusal,
  type Settlement,
  type UsageRow
} from "./Store.js"

/** Times are in milliseconds since the epoch. */
export interface Ledger {
  /** What would refuse it now, if anything. */
  readonly refusal: (ask: Ask, now: number, options?: Pick<Taking, "left">) => Refusal | undefined
  /** What refuses it, if anything; else it is reserved. */
  readonly reserve: (ask: Ask, now: number, options?: Taking) => Refusal | undefined
  /** Books what was used instead of what was reserved; what is not reserved any more is left alone. */
  readonly settle: (ask: Ask, settlement: Settlement) => void
  /** The same of many, and what else is to be written; all of it or nothing. */
  readonly write: (pending: Pending) => void
  /** Replaces what is booked for reservations of this file if this server dies. */
  readonly progress: (all: ReadonlyArray<Progress>) => void
  /** Renews the lease, books what servers left behind whose lease ended, and forgets once a day what is too old. */
  readonly renew: (now: number) => void
  /** Whether somebody else books what this server leaves behind, should it end now. */
  readonly isLeased: (now: number) => boolean
  /** Ends the lease, and books what this server leaves behind. */
  readonly leave: (now: number) => void
  /** Of the days from `from` to `to`, both inclusive; by day, subject, tenant and model. */
  readonly usage: (from: string, to: string) => ReadonlyArray<UsageRow>
  /** Reservations that are neither settled nor booked as abandoned. */
  readonly outstanding: () => number
  /** Goes on in this file, which has all of the one before. */
  readonly moveTo: (db: Connection) => void
}

export interface Taking {
  /** What this server has set aside of a total, and nobody has used. */
  readonly left: (key: string, period: string) => Charge
  /** What is added to totals with it; `used` is what was used so far. */
  readonly also: (used: (key: string, period: string) => Charge) => ReadonlyArray<Tables.Total>
}

export interface Pending {
  /** What is not in the file yet: reservations, and those of them that are settled. */
  readonly fresh: Iterable<{ readonly ask: Ask; readonly settlement: Settlement | undefined }>
  /** Of reservations that are in the file. */
  readonly settled: ReadonlyArray<{ readonly ask: Ask; readonly settlement: Settlement }>
  /** Added to totals. */
  readonly totals: ReadonlyArray<Tables.Total>
}

export interface Options {
  /** Unique among all that ever used the file. */
  readonly server: string
  readonly keepDays: number
}

/** How long a server is taken to live after it renewed its lease. */
export const leaseMillis = 20_000

export const make = (first: Connection, { keepDays, server }: Options): Ledger => {
  let db = first
  let run = Tables.statements(db)
  let leaseEnds = 0
  let cleaned = ""

  const bookAbandoned = (now: number): void => {
    for (const left of run.left.all()) {
      run.addUsage.run(left.abandoned)
      const [tokens, cost] = [left.spentTokens - left.tokens, left.spentCost - left.cost]
      const periods = [left.day, left.day.slice(0, 7)]
      const totals = (JSON.parse(left.keys) as ReadonlyArray<string>).flatMap((key) =>
        periods.map((period) => [key, period, tokens, cost] as const)
      )
      if (tokens !== 0 || cost !== 0) run.addTotals.run(JSON.stringify(totals))
      run.book.run(now, left.id)
    }
  }

  const clean = (now: number): void => {
    run.forgetTotals.run(dayOf(now - 2 * day), monthOf(now - 62 * day))
    run.forgetUsage.run(dayOf(now - keepDays * day))
    run.forgetEndings.run(dayOf(now - keepDays * day))
    run.forgetBooked.run(now - day)
  }

  const total = (key: string, period: string): Charge => run.total.get(key, period) ?? nothing
  const usedBeside = (left: Taking["left"]) => (key: string, period: string): Charge => {
    const [all, own] = [total(key, period), left(key, period)]
    return { tokens: all.tokens - own.tokens, cost: all.cost - own.cost }
  }

  const write = ({ fresh, settled, totals }: Pending): void => {
    const sums = summing(totals)
    const usage = booking()
    const reserved: Array<ReadonlyArray<string | number>> = []
    for (const { ask, settlement } of fresh) {
      sums.add(ask, (index) => settlement?.charges[index] ?? ask)
      for (const row of settlement?.rows ?? []) usage.add(Tables.usageRow(dayOf(ask.at), row))
      if (settlement === undefined) reserved.push(reservation(ask))
    }
    const ids = settled.map(({ ask }) => ask.id)
    const taken = new Map(ids.length === 0 ? [] : run.take.all(JSON.stringify(ids)).map((row) => [row.id, row]))
    const emptied: Array<Tables.Reserved> = []
    for (const { ask, settlement } of settled) {
      const row = taken.get(ask.id)
      if (row === undefined) continue
      // Settling twice is settling once.
      taken.delete(ask.id)
      sums.add(ask, (index) => {
        const charge = settlement.charges[index] ?? row
        return { cost: charge.cost - row.cost, tokens: charge.tokens - row.tokens }
      })
      for (const booked of settlement.rows) usage.add(Tables.usageRow(row.day, booked))
      if (row.booked !== null) emptied.push(row)
    }
    const undone = emptied.flatMap(({ abandoned }) => JSON.parse(abandoned) as ReadonlyArray<Tables.UsageValues>)
    for (const row of undone) usage.add(row, -1)
    if (reserved.length > 0) run.reserve.run(server, JSON.stringify(reserved))
    if (sums.all().length > 0) run.addTotals.run(JSON.stringify(sums.all()))
    if (usage.all().length > 0) run.addUsage.run(JSON.stringify(usage.all()))
    for (const row of undone) run.forgetEmpty.run(...row.slice(0, 4))
  }

  return {
    refusal: (ask, now, { left } = none) => Quotas.refusalOf(ask, now, usedBeside(left)),
    reserve: (ask, now, { also, left } = none) => {
      // What nobody answers for would stay for ever if this process, paused till now, died at once.
      const isDue = now >= leaseEnds
      const refused = within(db, () => {
        const used = usedBeside(left)
        const refused = Quotas.refusalOf(ask, now, used)
        if (refused !== undefined) return refused
        if (isDue) run.keepAlive.run(server, now + leaseMillis)
        run.reserve.run(server, JSON.stringify([reservation(ask)]))
        const sums = summing(also(used))
        sums.add(ask, () => ask)
        run.addTotals.run(JSON.stringify(sums.all()))
        return undefined
      })
      if (isDue && refused === undefined) leaseEnds = now + leaseMillis
      return refused
    },
    settle: (ask, settlement) => within(db, () => write({ fresh: [], settled: [{ ask, settlement }], totals: [] })),
    write: (pending) => within(db, () => write(pending)),
    progress: (all) =>
      run.progress.run(
        JSON.stringify(all.map(({ ask, rows, spent }) => [ask.id, spent.tokens, spent.cost, bookings(ask, rows)]))
      ),
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
    isLeased: (now) => now < leaseEnds,
    leave: (now) =>
      within(db, () => {
        run.endLease.run(server)
        bookAbandoned(now)
      }),
    usage: (from, to) => run.usage.all(from, to),
    outstanding: () => run.outstanding.all()[0]?.count ?? 0,
    moveTo: (next) => {
      db = next
      run = Tables.statements(next)
      leaseEnds = 0
    }
  }
}

// -- internals ---------------------------------------------------------------

const day = 86_400_000

const nothing: Charge = { tokens: 0, cost: 0 }

const none: Taking = { left: () => nothing, also: () => [] }

const reservation = (ask: Ask) => [
  ask.id,
  dayOf(ask.at),
  ask.tokens,
  ask.cost,
  JSON.stringify(ask.bounds.filter(Quotas.isKept).map(({ key }) => key)),
  bookings(ask, abandoned(ask))
]

const bookings = ({ at }: Ask, rows: Progress["rows"]): string =>
  JSON.stringify(rows.map((row) => Tables.usageRow(dayOf(at), row)))

/** One total for each key and period. */
const summing = (first: ReadonlyArray<Tables.Total>) => {
  const sums = new Map<string, Tables.Total>()
  const put = (key: string, period: string, { cost, tokens }: Charge) => {
    const id = `${period} ${key}`
    const [, , moreTokens, moreCost] = sums.get(id) ?? [key, period, 0, 0]
    sums.set(id, [key, period, moreTokens + tokens, moreCost + cost])
  }
  for (const [key, period, tokens, cost] of first) put(key, period, { tokens, cost })
  return {
    all: () => [...sums.values()],
    /** Those of the day and the month of the ask, of every bound that is kept; `amount` is of the bound with that index. */
    add: (ask: Ask, amount: (index: number) => Charge) => {
      for (const [index, bound] of ask.bounds.entries()) {
        if (!Quotas.isKept(bound)) continue
        for (const period of Quotas.periods) put(bound.key, period.of(ask.at), amount(index))
      }
    }
  }
}

/** One row for each day, subject, tenant and model. */
const booking = () => {
  const rows = new Map<string, Array<string | number>>()
  return {
    all: () => [...rows.values()],
    add: (row: Tables.UsageValues, times: 1 | -1 = 1) => {
      const id = JSON.stringify(row.slice(0, 4))
      const known = rows.get(id)
      rows.set(id, row.map((value, index) => index < 4 ? value : times * Number(value) + Number(known?.[index] ?? 0)))
    }
  }
}
