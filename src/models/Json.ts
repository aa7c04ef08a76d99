/**
 * Looking into vendors' JSON without trusting its shape.
 *
 * For the inner loop, where a schema costs more than the event it decodes.
 */

export interface JsonObject {
  readonly [key: string]: unknown
}

export const isRecord = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What a JSON text may cost to parse and to walk through. */
export interface Bounds {
  /** Levels of `{` and `[`. */
  readonly depth: number
  /** Values in all, of every level. */
  readonly values: number
}

/** What a provider may send in one answer or event: far above any real one, parsed in less than 100 ms. */
const vendorBounds: Bounds = { depth: 256, values: 250_000 }

/** Undefined when `text` is not JSON, or nests deeper or holds more values than an answer of a provider does. */
export const parse = (text: string): unknown => {
  // Text that is shorter than the bounds cannot exceed them: most events are not scanned.
  if (text.length > vendorBounds.depth && !isWithin(text, vendorBounds)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A string that is not empty, an object, a whole number that is not negative; undefined for anything else. */
export const string = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined
export const object = (value: unknown): JsonObject | undefined => isRecord(value) ? value : undefined
export const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined
export const array = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/**
 * Whether JSON `text` keeps the `bounds`, from one pass over it without recursion: to be asked before the text is
 * parsed. What is not JSON may get either answer.
 */
export const isWithin = (text: string, bounds: Bounds): boolean => {
  let [depth, values] = [0, 1]
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case code.quote:
        at = endOfString(text, at)
        break
      case code.brace:
      case code.bracket:
        if (++depth > bounds.depth || ++values > bounds.values) return false
        break
      case code.comma:
        if (++values > bounds.values) return false
        break
      case code.closingBrace:
      case code.closingBracket:
        depth--
    }
  }
  return true
}

// -- internals ---------------------------------------------------------------

const code = {
  quote: 0x22,
  comma: 0x2c,
  bracket: 0x5b,
  backslash: 0x5c,
  closingBracket: 0x5d,
  brace: 0x7b,
  closingBrace: 0x7d
} as const

/** Of the quote that ends the string that the quote at `start` begins; the end of the text where there is none. */
const endOfString = (text: string, start: number): number => {
  for (let at = text.indexOf("\"", start + 1); at >= 0; at = text.indexOf("\"", at + 1)) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === code.backslash) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return text.length
}
