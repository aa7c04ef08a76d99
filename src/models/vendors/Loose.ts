/**
 * JSON as it is written by hand: where its values begin and end in a text, and what its usual faults mean.
 *
 * Only faults that have one reading are forgiven: `NaN` and its like, control characters in a string, an escape that
 * JSON does not have, a comma before a closing bracket.
 */
import * as Json from "../Json.js"

export type Found =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "word"; readonly word: string }
  | { readonly kind: "broken" }

export interface Scanner {
  /** What the next piece of the text completes. Looks at each character once, however the text is cut. */
  readonly feed: (piece: string) => ReadonlyArray<Found>
  /** Characters of the value that is not finished; 0 between values. */
  readonly held: () => number
  /** Whether the text so far ends inside of a string. */
  readonly isInString: () => boolean
}

/** Finds objects, lists and the words between them; other values are words. */
export const scanner = (): Scanner => {
  let text = ""
  let depth = 0
  let inString = false
  let escaped = false

  return {
    held: () => text.length,
    isInString: () => inString,
    feed: (piece) => {
      const found: Array<Found> = []
      /** Where the present value, or what is between two, begins in this piece. */
      let from = 0
      for (let at = 0; at < piece.length; at++) {
        const unit = piece.charCodeAt(at)
        if (depth === 0) {
          if (unit !== openBrace && unit !== openBracket) continue
          const word = unit === openBracket ? bracketed(piece, at) : undefined
          found.push(...wordsOf(piece.slice(from, at)))
          if (word === undefined) {
            depth = 1
            from = at
            continue
          }
          found.push({ kind: "word", word })
          at += word.length - 1
          from = at + 1
        } else if (inString) {
          if (escaped) escaped = false
          else if (unit === backslash) escaped = true
          else if (unit === quote) inString = false
        } else if (unit === quote) inString = true
        else if (unit === openBrace || unit === openBracket) depth++
        else if ((unit === closeBrace || unit === closeBracket) && --depth === 0) {
          const parsed = parse(text + piece.slice(from, at + 1))
          found.push(parsed === undefined ? { kind: "broken" } : { kind: "value", value: parsed })
          text = ""
          from = at + 1
        }
      }
      if (depth > 0) text += piece.slice(from)
      else found.push(...wordsOf(piece.slice(from)))
      return found
    }
  }
}

/** Undefined for what has no one reading, and for more than a vendor's answer can hold. */
export const parse = (text: string): unknown => Json.parse(text) ?? Json.parse(repaired(text))

// -- internals ---------------------------------------------------------------

const quote = 0x22
const openBracket = 0x5b
const backslash = 0x5c
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d

/** `[DONE]`, `[PING]` and the like; undefined for a list. */
const bracketed = (text: string, at: number): string | undefined => {
  const word = /\[[^[\]{}",]*\]/y
  word.lastIndex = at
  return word.exec(text)?.[0]
}

/** What is left between two values when the names of fields are gone. */
const wordsOf = (text: string): ReadonlyArray<Found> => {
  const word = text.replace(/^[\s,]*(?:data[ \t]*:[\s,]*)*/i, "").replace(/(?:[\s,]*data[ \t]*:)*[\s,]*$/i, "")
  return word === "" ? [] : [{ kind: "word", word }]
}

const repaired = (text: string): string =>
  text.replace(
    /("[^"\\]*(?:\\[\s\S][^"\\]*)*")|[^"]+/g,
    (token, string: string | undefined) => string === undefined ? between(token) : within(string)
  )

const between = (token: string): string =>
  token
    .replace(/(^|[\s:,[])(?:[-+]?(?:NaN|Infinity)|None|undefined)(?=$|[\s,\]}])/g, "$1null")
    .replace(/(^|[\s:,[])True(?=$|[\s,\]}])/g, "$1true")
    .replace(/(^|[\s:,[])False(?=$|[\s,\]}])/g, "$1false")
    .replace(/,(?=\s*[\]}])/g, "")

const within = (string: string): string =>
  string
    .replace(/\\([\s\S])/g, (escape, character: string) => /["\\/bfnrtu]/.test(character) ? escape : character)
    .replace(/[\u0000-\u001f]/g, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)
