/**
 * A length of time in words: its largest unit and the next one, e.g. `37 s`, `2 h 5 min`, `12 d`.
 */
import { Duration } from "effect"

/** Rounded up, so that who waits that long has waited long enough; at least `1 s`. */
export const inWords = (span: Duration.Duration): string => {
  const seconds = Math.max(1, Math.ceil(Duration.toSeconds(span)))
  const index = units.findIndex(([, size]) => seconds >= size)
  const [name, size] = units[index] ?? ["s", 1]
  const [smaller, smallerSize] = units[index + 1] ?? ["", size]
  const parts = Math.ceil((seconds % size) / smallerSize)
  // 59 s more than 59 min are an hour, and not 59 min 60 s.
  if (parts * smallerSize === size) return inWords(Duration.seconds((Math.floor(seconds / size) + 1) * size))
  return `${Math.floor(seconds / size)} ${name}${parts === 0 ? "" : ` ${parts} ${smaller}`}`
}

// -- internals ---------------------------------------------------------------

const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]] as const
