/**
 * Requests that cost no model: a caller has as many of them per minute as of
 * those that do, counted apart.
 */
import { Effect } from "effect"
import { unlimited } from "../domain/Limits.js"
import * as Rates from "./Rates.js"
import type { Bound, Refusal } from "./Store.js"

/** What refuses one more request now, if anything; else it is counted. */
export type Inform = (bounds: ReadonlyArray<Bound>) => Effect.Effect<Refusal | undefined>

/** In the memory of this process. */
export const make = (): Inform => {
  const rates = Rates.make()
  return (bounds) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const now = clock.unsafeCurrentTimeMillis()
        const ask = {
          id: "",
          at: now,
          bounds: bounds.map((bound) => ({
            ...bound,
            limits: { ...unlimited, maxRequestsPerMinute: bound.limits.maxRequestsPerMinute }
          })),
          tokens: 0,
          cost: 0,
          account: { subject: "", tenant: "", model: "" }
        }
        const refusal = rates.refusal(ask, now)
        if (refusal !== undefined) return refusal
        rates.take(ask, now)
        rates.settle(ask, [], now)
        return undefined
      })
    )
}
