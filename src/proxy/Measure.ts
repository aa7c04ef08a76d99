/**
 * What one call used, as its caller is told.
 */
import type { Metrics } from "../domain/Answer.js"
import * as Cost from "../domain/Cost.js"
import type { Attempted } from "../limits/Spending.js"

/** `startedAt` and `now` in milliseconds since the epoch; `answered` is the attempt that gave the answer. */
export const of = (
  startedAt: number,
  retries: number,
  answered: Attempted | undefined,
  attempts: ReadonlyArray<Attempted>,
  now: number
): Metrics => {
  const { estimated, usage: { inputTokens, outputTokens } } = answered ?? unknown
  const costs = attempts.flatMap(({ cost }) => cost ?? [])
  return {
    _tag: "Metrics",
    durationMs: now - startedAt,
    inputTokens,
    outputTokens,
    estimated,
    // Of all attempts, as the provider bills them; not known when one of them has no price.
    costUsd: costs.length < attempts.length ? undefined : Cost.toUsd(costs.reduce((sum, cost) => sum + cost, 0)),
    retryCount: retries,
    timestamp: Math.floor(now / 1000)
  }
}

// -- internals ---------------------------------------------------------------

const unknown: Pick<Attempted, "estimated" | "usage"> = { estimated: true, usage: { inputTokens: 0, outputTokens: 0 } }
