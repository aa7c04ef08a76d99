/**
 * A password that stands on a line of its own after one that announces it, as
 * Jenkins prints that of its administrator: "Please use the following password to proceed".
 */
import type { Part } from "./Lines.js"

export interface Announced {
  /** Where the announced password stands in `part`, if it does. */
  readonly take: (part: Part) => readonly [number, number] | undefined
}

export const make = (): Announced => {
  /** How many more lines may be it. */
  let left = 0
  return {
    take: ({ first, last, text }) => {
      if (!first || !last) return undefined
      if (announces.test(text)) {
        left = lines
        return undefined
      }
      const word = text.trim()
      if (left === 0 || word === "") return undefined
      left--
      if (!/^[^\s]{6,512}$/.test(word) || /^(.)\1*$/.test(word) || /^[A-Z]?[a-z]+[:.]?$/.test(word)) return undefined
      left = 0
      const start = text.indexOf(word)
      return [start, start + word.length]
    }
  }
}

// -- internals ---------------------------------------------------------------

/** Lines that are not blank: it, and at most one before it. */
const lines = 2

const announces =
  /following (?:initial |admin |temporary |generated )?(?:password|passphrase|token|api key|secret)\b(?!s)|(?:password|passphrase|token) (?:is|follows|below)\s*:\s*$/i
