/**
 * The `authorization` metadata of a call.
 *
 * Source: RFC 6750, section 2.1; the scheme is case-insensitive and followed
 * by one or more spaces (RFC 9110, sections 11.1 and 11.4). Everybody can send
 * this header, so reading it takes time linear in its length.
 */
import { Either, Redacted } from "effect"
import { Unauthenticated } from "../domain/Errors.js"

/** The one token in `Bearer <token>`; undefined is a call without the header. */
export const parse = (header: string | undefined): Either.Either<Redacted.Redacted, Unauthenticated> => {
  const [, scheme, rest = ""] = /^(\S+)(.*)$/s.exec(header?.trim() ?? "") ?? []
  if (scheme?.toLowerCase() !== "bearer") {
    return Either.left(
      new Unauthenticated({ reason: "TOKEN_MISSING", refusal: scheme === undefined ? "no_token" : "not_bearer" })
    )
  }
  const [, token] = /^ +(\S+)$/.exec(rest) ?? []
  return token === undefined
    ? Either.left(new Unauthenticated({ reason: "TOKEN_MALFORMED", refusal: "not_a_jwt" }))
    : Either.right(Redacted.make(token))
}
