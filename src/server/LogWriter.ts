/**
 * Lines of the log on their way to stderr.
 *
 * To write costs a busy server more than to make the line: those of one turn of
 * the event loop are written together, in their order, a warning or an error at
 * once with all before it. Nothing waits when the process exits; one that is
 * killed has not said what happened in its last turn.
 */
import { Effect, type Scope } from "effect"

export interface LogWriter {
  readonly add: (line: string, urgent: boolean) => void
}

/** `print` ends the last line itself. */
export const make = (print: (text: string) => void): Effect.Effect<LogWriter, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let waiting = ""
      let bytes = 0
      let planned: ReturnType<typeof setImmediate> | undefined
      let closed = false
      const flush = (): void => {
        clearImmediate(planned)
        planned = undefined
        const text = waiting
        waiting = ""
        bytes = 0
        if (text !== "") print(text)
      }
      const add = (line: string, urgent: boolean): void => {
        const size = Buffer.byteLength(line) + 1
        if (bytes + size > most) flush()
        bytes += size
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
  )

// -- internals ---------------------------------------------------------------

/** Other processes may write to the same pipe, which takes so many bytes whole: `PIPE_BUF` of Linux. */
const most = 4096
