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
  Hash,
  HashMap,
  Inspectable,
  LogLevel,
  Option,
  Scope
} from "effect"

/** Added to every log line of the call; `requestId` once it is known. */
export type Annotations = { readonly [key: string]: string }

/**
 * The scope and the annotations of all that the fiber does from now on. It is the call's own, so that there is nothing to
 * be put back, which is what `Scope.extend` and `Effect.annotateLogs` do at several times the cost.
 */
export const begin = (scope: Scope.Scope, annotations: Annotations, begun: () => void): Effect.Effect<void> =>
  Effect.updateFiberRefs((fiber, refs) => {
    begun()
    const context = Context.add(FiberRefs.getOrDefault(refs, FiberRef.currentContext), Scope.Scope, scope)
    const all = annotated(FiberRefs.getOrDefault(refs, FiberRef.currentLogAnnotations), annotations)
    return FiberRefs.updateManyAs(refs, {
      entries: [[FiberRef.currentContext, [[fiber, context]]], [FiberRef.currentLogAnnotations, [[fiber, all]]]]
    })
  })

/** As `Effect.logInfo` with these annotations, which only this one line has. */
export const line = (message: string, annotations: { readonly [key: string]: unknown }): Effect.Effect<void> =>
  Effect.withFiberRuntime((fiber) => {
    const context = fiber.getFiberRefs()
    const least = FiberRefs.getOrDefault(context, FiberRef.currentMinimumLogLevel)
    if (LogLevel.greaterThan(least, LogLevel.Info)) return Effect.void
    const services = FiberRefs.getOrDefault(context, DefaultServices.currentServices)
    const said = {
      fiberId: fiber.id(),
      logLevel: LogLevel.Info,
      message: [message],
      cause: Cause.empty,
      context,
      spans: FiberRefs.getOrDefault(context, FiberRef.currentLogSpan),
      annotations: annotated(FiberRefs.getOrDefault(context, FiberRef.currentLogAnnotations), annotations),
      date: DateTime.toDateUtc(DateTime.unsafeMake(Context.get(services, Clock.Clock).unsafeCurrentTimeMillis()))
    }
    Inspectable.withRedactableContext(context, () => {
      for (const logger of FiberRefs.getOrDefault(context, FiberRef.currentLoggers)) logger.log(said)
    })
    return Effect.void
  })

// -- internals ---------------------------------------------------------------

const annotated = (
  known: HashMap.HashMap<string, unknown>,
  annotations: { readonly [key: string]: unknown }
): HashMap.HashMap<string, unknown> =>
  HashMap.mutate(known, (all) => {
    for (const name in annotations) HashMap.modifyHash(all, name, hashOf(name), () => Option.some(annotations[name]))
  })

/** They are few, and the same for every call. */
const hashes = new Map<string, number>()
const hashOf = (name: string): number => {
  const known = hashes.get(name)
  if (known !== undefined) return known
  const hash = Hash.string(name)
  hashes.set(name, hash)
  return hash
}
