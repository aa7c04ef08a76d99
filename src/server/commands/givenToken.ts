/**
 * Tokens that people hand to a command.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Data, Effect } from "effect"
import * as Jose from "jose"

/** The text is no token; it is not repeated, since it may be most of one. */
export class NotAToken extends Data.TaggedError("NotAToken")<{ readonly summary: string }> {
  get remedy() {
    return "Give a token of the form header.payload.signature, or - and the token on stdin."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The one token on stdin. */
export const fromStdin: Effect.Effect<string, NotAToken> = NodeStream.toString(() => process.stdin, {
  maxBytes: 1_000_000,
  onFailure: () => new NotAToken({ summary: "stdin cannot be read." })
}).pipe(Effect.map((text) => text.trim()))

/** What a token says, with nothing checked; undefined for a text that is no token. */
export const read = (text: string): Contents | undefined => {
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(text)) return undefined
  try {
    return { header: { ...Jose.decodeProtectedHeader(text) }, claims: Jose.decodeJwt(text) }
  } catch {
    return undefined
  }
}

export interface Contents {
  readonly header: { readonly [name: string]: unknown }
  readonly claims: Jose.JWTPayload
}
