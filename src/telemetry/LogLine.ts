/**
 * A line of the log whose annotations are plain values.
 *
 * Effect keeps annotations in an immutable map, which takes longer to make and
 * to read again than all else there is to a line. A logger that knows of the
 * values takes them as they are; for any other the map is made when it asks.
 */
import { HashMap, type Logger } from "effect"

export interface Values {
  readonly [key: string]: string | number | boolean
}

type Line = Logger.Logger.Options<readonly [string]>

/** `line` without what it is annotated with. */
export const make = (
  { cause, context, date, fiberId, logLevel, message, spans }: Omit<Line, "annotations">,
  annotations: Values
): Line => {
  let map: Line["annotations"] | undefined
  const line: Line & Known = {
    fiberId,
    logLevel,
    message,
    cause,
    context,
    spans,
    date,
    get annotations() {
      map ??= HashMap.fromIterable<string, unknown>(Object.entries(annotations))
      return map
    },
    [values]: annotations
  }
  return line
}

/** Its annotations; undefined for a line that was not made here. */
export const valuesOf = (line: Logger.Logger.Options<unknown> & Known): Values | undefined => line[values]

// -- internals ---------------------------------------------------------------

const values = Symbol("vibectl/telemetry/LogLine")

interface Known {
  readonly [values]?: Values
}
