/**
 * A vendor's answer, streamed or not, as the pieces that leave.
 *
 * All text that arrives in one chunk of the network leaves as one piece. An
 * answer ends only when the vendor said so: a body that just stops is a failure.
 * Once it has said so, nothing that follows takes the answer away.
 */
import { Clock, Effect } from "effect"
import type { Completion } from "../domain/Answer.js"
import type { ProviderFailure } from "../domain/Errors.js"
import type { BodyFailed, HttpBody } from "./HttpBody.js"
import { type Piece, type Pieces, StreamingUnsupported } from "./Provider.js"
import { NotBuilt } from "./Requests.js"
import type { Limit, Timeouts } from "./Timeouts.js"
import * as VendorFailure from "./VendorFailure.js"
import type { End, Heard, Reader } from "./vendors/Answers.js"

/** Reads one wire. */
export interface Wire {
  readonly reader: Reader
  readonly source: VendorFailure.Source
}

export const make = ({ reader, source }: Wire, body: HttpBody, timeouts: Timeouts): Pieces => {
  /** Milliseconds since the epoch. */
  let end = body.startedAt + timeouts.total
  /** Since when the next piece is the client's to ask for; undefined while it waits for one. */
  let idleSince: number | undefined
  let limit: Limit = "firstToken"
  /** Milliseconds since the epoch. Only tokens put it off: a vendor that just keeps the line alive gives no answer. */
  let due = body.startedAt + timeouts.firstToken
  /** The vendor has said how the answer ended: until when its last words are waited for, in milliseconds since the epoch. */
  let lastWordsDue = Infinity
  /** Came in the same bytes as text, and follows it. */
  let last: End | undefined

  const { clock } = body
  const conclude = (last: End): Pieces => {
    if (last._tag !== "Complete") return failureOf(source, last, clock.unsafeCurrentTimeMillis())
    body.finish()
    return Effect.succeed({ _tag: "End", usage: last.usage, finishReason: last.finishReason })
  }

  const given = (heard: Heard): Pieces => {
    last = heard.end
    if (heard.isAlive) limit = "betweenTokens"
    if (heard.text !== "") {
      idleSince = clock.unsafeCurrentTimeMillis()
      return Effect.succeed({ _tag: "Text", text: heard.text })
    }
    if (last !== undefined) return conclude(last)
    return heard.isAlive ? goOn : next
  }
  const take = (bytes: Uint8Array | undefined): Pieces => {
    const heard = bytes === undefined ? reader.bodyEnded() : reader.push(bytes)
    const stage = reader.stage()
    if (stage !== "open") {
      const patience = stage === "settled" ? settledMillis : finishedMillis
      lastWordsDue = Math.min(lastWordsDue, clock.unsafeCurrentTimeMillis() + patience)
    }
    return given(heard)
  }

  const on = {
    bytes: take,
    failed: (failure: BodyFailed): Pieces => {
      const complete = reader.cut()
      return complete === undefined ? failed(source)(failure) : given(complete)
    }
  }
  const read = (now: number, pause: number): Pieces => {
    const until = Math.min(due, end, lastWordsDue)
    return body.read({ millis: Math.max(0, until - now), limit: end < due ? "total" : limit }, pause, on)
  }
  const next: Pieces = Effect.suspend(() => read(clock.unsafeCurrentTimeMillis(), 0))

  const goOn: Pieces = Effect.suspend(() => {
    const now = clock.unsafeCurrentTimeMillis()
    // The time that a slow client takes between two pulls is not the provider's.
    if (idleSince !== undefined) {
      end += now - idleSince
      lastWordsDue += now - idleSince
    }
    // Who has little time saves it where nobody sees it, and so has it where somebody waits.
    const pause = idleSince !== undefined && body.reply.isBusy() ? Math.min(together, together - (now - idleSince)) : 0
    idleSince = undefined
    if (limit === "betweenTokens") due = now + timeouts.betweenTokens
    return last === undefined ? read(now, pause) : conclude(last)
  })
  return goOn
}

/** The pieces of a body that was asked for as a stream; where it is one whole answer, it fails with that. */
export const open = (
  wire: Wire,
  body: HttpBody,
  timeouts: Timeouts
): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported> => {
  const isJson = /\bjson\b/i.test(body.reply.header("content-type"))
  // A whole answer has no first token.
  const pieces = make(wire, body, isJson ? Object.assign({}, timeouts, { firstToken: timeouts.total }) : timeouts)
  return Effect.flatMap(pieces, (first): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported> => {
    if (wire.reader.isWhole()) {
      return Effect.flatMap(
        rest(pieces, first),
        (answer) => new StreamingUnsupported({ provider: wire.source.provider, answer })
      )
    }
    let isFirst = true
    return Effect.succeed(Effect.suspend(() => {
      if (!isFirst) return pieces
      isFirst = false
      return Effect.succeed(first)
    }))
  })
}

/** The answer in a body that was asked for as a whole. */
export const whole = (source: VendorFailure.Source, { end, text }: Heard): Effect.Effect<Completion, ProviderFailure> =>
  end?._tag === "Complete"
    ? Effect.succeed({ text, usage: end.usage, finishReason: end.finishReason })
    : end?._tag === "Broken" || end === undefined
    ? VendorFailure.broken(source, "invalid answer")
    : Effect.flatMap(Clock.currentTimeMillis, (now) => failureOf(source, end, now))

/** Whether the vendor has said how the answer ended, and that is well. */
export const isComplete = ({ end }: Heard): boolean => end?._tag === "Complete"

/** What a request or a body threw, in the vendor's terms; a request that could not be built is our own fault. */
export const failed = (source: VendorFailure.Source) => (failure: BodyFailed): Effect.Effect<never, ProviderFailure> =>
  failure.cause instanceof NotBuilt
    ? Effect.die(failure.cause)
    : Effect.flatMap(Clock.currentTimeMillis, (now) => VendorFailure.fromThrown(source, failure.cause, now))

// -- internals ---------------------------------------------------------------

/** Under load, text of one stream leaves so many milliseconds after the text before it, and not sooner. */
const together = 20

/** How long the counts, and the last event, may take after the reason of the end, in milliseconds. */
const finishedMillis = 2000
/** How long the last event may take after both, in milliseconds. */
const settledMillis = 250

const rest = (pieces: Pieces, first: Piece): Effect.Effect<Completion, ProviderFailure> => {
  let text = ""
  const take = (piece: Piece): Effect.Effect<Completion, ProviderFailure> => {
    if (piece._tag === "End") return Effect.succeed({ text, usage: piece.usage, finishReason: piece.finishReason })
    text += piece.text
    return Effect.flatMap(pieces, take)
  }
  return take(first)
}

/** `now` in milliseconds since the epoch. */
const failureOf = (
  source: VendorFailure.Source,
  end: Exclude<End, { readonly _tag: "Complete" }>,
  now: number
): ProviderFailure => {
  switch (end._tag) {
    case "Failed":
      return VendorFailure.fromEvent(source, end.failure.body, now)
    case "Empty":
      return VendorFailure.empty(source, end.detail)
    case "Broken":
      return VendorFailure.broken(source, end.detail)
  }
}
