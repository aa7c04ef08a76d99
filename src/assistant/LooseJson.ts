/**
 * Reads one JSON value that begins at a place within a text, as models write it: a comma behind the last item and line
 * breaks within strings are accepted. Keys are compared in lower case; a key with two different values is `twice`.
 *
 * All attempts on a text share one budget of characters, so that the work is linear in its length.
 */

export type Json = string | number | boolean | null | typeof twice | ReadonlyArray<Json> | JsonObject
export type JsonObject = ReadonlyMap<string, Json>

/** Stands for the value of a key that has two different ones. */
export const twice: unique symbol = Symbol("twice")

/** In characters. */
export interface Budget {
  left: number
}

export type Attempt =
  | { readonly _tag: "Value"; readonly value: Json; readonly end: number }
  | {
    readonly _tag: "NotJson"
    /** Whether the text ends before the value does. */
    readonly isCut: boolean
    /** The keys that were read completely of the outermost object. */
    readonly known: JsonObject
  }

export const parse = (text: string, from: number, budget: Budget): Attempt => {
  const outermost = new Map<string, Json>()
  let at = from
  let depth = 0

  const skipBlanks = () => {
    while (isBlank(text.charCodeAt(at))) at++
  }
  const fail = (): never => {
    throw failed
  }
  const string = (): string => {
    let read = ""
    let start = ++at
    for (;; at++) {
      const code = text.charCodeAt(at)
      if (Number.isNaN(code)) fail()
      if (code === quote) {
        read += text.slice(start, at++)
        return read
      }
      if (code !== backslash) continue
      read += text.slice(start, at)
      const escaped = text[++at]
      if (escaped === "u") {
        const digits = text.slice(at + 1, at + 5)
        at += Math.min(4, digits.length)
        read += /^[0-9a-f]{4}$/i.test(digits) ? String.fromCharCode(Number.parseInt(digits, 16)) : fail()
      } else {
        read += escaped === undefined ? fail() : escapes.get(escaped) ?? fail()
      }
      start = at + 1
    }
  }
  const items = (close: string, item: () => void) => {
    at++
    if (++depth > maxDepth) fail()
    for (;;) {
      skipBlanks()
      if (text[at] === close) break
      item()
      skipBlanks()
      if (text[at] === ",") at++
      else if (text[at] !== close) fail()
    }
    depth--
    at++
  }
  const value = (): Json => {
    budget.left -= costOfValue
    skipBlanks()
    switch (text[at]) {
      case "\"":
        return string()
      case "[": {
        const list: Array<Json> = []
        items("]", () => list.push(value()))
        return list
      }
      case "{": {
        const object = depth === 0 ? outermost : new Map<string, Json>()
        items("}", () => {
          if (text[at] !== "\"") fail()
          const key = string().toLowerCase()
          skipBlanks()
          if (text[at] !== ":") fail()
          at++
          const read = value()
          object.set(key, object.has(key) && !isEqual(object.get(key), read) ? twice : read)
        })
        return object
      }
    }
    scalar.lastIndex = at
    const [found] = scalar.exec(text) ?? fail()
    at += found.length
    return JSON.parse(found) as number | boolean | null // All that the expression matches is one of these.
  }

  try {
    return { _tag: "Value", value: value(), end: at }
  } catch (error) {
    if (error !== failed) throw error
    budget.left -= costOfFailure
    return { _tag: "NotJson", isCut: at >= text.length, known: outermost }
  } finally {
    budget.left -= at - from + 1
  }
}

export const isObject = (value: Json): value is JsonObject => value instanceof Map

// -- internals ---------------------------------------------------------------

const maxDepth = 64

/** In characters that are read in the same time. */
const [costOfValue, costOfFailure] = [20, 600]

const failed = new Error("not JSON")

const quote = 0x22
const backslash = 0x5c

const escapes: ReadonlyMap<string, string> = new Map([
  ["\"", "\""],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"]
])

const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

const isBlank = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0

const isEqual = (one: Json | undefined, other: Json): boolean =>
  JSON.stringify(plain(one)) === JSON.stringify(plain(other))

const plain = (value: Json | undefined): unknown => {
  if (value instanceof Map) return [...value].map(([key, item]: readonly [string, Json]) => [key, plain(item)])
  return Array.isArray(value) ? value.map((item: Json) => plain(item)) : value
}
