/**
 * Whether and when a failed call to a provider is worth another.
 *
 * Exponential backoff, of which a random half is waited for at least; no request is
 * made before the time that a provider asks for. No wait outlives the caller's deadline.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
import { Clock, Duration, Effect, Random } from "effect"
import type { ProviderFailure } from "../domain/Errors.js"

/** The longest wait before the first retry, in milliseconds; it doubles with each. */
const base = 250
/** Nobody waits longer than this for a provider, in milliseconds, whatever it asks for. */
const longest = 20_000

/** While another model is left to try, a model gets this many retries, whatever its provider's `maxRetries` allows. */
const maxRetriesBesideOthers = 1
/** While another model is left to try, a provider that asks for a longer wait than this gives way to it, in milliseconds. */
const maxWaitBesideOthers = 1000

/** An empty answer is billed, too: it is asked for again once. */
const maxRetriesOfEmpty = 1

/**
 * Whether the same provider may answer another request. One that refused the request, or our account, would do so again;
 * what it says itself of another attempt comes first.
 */
export const mayAnswerAgain = ({ account, again, reason }: ProviderFailure): boolean =>
  account === undefined && (again ?? reason !== "PROVIDER_REJECTED")

/** Whether another provider may answer: what our account cannot do at one, it can at another. */
export const mayAnswerElsewhere = ({ account, again, reason }: ProviderFailure): boolean =>
  account !== undefined || again === true || reason !== "PROVIDER_REJECTED"

/** A retry that may follow. */
export interface Next {
  /** 1 is the first. */
  readonly retry: number
  /** How many retries the provider allows. */
  readonly maxRetries: number
  /** Milliseconds since the epoch. */
  readonly deadline: number
  /** Whether another model is left to try: waiting for this one is then worth less. */
  readonly hasOther: boolean
}

/** Why there is no retry, for the log. */
export type NoRetry =
  | "the provider would refuse it again"
  | "no retries are left"
  | "the wait would be too long"
  | "the wait would go beyond the deadline"

/** How long to wait before a retry, or why there is none. */
export const wait = (
  failure: ProviderFailure,
  { deadline, hasOther, maxRetries, retry }: Next
): Effect.Effect<Duration.Duration | NoRetry> =>
  Effect.gen(function*() {
    const allowed = Math.min(
      maxRetries,
      hasOther ? maxRetriesBesideOthers : Infinity,
      failure.reason === "PROVIDER_EMPTY" ? maxRetriesOfEmpty : Infinity
    )
    if (!mayAnswerAgain(failure)) return "the provider would refuse it again"
    if (retry > allowed) return "no retries are left"
    const asked = failure.retryAfter === undefined ? 0 : Duration.toMillis(failure.retryAfter)
    const backoff = Math.min(longest, base * 2 ** (retry - 1))
    const millis = Math.max(asked, yield* Random.nextRange(backoff / 2, backoff))
    const now = yield* Clock.currentTimeMillis
    if (millis > (hasOther ? maxWaitBesideOthers : longest)) return "the wait would be too long"
    return now + millis >= deadline ? "the wait would go beyond the deadline" : Duration.millis(millis)
  })
