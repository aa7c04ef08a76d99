/**
 * Where the secret that signs tokens comes from.
 *
 * In this order: `VIBECTL_JWT_SECRET`, `VIBECTL_JWT_SECRET_FILE`, the config's
 * `server.jwt_secret_file` or `server.jwt_secret`, else one that is generated
 * once into the config directory. Whichever of `vibectl-server` and
 * `generate-token` runs first makes that one; both then use the same. The
 * first source that is set counts, even when it is wrong: falling through to
 * another would sign with a key that nobody asked for.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Config, Data, Effect, Option, Redacted } from "effect"
import * as Crypto from "node:crypto"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"

export interface SigningKey {
  /** At least 32 bytes in UTF-8. */
  readonly secret: Redacted.Redacted
  /** Names the key in the header of a token without giving it away. */
  readonly kid: string
  /** Where it was found, for people, e.g. `the variable VIBECTL_JWT_SECRET`. */
  readonly source: string
}

/** What the config file says: one of the two; with a file named, its secret may have been read already. */
export interface Options {
  readonly secret?: Redacted.Redacted | undefined
  readonly secretFile?: string | undefined
}

/** A secret is there but cannot be used, or none could be made. */
export class SigningKeyInvalid extends Data.TaggedError("SigningKeyInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export const resolve = (
  options: Options = {}
): Effect.Effect<SigningKey, SigningKeyInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const secret = yield* variable(Config.redacted("VIBECTL_JWT_SECRET"))
    if (secret !== undefined) return yield* make(secret, "the variable VIBECTL_JWT_SECRET")
    const secretFile = yield* variable(Config.string("VIBECTL_JWT_SECRET_FILE"))
    if (secretFile !== undefined) return yield* fromFile(secretFile, "the variable VIBECTL_JWT_SECRET_FILE")
    if (options.secretFile !== undefined) {
      return yield* fromFile(options.secretFile, "the setting server.jwt_secret_file")
    }
    if (options.secret !== undefined) return yield* make(options.secret, "the setting server.jwt_secret")
    return yield* generated
  })

/** The key of a secret; fails when it is too short. */
export const make = (secret: Redacted.Redacted, source: string): Effect.Effect<SigningKey, SigningKeyInvalid> => {
  const bytes = Buffer.byteLength(Redacted.value(secret))
  return bytes < shortest
    ? new SigningKeyInvalid({
      summary: `The signing secret in ${source} has ${bytes} bytes; it needs at least ${shortest}.`,
      remedy: howToMake
    })
    : Effect.succeed({ secret, kid: thumbprint(secret), source })
}

// -- internals ---------------------------------------------------------------

/** HS256 wants a key at least as long as its hash (RFC 7518, section 3.2). */
const shortest = 32

const howToMake = "Make one with `openssl rand -base64 48`."

/** A string cannot be misread, so what fails here is a broken config provider. */
const variable = <A>(config: Config.Config<A>) => Effect.map(Effect.orDie(Config.option(config)), Option.getOrUndefined)

/**
 * 96 bits of a hash of the secret under a name of its own. Whoever guesses
 * secrets can test each guess against this, but just as well against the
 * signature beside it; with 32 bytes or more there is nothing to guess, and
 * the hash cannot be turned back.
 */
const thumbprint = (secret: Redacted.Redacted) =>
  Crypto.createHash("sha256").update(`vibectl signing key id\0${Redacted.value(secret)}`).digest("base64url").slice(
    0,
    16
  )

const read = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(Effect.map(withoutNewline))

/** Editors and `echo` end a file with a newline that is no part of the secret. */
const withoutNewline = (content: string) => Redacted.make(content.replace(/(?:\r?\n)+$/, ""))

const fromFile = (path: string, namedBy: string) =>
  read(path).pipe(
    Effect.mapError((error) =>
      new SigningKeyInvalid({
        summary: `The file of the signing secret ${path} (${namedBy}) ${problem(error)}.`,
        remedy: `Correct the path or the file's permissions. ${howToMake}`
      })
    ),
    Effect.flatMap((secret) => make(secret, `the file ${path} (${namedBy})`))
  )

/** Read first: a directory that is mounted read-only may well hold the secret. */
const generated = Effect.gen(function*() {
  const { jwtSecret: path } = yield* paths
  const secret = yield* read(path).pipe(
    Effect.catchIf(
      isMissing,
      () => Effect.flatMap(random, (text) => Effect.map(Files.createPrivate(path, `${text}\n`), withoutNewline))
    ),
    Effect.mapError((error) =>
      new SigningKeyInvalid({
        summary: `The generated signing secret ${path} ${problem(error)}.`,
        remedy: "Make the file and its directory readable and writable for this user, or set VIBECTL_JWT_SECRET."
      })
    )
  )
  return yield* make(secret, `the generated file ${path}`)
})

/** From the operating system's generator: Effect's Random can be predicted. */
const random = Effect.sync(() => Crypto.randomBytes(48).toString("base64url"))

const isMissing = (error: PlatformError) => error._tag === "SystemError" && error.reason === "NotFound"

const problem = (error: PlatformError) =>
  isMissing(error)
    ? "does not exist"
    : error._tag === "SystemError" && error.reason === "PermissionDenied"
    ? "may not be read or made by this user"
    : "cannot be read or made"
