/**
 * What was used and could not be written yet.
 *
 * It is kept in memory and written in order when the store is back. What is too
 * much to be kept stays reserved, so that it is booked as it was estimated when
 * the server ends.
 */
import { type Cause, Effect } from "effect"
import type { Ask, Settlement, StoreUnavailable } from "./Store.js"

export interface Settled {
  readonly ask: Ask
  readonly settlement: Settlement
}

export interface Backlog {
  /** Writes it, or keeps it. */
  readonly settle: (settled: Settled) => Effect.Effect<void>
  /** Writes all that is kept, until one cannot be written. */
  readonly write: Effect.Effect<void, StoreUnavailable>
}

/** Some 100 MB. */
export const mostKept = 100_000

/** To `book` twice must be to book once. What it dies of is told, and not tried again. */
export const make = (
  book: (settled: Settled) => Effect.Effect<void, StoreUnavailable>,
  most: number = mostKept
): Backlog => {
  const kept = new Set<Settled>()
  let lost = 0

  const tryToBook = (settled: Settled) =>
    Effect.catchAllDefect(book(settled), (defect) => Effect.logError("what a call used cannot be booked", defect))

  const keep = (settled: Settled): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (kept.size < most) {
        kept.add(settled)
        return Effect.void
      }
      lost++
      return lost === 1
        ? Effect.logError(`${most} calls wait to be booked; further ones stay as estimated`)
        : Effect.void
    })

  return {
    settle: (settled) => Effect.catchTag(tryToBook(settled), "StoreUnavailable", () => keep(settled)),
    write: Effect.gen(function*() {
      let written = 0
      for (const settled of kept) {
        yield* tryToBook(settled)
        kept.delete(settled)
        written++
        if (written % batch === 0) yield* nextTurn
      }
      if (lost > 0) yield* Effect.logError(`${lost} calls stay booked as they were estimated`)
      lost = 0
    })
  }
}

/** Tells what fails once, until it works again. */
export const telling = (what: string, annotations: Record<string, string>) => {
  let told = false
  return {
    failed: (cause: Cause.Cause<unknown>) =>
      Effect.suspend(() => {
        if (told) return Effect.void
        told = true
        return Effect.annotateLogs(Effect.logError(`${what} cannot be written; trying again`, cause), annotations)
      }),
    works: Effect.suspend(() => {
      if (!told) return Effect.void
      told = false
      return Effect.annotateLogs(Effect.logInfo(`${what} is written again`), annotations)
    })
  }
}

// -- internals ---------------------------------------------------------------

/** As many as may be written before others have their turn. */
const batch = 100

const nextTurn = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})
