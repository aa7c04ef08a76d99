/**
 * Issues and verifies bearer tokens: JWTs of the server's own keys (HS256,
 * issuer `vibectl-server`) and those of configured identity providers.
 *
 * Who the token speaks for, its id and its expiry are required (RFC 7519). The
 * secrets never leave this module. A token that was good before is answered
 * without waiting, unless it was revoked or its key retired since.
 */
import type { FileSystem } from "@effect/platform"
import { Clock, Context, Data, Duration, Effect, Exit, Layer, Redacted, Stream } from "effect"
import * as Jose from "jose"
import * as Crypto from "node:crypto"
import { type Grants, noGrants } from "../domain/Access.js"
import { IdentityUnavailable, type Unauthenticated } from "../domain/Errors.js"
import { actEager, mapEager, type Moment } from "../effect/Eager.js"
import * as Claims from "./Claims.js"
import * as GrantsClaim from "./GrantsClaim.js"
import * as Keyring from "./Keyring.js"
import * as Revocations from "./Revocations.js"
import type { SigningKey, SigningKeyInvalid } from "./SigningKey.js"
import * as Trust from "./Trust.js"
import * as VerifiedTokens from "./VerifiedTokens.js"

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

/** No token can say this of what it may do. */
export class InvalidGrants extends Data.TaggedError("InvalidGrants") {
  get summary() {
    return "What the token is to allow cannot be put into a token."
  }
  get remedy() {
    return "Names are 1 to 255 characters without control characters, at most 100 of a kind; limits are above 0."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export class Tokens extends Context.Tag("vibectl/auth/Tokens")<Tokens, {
  /** Signs a token that is good for `lifetime` from now: positive, and at most what `Lifetime` allows. */
  readonly issue: (
    subject: string,
    lifetime: Duration.Duration,
    grants?: Grants
  ) => Effect.Effect<Redacted.Redacted, InvalidSubject | InvalidGrants>
  /**
   * Checks signature, issuer and times, by the Effect clock where no moment is given, and that it was not revoked. With a
   * moment, a token that was verified before is answered with an `Exit`.
   */
  readonly verify: (
    token: Redacted.Redacted,
    moment?: Moment
  ) => Effect.Effect<Claims.Claims, Unauthenticated | IdentityUnavailable>
  /** Fails when what was verified is trusted no longer: revoked, or its key retired. Expiry does not count. Looks when called. */
  readonly recheck: (claims: Claims.Claims) => Effect.Effect<void, Unauthenticated>
  /** Fails while it is not known what other servers have revoked; then `verify` fails too. Absent for one server. */
  readonly known?: Effect.Effect<void, IdentityUnavailable>
  /** An element after every change of what is trusted: time to recheck whoever is being served. */
  readonly changes: Stream.Stream<void>
}>() {
  /** Trusts one key, for ever. */
  static readonly layer = (key: SigningKey) => Layer.sync(this, () => make(key))

  /** Trusts what the server's files say, and follows them. */
  static readonly layerLive = (
    options: Trust.Options
  ): Layer.Layer<
    Tokens,
    SigningKeyInvalid | Revocations.RevocationsUnusable,
    FileSystem.FileSystem
  > => Layer.scoped(this, Effect.map(Trust.live(options), trusting))

  /** Trusts no token and issues none: for a server that asks for none. */
  static readonly layerNone = Layer.succeed(this, {
    issue: () => Effect.dieMessage("a server without authentication issues no tokens"),
    verify: () => Claims.refused("unknown_key"),
    recheck: () => Effect.void,
    changes: Stream.never
  })
}

/** Trusts one key, for ever. */
export const make = (key: SigningKey): Tokens["Type"] => trusting(Trust.fixed(Keyring.ofKey(key)))

export const trusting = (trust: Trust.Trust): Tokens["Type"] => {
  const keyObject = keyObjects()
  const verified = VerifiedTokens.make<Claims.Claims>()
  let generation = trust.generation()

  const recheck = (claims: Claims.Claims): Effect.Effect<void, Unauthenticated> => {
    const refusal = trust.revocations().refusal(claims) ?? retirement(claims, trust.keyring())
    return refusal === undefined ? Exit.void : Exit.fail(Claims.refused(refusal, claims))
  }

  const known = (token: string, now: number): Claims.Claims | undefined => {
    if (generation !== trust.generation()) {
      generation = trust.generation()
      verified.clear()
    }
    return verified.get(token, now)
  }

  const isKnown = Effect.suspend(() => {
    const unheard = trust.unknown()
    return unheard === undefined
      ? Effect.void
      : new IdentityUnavailable({ issuer: undefined, cause: `${unheard.store}: ${unheard.cause}` })
  })

  const withKey = (token: string, key: Keyring.Key, now: number) =>
    Effect.map(
      Claims.verify(token, keyObject(key), own, now),
      // A token without `kid` is of the key that fits.
      (claims) => ({ ...claims, keyId: key.kid })
    )

  const withEachKey = (token: string, now: number) =>
    Effect.gen(function*() {
      for (const key of trust.keyring().keys) {
        const found = yield* Effect.either(withKey(token, key, now))
        if (found._tag === "Right" || found.left.refusal !== "bad_signature") return yield* found
      }
      return yield* Claims.refused("bad_signature")
    })

  const ownToken = (token: string, { algorithm, issuer, kid }: Claims.Peeked, now: number) =>
    Effect.gen(function*() {
      if (algorithm !== own.algorithms[0]) {
        return yield* Claims.refused(issuer === own.issuer ? "wrong_algorithm" : "unknown_issuer")
      }
      // Older servers send no kid.
      if (kid === undefined) return yield* withEachKey(token, now)
      const find = () => trust.keyring().keys.find((key) => key.kid === kid)
      const isRetired = () => typeof kid === "string" && trust.keyring().retired.has(kid)
      // It may be of a key that another program made a moment ago.
      if (find() === undefined && !isRetired()) yield* trust.refresh
      const key = find()
      if (key !== undefined) return yield* withKey(token, key, now)
      return yield* Claims.refused(isRetired() ? "retired_key" : "unknown_key")
    })

  const check = (token: string, now: number) =>
    Effect.gen(function*() {
      const peeked = yield* Claims.peek(token)
      if (peeked.algorithm.toLowerCase() === "none") return yield* Claims.refused("algorithm_none")
      const before = trust.generation()
      const foreign = trust.issuers.find(peeked.issuer)
      const claims = yield* foreign === undefined ? ownToken(token, peeked, now) : foreign.verify(token, now)
      yield* isKnown
      yield* recheck(claims)
      // An identity provider may take back a key without a word to us.
      const until = foreign === undefined ? claims.expiresAt : Math.min(claims.expiresAt, now + freshness)
      if (before === trust.generation()) verified.add(token, claims, until)
      return claims
    })

  const verify = (token: string, now: number) => {
    const claims = known(token, now)
    return claims === undefined ? check(token, now) : mapEager(recheck(claims), () => claims)
  }

  return {
    issue: (subject, lifetime, grants = noGrants) =>
      Effect.gen(function*() {
        const problem = problemOf(subject)
        if (problem !== undefined) return yield* new InvalidSubject({ problem })
        const claim = GrantsClaim.encode(grants)
        if (GrantsClaim.decode(claim) === undefined) return yield* new InvalidGrants()
        const now = yield* seconds
        const key = trust.keyring().signing
        const jwt = new Jose.SignJWT(claim === undefined ? {} : { [GrantsClaim.name]: claim })
          .setProtectedHeader({ alg: "HS256", typ: "JWT", kid: key.kid })
          .setSubject(subject)
          .setIssuer(own.issuer)
          // A subject that was revoked in this second gets a token of the next.
          .setIssuedAt(Math.max(now, Revocations.earliest(trust.revocations(), subject)))
          .setExpirationTime(now + Math.ceil(Duration.toSeconds(lifetime)))
          .setJti(yield* tokenId)
        return Redacted.make(yield* Effect.promise(() => jwt.sign(keyObject(key))))
      }),

    verify: (token, moment) => actEager(moment, ({ at }) => verify(Redacted.value(token), Math.floor(at / 1000))),

    recheck,
    known: isKnown,
    changes: trust.changes
  }
}

// -- internals ---------------------------------------------------------------

/** What the server's own tokens say. We issue for no audience, so one with `aud` was meant for somebody else. */
const own: Claims.Expected = {
  issuer: "vibectl-server",
  audience: undefined,
  algorithms: ["HS256"],
  subjectClaim: "sub",
  verification: "required",
  tokenIdClaim: "jti",
  subjectPrefix: "",
  name: undefined
}

/** For how many seconds an identity provider's verified token is not verified again. */
const freshness = 600

/** JWT times are whole seconds since the epoch (RFC 7519, NumericDate). */
const seconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** Two servers with one secret must never make the same id: not from Effect's Random, which a seed repeats. */
const tokenId = Effect.sync(() => Crypto.randomUUID())

/** jose imports a KeyObject once, and bytes at every call. */
const keyObjects = () => {
  const made = new WeakMap<Redacted.Redacted, Jose.KeyObject>()
  return ({ secret }: Keyring.Key): Jose.KeyObject => {
    const known = made.get(secret)
    if (known !== undefined) return known
    const key = Crypto.createSecretKey(Redacted.value(secret), "utf8")
    made.set(secret, key)
    return key
  }
}

/** Only our own keys are retired by name. */
const retirement = ({ issuer, keyId }: Claims.Claims, { keys, retired }: Keyring.Keyring) => {
  if (issuer !== undefined || keyId === undefined || keys.some(({ kid }) => kid === keyId)) return undefined
  return retired.has(keyId) ? "retired_key" : "unknown_key"
}

/** What is shown in logs, metrics and tables must be one readable line. */
const problemOf = (subject: string): InvalidSubject["problem"] | undefined => {
  if (subject.trim() === "") return "is empty"
  if (/[\p{Cc}\u2028\u2029]/u.test(subject)) return "has control characters"
  return subject.length > 255 ? "is longer than 255 characters" : undefined
}
