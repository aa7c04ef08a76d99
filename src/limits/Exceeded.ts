/**
 * A limit that was reached, in words.
 */
import { Duration } from "effect"
import { LimitExceeded } from "../domain/Errors.js"
import type { Bound, Refusal } from "./Store.js"

/** The refusal of a store, as the caller is told. */
export const exceeded = ({ bound, retryAfterMs, type }: Refusal) =>
  new LimitExceeded({
    reason: type === "concurrency"
      ? "CONCURRENCY_LIMITED"
      : type === "rpm" || type === "tpm"
      ? "RATE_LIMITED"
      : "QUOTA_EXCEEDED",
    type,
    scope: bound.scope,
    name: bound.name,
    limit: said(bound, type),
    retryAfter: Duration.millis(retryAfterMs)
  })

// -- internals ---------------------------------------------------------------

const said = ({ limits }: Bound, type: Refusal["type"]): string => {
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
