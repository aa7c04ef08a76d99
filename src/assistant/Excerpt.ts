/**
 * The beginning and the end of a long text, in bounded memory.
 *
 * Of what a command prints, the first lines say what it is and the last ones
 * how it ended; what a model is sent must not grow without bound.
 */

export interface Excerpt {
  readonly push: (piece: string) => void
  /** The text, with a line in the place of what was left out. */
  readonly text: () => string
}

/** Keeps `head` characters of the beginning and `tail` of the end. */
export const make = ({ head, tail }: { readonly head: number; readonly tail: number }): Excerpt => {
  let first = ""
  let last = ""
  let leftOut = 0
  return {
    push: (piece) => {
      const room = Math.max(0, head - first.length)
      first += piece.slice(0, room)
      last += piece.slice(room)
      // Cut in large steps: to cut with each piece would copy the tail again and again.
      if (last.length > tail * 2 + 1_024) {
        leftOut += last.length - tail
        last = last.slice(-tail)
      }
    },
    text: () => {
      const dropped = leftOut + Math.max(0, last.length - tail)
      if (dropped === 0) return first + last
      return `${whole(first)}\n[… ${dropped} characters are left out here …]\n${whole(last.slice(-tail))}`
    }
  }
}

/** A short text as it is; of a longer one, beginning and end. */
export const of = (text: string, most: { readonly head: number; readonly tail: number }): string => {
  const excerpt = make(most)
  excerpt.push(text)
  return excerpt.text()
}

// -- internals ---------------------------------------------------------------

/** Without half of a surrogate pair at its ends. */
const whole = (text: string): string => text.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "")
