/**
 * What a JWT with a good signature says, and why one is refused.
 *
 * Each refusal has its own name for the audit log; the caller hears only
 * whether the token is malformed, expired or not trusted (RFC 7519, RFC 8725).
 */
import { Effect } from "effect"
import * as Jose from "jose"
import * as Crypto from "node:crypto"
import type { Grants } from "../domain/Access.js"
import { type Refusal, Unauthenticated } from "../domain/Errors.js"
import * as GrantsClaim from "./GrantsClaim.js"

/** Who a verified token speaks for. */
export interface Claims {
  readonly subject: string
  readonly tokenId: string
  /** Whole seconds since the epoch. */
  readonly expiresAt: number
  /** Whole seconds since the epoch; undefined for a token that does not say. */
  readonly issuedAt: number | undefined
  /** The issuer's name in the configuration; undefined for this server's own tokens. */
  readonly issuer: string | undefined
  /** The key that verified it, by its `kid`; undefined for a key without one. */
  readonly keyId: string | undefined
  readonly grants: Grants
}

/** What an issuer's tokens have to say, and where. */
export interface Expected {
  /** `iss`. */
  readonly issuer: string
  /** `aud`; undefined when a token for any audience at all was meant for somebody else. */
  readonly audience: string | undefined
  readonly algorithms: ReadonlyArray<string>
  /** The claim that says who it is, e.g. `sub`. */
  readonly subjectClaim: string
  /** Whether a subject that is an address must be verified by the issuer. */
  readonly verification: "required" | "unless_denied" | "not_needed"
  /** The claim that names the token, e.g. `jti`; undefined names it by {@link hashOf}. */
  readonly tokenIdClaim: string | undefined
  readonly subjectPrefix: string
  /** {@link Claims.issuer} of what is verified. */
  readonly name: string | undefined
}

/** How far, in seconds, an issuer's clock may be ahead of ours. */
export const clockSkew = 60

/** Checks signature, issuer, audience and times; `now` is whole seconds since the epoch. */
export const verify = (
  token: string,
  key: Jose.CryptoKey | Jose.KeyObject | Jose.JWTVerifyGetKey,
  expected: Expected,
  now: number
): Effect.Effect<Claims, Unauthenticated> =>
  Effect.flatMap(
    Effect.tryPromise({
      try: () => {
        mustBeCompact(token)
        const options: Jose.JWTVerifyOptions = {
          algorithms: [...expected.algorithms],
          issuer: expected.issuer,
          requiredClaims: [
            "exp",
            expected.subjectClaim,
            ...expected.tokenIdClaim === undefined ? [] : [expected.tokenIdClaim]
          ],
          currentDate: new Date(now * 1000),
          clockTolerance: clockSkew,
          ...expected.audience === undefined ? {} : { audience: expected.audience }
        }
        return typeof key === "function" ? Jose.jwtVerify(token, key, options) : Jose.jwtVerify(token, key, options)
      },
      catch: (error) =>
        refused(refusalOf(error, token, expected), holderOf(error, token, expected), missingClaim(error))
    }),
    // jose checks nothing of a `kid` by which it has not chosen.
    ({ payload, protectedHeader: { kid } }) =>
      decode(token, payload, typeof kid === "string" ? kid : undefined, expected, now)
  )

/**
 * Names a token that has no id of its own. The signature is left out: from one of ECDSA, anybody can make another that
 * is as good, and a revoked token would have a second name.
 */
export const hashOf = (token: string): string =>
  `sha256-${Crypto.createHash("sha256").update(token.slice(0, token.lastIndexOf("."))).digest("base64url")}`

/** Whether a text is such a name. */
export const isHash = (text: string): boolean => /^sha256-[\w-]{43}$/.test(text)

/** The id of a token with these claims; undefined where they have none. */
export const tokenIdOf = (
  token: string,
  payload: Jose.JWTPayload,
  { tokenIdClaim }: Pick<Expected, "tokenIdClaim">
): unknown => tokenIdClaim === undefined ? hashOf(token) : payload[tokenIdClaim]

/** What a token whose signature nobody has checked yet says: good for choosing a key, and for nothing else. */
export interface Peeked {
  readonly issuer: unknown
  readonly kid: unknown
  readonly algorithm: string
}

export const peek = (token: string): Effect.Effect<Peeked, Unauthenticated> =>
  Effect.try({
    try: () => {
      mustBeCompact(token)
      const { alg, kid } = Jose.decodeProtectedHeader(token)
      // The caller chose this JSON: its `alg` may be an object that cannot even be made a string.
      if (typeof alg !== "string") throw new Jose.errors.JWTInvalid("no alg")
      return { issuer: Jose.decodeJwt(token).iss, kid, algorithm: alg }
    },
    catch: () => refused("not_a_jwt")
  })

/** `holder` and `claim`, the one that is missing, only for a token whose signature was good. */
export const refused = (refusal: Refusal, holder?: Unauthenticated["holder"], claim?: string): Unauthenticated =>
  new Unauthenticated({
    reason: reasons[refusal],
    refusal,
    ...holder === undefined ? {} : { holder: { subject: holder.subject, tokenId: holder.tokenId } },
    ...claim === undefined ? {} : { claim }
  })

// -- internals ---------------------------------------------------------------

/** JWS compact serialization (RFC 7515, section 7.1); the signature of `alg: none` is empty. */
const compact = /^[\w-]+\.[\w-]+\.[\w-]*$/

/** jose overlooks white space and unused bits, which would make several texts the same token. */
const mustBeCompact = (token: string): void => {
  if (!compact.test(token) || !token.split(".").every(isCanonical)) {
    throw new Jose.errors.JWTInvalid("not a JWS in compact form")
  }
}

/** The last character of base64url may have bits that mean nothing: zero in what any issuer writes (RFC 4648, section 3.5). */
const isCanonical = (part: string): boolean => Buffer.from(part, "base64url").toString("base64url") === part

const decode = (
  token: string,
  payload: Jose.JWTPayload,
  keyId: string | undefined,
  expected: Expected,
  now: number
): Effect.Effect<Claims, Unauthenticated> =>
  Effect.suspend(() => {
    const { iat } = payload
    // A NumericDate may have a fraction (RFC 7519, section 2); what is left of it is not counted.
    const exp = payload.exp === undefined ? undefined : Math.floor(payload.exp)
    const [subject, tokenId] = [payload[expected.subjectClaim], tokenIdOf(token, payload, expected)]
    // A clock that is ahead may begin a token's life early, and none may lengthen it.
    const holder = named(token, payload, expected)
    if (exp === undefined || exp <= now) return refused("expired", holder)
    if (iat !== undefined && iat > now + clockSkew) return refused("issued_in_the_future", holder)
    if (expected.audience === undefined && "aud" in payload) return refused("wrong_audience", holder)
    if (subject === "") return refused("missing_sub", undefined, expected.subjectClaim)
    if (tokenId === "") return refused("missing_jti", undefined, expected.tokenIdClaim)
    if (!isVerified(payload, expected)) return refused("subject_not_verified", holder)
    const grants = GrantsClaim.decode(payload[GrantsClaim.name])
    if (typeof subject !== "string" || typeof tokenId !== "string" || grants === undefined) {
      return refused("malformed_claims", holder)
    }
    // JSON can say Infinity: 1e999.
    if (!Number.isSafeInteger(exp)) return refused("malformed_claims", holder)
    return Effect.succeed({
      subject: expected.subjectPrefix + subject,
      tokenId,
      expiresAt: exp,
      issuedAt: iat === undefined ? undefined : Math.floor(iat),
      issuer: expected.name,
      keyId,
      grants
    })
  })

/**
 * Anybody may give an address as theirs; what the issuer has found out of it stands in a claim beside it (OpenID Connect
 * Core, section 5.1; `xms_edov` is Microsoft Entra's).
 */
const isVerified = (payload: Jose.JWTPayload, { subjectClaim, verification }: Expected): boolean => {
  if (verification === "not_needed" || (subjectClaim !== "email" && subjectClaim !== "phone_number")) return true
  const stated = payload[`${subjectClaim}_verified`]
  const isStated = stated !== undefined
  const isTrue = stated === true || stated === "true"
  const isDenied = subjectClaim === "email" && "xms_edov" in payload && !isAffirmed(payload["xms_edov"])
  return !isDenied && (isTrue || (verification === "unless_denied" && !isStated))
}

const isAffirmed = (value: unknown): boolean => [true, 1, "1", "true"].some((yes) => yes === value)

const missingClaim = (error: unknown): string | undefined =>
  error instanceof Jose.errors.JWTClaimValidationFailed && error.reason === "missing" ? error.claim : undefined

const refusalOf = (error: unknown, token: string, expected: Expected): Refusal => {
  const { errors } = Jose
  if (error instanceof errors.JWTExpired) return "expired"
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error, expected)
  if (error instanceof errors.JWSSignatureVerificationFailed) return "bad_signature"
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return Jose.decodeProtectedHeader(token).alg?.toLowerCase() === "none" ? "algorithm_none" : "wrong_algorithm"
  }
  if (error instanceof errors.JOSENotSupported) {
    // Not to understand what is critical makes it no valid JWS (RFC 7515, section 4.1.11).
    return "crit" in Jose.decodeProtectedHeader(token) ? "not_a_jwt" : "wrong_algorithm"
  }
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return "unknown_key"
  }
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return "not_a_jwt"
  return "unusable_key"
}

/** jose looks at the claims only when the signature is good. */
const holderOf = (error: unknown, token: string, expected: Expected): Unauthenticated["holder"] => {
  const { JWTClaimValidationFailed, JWTExpired } = Jose.errors
  return error instanceof JWTClaimValidationFailed || error instanceof JWTExpired
    ? named(token, error.payload, expected)
    : undefined
}

const named = (token: string, payload: Jose.JWTPayload, expected: Expected): Unauthenticated["holder"] => {
  const [subject, tokenId] = [payload[expected.subjectClaim], tokenIdOf(token, payload, expected)]
  return typeof subject === "string" && typeof tokenId === "string"
    ? { subject: expected.subjectPrefix + subject, tokenId }
    : undefined
}

const claimRefusal = (
  { claim, reason }: Pick<Jose.errors.JWTClaimValidationFailed, "claim" | "reason">,
  expected: Expected
): Refusal => {
  if (claim === "iss") return "unknown_issuer"
  if (claim === "aud") return "wrong_audience"
  if (reason === "missing") {
    if (claim === expected.subjectClaim) return "missing_sub"
    if (claim === expected.tokenIdClaim) return "missing_jti"
    if (claim === "exp") return "missing_exp"
  }
  if (reason === "check_failed" && claim === "nbf") return "not_yet_valid"
  return "malformed_claims"
}

const reasons: Record<Refusal, Unauthenticated["reason"]> = {
  no_token: "TOKEN_MISSING",
  not_bearer: "TOKEN_MISSING",
  not_a_jwt: "TOKEN_MALFORMED",
  algorithm_none: "TOKEN_UNTRUSTED",
  wrong_algorithm: "TOKEN_UNTRUSTED",
  unknown_key: "TOKEN_UNTRUSTED",
  retired_key: "TOKEN_UNTRUSTED",
  unusable_key: "TOKEN_UNTRUSTED",
  bad_signature: "TOKEN_UNTRUSTED",
  unknown_issuer: "TOKEN_UNTRUSTED",
  wrong_audience: "TOKEN_UNTRUSTED",
  expired: "TOKEN_EXPIRED",
  not_yet_valid: "TOKEN_UNTRUSTED",
  issued_in_the_future: "TOKEN_UNTRUSTED",
  missing_exp: "TOKEN_MALFORMED",
  missing_sub: "TOKEN_MALFORMED",
  missing_jti: "TOKEN_MALFORMED",
  malformed_claims: "TOKEN_MALFORMED",
  subject_not_verified: "TOKEN_UNTRUSTED",
  revoked_token: "TOKEN_REVOKED",
  revoked_subject: "TOKEN_REVOKED",
  certificate_of_another: "TOKEN_UNTRUSTED",
  certificate_without_name: "TOKEN_UNTRUSTED"
}
