/**
 * What the scripts are asked, as JSON.
 *
 * Names go into keys as JSON writes them: so no two of them are the same, and
 * none holds what is not valid text.
 */
import * as Cost from "../domain/Cost.js"
import type { LimitType } from "../domain/LimitErrors.js"
import * as Periods from "./Periods.js"
import { abandoned, type Ask, type Booking, type Bound, type Charge, noCounts, type Settlement } from "./Store.js"

/** Whose it is, and for how many seconds usage is kept. */
export interface Owner {
  readonly server: string
  readonly keep: number
}

export const reserve = (owner: Owner, ask: Ask): string =>
  JSON.stringify({
    ...common(owner, ask),
    record: JSON.stringify({
      ...booked(owner, ask)(abandoned(ask)),
      running: ask.bounds.filter(({ limits }) => limits.maxConcurrentRequests !== undefined).map(({ key }) =>
        plain(key)
      )
    })
  })

export const settle = (owner: Owner, ask: Ask, { charges, rows }: Settlement): string =>
  JSON.stringify({
    ...common(owner, ask),
    charges: ask.bounds.map((_, index) => charges[index] ?? nothing),
    rows: rows.map(booked(owner, ask))
  })

/** As if it had never been taken, or so that it cannot be any more. What it used may still be settled. */
export const giveBack = (owner: Owner, ask: Ask): string =>
  JSON.stringify({ ...common(owner, ask), back: true, charges: ask.bounds.map(() => nothing), rows: [] })

export const renew = (owner: Owner, leaving = false): string => JSON.stringify({ server: owner.server, leaving })

/** What a field of a day's usage counts: subject, tenant, model, and the name of the count. */
export const field = ({ model, subject, tenant }: Booking, count: string): string =>
  JSON.stringify([subject, tenant, model, count])

// -- internals ---------------------------------------------------------------

const nothing: Charge = { tokens: 0, cost: 0 }

const plain = (text: string): string => JSON.stringify(text).slice(1, -1)

const daySeconds = 86_400

const common = ({ server }: Owner, ask: Ask) => ({
  server,
  id: plain(ask.id),
  tokens: ask.tokens,
  cost: ask.cost,
  periods: [[Periods.dayOf(ask.at), 2 * daySeconds], [Periods.monthOf(ask.at), 62 * daySeconds]],
  bounds: ask.bounds.map(boundOf(ask))
})

const boundOf = (ask: Ask) => ({ key, limits }: Bound) => ({
  key: plain(key),
  concurrent: limits.maxConcurrentRequests,
  rpm: limits.maxRequestsPerMinute,
  tpm: limits.maxTokensPerMinute,
  // More than the limit would never pass; so it passes when nothing else is in the window.
  take: Math.min(ask.tokens, limits.maxTokensPerMinute ?? ask.tokens),
  quotas: [
    ...quota(ask, "tokens_per_month", limits.maxTokensPerMonth),
    ...quota(ask, "usd_per_month", limits.maxUsdPerMonth),
    ...quota(ask, "tokens_per_day", limits.maxTokensPerDay),
    ...quota(ask, "usd_per_day", limits.maxUsdPerDay)
  ]
})

const quota = ({ at, cost, tokens }: Ask, type: LimitType, limit: number | undefined) => {
  if (limit === undefined) return []
  const period = type.endsWith("month")
    ? { period: Periods.monthOf(at), wait: Periods.nextMonth(at) - at }
    : { period: Periods.dayOf(at), wait: Periods.nextDay(at) - at }
  return type.startsWith("usd")
    ? [{ type, ...period, of: "cost", take: cost, most: Cost.fromUsd(limit) }]
    : [{ type, ...period, of: "tokens", take: tokens, most: limit }]
}

const booked = ({ keep }: Owner, { at }: Ask) => (row: Booking) => ({
  day: Periods.dayOf(at),
  keep,
  counts: countNames.flatMap((name) => row[name] === 0 ? [] : [[field(row, name), row[name]]])
})

const countNames = Object.keys(noCounts) as ReadonlyArray<keyof typeof noCounts>
