/**
 * Keys as they are pressed, without Enter, while a scope is open.
 *
 * What arrives together is one thing: a key, what an arrow key sends, or what
 * was pasted.
 */
import { Effect, type Scope } from "effect"

/** A terminal's stdin. */
export type Keyboard = NodeJS.ReadableStream & {
  readonly isTTY?: boolean
  readonly setRawMode?: (raw: boolean) => unknown
}

export interface Keys {
  /**
   * Forgets what was typed until now. It waits for a moment without a key, so that neither
   * one that was typed before nor one that is held down counts; false at the end of input.
   */
  readonly forget: Effect.Effect<boolean>
  /** The next that is typed; undefined at the end of input (also Ctrl-D). Ctrl-C interrupts. */
  readonly next: Effect.Effect<string | undefined>
}

/** Undefined for a stdin that does not tell of single keys. */
export const open = (stdin: Keyboard): Effect.Effect<Keys | undefined, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.sync(() => listen(stdin)), (listening) => Effect.sync(() => listening?.close())),
    (listening) => listening === undefined ? undefined : keys(listening)
  )

// -- internals ---------------------------------------------------------------

/** Without a key for so long, what arrived is complete: between the bytes of one key is less, between two keys more. */
const quiet = "40 millis"

const interrupt = "\u0003"
const endOfInput = "\u0004"

interface Listening {
  /** What has arrived and was not taken yet. */
  readonly typed: () => string
  readonly take: () => string
  readonly ended: () => boolean
  /** Calls back when more arrives, once. */
  readonly wait: (more: () => void) => void
  readonly close: () => void
}

const listen = (stdin: Keyboard): Listening | undefined => {
  if (stdin.setRawMode === undefined) return undefined
  let bytes: ReadonlyArray<Buffer> = []
  let ended = false
  let wake = () => {}
  const add = (piece: Buffer | string) => {
    bytes = [...bytes, Buffer.from(piece)]
    wake()
  }
  const end = () => {
    ended = true
    wake()
  }
  const events = [["data", add], ["end", end], ["close", end], ["error", end]] as const
  const typed = () => Buffer.concat(bytes).toString()
  stdin.setRawMode(true)
  for (const [event, listener] of events) stdin.on(event, listener)
  stdin.resume()
  return {
    typed,
    take: () => {
      const taken = typed()
      bytes = []
      return taken
    },
    ended: () => ended || !stdin.readable,
    wait: (more) => {
      wake = more
    },
    close: () => {
      for (const [event, listener] of events) stdin.removeListener(event, listener)
      // A stdin that is still read would keep the program alive, and take the input of others.
      stdin.pause()
      stdin.setRawMode?.(false)
    }
  }
}

const keys = (listening: Listening): Keys => {
  const arrived = Effect.async<void>((resume) => {
    if (listening.typed() !== "" || listening.ended()) return resume(Effect.void)
    listening.wait(() => resume(Effect.void))
    return Effect.sync(() => listening.wait(() => {}))
  })
  /** Until nothing has arrived for a moment. */
  const settled: Effect.Effect<void> = Effect.suspend(() => {
    const known = listening.typed()
    if (known.includes(interrupt)) return Effect.interrupt
    if (listening.ended()) return Effect.void
    return Effect.sleep(quiet).pipe(
      Effect.zipRight(turn),
      Effect.zipRight(turn),
      Effect.flatMap(() => listening.typed() === known ? Effect.void : settled)
    )
  })
  return {
    forget: Effect.map(settled, () => {
      listening.take()
      return !listening.ended()
    }),
    next: Effect.zipRight(arrived, settled).pipe(
      Effect.map(() => {
        const typed = listening.take()
        return listening.ended() || typed.includes(endOfInput) ? undefined : typed
      })
    )
  }
}

/** All that can be read by now has been read after it: a timer alone may be due before the input was looked at. */
const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})
