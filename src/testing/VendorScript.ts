/**
 * What a fake provider does with one request, and what it writes for it, piece by piece.
 */
import type { Usage } from "../domain/Answer.js"
import * as VendorDialects from "./VendorDialects.js"
import * as VendorWire from "./VendorWire.js"

/** What the provider does with one request. Without any of it: a good answer of three pieces. */
export interface Behaviour {
  /** Writes as this provider does where the request is of its wire; see {@link VendorDialects}. */
  readonly dialect?: VendorDialects.Name
  /** Refuses with this status; `error` is the type it gives. */
  readonly status?: number
  readonly error?: string
  /** `Retry-After` of the refusal: seconds or an HTTP date. */
  readonly retryAfter?: string
  /** What it calls the request, in the header that is usual on its wire. */
  readonly requestId?: string
  /** Refuses requests for a stream, and answers others. */
  readonly refusesStreaming?: boolean
  /** Refuses requests for an answer of a schema, as often as they come, and is used up by another one. */
  readonly refusesSchemas?: boolean
  /** Answers a request for a stream with the whole answer. */
  readonly whole?: boolean
  readonly pieces?: ReadonlyArray<string>
  readonly usage?: VendorWire.Answer["usage"]
  /** What it bills for the whole answer; without it, 7 tokens in and 3 out. */
  readonly tokens?: Partial<Usage>
  /** Puts a piece without text before each piece. */
  readonly emptyDeltas?: boolean
  /** Thinks so often before its first piece. */
  readonly thoughts?: number
  /** Writes everything at once. */
  readonly burst?: boolean
  /** Bytes per write; undefined writes event by event. Every write leaves in a packet of its own, if it can. */
  readonly split?: number
  /** Milliseconds between two writes. */
  readonly pace?: number
  /** What goes wrong, and when: before the head of the response, or after so many pieces; of a whole answer, in its middle. */
  readonly fault?: { readonly after: "request" | number; readonly how: Fault }
}

/** `end` closes the body properly, but without the wire's own last event; of a whole answer, too early. */
export type Fault = "hang" | "reset" | "end" | "garbage" | "error"

/** What is written at once. */
export interface Part {
  readonly text: string
  /** Of the pieces of the answer, how many are written with it: from 0 to 1. */
  readonly share: number
  /** Whether it has the whole usage. */
  readonly reports: boolean
}

/** The whole answer. */
export const whole = (wire: VendorWire.Wire, answer: VendorWire.Answer, behaviour: Behaviour): unknown => {
  const own = VendorWire.whole(wire, answer)
  return dialectOf(wire, behaviour)?.whole(own, answer) ?? own
}

/** All that is written of a stream, up to what goes wrong. */
export const plan = (wire: VendorWire.Wire, answer: VendorWire.Answer, behaviour: Behaviour): ReadonlyArray<Part> => {
  const { burst, emptyDeltas, fault, thoughts = 0 } = behaviour
  const own = VendorWire.events(wire, answer)
  const dialect = dialectOf(wire, behaviour)
  const events = dialect === undefined ? own : dialect.events(own, answer)
  const all = Math.max(1, events.pieces.length)
  const until = typeof fault?.after === "number" ? Math.min(fault.after, events.pieces.length) : events.pieces.length
  const part = (share: number) => (text: string): Part => ({ text, share, reports: text === events.report })
  const parts = [
    ...(fault === undefined || until > 0 ? events.head.map(part(0)) : []),
    ...Array.from({ length: thoughts }, () => events.thought).map(part(0)),
    ...events.pieces.slice(0, until)
      .map((piece, index) => part((index + 1) / all)(emptyDeltas === true ? events.empty + piece : piece)),
    ...(fault === undefined ? events.tail.map(part(1)) : []),
    ...(fault?.how === "garbage" ? ["data: {\"choices\": [oops\n\n"] : []).map(part(until / all)),
    ...(fault?.how === "error" ? [VendorWire.errorEvent(wire, "overloaded_error")] : []).map(part(until / all))
  ]
  const together = { text: parts.map(({ text }) => text).join(""), share: until / all }
  return burst === true ? [{ ...together, reports: parts.some(({ reports }) => reports) }] : parts
}

// -- internals ---------------------------------------------------------------

const dialectOf = (wire: VendorWire.Wire, { dialect: name }: Behaviour): VendorDialects.Dialect | undefined => {
  const dialect = name === undefined ? undefined : VendorDialects.of(name)
  return dialect?.wire === wire ? dialect : undefined
}
