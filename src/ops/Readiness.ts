/**
 * Whether calls should be sent to this server, and if not, why.
 *
 * An answer takes at most two seconds.
 */
import { Data, Duration, Effect } from "effect"

/** What is not ready; the reasons are safe to show to anybody. */
export class NotReady extends Data.TaggedError("NotReady")<{
  readonly checks: ReadonlyArray<{ readonly name: string; readonly reason: string }>
}> {
  override get message() {
    return this.checks.map(({ name, reason }) => `${name}: ${reason}`).join("; ")
  }
}

/** Fails with a sentence that is safe to show to anybody. */
export type Check = Effect.Effect<void, { readonly message: string }>

/** All at once; fails with every check that does. */
export const all = (checks: { readonly [name: string]: Check }): Effect.Effect<void, NotReady> =>
  Effect.forEach(
    Object.entries(checks),
    ([name, check]) =>
      bounded(check).pipe(
        Effect.as([]),
        Effect.catchAll(({ message }) => Effect.succeed([{ name, reason: message }]))
      ),
    { concurrency: "unbounded" }
  ).pipe(Effect.flatMap((failed) => failed.flat().length === 0 ? Effect.void : new NotReady({ checks: failed.flat() })))

/** One that does not answer within two seconds has failed; so has one with a defect, which is logged. */
export const bounded = <E extends { readonly message: string }>(
  check: Effect.Effect<void, E>
): Effect.Effect<void, { readonly message: string }> =>
  check.pipe(
    Effect.timeoutFail({ duration: patience, onTimeout: () => ({ message: "no answer within 2 seconds" }) }),
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(Effect.logError("a check of readiness failed by a defect", defect), Effect.fail(broken))
    )
  )

/** Closed at first, then open, then closed for good. */
export interface Gate {
  readonly open: Effect.Effect<void>
  readonly close: Effect.Effect<void>
  readonly check: Check
}

/** Of a server that takes no calls yet, takes them, and takes no more. */
export const gate: Effect.Effect<Gate> = Effect.sync(() => {
  let closed: string | undefined = "the server is starting"
  const set = (to: string | undefined) =>
    Effect.sync(() => {
      if (closed !== stopping) closed = to
    })
  return {
    open: set(undefined),
    close: set(stopping),
    check: Effect.suspend(() => closed === undefined ? Effect.void : Effect.fail({ message: closed }))
  }
})

// -- internals ---------------------------------------------------------------

const patience = Duration.seconds(2)

const broken = { message: "the check itself failed; the log has the cause" }

const stopping = "the server is stopping"
