/**
 * Requests that cost no model. A client asks for versions and models beside each call that does, so there may be four
 * times as many of them per minute, and at least 60; they are counted apart.
 */
import { type Effect, Exit } from "effect"
import { unlimited } from "../domain/Limits.js"
import { actEager, type Moment } from "../effect/Eager.js"
import * as Rates from "./Rates.js"
import type { Bound, Refusal } from "./Store.js"

/** What refuses one more request now, if anything; else it is counted. */
export type Inform = (bounds: ReadonlyArray<Bound>, moment?: Moment) => Effect.Effect<Refusal | undefined>

/** In the memory of this process. */
export const make = (): Inform => {
  const rates = Rates.make()
  /** Calls of one caller have the same. */
  const known = new WeakMap<ReadonlyArray<Bound>, ReadonlyArray<Bound>>()
  const counted = (bounds: ReadonlyArray<Bound>): ReadonlyArray<Bound> => {
    const before = known.get(bounds)
    if (before !== undefined) return before
    const made = bounds.map(({ key, limits: { maxRequestsPerMinute }, name, scope }): Bound => ({
      scope,
      name,
      key,
      limits: Object.assign({}, unlimited, {
        maxRequestsPerMinute: maxRequestsPerMinute === undefined ? undefined : Math.max(60, 4 * maxRequestsPerMinute)
      })
    }))
    known.set(bounds, made)
    return made
  }
  const inform = (bounds: ReadonlyArray<Bound>, { at }: Moment): Refusal | undefined => {
    const ask = {
      id: "",
      at,
      bounds: counted(bounds),
      tokens: 0,
      inputTokens: 0,
      cost: 0,
      account: { subject: "", tenant: "", model: "" }
    }
    const refusal = rates.refusal(ask, at)
    if (refusal !== undefined) return refusal
    rates.take(ask, at)
    rates.settle(ask, [], at)
    return undefined
  }
  return (bounds, moment) => actEager(moment, (moment) => Exit.succeed(inform(bounds, moment)))
}
