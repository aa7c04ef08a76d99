/**
 * A `fetch` response as an interruptible pull of bytes.
 *
 * Closing the scope, or interrupting the opening or a read, closes the
 * provider's socket at once: the request is aborted, and nobody waits for a
 * stalled read to give up. Only a body whose end was reached, or is no longer
 * of interest, leaves its connection open for the next request.
 */
import { Clock, Data, Effect, type Scope } from "effect"
import { type Limit, TooLate } from "./Timeouts.js"

export interface HttpBody {
  readonly response: Response
  /** When the request was made, in milliseconds since the epoch. */
  readonly startedAt: number
  /** The next bytes; undefined at the end of the body. A body that is silent for `patience` is given up. */
  readonly read: (patience: Patience) => Effect.Effect<Uint8Array | undefined, BodyFailed>
  /** The rest of the body as UTF-8, which must be there within `total` milliseconds of the request. */
  readonly text: (total: number) => Effect.Effect<string, BodyFailed>
  /** Says that the answer is complete and the rest of the body does not matter. Nothing may be read after it. */
  readonly finish: Effect.Effect<void>
}

/** What `request` or the body threw; the vendor's files know what it means. */
export class BodyFailed extends Data.TaggedError("BodyFailed")<{ readonly cause: unknown }> {}

/** How long to wait, in milliseconds, and by which of the limits. */
export interface Patience {
  readonly millis: number
  readonly limit: Limit
}

/** `request` must hand the signal to `fetch`; the head of its response must come within `patience`. */
export const open = (
  request: (signal: AbortSignal) => Promise<Response>,
  patience: Patience
): Effect.Effect<HttpBody, BodyFailed, Scope.Scope> =>
  Effect.flatMap(Clock.currentTimeMillis, (startedAt) => {
    const controller = new AbortController()
    let state: "reading" | "finishing" | "ended" = "reading"

    const release = Effect.sync(() => {
      if (state === "reading") controller.abort()
      else if (state === "finishing") later(() => state === "ended" ? undefined : controller.abort())
    })

    /** A timer that is cleared costs a fraction of an Effect that is raced, and this runs for every read. */
    const within = <A>({ limit, millis }: Patience, work: () => Promise<A>) =>
      Effect.async<A, BodyFailed>((resume) => {
        const timer = setTimeout(() => {
          resume(new BodyFailed({ cause: new TooLate({ limit }) }))
          controller.abort()
        }, millis)
        const done = (exit: Effect.Effect<A, BodyFailed>) => {
          clearTimeout(timer)
          resume(exit)
        }
        work().then((result) => done(Effect.succeed(result)), (cause) => done(new BodyFailed({ cause })))
        return Effect.sync(() => {
          clearTimeout(timer)
          controller.abort()
        })
      })

    const body = (response: Response): HttpBody => {
      const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
      const next = async (): Promise<Uint8Array | undefined> => {
        const chunk = await reader?.read()
        if (chunk?.value === undefined) state = "ended"
        return chunk?.value
      }
      const read = (patience: Patience) => within(patience, next)
      const text = (total: number) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          within({ millis: Math.max(0, startedAt + total - now), limit: "total" }, async () => {
            const decoder = new TextDecoder()
            let text = ""
            for (let bytes = await next(); bytes !== undefined; bytes = await next()) {
              text += decoder.decode(bytes, { stream: true })
            }
            return text + decoder.decode()
          }))
      const finish = Effect.sync(() => {
        state = "finishing"
        // fetch parses no further than it is read, and the connection is free only after the last byte.
        const drain = async (): Promise<void> => {
          while (state !== "ended") {
            await next()
          }
        }
        drain().catch(() => {
          state = "ended"
        })
      })
      return { response, startedAt, read, text, finish }
    }

    // What is acquired is the controller and not the response: an acquisition cannot be interrupted.
    const asked = within(patience, async () =>
      request(controller.signal))
    return Effect.zipRight(
      Effect.addFinalizer(() =>
        release
      ),
      Effect.map(asked, body)
    )
  })

// -- internals ---------------------------------------------------------------

/** How long the last bytes of a finished answer may take, in milliseconds. */
const lastBytesMs = 1000

/** Not an `Effect.sleep`: the call is over, and must not wait for this. */
const later = (action: () => void): void => {
  setTimeout(action, lastBytesMs).unref()
}
