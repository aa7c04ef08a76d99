/**
 * What a call says in the log.
 *
 * The same as with `Effect.annotateLogs` and `Effect.logInfo`, made for a fiber
 * that is the call's own and for names that are the same for every call: those
 * two copy all of the fiber's references, twice a line.
 */
import {
  Cause,
  Clock,
  Context,
  DateTime,
  DefaultServices,
  Effect,
  FiberRef,
  FiberRefs,
  HashMap,
  Inspectable,
  LogLevel,
  Scope
} from "effect"
import * as LogLine from "../telemetry/LogLine.js"

/** Added to every log line of the call; `requestId` once it is known. */
export type Annotations = { readonly [key: string]: string }

export interface CallLog {
  /**
   * The scope and the annotations of all that the fiber does from now on. It is the call's own, so that there is nothing
   * to be put back, which is what `Scope.extend` and `Effect.annotateLogs` do at several times the cost.
   */
  readonly begin: (scope: Scope.Scope, annotations: Annotations) => Effect.Effect<void>
  /** As `Effect.logInfo` with these annotations, which only this one line has. */
  readonly line: (message: string, annotations: LogLine.Values) => Effect.Effect<void>
}

/** For fibers that have the annotations of the present one. */
export const make: Effect.Effect<CallLog> = Effect.map(FiberRef.get(FiberRef.currentLogAnnotations), (around) => {
  const given = Object.fromEntries(HashMap.map(around, toValue))
  /** Most annotations are those of many calls: of one connection, and one caller. */
  const known = new Map<string, HashMap.HashMap<string, unknown>>()

  const annotated = (annotations: Annotations): HashMap.HashMap<string, unknown> => {
    let key = ""
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
        const context = fiber.getFiberRefs()
        const least = FiberRefs.getOrDefault(context, FiberRef.currentMinimumLogLevel)
        if (LogLevel.greaterThan(least, LogLevel.Info)) return Effect.void
        const services = FiberRefs.getOrDefault(context, DefaultServices.currentServices)
        const now = Context.get(services, Clock.Clock).unsafeCurrentTimeMillis()
        const said = LogLine.make({
          fiberId: fiber.id(),
          logLevel: LogLevel.Info,
          message: [message],
          cause: Cause.empty,
          context,
          spans: FiberRefs.getOrDefault(context, FiberRef.currentLogSpan),
          date: DateTime.toDateUtc(DateTime.unsafeMake(now))
        }, HashMap.isEmpty(around) ? annotations : Object.assign({}, given, annotations))
        Inspectable.withRedactableContext(context, () => {
          for (const logger of FiberRefs.getOrDefault(context, FiberRef.currentLoggers)) logger.log(said)
        })
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
