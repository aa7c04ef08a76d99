/**
 * What running calls have used so far, written to their reservations, so that a
 * server that is killed has booked what came and not what was set aside.
 *
 * One periodic write for all of them: a call costs an entry in a map.
 */
import { Effect, type Scope } from "effect"
import * as Spending from "./Spending.js"
import type { Ask, Progress, Store } from "./Store.js"

/** What a call that has shown text may be behind at a kill; a busy machine may need as long again. */
export const interval = "1 second"

interface Running {
  /** Asked at each write. */
  readonly soFar: () => ReadonlyArray<Spending.Attempted>
}

/** The calls that run now, by their reservation. */
export interface Calls {
  readonly add: (ask: Ask, call: Running) => void
  readonly remove: (ask: Ask) => void
}

export const make = (store: Store["Type"]): Effect.Effect<Calls, never, Scope.Scope> =>
  Effect.gen(function*() {
    const running = new Map<Ask, Running>()
    /** Open while there are any. */
    const busy = Effect.unsafeMakeLatch()
    /** Tokens of each that are written. */
    const written = new WeakMap<Ask, number>()

    const write = Effect.gen(function*() {
      const news = [...running].flatMap(([ask, { soFar }]) => {
        const progress = progressOf(ask, soFar())
        return progress === undefined || progress.spent.tokens === written.get(ask) ? [] : [progress]
      })
      for (let from = 0; from < news.length; from += batch) {
        // Those that have ended meanwhile are no news.
        const some = news.slice(from, from + batch).filter(({ ask }) => running.has(ask))
        if (some.length === 0) continue
        yield* store.progress(some)
        for (const { ask, spent } of some) written.set(ask, spent.tokens)
        yield* nextTurn
      }
    })
    // What is not written now is written the next time, with what came since. The store reports its troubles itself.
    yield* Effect.forkScoped(
      busy.await.pipe(
        Effect.zipRight(Effect.sleep(interval)),
        Effect.zipRight(Effect.ignore(write)),
        Effect.zipRight(Effect.sync(() => running.size === 0 && busy.unsafeClose())),
        Effect.forever
      )
    )
    return {
      add: (ask, call) => {
        running.set(ask, call)
        busy.unsafeOpen()
      },
      remove: (ask) => void running.delete(ask)
    }
  })

// -- internals ---------------------------------------------------------------

/** A millisecond or two of a store. */
const batch = 200

const nextTurn = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** Undefined before any text has come: the provider may have done more than can be seen, and what was set aside stands. */
const progressOf = (ask: Ask, attempts: ReadonlyArray<Spending.Attempted>): Progress | undefined => {
  if ((attempts.at(-1)?.usage.outputTokens ?? 0) === 0) return undefined
  let [tokens, cost] = [0, 0]
  for (const attempt of attempts) {
    tokens += attempt.usage.inputTokens + attempt.usage.outputTokens
    cost += attempt.cost ?? 0
  }
  const rows = ask.isFurther === true ? [] : Spending.rows(ask.account, { attempts, succeeded: false })
  return { ask, spent: { tokens, cost }, rows: rows.map((row) => ({ ...row, estimated: row.requests })) }
}
