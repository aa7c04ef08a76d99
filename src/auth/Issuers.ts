/**
 * Identity providers whose tokens are accepted beside the server's own.
 *
 * A token is checked with the keys of the issuer that it names and by no other
 * means; what its header says of keys (`jwk`, `jku`, `x5u`, `x5c`) counts for
 * nothing (RFC 8725, section 3.10).
 */
import type { FileSystem } from "@effect/platform"
import { Data, Effect } from "effect"
import { algorithms, type IssuerSettings } from "../config/AccessSettings.js"
import type { IdentityUnavailable, Unauthenticated } from "../domain/Errors.js"
import * as Claims from "./Claims.js"
import * as Jwks from "./Jwks.js"
import * as KeySet from "./KeySet.js"

export interface Issuers {
  /** The configured issuer with this `iss`; undefined when there is none. */
  readonly find: (iss: unknown) => Issuer | undefined
  /** Rereads files that changed; true when any key set changed since it was asked last. */
  readonly reload: Effect.Effect<boolean>
}

export interface Issuer {
  readonly name: string
  /** `now`: whole seconds since the epoch. */
  readonly verify: (
    token: string,
    now: number
  ) => Effect.Effect<Claims.Claims, Unauthenticated | IdentityUnavailable>
}

/** The keys of an issuer are not there, or cannot be used. */
export class IssuerInvalid extends Data.TaggedError("IssuerInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Nobody but the server itself issues tokens. */
export const none: Issuers = { find: () => undefined, reload: Effect.succeed(false) }

/** By the names of `auth.issuers`; fails for a file without a usable key, and only warns of an address without one. */
export const make = (
  settings: Readonly<Record<string, IssuerSettings>>
): Effect.Effect<Issuers, IssuerInvalid, FileSystem.FileSystem> =>
  Effect.map(
    // At once, so that several addresses that do not answer delay the start no longer than one.
    Effect.forEach(Object.entries(settings), ([name, own]) =>
      Effect.map(source(name, own), (jwks) => ({ iss: own.issuer, issuer: issuer(name, own, jwks), jwks })), {
      concurrency: "unbounded"
    }),
    (all) => {
      const byIss = new Map(all.map(({ iss, issuer }) =>
        [iss, issuer] as const
      ))
      return {
        find: (iss) =>
          typeof iss === "string" ? byIss.get(iss) : undefined,
        reload: Effect.map(
          Effect.forEach(all, ({ issuer, jwks }) => Effect.tap(jwks.reload, (changed) => changed && told(issuer))),
          (changes) => changes.includes(true)
        )
      }
    }
  )

/** What the tokens of an issuer have to say, by its settings. */
export const expectedOf = (name: string, settings: IssuerSettings): Claims.Expected => ({
  issuer: settings.issuer,
  audience: settings.audience,
  algorithms: settings.algorithms ?? algorithms,
  subjectClaim: settings.subject_claim ?? "sub",
  verification: settings.subject_verification ?? "required",
  tokenIdClaim: settings.token_id === "hash" ? undefined : settings.token_id_claim ?? "jti",
  subjectPrefix: settings.subject_prefix ?? `${name}:`,
  name
})

// -- internals ---------------------------------------------------------------

const source = (
  name: string,
  settings: IssuerSettings
): Effect.Effect<Jwks.Jwks, IssuerInvalid, FileSystem.FileSystem> => {
  const { ca_file, jwks_file, jwks_token_file, jwks_url, key_file } = settings
  const options = { issuer: name, algorithms: settings.algorithms ?? algorithms }
  const file = (path: string, setting: string, parse: typeof KeySet.fromJwks) =>
    Effect.mapError(
      Jwks.fromFile(path, parse, options),
      ({ problem, remedy }) =>
        new IssuerInvalid({ summary: `The file ${path} (auth.issuers.${name}.${setting}) ${problem}.`, remedy })
    )
  if (jwks_url !== undefined) {
    return Jwks.fromUrl({ url: new URL(jwks_url), tokenFile: jwks_token_file, caFile: ca_file }, options)
  }
  if (jwks_file !== undefined) return file(jwks_file, "jwks_file", KeySet.fromJwks)
  if (key_file !== undefined) return file(key_file, "key_file", KeySet.fromPem)
  return new IssuerInvalid({
    summary: `The issuer auth.issuers.${name} has no keys.`,
    remedy: "Set its jwks_url, jwks_file or key_file."
  })
}

const issuer = (name: string, settings: IssuerSettings, jwks: Jwks.Jwks): Issuer => {
  const expected = expectedOf(name, settings)
  const mayClaim = settings.roles ?? []
  return {
    name,
    verify: (token, now) =>
      Effect.gen(function*() {
        const check = (keys: KeySet.KeySet) => Claims.verify(token, keys.choose, expected, now)
        const keys = yield* jwks.keys
        const claims = yield* Effect.catchIf(check(keys), isUnknownKey, (error) =>
          // Checked again only with other keys: whoever makes up key ids must not get twice the work.
          Effect.flatMap(jwks.newer, (newer) => newer === keys ? error : check(newer)))
        if (!presentable.test(claims.subject) || !presentable.test(claims.tokenId)) {
          return yield* Claims.refused("malformed_claims")
        }
        // Roles give: which ones, the operator says and not the issuer.
        const roles = claims.grants.roles.filter((role) => mayClaim.includes(role))
        return { ...claims, grants: { ...claims.grants, roles } }
      })
  }
}

const told = ({ name }: Issuer) =>
  Effect.annotateLogs(Effect.logInfo("the keys of an issuer changed"), { issuer: name })

const isUnknownKey = ({ refusal }: Unauthenticated) => refusal === "unknown_key"

/** Subjects and token ids stand in logs and tables, in one line; elsewhere, users may choose their own. */
const presentable = /^[^\p{Cc}\u2028\u2029]{1,255}$/u
