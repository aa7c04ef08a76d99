/**
 * A limit that was reached, in words.
 */
import { Duration } from "effect"
import { LimitExceeded } from "../domain/Errors.js"
import type { Ask, Bound, Refusal } from "./Store.js"

/** The refusal of a store in the caller's words; `ask` is what was refused, where it sets anything aside. */
export const exceeded = ({ bound, retryAfterMs, type }: Refusal, ask?: Pick<Ask, "tokens" | "cost">) =>
  new LimitExceeded({
    reason: type === "concurrency"
      ? "CONCURRENCY_LIMITED"
      : type === "rpm" || type === "tpm"
      ? "RATE_LIMITED"
      : "QUOTA_EXCEEDED",
    type,
    scope: bound.scope,
    name: bound.name,
    limit: limitOf(bound, type),
    setsAside: ask && setsAside(bound, type, ask),
    retryAfter: Duration.millis(retryAfterMs)
  })

// -- internals ---------------------------------------------------------------

const limitOf = ({ limits }: Bound, type: Refusal["type"]): string => {
  switch (type) {
    case "rpm":
      return `${limits.maxRequestsPerMinute} requests per minute`
    case "tpm":
      return `${limits.maxTokensPerMinute} tokens per minute`
    case "concurrency":
      return `${limits.maxConcurrentRequests} requests at the same time`
    case "tokens_per_day":
      return `${limits.maxTokensPerDay} tokens per day`
    case "tokens_per_month":
      return `${limits.maxTokensPerMonth} tokens per month`
    case "usd_per_day":
      return `${limits.maxUsdPerDay} US dollars per day`
    case "usd_per_month":
      return `${limits.maxUsdPerMonth} US dollars per month`
  }
}

/** Undefined where the request alone is within the limit. */
const setsAside = (
  { limits }: Bound,
  type: Refusal["type"],
  { cost, tokens }: Pick<Ask, "tokens" | "cost">
): string | undefined => {
  const inTokens = (limit: number | undefined) =>
    limit !== undefined && tokens > limit ? `${tokens.toLocaleString("en-US")} tokens` : undefined
  const inDollars = (limit: number | undefined) =>
    limit !== undefined && cost > limit * 1e9 ? `${Number((cost / 1e9).toPrecision(3))} US dollars` : undefined
  switch (type) {
    case "tpm":
      return inTokens(limits.maxTokensPerMinute)
    case "tokens_per_day":
      return inTokens(limits.maxTokensPerDay)
    case "tokens_per_month":
      return inTokens(limits.maxTokensPerMonth)
    case "usd_per_day":
      return inDollars(limits.maxUsdPerDay)
    case "usd_per_month":
      return inDollars(limits.maxUsdPerMonth)
    default:
      return undefined
  }
}
