/**
 * Quotas of days and months: which a bound has, and which of them refuses a call.
 */
import { fromUsd } from "../domain/Cost.js"
import type { LimitType } from "../domain/LimitErrors.js"
import { dayOf, monthOf, nextDay, nextMonth } from "./Periods.js"
import type { Ask, Bound, Charge, Counted, Refusal } from "./Store.js"

/** Of two that refuse, the one that does so for longer comes first. */
export const periods: ReadonlyArray<Period> = [
  {
    of: monthOf,
    next: nextMonth,
    tokens: { type: "tokens_per_month", limit: "maxTokensPerMonth" },
    cost: { type: "usd_per_month", limit: "maxUsdPerMonth" }
  },
  {
    of: dayOf,
    next: nextDay,
    tokens: { type: "tokens_per_day", limit: "maxTokensPerDay" },
    cost: { type: "usd_per_day", limit: "maxUsdPerDay" }
  }
]

export interface Period {
  readonly of: (at: number) => string
  readonly next: (at: number) => number
  readonly tokens: Quota
  readonly cost: Quota
}

interface Quota {
  readonly type: LimitType
  readonly limit: keyof Counted
}

export const isLimited = ({ limits }: Bound, { cost, tokens }: Period): boolean =>
  limits[tokens.limit] !== undefined || limits[cost.limit] !== undefined

export const hasQuotas = (bounds: ReadonlyArray<Bound>): boolean =>
  bounds.some((bound) => periods.some((period) => isLimited(bound, period)))

/** A quota that is set later must know what was used before; of tokens there are too many for that. */
export const isKept = (bound: Bound): boolean =>
  bound.scope !== "token" || periods.some((period) => isLimited(bound, period))

/** Infinite where there is none; `cost` in billionths of a US dollar. */
export const limitsOf = ({ limits }: Bound, { cost, tokens }: Period): Charge => ({
  tokens: limits[tokens.limit] ?? Infinity,
  cost: fromUsd(limits[cost.limit] ?? Infinity)
})

/** `used` is what was used of a bound in a period so far. */
export const refusalOf = (
  ask: Ask,
  now: number,
  used: (key: string, period: string) => Charge
): Refusal | undefined => {
  for (const bound of ask.bounds) {
    for (const period of periods) {
      if (!isLimited(bound, period)) continue
      const before = used(bound.key, period.of(ask.at))
      const limits = limitsOf(bound, period)
      const retryAfterMs = Math.max(1, period.next(ask.at) - now)
      if (before.tokens + ask.tokens > limits.tokens) return { bound, type: period.tokens.type, retryAfterMs }
      if (before.cost + ask.cost > limits.cost) return { bound, type: period.cost.type, retryAfterMs }
    }
  }
  return undefined
}
