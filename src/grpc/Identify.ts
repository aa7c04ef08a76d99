/**
 * Who a call is from: the holder of its token, whom its certificate names, or
 * anybody where the server asks for neither.
 */
import type * as Grpc from "@grpc/grpc-js"
import { Effect, Either, Exit, type Redacted } from "effect"
import * as AccessRules from "../auth/AccessRules.js"
import * as Bearer from "../auth/Bearer.js"
import * as Claims from "../auth/Claims.js"
import type { Tokens } from "../auth/Tokens.js"
import { noGrants } from "../domain/Access.js"
import { type Caller, type Feature, features } from "../domain/Answer.js"
import type { IdentityUnavailable, Unauthenticated, VersionIncompatible } from "../domain/Errors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import { flatMapEager, mapErrorEager, type Moment } from "../effect/Eager.js"
import * as Compatibility from "../versions/Compatibility.js"
import { clientVersionKey, featuresKey } from "./ClientMetadata.js"

/**
 * What the name in a client's certificate is: nothing, the subject of its token
 * too, or the caller itself, who then needs no token.
 */
export type ClientIdentity = "none" | "match" | "identity"

export interface Options {
  /** Whom to trust; undefined trusts everybody, who is `anonymous` or whom its certificate names. */
  readonly tokens: Tokens["Type"] | undefined
  /** Whether a token is asked for; without, `tokens` only says who was revoked. */
  readonly authenticate: boolean
  readonly access: AccessRules.AccessRules
  readonly clientIdentity: ClientIdentity
}

export interface Identified {
  readonly caller: Caller
  /** What the audit log says of it; undefined for `anonymous`. */
  readonly holder: Holder | undefined
  /** Fails when the caller is trusted no longer. */
  readonly recheck: () => Effect.Effect<void, Unauthenticated>
}

/** In the words of the audit log. */
export interface Holder {
  readonly subject: string
  readonly token_id?: string
  readonly key_id?: string
  readonly issuer?: string
  readonly certificate?: string
}

/** `holder` where the signature of the token was good. */
export interface NotIdentified {
  readonly error: Refused
  readonly holder?: Holder
}

export type Refused = Unauthenticated | IdentityUnavailable | VersionIncompatible

/**
 * Eager: a caller whose token was verified before is identified with an `Exit`. `certificate` is the name in the client's
 * verified certificate, undefined without one.
 */
export const identify = (
  metadata: Grpc.Metadata,
  certificate: string | undefined,
  options: Options,
  moment: Moment
): Effect.Effect<Identified, NotIdentified> => {
  const claims = mapErrorEager(claimsOf(metadata, certificate, options, moment), (error): NotIdentified => ({
    error,
    ..."holder" in error && error.holder !== undefined ? { holder: holderOf(error.holder) } : {}
  }))
  return flatMapEager(claims, (claims): Effect.Effect<Identified, NotIdentified> => {
    const error = incompatibility(metadata)
    if (error === undefined) return Exit.succeed(identified(metadata, claims, certificate, options))
    const holder = holderBy(claims, certificate)
    return Exit.fail({ error, ...holder === undefined ? {} : { holder } })
  })
}

/** What an error that refused a call is called in the audit log. */
export const refusalOf = (error: Refused) =>
  error._tag === "Unauthenticated"
    ? error.refusal
    : error._tag === "IdentityUnavailable"
    ? "identity_unavailable"
    : "version_incompatible"

/** The part of it that is told of a token or of the caller of a running call. */
export const holderOf = (
  { subject, tokenId }: { readonly subject: string; readonly tokenId: string | undefined }
): Holder => tokenId === undefined ? { subject } : { subject, token_id: tokenId }

// -- internals ---------------------------------------------------------------

const identified = (
  metadata: Grpc.Metadata,
  claims: Known | undefined,
  certificate: string | undefined,
  { access, tokens }: Options
): Identified => {
  const caller: Caller = {
    subject: claims?.subject ?? anonymous.subject,
    tokenId: claims?.tokenId,
    access: access(claims ?? anonymous),
    features: declared(text(metadata, featuresKey)),
    deadline: Infinity
  }
  if (claims === undefined || tokens === undefined) {
    return { caller, holder: holderBy(claims, certificate), recheck: trusted }
  }
  return { caller, holder: holderBy(claims, certificate), recheck: () => recheck(tokens, claims) }
}

const trusted = () => Exit.void

const holderBy = (claims: Known | undefined, certificate: string | undefined): Holder | undefined =>
  claims && Object.assign({}, holderOf(claims), keyOf(claims), named(certificate))

const incompatibility = (metadata: Grpc.Metadata): VersionIncompatible | undefined => {
  const version = text(metadata, clientVersionKey)
  if (version === undefined || version === packageVersion) return undefined
  const verdict = Compatibility.compare(version, packageVersion)
  return verdict._tag === "Incompatible" ? verdict.error : undefined
}

type Known = Omit<Claims.Claims, "tokenId"> & { readonly tokenId: string | undefined }

/** Undefined for anybody. */
const claimsOf = (
  metadata: Grpc.Metadata,
  certificate: string | undefined,
  { authenticate, clientIdentity, tokens }: Options,
  moment: Moment
): Effect.Effect<Known | undefined, Unauthenticated | IdentityUnavailable> => {
  const header = text(metadata, "authorization")
  const byCertificate = clientIdentity === "identity" && header === undefined
  const verified = tokens === undefined || !authenticate || byCertificate
    ? Exit.succeed(undefined)
    : flatMapEager(bearer(header), (token) => tokens.verify(token, moment))
  if (clientIdentity === "none") return verified
  return Effect.flatMap(verified, (claims) => {
    if (certificate === undefined) return Exit.fail(Claims.refused("certificate_without_name", claims))
    if (claims !== undefined) {
      return certificate === claims.subject
        ? Exit.succeed(claims)
        : Exit.fail(Claims.refused("certificate_of_another", claims))
    }
    const known = ofCertificate(certificate)
    if (tokens === undefined) return Exit.succeed(known)
    return Effect.flatMap(tokens.known ?? Exit.void, () => Effect.as(recheck(tokens, known), known))
  })
}

const bearer = (header: string | undefined): Exit.Exit<Redacted.Redacted, Unauthenticated> =>
  Either.match(Bearer.parse(header), { onLeft: Exit.fail, onRight: Exit.succeed })

/** A certificate says nothing of when it was issued, so a revocation of its subject is one of it. */
const ofCertificate = (subject: string): Known => ({
  subject,
  tokenId: undefined,
  expiresAt: Infinity,
  issuedAt: undefined,
  issuer: undefined,
  keyId: undefined,
  grants: noGrants
})

const recheck = (tokens: Tokens["Type"], claims: Known) =>
  tokens.recheck(Object.assign({}, claims, { tokenId: claims.tokenId ?? "" }))

const keyOf = ({ issuer, keyId }: Known): Pick<Holder, "issuer" | "key_id"> =>
  Object.assign({}, keyId === undefined ? undefined : { key_id: keyId }, issuer === undefined ? undefined : { issuer })

const named = (certificate: string | undefined) => certificate === undefined ? {} : { certificate }

const anonymous = AccessRules.holderOf("anonymous")

/** One value; several of the same key are joined as HTTP does (RFC 9110, section 5.3). */
const text = (metadata: Grpc.Metadata, key: string): string | undefined => {
  const values = metadata.get(key)
  return values.length === 0 ? undefined : values.join(", ")
}

const declared = (header: string | undefined): ReadonlySet<Feature> => {
  if (header === undefined) return none
  const names = header.split(",").map((name) => name.trim())
  return new Set(features.filter((feature) => names.includes(feature)))
}

const none: ReadonlySet<Feature> = new Set()
