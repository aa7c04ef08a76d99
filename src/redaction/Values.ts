/**
 * Whether the value of a key that says "secret" is one. In doubt it is: what is
 * redacted in vain is restored, and what leaks is not called back.
 */
import { isOrdinary, isProse } from "./Common.js"
import { decodedText } from "./Encoded.js"
import type { Trait } from "./Keys.js"
import * as Placeholder from "./Placeholder.js"
import * as Trim from "./Trim.js"

/** Where a value stands. */
export interface Place {
  /** `name` when the key came before as the `name` of a name and value pair. */
  readonly after: "=" | ":" | "name"
  readonly quoted: boolean
  /** The key begins its line: this is a file and no sentence. */
  readonly leads: boolean
  /** There is a blank between separator and value. */
  readonly apart: boolean
  /** Nothing follows on the line. */
  readonly last: boolean
}

export const isSecret = (value: string, trait: Trait, place: Place): boolean => {
  if (value === "" || Placeholder.is(value) || stands.test(value) || isOrdinary(value)) return false
  if (place.after !== "name" && !place.quoted && (call.test(value) || attribute.test(value) || type.test(value))) {
    return false
  }
  switch (trait.when) {
    case "opaque":
      return isOpaque(value)
    case "registry":
      return isOpaque(value) || (decodedText(value)?.includes(":") ?? false)
    case "encoded":
      return isEncodedSecret(value)
    case "header":
    case "cookie":
      return true
    case "assigned":
      if (place.after === ":" && !place.quoted && (/\s/.test(value) || isObjectName(value))) return false
      break
    case "unnamed":
      if (isObjectName(value)) return false
  }
  if (number.test(value)) return value.length >= (trait.kind === "password" ? 4 : 20)
  if (trait.kind !== "password" && measure.test(value)) return false
  if (trait.kind !== "password" && /^https?:\/\/[^@]*$/.test(value)) return false
  if (place.after === ":" && isProse(value)) return false
  if (place.quoted || place.after !== ":" || place.leads) return true
  if (!place.apart) return value.length >= 6 && /\d/.test(value) && /[A-Za-z]/.test(value) && !version.test(value)
  return looksRandom(value) || (trait.kind === "password" && place.last)
}

/** Random characters: long, of several kinds, and none of the shapes that names, digests and paths have. */
export const isOpaque = (value: string): boolean =>
  value.length >= 20 && value.length <= 1 << 20 && opaque.test(value) && !named.test(value) &&
  ((/[a-z]/.test(value) && /[A-Z]/.test(value) && (value.match(/\d/g)?.length ?? 0) >= 2) ||
    /^[A-Za-z0-9+/]{24,}={1,2}$/.test(value)) &&
  entropy(value.slice(0, 512)) >= 3.3

/** Base64 that says something which looks like a secret. */
export const isEncodedSecret = (value: string): boolean => {
  if (value.length < 8 || value.length % 4 !== 0) return false
  const text = decodedText(value)
  return text !== undefined && (looksRandom(text) || text.includes("-----BEGIN"))
}

// -- internals ---------------------------------------------------------------

/** Stands for a value and is none: masks, references, templates, byte counts, paths. */
const stands = new RegExp(`^(?:${
  [
    /[*•.\-_xX#?]+/,
    /<[^<>]*>.*/,
    /\$\{[^}]*\}?|\$\([^)]*\)?|\$[A-Z_][A-Z0-9_]*|\$\{\{.*/,
    /\{\{.*/,
    /%(?:\(\w+\))?[sdvqrx+]+|%[A-Z_]+%/,
    /\d+ bytes/,
    /[[(][A-Za-z][A-Za-z _-]*[\])]/,
    /(?:~|\.{1,2}|file:\/\/|\/(?:etc|var|run|home|root|opt|usr|tmp|mnt|secrets?|data|vault|certs?|srv|app|dev|proc|config|keys?|private|bin))\/.*/,
    /[{[|>&*!]|[|>][+-]?\d?|[{[]\s*[}\]]?|\[\]|\{\}/,
    /sha(?:1|256|512):[0-9a-f]+/
  ].map((pattern) => pattern.source).join("|")
})$`)

const call = /^[A-Za-z_][\w.]*(?:\(|\[["'\w])/
const attribute =
  /^(?:self|this|os|env|config|cfg|settings|args|opts|options|process|request|req|var|local|data|module)\.[A-Za-z_.]+$/
const type = /^(?:new [A-Z][A-Za-z.]*\(.*|[A-Z][A-Za-z]+(?:\.[A-Z][A-Za-z]+)+[,;)]?)$/
const number = /^[\d.,_]+$/
const measure = /^\d+(?:\.\d+)?(?:ms|s|m|h|d|w|y|%|[KMGT]i?B?)$/
const version = /^v?\d+(?:\.\d+)*(?:-[\w.]+)?$/

/** Words between dashes, with short numbers or hashes among them; or words in camel case. */
const isObjectName = (value: string): boolean =>
  value.length <= 253 && (/^[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)*$/.test(value) || /^[A-Z]+(?:_[A-Z0-9]+)*$/.test(value) ||
    value.split(/[-./_]/).every((piece) => /^(?:[a-z]+\d{0,4}|\d{1,4}|[a-z0-9]{5}|[a-f0-9]{8,10})$/.test(piece)))

const opaque = /^[A-Za-z0-9+/=_.~-]+$/
const named =
  /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$|^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$|^\/|\.[a-z]{2,}$|^[a-z0-9.-]+\.[a-z]{2,}\//i

/** A digit or a sign among letters, or capitals inside: nothing that a sentence has. */
const looksRandom = (value: string): boolean => {
  const word = Trim.end(value, ".,;:!?)]")
  if (/\s/.test(word) || /^https?:\/\//.test(word) || version.test(word)) return false
  if (/^[A-Za-z]+(?:['’-][A-Za-z]+)*$/.test(word)) return /[a-z][A-Z].*[a-z][A-Z]/.test(word) && word.length >= 12
  return word.length >= 4
}

const entropy = (text: string): number => {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}
