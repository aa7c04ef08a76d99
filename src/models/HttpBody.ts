/**
 * The response of a provider as an interruptible pull of bytes.
 *
 * Closing the scope, or interrupting the opening or a read, closes the
 * provider's socket at once: the request is aborted, and nobody waits for a
 * stalled read to give up. Only a body whose end was reached, or is no longer
 * of interest, leaves its connection open for the next request.
 */
import { type Clock, Data, Effect, Exit, Scope } from "effect"
import * as Reply from "./Reply.js"
import { type Limit, TooLate } from "./Timeouts.js"

export interface HttpBody {
  readonly reply: Reply.Reply
  readonly clock: Clock.Clock
  /** When the request was made, in milliseconds since the epoch. */
  readonly startedAt: number
  /** All bytes that are here, or the next ones; undefined at the end of the body. A body that is silent for `patience` is given up. */
  readonly read: (patience: Patience) => Effect.Effect<Uint8Array | undefined, BodyFailed>
  /** The rest of the body as UTF-8, which must be there within `total` milliseconds of the request. */
  readonly text: (total: number) => Effect.Effect<string, BodyFailed>
  /** Says that the answer is complete and the rest of the body does not matter. Nothing may be read after it. */
  readonly finish: () => void
}

/** What `request` or the body threw; the vendor's files know what it means. */
export class BodyFailed extends Data.TaggedError("BodyFailed")<{ readonly cause: unknown }> {}

/** How long to wait, in milliseconds, and by which of the limits. */
export interface Patience {
  readonly millis: number
  readonly limit: Limit
}

/** `request` must hand the signal to `Transport.fetch`; the head of its response must come within `patience`. */
export const open = (
  request: (signal: AbortSignal) => Promise<Response>,
  patience: Patience
): Effect.Effect<HttpBody, BodyFailed, Scope.Scope> =>
  Effect.flatMap(Effect.zip(Effect.scope, Effect.clock), ([scope, clock]) => {
    const startedAt = clock.unsafeCurrentTimeMillis()
    const controller = new AbortController()
    let state: "reading" | "finishing" | "ended" = "reading"

    const release = Effect.sync(() => {
      if (state === "reading") controller.abort()
      else if (state === "finishing") later(() => state === "ended" ? undefined : controller.abort())
    })

    /** A timer that is cleared costs a fraction of an Effect that is raced, and this runs for every read. */
    const within = <A>({ limit, millis }: Patience, work: (done: (exit: Exit.Exit<A, BodyFailed>) => void) => void) =>
      Effect.async<A, BodyFailed>((resume) => {
        const timer = setTimeout(() => {
          resume(new BodyFailed({ cause: new TooLate({ limit }) }))
          controller.abort()
        }, millis)
        work((exit) => {
          clearTimeout(timer)
          resume(exit)
        })
        return Effect.sync(() => {
          clearTimeout(timer)
          controller.abort()
        })
      })
    const awaiting = <A>(patience: Patience, work: () => Promise<A>) =>
      within<A>(patience, (done) =>
        void work().then(
          (result) => done(Exit.succeed(result)),
          (cause: unknown) => done(Exit.fail(new BodyFailed({ cause })))
        ))

    const body = (response: Response): HttpBody => {
      const reply = Reply.of(response)
      /** Undefined while there is nothing to read. */
      const ready = (): Exit.Exit<Uint8Array | undefined, BodyFailed> | undefined => {
        try {
          const bytes = reply.take()
          if (bytes !== undefined) return Exit.succeed(bytes)
        } catch (cause) {
          return Exit.fail(new BodyFailed({ cause }))
        }
        if (!reply.isOver) return undefined
        state = "ended"
        return ended
      }
      const read = (patience: Patience) =>
        Effect.suspend(() =>
          ready() ?? within<Uint8Array | undefined>(patience, (done) => {
            const tell = () => {
              const now = ready()
              if (now === undefined) reply.wait(tell)
              else done(now)
            }
            reply.wait(tell)
          })
        )
      const text = (total: number) =>
        Effect.suspend(() => {
          const millis = Math.max(0, startedAt + total - clock.unsafeCurrentTimeMillis())
          return awaiting({ millis, limit: "total" }, async () => {
            const text = await reply.text()
            state = "ended"
            return text
          })
        })
      const finish = (): void => {
        state = "finishing"
        // The connection is free only after the last byte.
        const drain = (): void => {
          if (ready() === undefined) reply.wait(drain)
          else if (reply.isOver) state = "ended"
          else drain()
        }
        drain()
      }
      return { reply, clock, startedAt, read, text, finish }
    }

    // What is acquired is the controller and not the response: an acquisition cannot be interrupted.
    return Effect.zipRight(
      Scope.addFinalizer(scope, release),
      Effect.map(awaiting(patience, () => request(controller.signal)), body)
    )
  })

/** The whole body as UTF-8, which must be there within `patience`. */
export const whole = (
  request: (signal: AbortSignal) => Promise<Response>,
  { limit, millis }: Patience
): Effect.Effect<string, BodyFailed> =>
  Effect.async((resume) => {
    const controller = new AbortController()
    const fail = (cause: unknown) => {
      clearTimeout(timer)
      resume(new BodyFailed({ cause }))
      controller.abort()
    }
    const timer = setTimeout(() => fail(new TooLate({ limit })), millis)
    void request(controller.signal)
      .then((response) => Reply.of(response).text())
      .then((text) => {
        clearTimeout(timer)
        resume(Effect.succeed(text))
      }, fail)
    return Effect.sync(() => {
      clearTimeout(timer)
      controller.abort()
    })
  })

// -- internals ---------------------------------------------------------------

/** How long the last bytes of a finished answer may take, in milliseconds. */
const lastBytesMs = 1000

const ended = Exit.succeed(undefined)

/** Not an `Effect.sleep`: the call is over, and must not wait for this. */
const later = (action: () => void): void => {
  setTimeout(action, lastBytesMs).unref()
}
