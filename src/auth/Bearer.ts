/**
 * The `authorization` metadata of a call.
 *
 * Source: RFC 6750, section 2.1; the scheme is case-insensitive (RFC 9110, section 11.1).
 */
import { Either, Redacted } from "effect"
import { Unauthenticated } from "../domain/Errors.js"

/** The one token in `Bearer <token>`; undefined is a call without the header. */
export const parse = (header: string | undefined): Either.Either<Redacted.Redacted, Unauthenticated> => {
  const [, scheme, rest] = /^\s*(\S+)(?:\s+(.*?))?\s*$/.exec(header ?? "") ?? []
  if (scheme?.toLowerCase() !== "bearer") return Either.left(new Unauthenticated({ reason: "TOKEN_MISSING" }))
  if (rest === undefined || !/^\S+$/.test(rest)) return Either.left(new Unauthenticated({ reason: "TOKEN_MALFORMED" }))
  return Either.right(Redacted.make(rest))
}
