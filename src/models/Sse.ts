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
  /** The `data` lines, joined by a line feed. */
  readonly data: string
}

export interface Decoder {
  /** The events that `bytes` completes, in order. After a failure the decoder must not be used again. */
  readonly push: (bytes: Uint8Array) => Either.Either<ReadonlyArray<ServerSentEvent>, EventTooLarge>
}

/** One event, or one line, is longer than `limit` UTF-16 code units. */
export class EventTooLarge extends Data.TaggedError("EventTooLarge")<{ readonly limit: number }> {}

/** `limit` in UTF-16 code units: what one event may hold in memory. */
export const make = (limit: number = defaultLimit): Decoder => {
  const text = new TextDecoder()
  /** The line that is not finished yet. */
  let line = ""
  let event = defaultEvent
  let data: string | undefined
  /** A carriage return ended the last bytes, so a line feed at the start of the next ones belongs to it. */
  let skipLineFeed = false

  const take = (line: string): ServerSentEvent | undefined => {
    if (line === "") {
      const complete = data === undefined ? undefined : { event, data }
      event = defaultEvent
      data = undefined
      return complete
    }
    const colon = line.indexOf(":")
    // A line that starts with a colon is a comment: its field name is empty.
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === space ? colon + 2 : colon + 1)
    if (field === "data") data = data === undefined ? value : `${data}\n${value}`
    else if (field === "event") event = value === "" ? defaultEvent : value
    return undefined
  }

  return {
    push: (bytes) => {
      let fresh = text.decode(bytes, { stream: true })
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

/** 16 Mi code units: far above any vendor's event, far below what would hurt the process. */
const defaultLimit = 16 * 1024 * 1024

const defaultEvent = "message"

const space = 0x20
