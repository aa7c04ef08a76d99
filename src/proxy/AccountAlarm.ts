/**
 * Makes it known that a provider refuses this server's account: its key, its credit or its rights there.
 *
 * Calls go on to their fallbacks, so that callers may see nothing of it. Each refusal is counted; the log warns at most
 * once a minute for each provider and cause.
 */
import { Clock, Effect } from "effect"
import type { ProviderFailure } from "../domain/Errors.js"
import * as Metrics from "../telemetry/Metrics.js"

/** Only of failures of the account; `model` is `provider/model`. */
export type AccountAlarm = (failure: ProviderFailure, model: string) => Effect.Effect<void>

export const make = (): AccountAlarm => {
  /** By provider and cause, both from bounded sets: when it was warned of, in milliseconds since the epoch. */
  const warned = new Map<string, number>()
  return (failure, model) => {
    const { account, provider } = failure
    if (account === undefined) return Effect.void
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const key = `${provider} ${account}`
      const counted = Effect.zipRight(
        Metrics.accountFailures([provider, account]),
        Metrics.accountFailedAt([provider, account], now / 1000)
      )
      if (now - (warned.get(key) ?? -Infinity) < quietMillis) return counted
      warned.set(key, now)
      const text = `${failure.summary} ${remedies[account]}`
      return Effect.zipRight(counted, Effect.annotateLogs(Effect.logWarning(text), { model, account }))
    })
  }
}

// -- internals ---------------------------------------------------------------

const quietMillis = 60_000

/** For the operator. */
const remedies: Record<NonNullable<ProviderFailure["account"]>, string> = {
  key: "Check its api_key.",
  credit: "Check its billing and quota.",
  access: "Check what its account may do, and from where."
}
