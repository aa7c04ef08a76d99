/**
 * Follows JSON through a text of any kind: over lines, among other text, and
 * inside of JSON strings (the annotation `last-applied-configuration`).
 *
 * What proves to be no JSON is left at once, so that a stray brace holds nothing back.
 */
import { flagged } from "./Keys.js"
import type { Kind } from "./Kinds.js"
import * as Mapping from "./Mapping.js"
import { backslashesBefore, level } from "./Quotes.js"
import type { Spans } from "./Spans.js"

export interface Json {
  /** Takes the next part of the text, which stands at `at`; `last` when its line ends with it. */
  readonly take: (text: string, at: number, last: boolean) => void
  readonly end: () => void
}

export const make = (spans: Spans): Json => {
  let frames: Array<Frame> = []
  /** The string that is open. */
  let string: Text | undefined

  const reset = () => {
    for (const frame of frames.reverse()) Mapping.close(frame.mapping, spans)
    frames = []
    string = undefined
  }

  /** Closes what is open inside of the string of level `depth` at most, and goes on in that string; or ends it all. */
  const backTo = (depth: number) => {
    while (frames.length > 0) {
      const frame = frames.pop()
      if (frame === undefined) break
      Mapping.close(frame.mapping, spans)
      if (frame.host !== undefined && frame.host.level <= depth) {
        string = frame.host
        return
      }
    }
    reset()
  }

  const push = (array: boolean, depth: number, host: Text | undefined) => {
    if (frames.length >= deepest) reset()
    const parent = frames.at(-1)
    // A list is not an object of its own: what it holds belongs to its key.
    const ofParent = array && parent !== undefined && !Mapping.isData(parent.mapping, parent.key)
    frames.push({
      mapping: ofParent ? parent.mapping : Mapping.open(parent?.mapping, parent?.key),
      array,
      level: depth,
      host,
      key: ofParent ? parent.key : "",
      flag: undefined,
      expect: array ? "value" : "key"
    })
  }

  const finish = (frame: Frame, text: Text, end: number) => {
    if (text.isKey) {
      frame.key = text.value
      frame.expect = "colon"
    } else {
      Mapping.scalar(frame.mapping, frame.array ? "" : frame.key, text.value, text.start, end, spans)
      if (frame.array && frame.flag !== undefined && !text.value.startsWith("-")) spans.add(text.start, end, frame.flag)
      frame.flag = flagged(text.value)
      frame.expect = "next"
    }
  }

  /** Goes on in the open string; gives the place after it, or the end of `text`. */
  const inString = (text: string, at: number, from: number, open: Text): number => {
    const frame = frames.at(-1)
    for (
      let quote = text.indexOf("\"", from);
      quote >= 0 && frame !== undefined;
      quote = text.indexOf("\"", quote + 1)
    ) {
      const found = level(backslashesBefore(text, quote, from))
      if (found > open.level) continue
      const end = quote - (2 ** found - 1)
      gather(open, text.slice(from, end))
      string = undefined
      finish(frame, open, at + end)
      if (found < open.level) {
        backTo(found)
        return string === undefined ? quote + 1 : inString(text, at, quote - (2 ** found - 1), string)
      }
      return quote + 1
    }
    gather(open, text.slice(from))
    if (frame !== undefined && !open.isKey && frame.mapping.dataOf !== undefined) {
      Mapping.datum(frame.mapping.dataOf, open.value, at + from, at + text.length, spans)
    }
    return text.length
  }

  const quoted = (text: string, at: number, quote: number, frame: Frame, run: number): number => {
    const found = level(run)
    if (frame.level < 0) frame.level = found
    if (found < frame.level) {
      backTo(found)
      return quote - (2 ** found - 1)
    }
    if (found > frame.level || (frame.expect !== "key" && frame.expect !== "value")) return broken(frame, quote - run)
    const open: Text = { level: found, isKey: frame.expect === "key", start: at + quote + 1, value: "" }
    if (!open.isKey && /^[{[]/.test(text.slice(quote + 1, quote + 2)) && frame.mapping.dataOf === undefined) {
      push(text.charAt(quote + 1) === "[", found + 1, open)
      return quote + 2
    }
    string = open
    return quote + 1
  }

  /** No JSON: gives the place to go on. */
  const broken = (frame: Frame, at: number): number => {
    backTo(frame.level - 1)
    return string === undefined ? at + 1 : at
  }

  /** Takes one token between strings; gives the place after it. */
  const token = (text: string, base: number, at: number, frame: Frame): number => {
    const character = text.charAt(at)
    switch (character) {
      case " ":
      case "\t":
      case "\r":
        return at + 1
      case "\"":
        return quoted(text, base, at, frame, 0)
      case "\\": {
        let end = at
        while (text.charCodeAt(end) === 0x5c) end++
        if (text.charAt(end) === "\"") return quoted(text, base, end, frame, end - at)
        return /[nrt]/.test(text.charAt(end)) ? end + 1 : broken(frame, at)
      }
      case "{":
      case "[":
        if (frame.expect !== "value") return broken(frame, at)
        push(character === "[", frame.level, undefined)
        return at + 1
      case "}":
      case "]": {
        if (frame.array !== (character === "]") || frame.expect === "colon") return broken(frame, at)
        frames.pop()
        const parent = frames.at(-1)
        if (!frame.array || parent?.mapping !== frame.mapping) Mapping.close(frame.mapping, spans)
        if (frame.host !== undefined) string = frame.host
        else if (parent !== undefined) parent.expect = "next"
        return at + 1
      }
      case ":":
        if (frame.expect !== "colon") return broken(frame, at)
        frame.expect = "value"
        return at + 1
      case ",":
        if (frame.expect !== "next") return broken(frame, at)
        frame.expect = frame.array ? "value" : "key"
        return at + 1
      default: {
        literal.lastIndex = at
        const found = literal.exec(text)
        if (found === null || frame.expect !== "value") return broken(frame, at)
        frame.expect = "next"
        return at + found[0].length
      }
    }
  }

  return {
    take: (text, at, last) => {
      for (let from = 0; from < text.length;) {
        const frame = frames.at(-1)
        if (string !== undefined) {
          from = inString(text, at, from, string)
        } else if (frame !== undefined) {
          from = token(text, at, from, frame)
        } else {
          begins.lastIndex = from
          const found = begins.exec(text)
          if (found === null) break
          push(found[0].startsWith("["), -1, undefined)
          from = found.index + 1
        }
      }
      // A string of JSON has no line ends in it, and neither has a document in a string.
      if (last && (string !== undefined || frames.some((frame) => frame.host !== undefined || frame.level > 0))) reset()
    },
    end: reset
  }
}

// -- internals ---------------------------------------------------------------

interface Frame {
  readonly mapping: Mapping.Mapping
  readonly array: boolean
  /** Of its quotes; -1 before the first. */
  level: number
  /** The string that this document is inside of. */
  readonly host: Text | undefined
  key: string
  /** The item of a list before was a flag whose value is a secret of this kind. */
  flag: Kind | undefined
  expect: "key" | "colon" | "value" | "next"
}

interface Text {
  readonly level: number
  readonly isKey: boolean
  /** Its place in the whole text. */
  readonly start: number
  /** As much of it as may matter. */
  value: string
}

const gather = (open: Text, more: string) => {
  if (open.value.length < 4096) open.value += more.slice(0, 4096)
}

/** Nothing nests deeper that is meant to be read. */
const deepest = 512

/** A brace or bracket with something after it that JSON has there. */
const begins = /\{(?=\s*(?:$|\\*"|\}))|\[(?=\s*(?:$|\\*"|[{[\]]))/g

const literal = /-?[0-9][0-9.eE+-]*|true|false|null/y
