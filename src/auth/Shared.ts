/**
 * What several servers know together of revocations and keys.
 *
 * Each offers what its own files say, and hears what the others have offered. Records only grow (see
 * `Revocations.Standing`), so nothing depends on the order in which they are heard.
 */
import { Effect, Stream } from "effect"
import type * as Revocations from "./Revocations.js"

export interface Shared {
  /** All that was heard since the start. */
  readonly records: () => Revocations.Records
  /** Sends what is not known to the others yet, now or when they can be reached again. */
  readonly offer: (records: Revocations.Records) => Effect.Effect<void>
  /** Why it is not known yet what the others refuse; undefined once it was heard, from then on for ever. */
  readonly unknown: () => Unheard | undefined
  /** An element after each change of the records. */
  readonly changes: Stream.Stream<void>
}

export interface Unheard {
  readonly store: string
  readonly cause: string
}

/** Of one server alone. */
export const alone: Shared = {
  records: () => none,
  offer: () => Effect.void,
  unknown: () => undefined,
  changes: Stream.never
}

/** A retired key. */
export const retiredKey = (kid: string): string => `key ${kid}`

/** A key that signs at one of the servers, for a warning at those that do not have it. */
export const signingKey = (kid: string): string => `signs ${kid}`

// -- internals ---------------------------------------------------------------

const none: Revocations.Records = new Map()
