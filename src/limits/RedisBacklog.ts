/**
 * What waits to be written until Redis is back: in order, in memory, and no more
 * than is allowed; then the oldest are lost, which is told once.
 */
import { Effect } from "effect"
import type { Failed } from "./RedisConnection.js"

export interface Backlog<Request> {
  readonly add: (request: Request) => Effect.Effect<void>
  /** Writes the oldest ones; says whether there are more and it is worth to go on. Not to be called twice at a time. */
  readonly write: (write: (request: Request) => Effect.Effect<unknown, Failed>) => Effect.Effect<boolean>
  /** Completes when nothing waits. */
  readonly empty: Effect.Effect<void>
  /** Tells what is lost with the end of the process. */
  readonly close: Effect.Effect<void>
}

/** About 150 MB of them. */
export const mostWaiting = 100_000

export const make = <Request>(most: number = mostWaiting): Backlog<Request> => {
  const waiting = new Set<{ readonly request: Request }>()
  const empty = Effect.unsafeMakeLatch(true)
  let told = false

  const add: Backlog<Request>["add"] = (request) =>
    Effect.suspend(() => {
      waiting.add({ request })
      empty.unsafeClose()
      const [oldest] = waiting.size > most ? waiting : []
      if (oldest === undefined) return Effect.void
      waiting.delete(oldest)
      if (told) return Effect.void
      told = true
      return Effect.annotateLogs(Effect.logWarning("too much usage waits for Redis; the oldest is lost"), { most })
    })

  const write: Backlog<Request>["write"] = (write) =>
    Effect.gen(function*() {
      const failures = yield* Effect.forEach(first(waiting, atOnce), (item) =>
        write(item.request).pipe(
          Effect.as(0),
          Effect.catchAll((failed) => failed.when === "refused" ? Effect.as(lost(failed), 0) : Effect.succeed(1)),
          Effect.tap((failures) => Effect.sync(() => failures === 0 && waiting.delete(item)))
        ), { concurrency: "unbounded" })
      if (waiting.size > 0) return failures.every((failed) => failed === 0)
      told = false
      empty.unsafeOpen()
      return false
    })

  const close = Effect.suspend(() =>
    waiting.size === 0
      ? Effect.void
      : Effect.annotateLogs(Effect.logWarning("usage is lost that Redis could not be told"), { calls: waiting.size })
  )

  return { add, write, empty: empty.await, close }
}

/** To try it again would not help. */
export const lost = ({ reason }: Failed): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError("usage of a call is lost: Redis refused it"), { reason })

// -- internals ---------------------------------------------------------------

/** A few milliseconds of Redis. */
const atOnce = 200

const first = <A>(all: Iterable<A>, count: number): Array<A> => {
  const found = new Array<A>()
  for (const one of all) {
    if (found.length === count) break
    found.push(one)
  }
  return found
}
