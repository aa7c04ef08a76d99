/**
 * Refusals as the audit log gets them: each one, unless they are so many that
 * they would push out everything else.
 *
 * Anybody can be refused as often as the network allows. Refusals without a
 * good signature say nothing of who it was but an address, so beyond a few a
 * second they are counted.
 */
import { Clock, Effect } from "effect"
import type { Audit } from "../audit/Audit.js"
import type { Event } from "../audit/Event.js"

type Refused = Extract<Event, { readonly event: "token_refused" }>

export interface Refusals {
  readonly record: (event: Refused) => Effect.Effect<void>
  /** Writes down how many were only counted so far. */
  readonly flush: Effect.Effect<void>
}

export const make = (audit: Audit["Type"]): Refusals => {
  let [second, written, counted] = [0, 0, 0]
  const flush = Effect.suspend(() => {
    const count = counted
    counted = 0
    return count === 0 ? Effect.void : audit.record({ event: "tokens_refused", count })
  })
  return {
    record: (event) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (event.subject !== undefined) return audit.record(event)
        const present = Math.floor(now / 1000)
        if (present !== second) [second, written] = [present, 0]
        if (written >= each) {
          counted++
          return Effect.void
        }
        written++
        return Effect.zipRight(flush, audit.record(event))
      }),
    flush
  }
}

// -- internals ---------------------------------------------------------------

/** So many of them a second are written one by one. */
const each = 10
