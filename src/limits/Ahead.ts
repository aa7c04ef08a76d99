/**
 * What is counted in memory, ahead of the file, so that not every call costs a
 * transaction.
 *
 * A call without quotas is written down a moment later, as is every settlement.
 * Of a quota that has much room left, some is set aside in the file for the next
 * calls of this process, which then take from that. So other processes never see
 * more room than there is, and a process that dies leaves too little room, never
 * too much: at most a 64th of what was left.
 */
import type { Ledger, Pending } from "./Ledger.js"
import * as LedgerFile from "./LedgerFile.js"
import * as Quotas from "./Quotas.js"
import type { Ask, Bound, Charge, Refusal, Settlement } from "./Store.js"

export interface Settled {
  readonly ask: Ask
  readonly settlement: Settlement
}

/** Synchronous; what it throws is SQLite's, and then nothing of it was done. */
export interface Ahead {
  /** Takes it without a look into the file; false where that is not possible, which says nothing about its limits. */
  readonly take: (ask: Ask, now: number) => boolean
  /** As that of the ledger; what waits to be written has been written. */
  readonly refusal: (ask: Ask, now: number) => Refusal | undefined
  /** As that of the ledger; what waits to be written has been written. */
  readonly reserve: (ask: Ask, now: number) => Refusal | undefined
  /** Is written later. */
  readonly settle: (settled: Settled) => void
  /** How much waits to be written. */
  readonly waiting: () => number
  /** Writes all that waits, and yields why what cannot be written in any case was left out. */
  readonly write: () => ReadonlyArray<unknown>
  /** What was set aside and not touched since the last time is free again; with `all`, everything. */
  readonly free: (all?: boolean) => void
  /** Hands over the settlements that wait, of what is reserved in the file. */
  readonly handOver: () => ReadonlyArray<Settled>
}

export const make = (ledger: Ledger): Ahead => {
  /** Not in the file yet. */
  const fresh = new Map<string, { readonly ask: Ask; settlement: Settlement | undefined }>()
  let settled: Array<Settled> = []
  /** By period and key. */
  const allowances = new Map<string, Allowance>()

  const allowanceOf = (bound: Bound, period: string) => allowances.get(`${period} ${bound.key}`)
  const left = (key: string, period: string) => allowances.get(`${period} ${key}`)?.left ?? nothing

  /** What was taken of it since, the calls themselves are booked for. */
  const taken = () =>
    [...allowances.values()].flatMap(({ inFile, key, left, period }) =>
      left.tokens === inFile.tokens && left.cost === inFile.cost
        ? []
        : [[key, period, left.tokens - inFile.tokens, left.cost - inFile.cost] as const]
    )

  const write = (more: Pending["totals"] = []) => {
    const totals = [...taken(), ...more]
    if (fresh.size === 0 && settled.length === 0 && totals.length === 0) return
    ledger.write({ fresh: fresh.values(), settled, totals })
    for (const allowance of allowances.values()) allowance.inFile = allowance.left
    fresh.clear()
    settled = []
  }

  /** One that cannot be written must not stop the others. */
  const writeSingly = (): ReadonlyArray<unknown> => {
    const causes: Array<unknown> = []
    const tryTo = (pending: Partial<Pending>) => {
      try {
        ledger.write({ fresh: [], settled: [], totals: [], ...pending })
      } catch (cause) {
        if (!LedgerFile.isHopeless(cause)) throw cause
        causes.push(cause)
      }
    }
    for (const [id, own] of fresh) {
      tryTo({ fresh: [own] })
      fresh.delete(id)
    }
    for (let one = settled[0]; one !== undefined; one = settled[0]) {
      tryTo({ settled: [one] })
      settled.shift()
    }
    write()
    return causes
  }

  /** Of every quota of the call, as much as `calls` like it need; nothing when that is too much for one. */
  const setAside = (ask: Ask, now: number, used: (key: string, period: string) => Charge): ReadonlyArray<Allowance> => {
    const limited = limitedOf(ask)
    let calls = most
    for (const { bound, period, span } of limited) {
      const known = allowanceOf(bound, span)
      calls = Math.min(calls, known !== undefined && now - known.at < 1000 ? known.calls * 2 : least)
      const [limit, before] = [Quotas.limitsOf(bound, period), used(bound.key, span)]
      for (const what of ["tokens", "cost"] as const) {
        if (ask[what] > 0) {
          calls = Math.min(calls, Math.floor((limit[what] - before[what] - ask[what]) / share / ask[what]))
        }
      }
    }
    const enough = calls >= few ? calls : 0
    return limited.map(({ bound, period, span }) => {
      const amount = { tokens: enough * ask.tokens, cost: enough * ask.cost }
      const limit = Quotas.limitsOf(bound, period)
      const before = used(bound.key, span)
      const room = {
        tokens: limit.tokens - before.tokens - ask.tokens - amount.tokens,
        cost: limit.cost - before.cost - ask.cost - amount.cost
      }
      return {
        key: bound.key,
        period: span,
        limit,
        calls: enough,
        at: now,
        inFile: amount,
        left: amount,
        room,
        touched: true
      }
    })
  }

  /** Nobody knew beforehand what was used above what was reserved. */
  const exceed = (ask: Ask, { charges }: Settlement) => {
    for (const [index, bound] of ask.bounds.entries()) {
      const more = charges[index] ?? ask
      if (more.tokens <= ask.tokens && more.cost <= ask.cost) continue
      for (const period of Quotas.periods) {
        const found = allowanceOf(bound, period.of(ask.at))
        if (found === undefined) continue
        found.room = {
          tokens: found.room.tokens - Math.max(0, more.tokens - ask.tokens),
          cost: found.room.cost - Math.max(0, more.cost - ask.cost)
        }
      }
    }
  }

  return {
    take: (ask, now) => {
      if (!ledger.isLeased(now)) return false
      const own: Array<Allowance> = []
      for (const bound of ask.bounds) {
        for (const period of Quotas.periods) {
          if (!Quotas.isLimited(bound, period)) continue
          const found = allowanceOf(bound, period.of(ask.at))
          if (found === undefined || found.left.tokens < ask.tokens || found.left.cost < ask.cost) return false
          if (found.room.tokens < 0 || found.room.cost < 0) return false
          const limit = Quotas.limitsOf(bound, period)
          if (found.limit.tokens !== limit.tokens || found.limit.cost !== limit.cost) return false
          own.push(found)
        }
      }
      for (const allowance of own) {
        allowance.touched = true
        allowance.left = { tokens: allowance.left.tokens - ask.tokens, cost: allowance.left.cost - ask.cost }
      }
      fresh.set(ask.id, { ask, settlement: undefined })
      return true
    },
    refusal: (ask, now) => ledger.refusal(ask, now, { left }),
    reserve: (ask, now) => {
      let next: ReadonlyArray<Allowance> = []
      const refused = ledger.reserve(ask, now, {
        left,
        also: (used) => {
          next = setAside(ask, now, used)
          return next.map(({ key, left: { cost, tokens }, period }) => {
            const before = left(key, period)
            return [key, period, tokens - before.tokens, cost - before.cost]
          })
        }
      })
      for (const allowance of next) {
        const id = `${allowance.period} ${allowance.key}`
        const { inFile, left } = allowances.get(id) ?? unset
        // What was taken before, and is not written yet, is still to be.
        allowance.inFile = {
          tokens: inFile.tokens - left.tokens + allowance.left.tokens,
          cost: inFile.cost - left.cost + allowance.left.cost
        }
        allowances.set(id, allowance)
      }
      return refused
    },
    settle: ({ ask, settlement }) => {
      if (allowances.size > 0) exceed(ask, settlement)
      const own = fresh.get(ask.id)
      if (own === undefined) settled.push({ ask, settlement })
      else own.settlement ??= settlement
    },
    waiting: () => fresh.size + settled.length,
    write: () => {
      try {
        write()
        return []
      } catch (cause) {
        if (!LedgerFile.isHopeless(cause)) throw cause
        return writeSingly()
      }
    },
    free: (all = false) => {
      const idle = [...allowances].filter(([, { touched }]) => all || !touched)
      write(idle.map(([, { key, left: { cost, tokens }, period }]) => [key, period, -tokens, -cost]))
      for (const [id] of idle) allowances.delete(id)
      for (const allowance of allowances.values()) allowance.touched = false
    },
    handOver: () => {
      const given = settled
      settled = []
      return given
    }
  }
}

// -- internals ---------------------------------------------------------------

/** What is set aside of a quota. */
interface Allowance {
  readonly key: string
  readonly period: string
  /** The quota that it is of. */
  readonly limit: Charge
  /** For how many calls, and when. */
  readonly calls: number
  readonly at: number
  /** As the file has it, in the total. */
  inFile: Charge
  /** What nobody has taken. */
  left: Charge
  /** What calls may use above what was reserved for them, before the quota itself is used up. */
  room: Charge
  /** Since the idle ones were freed. */
  touched: boolean
}

const nothing: Charge = { tokens: 0, cost: 0 }

const unset = { inFile: nothing, left: nothing }

/** Calls that something is set aside for: at first, and, when they come faster and faster, at most. */
const least = 16
const most = 1024

/** For fewer it is not worth it. */
const few = 4

/** Of what is left, at most one part of so many is set aside. */
const share = 64

const limitedOf = (ask: Ask) =>
  ask.bounds.flatMap((bound) =>
    Quotas.periods.filter((period) => Quotas.isLimited(bound, period)).map((period) => ({
      bound,
      period,
      span: period.of(ask.at)
    }))
  )
