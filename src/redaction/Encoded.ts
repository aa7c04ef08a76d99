/**
 * Base64: whether text is it, and what it says.
 */
import * as Trim from "./Trim.js"

/** The text in `value` when it is Base64 of printable UTF-8, of four characters or more; `undefined` otherwise. */
export const decodedText = (value: string): string | undefined => {
  if (value.length < 8 || value.length > longest || !alphabet.test(value)) return undefined
  const bare = Trim.end(value, "=")
  if (bare.length % 4 === 1 || (bare.length !== value.length && value.length % 4 !== 0)) return undefined
  const bytes = Buffer.from(bare, "base64")
  const text = bytes.toString("utf8")
  return text.length >= 4 && !unprintable.test(text) ? text : undefined
}

// -- internals ---------------------------------------------------------------

const longest = 1 << 20

const alphabet = /^[A-Za-z0-9+/_-]+={0,2}$/

/** The replacement character stands where bytes are no UTF-8. */
const unprintable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffd]/
