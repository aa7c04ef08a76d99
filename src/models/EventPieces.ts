/**
 * A vendor's stream of server-sent events as the pieces of an answer.
 *
 * All text that arrives in one chunk of the network leaves as one piece. An
 * answer ends only when the vendor said so: a body that just stops is a failure.
 */
import { Clock, Effect, Either } from "effect"
import type { ProviderFailure } from "../domain/Errors.js"
import type { BodyFailed, HttpBody } from "./HttpBody.js"
import type { Piece, Pieces } from "./Provider.js"
import * as Sse from "./Sse.js"
import type { Limit, Timeouts } from "./Timeouts.js"
import * as VendorFailure from "./VendorFailure.js"

/** What one event means: its text, empty when it has none; a token that is no text; the end of the answer; or a failure. */
export type Meaning = string | typeof Thought | End | ProviderFailure

/** The model thinks: no text for the caller, but the work goes on. */
export const Thought = Symbol.for("vibectl/models/Thought")

export type End = Extract<Piece, { readonly _tag: "End" }>

/** Understands the events of one answer; it may remember what it saw. */
export interface Reader {
  readonly take: (event: Sse.ServerSentEvent) => Meaning
  /** What the end of the body means when no event has said that the answer is complete. */
  readonly bodyEnded: () => End | ProviderFailure
}

export const make = (
  source: VendorFailure.Source,
  body: HttpBody,
  reader: Reader,
  timeouts: Timeouts
): Pieces => {
  const decoder = Sse.make()
  /** Milliseconds since the epoch. */
  let end = body.startedAt + timeouts.total
  /** Since when the next piece is the client's to ask for; undefined while it waits for one. */
  let idleSince: number | undefined
  let limit: Limit = "firstToken"
  /** Milliseconds since the epoch. Only tokens put it off: a vendor that just keeps the line alive gives no answer. */
  let due = body.startedAt + timeouts.firstToken
  /** Came in the same bytes as text, and follows it. */
  let last: End | ProviderFailure | undefined

  const { clock } = body
  const conclude = (last: End | ProviderFailure): Pieces => {
    if (last._tag !== "End") return last
    body.finish()
    return Effect.succeed(last)
  }

  const take = (bytes: Uint8Array | undefined): Pieces => {
    if (bytes === undefined) return conclude(reader.bodyEnded())
    const events = decoder.push(bytes)
    if (Either.isLeft(events)) return conclude(VendorFailure.broken(source, "event too large"))
    let text = ""
    let thought = false
    for (const event of events.right) {
      const meaning = reader.take(event)
      if (typeof meaning === "string") {
        text += meaning
      } else if (meaning === Thought) {
        thought = true
      } else {
        last = meaning
        break
      }
    }
    if (text !== "" || thought) limit = "betweenTokens"
    if (text !== "") {
      idleSince = clock.unsafeCurrentTimeMillis()
      return Effect.succeed({ _tag: "Text", text })
    }
    if (last !== undefined) return conclude(last)
    return thought ? goOn : next
  }

  const on = { bytes: take, failed: failed(source) }
  const read = (now: number, pause: number): Pieces =>
    body.read({ millis: Math.max(0, Math.min(due, end) - now), limit: end < due ? "total" : limit }, pause, on)
  const next: Pieces = Effect.suspend(() => read(clock.unsafeCurrentTimeMillis(), 0))

  const goOn: Pieces = Effect.suspend(() => {
    const now = clock.unsafeCurrentTimeMillis()
    // The time that a slow client takes between two pulls is not the provider's.
    if (idleSince !== undefined) end += now - idleSince
    // Who has little time saves it where nobody sees it, and so has it where somebody waits.
    const pause = idleSince !== undefined && body.reply.isBusy() ? Math.min(together, together - (now - idleSince)) : 0
    idleSince = undefined
    if (limit === "betweenTokens") due = now + timeouts.betweenTokens
    return last === undefined ? read(now, pause) : conclude(last)
  })
  return goOn
}

/** Under load, text of one stream leaves so many milliseconds after the text before it, and not sooner. */
const together = 20

/** What a request or a body threw, in the vendor's terms. */
export const failed = (source: VendorFailure.Source) => (failure: BodyFailed): Effect.Effect<never, ProviderFailure> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => VendorFailure.fromThrown(source, failure.cause, now))
