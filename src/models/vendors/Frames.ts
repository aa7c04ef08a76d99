/**
 * The JSON values and the bare words in the body of a response, however its sender frames them.
 *
 * Server-sent events by the standard are read as the standard has them, and so are their usual faults: any line end,
 * byte order marks, blanks around a field's name, no blank line between two events, several values on one line, one
 * value on several lines, values without `data:`, and a last line that nothing ends. However the bytes are split, the
 * frames are the same. What begins like JSON and cannot be read is a frame too, so that nothing is lost in silence.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5 and 9.2.6
 */
import { StringDecoder } from "node:string_decoder"
import * as Json from "../Json.js"
import * as InBand from "./InBand.js"
import * as Loose from "./Loose.js"

export type Frame = Value | Word | Broken

/** JSON. */
export interface Value {
  readonly kind: "value"
  /** As the stream names it; empty when it does not. */
  readonly event: string
  readonly value: unknown
  /** Whether it is the data of an event, and not a line or a body by itself. */
  readonly isData: boolean
}

/** No JSON, and no beginning of it; never blank. */
export interface Word {
  readonly kind: "word"
  readonly event: string
  readonly word: string
}

/** It begins like JSON and is none, or has no end, or is too large to be kept. */
export interface Broken {
  readonly kind: "broken"
  readonly detail: "invalid event" | "event too large"
}

export interface Decoder {
  /** The frames that `bytes` completes, in order. After `event too large` it must not be used again. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<Frame>
  /** What the end of the body completes. */
  readonly end: () => ReadonlyArray<Frame>
}

/** `limit` in UTF-16 code units: what one line, or one value, may hold in memory. */
export const make = (limit: number = defaultLimit): Decoder => {
  const utf8 = new StringDecoder("utf8")
  const lines = fromLines()
  /** The line that is not finished yet. */
  let line = ""
  /** A carriage return ended the last bytes, so a line feed at the start of the next ones belongs to it. */
  let skipLineFeed = false

  const take = (given: string): ReadonlyArray<Frame> => {
    let fresh = given
    if (skipLineFeed && fresh !== "") {
      skipLineFeed = false
      if (fresh.charCodeAt(0) === lineFeed) fresh = fresh.slice(1)
    }
    if (fresh.includes("\r")) {
      skipLineFeed = fresh.endsWith("\r")
      fresh = fresh.replace(/\r\n?/g, "\n")
    }
    const frames: Array<Frame> = []
    let from = 0
    for (let at = fresh.indexOf("\n"); at >= 0; at = fresh.indexOf("\n", from)) {
      const end = fresh.slice(from, at)
      lines.take(line === "" ? end : line + end, frames)
      line = ""
      from = at + 1
    }
    if (from < fresh.length) line += fresh.slice(from)
    if (line.length > limit || lines.held() > limit) frames.push({ kind: "broken", detail: "event too large" })
    return frames
  }

  return {
    push: (bytes) => take(utf8.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))),
    end: () => {
      const frames = [...take(utf8.end())]
      if (line !== "") lines.take(line, frames)
      line = ""
      lines.end(frames)
      return frames
    }
  }
}

/** The frames of a body that is here as a whole. */
export const ofText = (text: string): ReadonlyArray<Frame> => {
  const value = Json.parse(text)
  if (value !== undefined) return [{ kind: "value", event: "", value, isData: false }]
  const decoder = make(Infinity)
  return [...decoder.push(Buffer.from(text)), ...decoder.end()]
}

// -- internals ---------------------------------------------------------------

/** Far above any vendor's event, far below what would hurt the process. */
const defaultLimit = 16 * 1024 * 1024

const lineFeed = 0x0a
const byteOrderMark = 0xfeff

/** Names of fields come in any case, with blanks around them. */
const field = /^[ \t]*(data|event|id|retry|error)[ \t]*:/i

const dataAgain = /^\s*data[ \t]*:/i

const fromLines = () => {
  let event = ""
  /** The value that is not finished yet. */
  let values = Loose.scanner()
  let isData = true
  /** The last value of this block: a name that follows it may say that it is a failure. */
  let last: Value | undefined
  let isNamedLate = false

  const emit = (value: unknown, frames: Array<Frame>): void => {
    last = { kind: "value", event, value, isData }
    isNamedLate = false
    frames.push(last)
    event = ""
  }
  const emitWord = (word: string, frames: Array<Frame>): void => {
    frames.push({ kind: "word", event, word })
    event = ""
  }
  const scan = (text: string, frames: Array<Frame>): void => {
    for (const found of values.feed(text)) {
      if (found.kind === "value") emit(found.value, frames)
      else if (found.kind === "word") emitWord(found.word, frames)
      else frames.push({ kind: "broken", detail: "invalid event" })
    }
  }
  /** `text` belongs to the value that is not finished, if there is one. */
  const add = (given: string, frames: Array<Frame>): void => {
    if (values.held() > 0) return scan(`\n${given}`, frames)
    // As nearly every event is: one value on one line.
    if (given.charCodeAt(0) === openBrace) {
      const value = Json.parse(given)
      if (value !== undefined) return emit(value, frames)
    }
    let text = given.trim()
    while (dataAgain.test(text)) text = text.replace(dataAgain, "").trimStart()
    if (text === "") return
    if (/[[{]/.test(text)) scan(text, frames)
    else emitWord(text, frames)
  }
  const giveUp = (frames: Array<Frame>): void => {
    if (values.held() === 0) return
    values = Loose.scanner()
    frames.push({ kind: "broken", detail: "invalid event" })
  }
  const endBlock = (frames: Array<Frame>): void => {
    giveUp(frames)
    // The name of a value counts wherever it stands in the block, and that of a failure without any value.
    if (InBand.isErrorEvent(event)) {
      if (last === undefined) frames.push({ kind: "word", event, word: event })
      else if (isNamedLate) frames.push({ ...last, event })
    }
    event = ""
    last = undefined
    isNamedLate = false
  }

  return {
    /** Characters of the value that is not finished. */
    held: (): number => values.held(),
    take: (given: string, frames: Array<Frame>): void => {
      if (given.startsWith("data:") && values.held() === 0) {
        isData = true
        return add(given.slice(given.charCodeAt(5) === 0x20 ? 6 : 5), frames)
      }
      // One stream put behind another has a mark in its middle.
      const line = given.charCodeAt(0) === byteOrderMark ? given.replace(/^\ufeff+/, "") : given
      if (line.trim() === "") {
        // A value without `data:` may have blank lines in it.
        if (!isData && values.held() > 0) return
        return endBlock(frames)
      }
      const name = field.exec(line)
      const isContinuation = values.held() > 0 && (isData ? name?.[1]?.toLowerCase() !== "data" : true)
      if (isContinuation && (values.isInString() || name === null && !/^[ \t]*:/.test(line))) {
        return add(isData ? line : given, frames)
      }
      // A comment.
      if (name === null && /^[ \t]*:/.test(line)) return
      if (name === null) {
        isData = false
        return add(line, frames)
      }
      const value = line.slice(name[0].length)
      switch (name[1]?.toLowerCase()) {
        case "data": {
          if (!isData) giveUp(frames)
          isData = true
          return add(value.startsWith(" ") ? value.slice(1) : value, frames)
        }
        case "event":
          event = value.trim()
          isNamedLate = last !== undefined
          return
        // The data of a failure, as llama.cpp has it: https://github.com/ggml-org/llama.cpp/tree/master/tools/server
        case "error":
          giveUp(frames)
          event = "error"
          isData = true
          return add(value, frames)
      }
    },
    end: endBlock
  }
}

const openBrace = 0x7b
