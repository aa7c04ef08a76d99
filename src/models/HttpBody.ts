/**
 * A `fetch` response as an interruptible pull of bytes.
 *
 * Closing the scope, or interrupting the opening or a read, closes the
 * provider's socket at once: the request is aborted, and nobody waits for a
 * stalled read to give up. Only a body whose end was reached, or is no longer
 * of interest, leaves its connection open for the next request.
 */
import { Data, Effect, type Scope } from "effect"

export interface HttpBody {
  readonly response: Response
  /**
   * The next bytes; undefined at the end of the body. A body that is silent for
   * `patience` milliseconds is given up with {@link TooSilent}.
   */
  readonly read: (patience?: number) => Effect.Effect<Uint8Array | undefined, BodyFailed>
  /** The rest of the body as UTF-8. */
  readonly text: Effect.Effect<string, BodyFailed>
  /** Says that the answer is complete and the rest of the body does not matter. Nothing may be read after it. */
  readonly finish: Effect.Effect<void>
}

/** What `request` or the body threw; the vendor's files know what it means. */
export class BodyFailed extends Data.TaggedError("BodyFailed")<{ readonly cause: unknown }> {}

/** A body that did not go on in time. */
export class TooSilent extends Data.TaggedError("TooSilent") {}

/** `request` must hand the signal to `fetch`. */
export const open = (
  request: (signal: AbortSignal) => Promise<Response>
): Effect.Effect<HttpBody, BodyFailed, Scope.Scope> =>
  Effect.suspend(() => {
    const controller = new AbortController()
    let state: "reading" | "finishing" | "ended" = "reading"

    const abort = Effect.sync(() => controller.abort())
    const release = Effect.sync(() => {
      if (state === "reading") controller.abort()
      else if (state === "finishing") abortLater(controller)
    })

    const body = (response: Response): HttpBody => {
      const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
      const next = async (): Promise<Uint8Array | undefined> => {
        const chunk = await reader?.read()
        if (chunk?.value === undefined) state = "ended"
        return chunk?.value
      }
      const read = (patience = Infinity) =>
        Effect.async<Uint8Array | undefined, BodyFailed>((resume) => {
          // A timer that is cleared costs a fraction of an Effect that is raced, and this runs for every read.
          const timer = patience === Infinity ? undefined : setTimeout(() => {
            resume(new BodyFailed({ cause: new TooSilent() }))
            controller.abort()
          }, patience)
          const done = (exit: Effect.Effect<Uint8Array | undefined, BodyFailed>) => {
            clearTimeout(timer)
            resume(exit)
          }
          next().then((bytes) => done(Effect.succeed(bytes)), (cause) => done(new BodyFailed({ cause })))
          return Effect.sync(() => {
            clearTimeout(timer)
            controller.abort()
          })
        })
      const text = Effect.suspend(() => {
        const decoder = new TextDecoder()
        const rest = (sofar: string): Effect.Effect<string, BodyFailed> =>
          Effect.flatMap(read(), (bytes) =>
            bytes === undefined
              ? Effect.succeed(sofar + decoder.decode())
              : rest(sofar + decoder.decode(bytes, { stream: true })))
        return rest("")
      })
      const finish = Effect.sync(() => {
        state = "finishing"
        // fetch parses no further than it is read, and the connection is free only after the last byte.
        const drain = async (): Promise<void> => {
          while (state !== "ended") await next()
        }
        drain().catch(() => {
          state = "ended"
        })
      })
      return { response, read, text, finish }
    }

    // What is acquired is the controller and not the response: an acquisition cannot be interrupted.
    return Effect.addFinalizer(() => release).pipe(
      Effect.zipRight(Effect.tryPromise({
        try: () => request(controller.signal),
        catch: (cause) => new BodyFailed({ cause })
      })),
      Effect.onInterrupt(() => abort),
      Effect.map(body)
    )
  })

// -- internals ---------------------------------------------------------------

/** How long the last bytes of a finished answer may take, in milliseconds. */
const lastBytesMs = 1000

/** Not an `Effect.sleep`: the call is over, and must not wait for this. */
const abortLater = (controller: AbortController): void => {
  setTimeout(() => controller.abort(), lastBytesMs).unref()
}
