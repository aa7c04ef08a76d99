/**
 * What a store of limits must answer, in the plainest words: it remembers every
 * call and counts them all anew each time. Slow, and without a corner to hide in.
 */
import { fromUsd } from "../../src/domain/Cost.js"
import { dayOf, monthOf, nextDay, nextMonth } from "../../src/limits/Periods.js"
import type { Ask, Bound, Charge } from "../../src/limits/Store.js"

export interface Refused {
  readonly key: string
  readonly type: string
  readonly retryAfterMs: number
}

/** The limits of a key are the same in all asks. */
export const make = () => {
  const calls: Array<{ readonly ask: Ask; readonly at: number; charges: ReadonlyArray<Charge> | undefined }> = []

  /** Of each call with that bound: when it began, and what it counts, of what it was charged or had asked for. */
  const counted = (bound: Bound) =>
    calls.flatMap((call) => {
      const index = call.ask.bounds.findIndex(({ key }) => key === bound.key)
      return index < 0 ? [] : [{ ...call, charge: call.charges?.[index] }]
    })

  const quota = (ask: Ask, bound: Bound, now: number): Refused | undefined => {
    const { limits } = bound
    for (
      const [type, limit, of, period, next] of [
        ["tokens_per_month", limits.maxTokensPerMonth, "tokens", monthOf, nextMonth],
        ["usd_per_month", limits.maxUsdPerMonth, "cost", monthOf, nextMonth],
        ["tokens_per_day", limits.maxTokensPerDay, "tokens", dayOf, nextDay],
        ["usd_per_day", limits.maxUsdPerDay, "cost", dayOf, nextDay]
      ] as const
    ) {
      if (limit === undefined) continue
      const used = counted(bound)
        .filter((call) => period(call.ask.at) === period(ask.at))
        .reduce((sum, { ask, charge }) => sum + (charge ?? ask)[of], 0)
      if (used + ask[of] > (of === "cost" ? fromUsd(limit) : limit)) {
        return { key: bound.key, type, retryAfterMs: next(ask.at) - now }
      }
    }
    return undefined
  }

  const rate = (ask: Ask, bound: Bound, now: number): Refused | undefined => {
    const { limits: { maxConcurrentRequests, maxRequestsPerMinute, maxTokensPerMinute }, key } = bound
    const before = counted(bound)
    if (before.filter(({ charges }) => charges === undefined).length >= (maxConcurrentRequests ?? Infinity)) {
      return { key, type: "concurrency", retryAfterMs: 1000 }
    }
    /** The first moment at which `passes`: one at which something leaves the window. */
    const wait = (passes: (recent: typeof before) => boolean) =>
      [now, ...before.map(({ at }) => at + 60_000).filter((end) => end > now)].sort((a, b) => a - b)
        .find((moment) => passes(before.filter(({ at }) => at > moment - 60_000)))! - now
    const requests = maxRequestsPerMinute ?? Infinity
    const forRequests = wait((recent) => recent.length < requests)
    if (forRequests > 0) return { key, type: "rpm", retryAfterMs: forRequests }
    const tokens = maxTokensPerMinute ?? Infinity
    const forTokens = wait((recent) =>
      recent.reduce((sum, { ask, charge }) => sum + (charge?.tokens ?? Math.min(ask.tokens, tokens)), 0)
          + Math.min(ask.tokens, tokens) <= tokens
    )
    return forTokens > 0 ? { key, type: "tpm", retryAfterMs: forTokens } : undefined
  }

  return {
    reserve: (ask: Ask, now: number): Refused | undefined => {
      for (const check of [quota, rate]) {
        for (const bound of ask.bounds) {
          const refused = check(ask, bound, now)
          if (refused !== undefined) return refused
        }
      }
      calls.push({ ask, at: now, charges: undefined })
      return undefined
    },
    settle: (ask: Ask, charges: ReadonlyArray<Charge>) => {
      for (const call of calls) if (call.ask.id === ask.id) call.charges ??= charges
    }
  }
}
