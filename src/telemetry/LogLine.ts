/**
 * A line of the log whose annotations are plain values, none of which is a secret.
 *
 * Effect keeps annotations in an immutable map, which takes longer to make and
 * to read again than all else there is to a line. A logger that knows of the
 * values takes them as they are; for any other the map is made when it asks.
 */
import {
  Cause,
  Clock,
  Context,
  DateTime,
  type Fiber,
  type FiberId,
  FiberRef,
  type FiberRefs,
  HashMap,
  type Logger,
  type LogLevel
} from "effect"

export interface Values {
  readonly [key: string]: string | number | boolean
}

type Line = Logger.Logger.Options<readonly [string]>

/** Whose line it is. */
export interface Source {
  readonly fiberId: FiberId.FiberId
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly spans: Line["spans"]
  readonly refs: () => FiberRefs.FiberRefs
}

export const sourceOf = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Source => {
  const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
  return {
    fiberId: fiber.id(),
    now: () => clock.unsafeCurrentTimeMillis(),
    spans: fiber.getFiberRef(FiberRef.currentLogSpan),
    refs: () => fiber.getFiberRefs()
  }
}

/** What `source` says now, with these annotations and no others. */
export const make = (
  source: Source,
  logLevel: LogLevel.LogLevel,
  message: string,
  annotations: Values
): Line => {
  let map: Line["annotations"] | undefined
  const line: Line & Known = {
    fiberId: source.fiberId,
    logLevel,
    message: [message],
    cause: Cause.empty,
    spans: source.spans,
    date: DateTime.toDateUtc(DateTime.unsafeMake(source.now())),
    // Effect copies them all for whoever asks.
    get context() {
      return source.refs()
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
