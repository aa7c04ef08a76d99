/**
 * The response of a provider as an interruptible pull of bytes.
 *
 * Closing the scope, or interrupting the opening, closes the provider's socket
 * at once: the request is aborted, and nobody waits for a stalled read to give
 * up. Only a body whose end was reached, or is no longer
 * of interest, leaves its connection open for the next request.
 */
import { type Clock, Data, Effect, Exit, Scope } from "effect"
import { Abort } from "./Abort.js"
import * as Reply from "./Reply.js"
import { type Limit, TooLate } from "./Timeouts.js"
import * as Watch from "./Watch.js"

export interface HttpBody {
  readonly reply: Reply.Reply
  readonly clock: Clock.Clock
  /** When the request was made, in milliseconds since the epoch. */
  readonly startedAt: number
  /**
   * What `on` makes of all bytes that are here, or of the next ones. A body that is silent for `patience` is given up. What
   * comes within `pause` milliseconds is taken together, unless the body ends before. One may read at a time.
   */
  readonly read: <A, E>(patience: Patience, pause: number, on: OnRead<A, E>) => Effect.Effect<A, E>
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

export interface OnRead<A, E> {
  /** Undefined at the end of the body. */
  readonly bytes: (bytes: Uint8Array | undefined) => Effect.Effect<A, E>
  readonly failed: (failure: BodyFailed) => Effect.Effect<A, E>
}

/** `request` must hand `abort` to the transport; the head of its response must come within `patience`. */
export const open = (
  request: (abort: Abort) => Promise<Response>,
  patience: Patience
): Effect.Effect<HttpBody, BodyFailed, Scope.Scope> =>
  Effect.flatMap(Effect.zip(Effect.scope, Effect.clock), ([scope, clock]) => {
    const startedAt = clock.unsafeCurrentTimeMillis()
    const abort = new Abort()
    let state: "reading" | "finishing" | "ended" = "reading"

    let stop = (): void => undefined
    const release = Effect.sync(() => {
      stop()
      if (state === "reading") abort.abort()
      else if (state === "finishing") later(() => state === "ended" ? undefined : abort.abort())
    })

    const awaiting = <A>({ limit, millis }: Patience, work: () => Promise<A>) =>
      Effect.async<A, BodyFailed>((resume) => {
        const timer = setTimeout(() => {
          resume(new BodyFailed({ cause: new TooLate({ limit }) }))
          abort.abort()
        }, millis)
        const done = (exit: Exit.Exit<A, BodyFailed>) => {
          clearTimeout(timer)
          resume(exit)
        }
        void work().then(
          (result) => done(Exit.succeed(result)),
          (cause: unknown) => done(Exit.fail(new BodyFailed({ cause })))
        )
        return Effect.sync(() => {
          clearTimeout(timer)
          abort.abort()
        })
      })

    const body = (response: Response): HttpBody => {
      const reply = Reply.of(response)
      const watch = Watch.make()
      let hold: ReturnType<typeof setTimeout> | undefined
      stop = () => {
        clearTimeout(hold)
        watch.stop()
        // What comes after a complete answer is still waited for.
        if (state === "reading") reply.wait(undefined)
      }
      /** Undefined while there is nothing to read. */
      const ready = <A, E>(on: OnRead<A, E>): Effect.Effect<A, E> | undefined => {
        let bytes: Uint8Array | undefined
        try {
          bytes = reply.take()
        } catch (cause) {
          return on.failed(new BodyFailed({ cause }))
        }
        if (bytes === undefined) {
          if (!reply.isOver) return undefined
          state = "ended"
        }
        return on.bytes(bytes)
      }
      const readLater = <A, E>({ limit, millis }: Patience, pause: number, on: OnRead<A, E>) =>
        // What is to be done when it is interrupted is done when the scope closes, once instead of for each read.
        Effect.async<A, E>((resume) => {
          let holding = pause > 0
          const done = (effect: Effect.Effect<A, E>) => {
            clearTimeout(hold)
            watch.end()
            resume(effect)
          }
          const tell = () => {
            if (holding && !reply.isOver) return reply.wait(tell)
            try {
              const now = ready(on)
              if (now === undefined) reply.wait(tell)
              else done(now)
            } catch (defect) {
              done(Effect.die(defect))
            }
          }
          /** Takes what is here now; nobody is to be woken for it a second time. */
          const letGo = () => {
            holding = false
            reply.wait(undefined)
            tell()
          }
          hold = holding ? setTimeout(letGo, pause) : undefined
          watch.begin(millis, () => {
            // Of two timers that are late, this may be the first.
            if (holding && reply.hasMore) return letGo()
            reply.wait(undefined)
            done(on.failed(new BodyFailed({ cause: new TooLate({ limit }) })))
            abort.abort()
          })
          reply.wait(tell)
        })
      const read = <A, E>(patience: Patience, pause: number, on: OnRead<A, E>) =>
        Effect.suspend(() =>
          // A provider that has no time left is not waited for.
          pause > 0 && pause < patience.millis && !reply.isOver
            ? readLater(patience, pause, on)
            : ready(on) ?? readLater(patience, 0, on)
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
          if (ready(ignoring) === undefined) reply.wait(drain)
          else if (reply.isOver) state = "ended"
          else drain()
        }
        drain()
      }
      return { reply, clock, startedAt, read, text, finish }
    }

    // What is acquired is the way to abort and not the response: an acquisition cannot be interrupted.
    return Effect.zipRight(
      Scope.addFinalizer(scope, release),
      Effect.map(awaiting(patience, () => request(abort)), body)
    )
  })

/**
 * The whole body as UTF-8, which must be there within `patience`. Where the connection fails first, what came before is
 * the body if the answer in it `isComplete`.
 */
export const whole = (
  request: (abort: Abort) => Promise<Response>,
  { limit, millis }: Patience,
  isComplete: (text: string) => boolean = () => false
): Effect.Effect<string, BodyFailed> =>
  Effect.async((resume) => {
    const abort = new Abort()
    const fail = (cause: unknown) => {
      clearTimeout(timer)
      const isCut = cause instanceof Reply.CutBody
      if (isCut && isComplete(cause.text)) resume(Effect.succeed(cause.text))
      else resume(new BodyFailed({ cause: isCut ? cause.cause : cause }))
      abort.abort()
    }
    const timer = setTimeout(() => fail(new TooLate({ limit })), millis)
    void request(abort)
      .then((response) => Reply.of(response).text())
      .then((text) => {
        clearTimeout(timer)
        resume(Effect.succeed(text))
      }, fail)
    return Effect.sync(() => {
      clearTimeout(timer)
      abort.abort()
    })
  })

// -- internals ---------------------------------------------------------------

/** How long the last bytes of a finished answer may take, in milliseconds. */
const lastBytesMs = 1000

const ignoring: OnRead<void, never> = { bytes: () => Effect.void, failed: () => Effect.void }

/** Not an `Effect.sleep`: the call is over, and must not wait for this. */
const later = (action: () => void): void => {
  setTimeout(action, lastBytesMs).unref()
}
