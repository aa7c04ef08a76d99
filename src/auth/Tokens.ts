/**
 * Issues and verifies the proxy's bearer tokens: HS256 JWTs of the issuer
 * `vibectl-server` (RFC 7519).
 *
 * `sub`, `jti` and `exp` are required. The secret never leaves this module.
 * A token that was good before is answered without waiting.
 */
import { Clock, Context, Data, DateTime, Duration, Effect, Layer, Redacted, Schema } from "effect"
import * as Jose from "jose"
import * as Crypto from "node:crypto"
import { Unauthenticated } from "../domain/Errors.js"
import type { SigningKey } from "./SigningKey.js"
import * as VerifiedTokens from "./VerifiedTokens.js"

/** Who a verified token speaks for. */
export interface Claims {
  readonly subject: string
  readonly tokenId: string
  /** Whole seconds since the epoch. */
  readonly expiresAt: number
}

/** No token can be issued for this subject. */
export class InvalidSubject extends Data.TaggedError("InvalidSubject")<{
  readonly problem: "is empty" | "has control characters" | "is longer than 255 characters"
}> {
  get summary() {
    return `The subject of the token ${this.problem}.`
  }
  get remedy() {
    return "Give a short name of the person or program that will use the token, e.g. `ci-bot`."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export class Tokens extends Context.Tag("vibectl/auth/Tokens")<Tokens, {
  /** Signs a token that is good for `lifetime` from now: positive, and at most what `Lifetime` allows. */
  readonly issue: (
    subject: string,
    lifetime: Duration.Duration
  ) => Effect.Effect<Redacted.Redacted, InvalidSubject>
  /** Checks signature, issuer and times by the Effect clock. */
  readonly verify: (token: Redacted.Redacted) => Effect.Effect<Claims, Unauthenticated>
}>() {
  static readonly layer = (key: SigningKey) => Layer.sync(this, () => make(key))

  /** Trusts no token and issues none: for a server that asks for none. */
  static readonly layerNone = Layer.succeed(this, {
    issue: () => Effect.dieMessage("a server without authentication issues no tokens"),
    verify: () => new Unauthenticated({ reason: "TOKEN_UNTRUSTED" })
  })
}

export const make = ({ kid, secret }: Pick<SigningKey, "kid" | "secret">): Tokens["Type"] => {
  // jose imports a KeyObject once, and bytes at every call.
  const key = Crypto.createSecretKey(Redacted.value(secret), "utf8")
  const verified = VerifiedTokens.make<Claims>()

  const check = (token: string, now: number) =>
    Effect.gen(function*() {
      // jose overlooks white space, which would make several texts the same token.
      if (!compact.test(token)) return yield* new Unauthenticated({ reason: "TOKEN_MALFORMED" })
      const { payload, protectedHeader } = yield* Effect.tryPromise({
        try: () =>
          Jose.jwtVerify(token, key, {
            algorithms: [algorithm],
            issuer,
            requiredClaims: ["sub", "jti", "exp"],
            currentDate: DateTime.toDateUtc(DateTime.unsafeMake(now * 1000))
          }),
        catch: (error) => new Unauthenticated({ reason: reasonOf(error) })
      })
      // Older issuers send no kid; and we issue for no audience, so one with `aud` was meant for somebody else.
      const foreign = (protectedHeader.kid !== undefined && protectedHeader.kid !== kid)
        || "aud" in payload
        || (payload.iat !== undefined && payload.iat > now + clockSkew)
      if (foreign) return yield* new Unauthenticated({ reason: "TOKEN_UNTRUSTED" })
      const claims = yield* claimsOf(payload)
      verified.add(token, claims)
      return claims
    })

  return {
    issue: (subject, lifetime) =>
      Effect.gen(function*() {
        const problem = problemOf(subject)
        if (problem !== undefined) return yield* new InvalidSubject({ problem })
        const now = yield* seconds
        const jwt = new Jose.SignJWT()
          .setProtectedHeader({ alg: algorithm, typ: "JWT", kid })
          .setSubject(subject)
          .setIssuer(issuer)
          .setIssuedAt(now)
          .setExpirationTime(now + Math.ceil(Duration.toSeconds(lifetime)))
          .setJti(yield* tokenId)
        return Redacted.make(yield* Effect.promise(() => jwt.sign(key)))
      }),

    verify: (token) =>
      Effect.flatMap(seconds, (now) => {
        const text = Redacted.value(token)
        const known = verified.get(text, now)
        return known === undefined ? check(text, now) : Effect.succeed(known)
      })
  }
}

// -- internals ---------------------------------------------------------------

const algorithm = "HS256"
const issuer = "vibectl-server"

/** How far, in seconds, an issuer's clock may be ahead of ours. */
const clockSkew = 60

/** JWT times are whole seconds since the epoch (RFC 7519, NumericDate). */
const seconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** Two servers with one secret must never make the same id: not from Effect's Random, which a seed repeats. */
const tokenId = Effect.sync(() => Crypto.randomUUID())

/** JWS compact serialization (RFC 7515, section 7.1); the signature of `alg: none` is empty. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]*$/

const Payload = Schema.Struct({
  sub: Schema.NonEmptyString,
  jti: Schema.NonEmptyString,
  exp: Schema.Int
})

const claimsOf = (payload: unknown): Effect.Effect<Claims, Unauthenticated> =>
  Schema.decodeUnknown(Payload)(payload).pipe(
    Effect.mapBoth({
      onFailure: () => new Unauthenticated({ reason: "TOKEN_MALFORMED" }),
      onSuccess: ({ exp, jti, sub }) => ({ subject: sub, tokenId: jti, expiresAt: exp })
    })
  )

const reasonOf = (error: unknown): Unauthenticated["reason"] => {
  if (error instanceof Jose.errors.JWTExpired) return "TOKEN_EXPIRED"
  if (error instanceof Jose.errors.JWSInvalid || error instanceof Jose.errors.JWTInvalid) return "TOKEN_MALFORMED"
  // A claim that lacks or has the wrong type; but a token without our issuer is somebody else's.
  const misshapen = error instanceof Jose.errors.JWTClaimValidationFailed
    && error.reason !== "check_failed"
    && error.claim !== "iss"
  return misshapen ? "TOKEN_MALFORMED" : "TOKEN_UNTRUSTED"
}

/** What is shown in logs, metrics and tables must be one readable line. */
const problemOf = (subject: string): InvalidSubject["problem"] | undefined => {
  if (subject.trim() === "") return "is empty"
  if (/[\p{Cc}\u2028\u2029]/u.test(subject)) return "has control characters"
  return subject.length > 255 ? "is longer than 255 characters" : undefined
}
