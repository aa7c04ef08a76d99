/**
 * What the scripts are asked, as JSON, and the keys that they use.
 *
 * Names go into keys as JSON writes them: so no two of them are the same, and
 * none holds what is not valid text.
 */
import { Option, Schema } from "effect"
import * as Cost from "../domain/Cost.js"
import type { LimitType } from "../domain/LimitErrors.js"
import * as Periods from "./Periods.js"
import {
  abandoned,
  type Ask,
  type Booking,
  type Bound,
  type Charge,
  noCounts,
  type Progress,
  type Settlement
} from "./Store.js"

/** Whose it is, what its keys begin with, and for how many seconds usage is kept. */
export interface Owner {
  readonly server: string
  readonly base: string
  readonly keep: number
}

export interface Question {
  /** All that the script may use. */
  readonly keys: ReadonlyArray<string>
  readonly request: string
}

/** What a script about a call has first, and then for each of its bounds. */
export const callKeys = ["servers", "open", "done", "days", "usage"] as const
export const boundKeys = ["day", "month", "running", "rpm", "tpm", "sum"] as const

/** With `first`, servers that died are named instead, if there are any. */
export const reserve = (owner: Owner, ask: Ask, first: boolean): Question =>
  question(owner, ask, {
    first,
    record: record(owner, { ask, spent: ask, rows: abandoned(ask) })
  })

/** Of several calls of one server: what each is booked as if that dies. */
export const progress = (owner: Owner, all: ReadonlyArray<Progress>): Question => ({
  keys: [openKey(owner.base, owner.server)],
  request: JSON.stringify({ entries: all.map((own) => ({ id: plain(own.ask.id), record: record(owner, own) })) })
})

export const settle = (owner: Owner, ask: Ask, { charges, rows }: Settlement): Question =>
  question(owner, ask, {
    charges: ask.bounds.map((_, index) => charges[index] ?? nothing),
    rows: [booked(owner, ask)(rows)]
  })

/** As if it had never been taken, or so that it cannot be any more. What it used may still be settled. */
export const giveBack = (owner: Owner, ask: Ask): Question =>
  question(owner, ask, { back: true, charges: ask.bounds.map(() => nothing), rows: [] })

export const renew = ({ base, server }: Owner, leaving = false): Question => ({
  keys: [serversKey(base), openKey(base, server)],
  request: JSON.stringify({ server, leaving })
})

/** Of the reservations of a server that died, by id, as they are stored. One that is not understood is dropped. */
export const reap = (
  base: string,
  dead: string,
  left: ReadonlyArray<{ readonly field: string; readonly value: string }>
): Question => {
  const keys = [serversKey(base), openKey(base, dead), daysKey(base)]
  const places = new Map<string, number>()
  const place = (key: string) => {
    const known = places.get(key)
    if (known !== undefined) return known
    places.set(key, keys.push(key))
    return keys.length
  }
  const entries = left.map(({ field: id, value: record }) => {
    const decoded = Option.getOrUndefined(decodeRecord(record))
    return decoded === undefined ? { id, record } : {
      id,
      record,
      usage: place(usageKey(base, decoded.day)),
      done: place(doneKey(base, id)),
      running: decoded.running.map((bound) => place(`${base}running:${bound}`)),
      totals: decoded.more.tokens === 0 && decoded.more.cost === 0
        ? []
        : decoded.bounds.flatMap((bound) =>
          [decoded.day, decoded.day.slice(0, 7)].map((period) => place(totalKey(base, period, bound)))
        )
    }
  })
  return { keys, request: JSON.stringify({ dead, entries }) }
}

export const probe = (base: string): Question => ({ keys: [`${base}probe`], request: "" })

export const serversKey = (base: string): string => `${base}servers`
export const openKey = (base: string, server: string): string => `${base}open:${server}`
export const daysKey = (base: string): string => `${base}days`
export const usageKey = (base: string, day: string): string => `${base}usage:${day}`

/** What a field of a day's usage counts: subject, tenant, model, and the name of the count. */
export const field = ({ model, subject, tenant }: Booking, count: string): string =>
  JSON.stringify([subject, tenant, model, count])

// -- internals ---------------------------------------------------------------

const nothing: Charge = { tokens: 0, cost: 0 }

const plain = (text: string): string => JSON.stringify(text).slice(1, -1)

const daySeconds = 86_400

const doneKey = (base: string, id: string) => `${base}done:${id}`

const totalKey = (base: string, period: string, bound: string) => `${base}total:${period}:${bound}`

/** What is booked for the call if its server dies, and how much more, or less, than what was set aside. */
const record = (owner: Owner, { ask, rows, spent }: Progress): string =>
  JSON.stringify({
    ...booked(owner, ask)(rows),
    running: ask.bounds.filter(({ limits }) => limits.maxConcurrentRequests !== undefined).map(({ key }) => plain(key)),
    bounds: ask.bounds.map(({ key }) => plain(key)),
    more: { tokens: spent.tokens - ask.tokens, cost: spent.cost - ask.cost }
  })

const OpenCall = Schema.parseJson(Schema.Struct({
  day: Schema.String,
  running: Schema.Array(Schema.String),
  bounds: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  more: Schema.optionalWith(Schema.Struct({ tokens: Schema.Number, cost: Schema.Number }), {
    default: () => ({ tokens: 0, cost: 0 })
  })
}))
const decodeRecord = Schema.decodeUnknownOption(OpenCall)

const question = ({ base, server }: Owner, ask: Ask, rest: object): Question => {
  const [day, month, id] = [Periods.dayOf(ask.at), Periods.monthOf(ask.at), plain(ask.id)]
  const ofCall: Record<typeof callKeys[number], string> = {
    servers: serversKey(base),
    open: openKey(base, server),
    done: doneKey(base, id),
    days: daysKey(base),
    usage: usageKey(base, day)
  }
  const ofBound = (bound: string): Record<typeof boundKeys[number], string> => ({
    day: totalKey(base, day, bound),
    month: totalKey(base, month, bound),
    running: `${base}running:${bound}`,
    rpm: `${base}rpm:${bound}`,
    tpm: `${base}tpm:${bound}`,
    sum: `${base}tpm-sum:${bound}`
  })
  return {
    keys: [
      ...callKeys.map((name) => ofCall[name]),
      ...ask.bounds.flatMap(({ key }) => {
        const all = ofBound(plain(key))
        return boundKeys.map((name) => all[name])
      })
    ],
    request: JSON.stringify({
      server,
      id,
      tokens: ask.tokens,
      cost: ask.cost,
      lives: [2 * daySeconds, 62 * daySeconds],
      bounds: ask.bounds.map(boundOf(ask)),
      ...rest
    })
  }
}

const boundOf = (ask: Ask) => ({ limits }: Bound) => ({
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
    ? { period: "month", wait: Periods.nextMonth(at) - at }
    : { period: "day", wait: Periods.nextDay(at) - at }
  return type.startsWith("usd")
    ? [{ type, ...period, of: "cost", take: cost, most: Cost.fromUsd(limit) }]
    : [{ type, ...period, of: "tokens", take: tokens, most: limit }]
}

const booked = ({ keep }: Owner, { at }: Ask) => (rows: ReadonlyArray<Booking>) => ({
  day: Periods.dayOf(at),
  keep,
  counts: rows.flatMap((row) => countNames.flatMap((name) => row[name] === 0 ? [] : [[field(row, name), row[name]]]))
})

const countNames = Object.keys(noCounts) as ReadonlyArray<keyof typeof noCounts>
