/**
 * Reads server-sent events from the bytes of a response.
 *
 * However the bytes are split, the events are the same; an event that the
 * stream leaves unfinished is discarded.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5 and 9.2.6
 */
import { Data, Either } from "effect"

export interface ServerSentEvent {
  /** `message` when the stream names none. */
  readonly event: string
  /** The `data` lines, joined by a line feed, as {@link Raw}. */
  readonly raw: Raw
}

/**
 * UTF-8 that was not decoded: a code unit for each of its bytes. Most of an event is never looked at, and what has a
 * meaning in the stream or in JSON is ASCII, which is the same either way.
 */
export type Raw = string

/** As text. */
export const decode = (raw: Raw): string => notAscii.test(raw) ? Buffer.from(raw, "latin1").toString("utf8") : raw

/** From text. */
export const encode = (text: string): Raw => notAscii.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text

export interface Decoder {
  /** The events that `bytes` completes, in order. After a failure the decoder must not be used again. */
  readonly push: (bytes: Uint8Array) => Either.Either<ReadonlyArray<ServerSentEvent>, EventTooLarge>
}

/** One event, or one line, is longer than `limit` bytes. */
export class EventTooLarge extends Data.TaggedError("EventTooLarge")<{ readonly limit: number }> {}

/** `limit` in bytes: what one event may hold in memory. */
export const make = (limit: number = defaultLimit): Decoder => {
  /** The line that is not finished yet. */
  let line: Raw = ""
  let isFirst = true
  let event = defaultEvent
  let data: Raw | undefined
  /** A carriage return ended the last bytes, so a line feed at the start of the next ones belongs to it. */
  let skipLineFeed = false

  const take = (given: Raw): ServerSentEvent | undefined => {
    let line = given
    if (isFirst) {
      isFirst = false
      if (line.startsWith(byteOrderMark)) line = line.slice(byteOrderMark.length)
    }
    if (line === "") {
      const complete = data === undefined ? undefined : { event, raw: data }
      event = defaultEvent
      data = undefined
      return complete
    }
    const colon = line.indexOf(":")
    // A line that starts with a colon is a comment: its field name is empty.
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === space ? colon + 2 : colon + 1)
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`
    else if (field === "event") event = value === "" ? defaultEvent : decode(value)
    return undefined
  }

  return {
    push: (bytes) => {
      let fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")
      if (skipLineFeed && fresh !== "") {
        skipLineFeed = false
        if (fresh.startsWith("\n")) fresh = fresh.slice(1)
      }
      if (fresh.includes("\r")) {
        skipLineFeed = fresh.endsWith("\r")
        fresh = fresh.replace(/\r\n?/g, "\n")
      }
      const events: Array<ServerSentEvent> = []
      let from = 0
      for (let at = fresh.indexOf("\n"); at >= 0; at = fresh.indexOf("\n", from)) {
        const complete = take(line + fresh.slice(from, at))
        if (complete !== undefined) events.push(complete)
        else if (data !== undefined && data.length > limit) return Either.left(new EventTooLarge({ limit }))
        line = ""
        from = at + 1
      }
      line += fresh.slice(from)
      return line.length > limit ? Either.left(new EventTooLarge({ limit })) : Either.right(events)
    }
  }
}

// -- internals ---------------------------------------------------------------

/** 16 MiB: far above any vendor's event, far below what would hurt the process. */
const defaultLimit = 16 * 1024 * 1024

const defaultEvent = "message"

const space = 0x20

/** As {@link Raw}. */
const byteOrderMark = "\u00ef\u00bb\u00bf"

const notAscii = /[^\u0000-\u007f]/
