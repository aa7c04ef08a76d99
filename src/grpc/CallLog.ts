/**
 * What a call says in the log.
 *
 * The same as with `Effect.annotateLogs` and `Effect.logInfo`; the line that ends a call needs no fiber, because most
 * calls that are answered at once have none.
 */
import { Effect, FiberRef, FiberRefs, HashMap, Inspectable, Logger, LogLevel } from "effect"
import * as LogLine from "../telemetry/LogLine.js"

/** Added to every log line of the call; `requestId` once it is known. */
export type Annotations = { readonly [key: string]: string }

export interface CallLog {
  /** Whether lines at DEBUG are shown. */
  readonly isDebugging: boolean
  /** The annotations of all that the call's own fiber does from now on. */
  readonly annotate: (annotations: Annotations) => Effect.Effect<void>
  /** As `Effect.logInfo` with these annotations and those around the server, and no others, and outside of any span. */
  readonly line: (message: string, annotations: LogLine.Values) => void
}

/** With the log level, the loggers and the annotations of the present fiber. */
export const make: Effect.Effect<CallLog> = Effect.withFiberRuntime((fiber) => {
  const around = fiber.getFiberRef(FiberRef.currentLogAnnotations)
  const given = Object.fromEntries(HashMap.map(HashMap.filter(around, (value) => value !== undefined), toValue))
  // It adds lines to spans, and looks at the annotations before it finds that there is none.
  const loggers = [...fiber.getFiberRef(FiberRef.currentLoggers)].filter((logger) => logger !== Logger.tracerLogger)
  const least = fiber.getFiberRef(FiberRef.currentMinimumLogLevel)
  const isShown = (level: LogLevel.LogLevel) => LogLevel.lessThanEqual(least, level)
  const source = LogLine.sourceOf(fiber)
  return Effect.succeed({
    isDebugging: isShown(LogLevel.Debug),
    annotate: (annotations) =>
      Effect.updateFiberRefs((fiberId, refs) => {
        let value = around
        for (const name in annotations) value = HashMap.set(value, name, annotations[name])
        return FiberRefs.updateAs(refs, { fiberId, fiberRef: FiberRef.currentLogAnnotations, value })
      }),
    line: (message, annotations) => {
      if (!isShown(LogLevel.Info)) return
      const all = HashMap.isEmpty(around) ? annotations : Object.assign({}, given, annotations)
      const line = LogLine.make(source, LogLevel.Info, message, all)
      for (const logger of loggers) logger.log(line)
    }
  })
})

// -- internals ---------------------------------------------------------------

const toValue = (value: unknown): LogLine.Values[string] =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : Inspectable.toStringUnknown(value)
