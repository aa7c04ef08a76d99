/**
 * A line of the log whose annotations are plain values, none of which is a secret.
 *
 * Effect keeps annotations in an immutable map, which takes longer to make and
 * to read again than all else there is to a line. A logger that knows of the
 * values takes them as they are; for any other the map is made when it asks.
 */
import { Cause, Clock, Context, DateTime, type Fiber, FiberRef, HashMap, type Logger, type LogLevel } from "effect"

export interface Values {
  readonly [key: string]: string | number | boolean
}

type Line = Logger.Logger.Options<readonly [string]>

/** What `fiber` says now, with these annotations and no others. */
export const make = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  logLevel: LogLevel.LogLevel,
  message: string,
  annotations: Values
): Line => {
  let map: Line["annotations"] | undefined
  const now = Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis()
  const line: Line & Known = {
    fiberId: fiber.id(),
    logLevel,
    message: [message],
    cause: Cause.empty,
    spans: fiber.getFiberRef(FiberRef.currentLogSpan),
    date: DateTime.toDateUtc(DateTime.unsafeMake(now)),
    // Effect copies them all for whoever asks.
    get context() {
      return fiber.getFiberRefs()
    },
    get annotations() {
      map ??= HashMap.fromIterable<string, unknown>(Object.entries(annotations))
      return map
    },
    [values]: annotations
  }
  return line
}

/** Its annotations; undefined for a line that was not made here. What another logger added to the map is not among them. */
export const valuesOf = (line: Logger.Logger.Options<unknown> & Known): Values | undefined => line[values]

// -- internals ---------------------------------------------------------------

const values = Symbol("vibectl/telemetry/LogLine")

interface Known {
  readonly [values]?: Values
}
