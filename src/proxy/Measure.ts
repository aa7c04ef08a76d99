/**
 * What one call used, as its caller is told.
 */
import type { Metrics } from "../domain/Answer.js"
import * as Cost from "../domain/Cost.js"
import type { Attempted } from "../limits/Spending.js"
import * as Estimate from "../streaming/Estimate.js"
import type * as Tiers from "../streaming/Tiers.js"

/** `startedAt` and `now` in milliseconds since the epoch; `characters` of the answer, in UTF-16 code units. */
export const of = (
  startedAt: number,
  { by, retries, usage }: Tiers.End<Tiers.Candidate>,
  characters: number,
  attempts: ReadonlyArray<Attempted>,
  now: number
): Metrics => {
  const { inputTokens, outputTokens } = usage ?? {
    inputTokens: Estimate.tokens(by.request.system.length + by.request.user.length),
    outputTokens: Estimate.tokens(characters)
  }
  const costs = attempts.flatMap(({ cost }) => cost ?? [])
  return {
    _tag: "Metrics",
    durationMs: now - startedAt,
    inputTokens,
    outputTokens,
    estimated: usage === undefined,
    // Of all attempts, as the provider bills them; not known when one of them has no price.
    costUsd: costs.length < attempts.length ? undefined : Cost.toUsd(costs.reduce((sum, cost) => sum + cost, 0)),
    retryCount: retries,
    timestamp: Math.floor(now / 1000)
  }
}
