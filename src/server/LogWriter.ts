/**
 * Lines of the log on their way to stderr.
 *
 * To write costs a busy server more than to make the line: those of one turn of
 * the event loop are written together, in their order, a warning or an error at
 * once with all before it. Nothing waits when the process exits.
 */
import { Effect, type Scope } from "effect"

export interface LogWriter {
  readonly add: (line: string, urgent: boolean) => void
}

/** `print` ends the last line itself. */
export const make = (print: (text: string) => void): Effect.Effect<LogWriter, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        let waiting = ""
        let planned: ReturnType<typeof setImmediate> | undefined
        let closed = false
        const flush = (): void => {
          clearImmediate(planned)
          planned = undefined
          const text = waiting
          waiting = ""
          if (text !== "") print(text)
        }
        const add = (line: string, urgent: boolean): void => {
          if (waiting.length + line.length > most) flush()
          waiting = waiting === "" ? line : `${waiting}\n${line}`
          if (urgent || closed) flush()
          else planned ??= setImmediate(flush)
        }
        const close = (): void => {
          process.off("exit", flush)
          closed = true
          flush()
        }
        process.on("exit", flush)
        return { add, close }
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ add }) => ({ add })
  )

// -- internals ---------------------------------------------------------------

/** Characters: other processes may write to the same pipe, which takes 4096 bytes whole. */
const most = 3500
