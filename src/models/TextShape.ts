/**
 * The text of a vendor's events without parsing each of them.
 *
 * Events of text differ in little else from each other. What stands around the
 * text is learned from one that was parsed, and tried on it with another text;
 * an event that differs anywhere else is left to the parser.
 */
import * as Json from "./Json.js"
import * as Sse from "./Sse.js"

export interface TextShape {
  /** The text of an event of the known shape, never empty; undefined for every other event, which may hold text too. */
  readonly read: (raw: Sse.Raw) => string | undefined
  /** To be told of an event that has no known shape, and means nothing but `text`. */
  readonly learn: (raw: Sse.Raw, text: string) => void
}

/** `parse` says what an event means, if that is a text and nothing else. */
export const make = (parse: (raw: Sse.Raw) => string | undefined): TextShape => {
  let shape: Shape | undefined
  // A vendor whose events all differ is not asked for ever.
  let tries = 8

  return {
    read: (raw) => {
      if (shape === undefined) return undefined
      const { after, before, end } = shape
      const from = before.length
      // To compare slices is the fastest way: `startsWith` looks at one character after the other.
      if (raw.slice(0, from) !== before) return undefined
      const to = endOf(raw, from)
      const rest = to + after.length
      if (to <= from || raw.slice(to, rest) !== after) return undefined
      if (end === undefined) {
        if (rest !== raw.length) return undefined
      } else {
        const filled = endOf(raw, rest)
        if (filled < 0 || raw.slice(filled) !== end || textOf(raw.slice(rest, filled)) === undefined) return undefined
      }
      return textOf(raw.slice(from, to))
    },
    learn: (raw, text) => {
      if (tries === 0 || text === "" || !isPlain(text)) return
      tries--
      const known = Sse.encode(text)
      const quoted = `${quote}${known}${quote}`
      for (let at = raw.indexOf(quoted); at >= 0; at = raw.indexOf(quoted, at + 1)) {
        const before = raw.slice(0, at + 1)
        const found = around(before, raw.slice(at + 1 + known.length))
        if (parse(`${before}${known}?${found.after}${found.end ?? ""}`) === `${text}?`) {
          shape = found
          return
        }
      }
    }
  }
}

// -- internals ---------------------------------------------------------------

interface Shape {
  readonly before: Sse.Raw
  readonly after: Sse.Raw
  /** What follows a second text, which may be any and means nothing; undefined without one. */
  readonly end: Sse.Raw | undefined
}

/** OpenAI hides how long the text is from who can see the network: each event is filled up with random characters. */
const filling = "\"obfuscation\":\""

const around = (before: Sse.Raw, rest: Sse.Raw): Shape => {
  const at = rest.indexOf(filling)
  const from = at + filling.length
  const to = endOf(rest, from)
  return at < 0 || to < 0
    ? { before, after: rest, end: undefined }
    : { before, after: rest.slice(0, from), end: rest.slice(to) }
}

const quote = "\""
const backslash = 0x5c

/** Where the JSON string ends that begins before `from`; -1 where it does not. */
const endOf = (raw: Sse.Raw, from: number): number => {
  for (let at = raw.indexOf(quote, from); at >= 0; at = raw.indexOf(quote, at + 1)) {
    let first = at
    while (first > from && raw.charCodeAt(first - 1) === backslash) first--
    // Each second backslash is the character itself.
    if ((at - first) % 2 === 0) return at
  }
  return -1
}

/** Of what stands between the quotes of a JSON string; undefined for what must not stand there. */
const textOf = (raw: Sse.Raw): string | undefined => {
  const text = Sse.decode(raw)
  if (isPlain(text)) return text
  const parsed = Json.parse(`${quote}${text}${quote}`)
  return typeof parsed === "string" ? parsed : undefined
}

/** Whether a JSON string with this between its quotes has just this text. */
const isPlain = (text: string): boolean => !special.test(text)

const special = /["\\\u0000-\u001f]/
