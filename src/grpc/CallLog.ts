/**
 * What a call says in the log.
 *
 * The same as with `Effect.annotateLogs` and `Effect.logInfo`, made for a fiber
 * that is the call's own and for names that are the same for every call: those
 * two copy all of the fiber's references, twice a line.
 */
import { Context, Effect, FiberRef, FiberRefs, HashMap, Inspectable, Logger, LogLevel, Scope } from "effect"
import * as LogLine from "../telemetry/LogLine.js"

/** Added to every log line of the call; `requestId` once it is known. */
export type Annotations = { readonly [key: string]: string }

export interface CallLog {
  /**
   * The scope and the annotations of all that the fiber does from now on. It is the call's own, so that there is nothing
   * to be put back, which is what `Scope.extend` and `Effect.annotateLogs` do at several times the cost.
   */
  readonly begin: (scope: Scope.Scope, annotations: Annotations) => Effect.Effect<void>
  /** As `Effect.logInfo` with these annotations and those around the server, and no others. */
  readonly line: (message: string, annotations: LogLine.Values) => Effect.Effect<void>
}

/** For fibers that have the annotations of the present one. */
export const make: Effect.Effect<CallLog> = Effect.map(FiberRef.get(FiberRef.currentLogAnnotations), (around) => {
  const given = Object.fromEntries(HashMap.map(HashMap.filter(around, (value) => value !== undefined), toValue))
  /** Most annotations are those of many calls: of one connection, and one caller. */
  const known = new Map<string, HashMap.HashMap<string, unknown>>()

  /** To go through a set costs more than to know what was in it. */
  let last: { readonly set: unknown; readonly all: ReadonlyArray<Logger.Logger<unknown, unknown>> } = {
    set: undefined,
    all: []
  }

  const annotated = (annotations: Annotations): HashMap.HashMap<string, unknown> => {
    let key = ""
    // The paths of calls and the addresses of peers have no line ends, and the subject comes last.
    for (const name in annotations) if (!own.has(name)) key += `${name} ${annotations[name]}\n`
    let all = known.get(key)
    if (all === undefined) {
      all = around
      for (const name in annotations) if (!own.has(name)) all = HashMap.set(all, name, annotations[name])
      if (known.size >= mostKnown) known.clear()
      known.set(key, all)
    }
    for (const name of own) {
      const value = annotations[name]
      if (value !== undefined) all = HashMap.set(all, name, value)
    }
    return all
  }

  return {
    begin: (scope, annotations) =>
      Effect.updateFiberRefs((fiber, refs) => {
        const context = Context.add(FiberRefs.getOrDefault(refs, FiberRef.currentContext), Scope.Scope, scope)
        return FiberRefs.updateManyAs(refs, {
          entries: [
            [FiberRef.currentContext, [[fiber, context]]],
            [FiberRef.currentLogAnnotations, [[fiber, annotated(annotations)]]]
          ]
        })
      }),
    line: (message, annotations) =>
      Effect.withFiberRuntime((fiber) => {
        const least = fiber.getFiberRef(FiberRef.currentMinimumLogLevel)
        if (LogLevel.greaterThan(least, LogLevel.Info)) return Effect.void
        const all = HashMap.isEmpty(around) ? annotations : Object.assign({}, given, annotations)
        const said = LogLine.make(fiber, LogLevel.Info, message, all)
        const loggers = fiber.getFiberRef(FiberRef.currentLoggers)
        if (loggers !== last.set) last = { set: loggers, all: [...loggers] }
        for (const logger of last.all) {
          // It looks for the annotations before it looks for a span to add them to.
          if (logger !== Logger.tracerLogger || fiber.currentSpan !== undefined) logger.log(said)
        }
        return Effect.void
      })
  }
})

// -- internals ---------------------------------------------------------------

/** What is another one for every call. */
const own: ReadonlySet<string> = new Set(["requestId", "traceId"])

/** More are forgotten: each connection has its own. */
const mostKnown = 1000

const toValue = (value: unknown): LogLine.Values[string] =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? value
    : Inspectable.toStringUnknown(value)
