/**
 * Whether and when a failed call to a provider is worth another.
 *
 * Exponential backoff with full jitter; a provider that says how long to wait
 * is believed. No wait outlives the caller's deadline.
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
import { Clock, Duration, Effect, Random } from "effect"
import type { ProviderFailure } from "../domain/Errors.js"

/** The longest wait before the first retry, in milliseconds; it doubles with each. */
const base = 250
/** Nobody waits longer than this for a provider, in milliseconds, whatever it asks for. */
const longest = 20_000

/** A provider that refused the request would refuse it again. */
export const isWorthIt = (failure: ProviderFailure): boolean => failure.reason !== "PROVIDER_REJECTED"

/**
 * How long to wait before retry number `retry` (1 is the first); undefined when
 * it is not worth it, or would come too late. `deadline` is milliseconds since the epoch.
 */
export const wait = (
  failure: ProviderFailure,
  retry: number,
  deadline: number
): Effect.Effect<Duration.Duration | undefined> =>
  Effect.gen(function*() {
    if (!isWorthIt(failure)) return undefined
    const asked = failure.retryAfter === undefined ? undefined : Duration.toMillis(failure.retryAfter)
    const millis = asked ?? (yield* Random.nextRange(0, Math.min(longest, base * 2 ** (retry - 1))))
    const now = yield* Clock.currentTimeMillis
    return millis > longest || now + millis >= deadline ? undefined : Duration.millis(millis)
  })
