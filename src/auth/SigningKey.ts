/**
 * Where the secrets that sign tokens come from, and which are good enough.
 *
 * In this order: `VIBECTL_JWT_SECRET`, `VIBECTL_JWT_SECRET_FILE`, the config's
 * `server.jwt_secret_file` or `server.jwt_secret`, else one that is generated
 * once into the config directory. Whichever of `vibectl-server` and
 * `generate-token` runs first makes that one; both then use the same. The
 * first source that is set counts, even when it is wrong: falling through to
 * another would sign with a key that nobody asked for.
 */
import { type FileSystem } from "@effect/platform"
import { Config, Data, Effect, Option, Redacted } from "effect"
import * as Crypto from "node:crypto"
import * as Files from "../config/Files.js"
import * as ReadFile from "../config/ReadFile.js"
import type { ServerSection } from "../config/ServerSettings.js"

export interface SigningKey {
  /** At least 32 bytes in UTF-8. */
  readonly secret: Redacted.Redacted
  /** Names the key in the header of a token without giving it away. */
  readonly kid: string
  /** Where it was found, for people, e.g. `the variable VIBECTL_JWT_SECRET`. */
  readonly source: string
}

/** What the config file says: one of the first two; with a file named, its secret may have been read already. */
export interface Options {
  readonly secret?: Redacted.Redacted | undefined
  readonly secretFile?: string | undefined
  /** Files of secrets that signed before, and whose tokens are still good. */
  readonly previousSecretFiles?: ReadonlyArray<string> | undefined
}

export const optionsOf = (server: ServerSection): Options => ({
  secret: server.jwt_secret,
  secretFile: server.jwt_secret_file,
  previousSecretFiles: server.jwt_previous_secret_files
})

/** A secret is there but cannot be used, or none could be made. */
export class SigningKeyInvalid extends Data.TaggedError("SigningKeyInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The key that the environment or the config names; undefined when neither does. */
export const configured = (
  options: Options = {}
): Effect.Effect<SigningKey | undefined, SigningKeyInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const secret = yield* variable(Config.redacted("VIBECTL_JWT_SECRET"))
    if (secret !== undefined) return yield* make(secret, "the variable VIBECTL_JWT_SECRET")
    const secretFile = yield* variable(Config.string("VIBECTL_JWT_SECRET_FILE"))
    if (secretFile !== undefined) return yield* fromFile(secretFile, "the variable VIBECTL_JWT_SECRET_FILE")
    if (options.secretFile !== undefined) {
      return yield* fromFile(options.secretFile, "the setting server.jwt_secret_file")
    }
    return options.secret === undefined ? undefined : yield* make(options.secret, "the setting server.jwt_secret")
  })

/** The keys of `server.jwt_previous_secret_files`. */
export const previous = (options: Options): Effect.Effect<
  ReadonlyArray<SigningKey>,
  SigningKeyInvalid,
  FileSystem.FileSystem
> =>
  Effect.forEach(
    options.previousSecretFiles ?? [],
    (path) => fromFile(path, "the setting server.jwt_previous_secret_files")
  )

/** The key that is kept in `path`; with `mayMake`, made there when there is none. */
export const generated = (
  path: string,
  mayMake = true
): Effect.Effect<SigningKey, SigningKeyInvalid, FileSystem.FileSystem> =>
  // Read first: a directory that is mounted read-only may well hold the secret.
  read(path).pipe(
    Effect.catchIf(
      (error) => mayMake && ReadFile.isMissing(error),
      () =>
        Effect.flatMap(random, (text) =>
          Effect.map(Files.createPrivate(path, `${text}\n`), (kept) =>
            Redacted.make(ReadFile.withoutLineEnds(kept))))
    ),
    Effect.mapError((error) =>
      new SigningKeyInvalid({
        summary: `The generated signing secret ${path} ${ReadFile.problem(error)}.`,
        remedy: "Make the file and its directory readable and writable for this user, or set VIBECTL_JWT_SECRET."
      })
    ),
    Effect.flatMap((secret) =>
      make(secret, `the generated file ${path}`)
    )
  )

/** A new secret, from the operating system's generator: Effect's Random can be predicted. */
export const random = Effect.sync(() => Crypto.randomBytes(48).toString("base64url"))

/** The key of a secret; fails when it is too short or can be guessed. */
export const make = (secret: Redacted.Redacted, source: string): Effect.Effect<SigningKey, SigningKeyInvalid> => {
  const weakness = weaknessOf(Redacted.value(secret))
  return weakness === undefined
    ? Effect.succeed({ secret, kid: thumbprint(secret), source })
    : new SigningKeyInvalid({ summary: `The signing secret in ${source} ${weakness}.`, remedy: howToMake })
}

// -- internals ---------------------------------------------------------------

/** HS256 wants a key at least as long as its hash (RFC 7518, section 3.2). */
const shortest = 32

/** Letters and digits of secrets that stand in manuals and templates, and so in every attacker's list. */
const wellKnown =
  /changeme|changethis|replaceme|replacethis|yoursecret|yourjwtsecret|your256bitsecret|yoursuper|stringsecretatleast256bits|supersecret|mysecretkey|defaultsecret|secretkeyhere|password|placeholder/

/** Said without a word of the secret itself. */
const weaknessOf = (secret: string): string | undefined => {
  const bytes = Buffer.byteLength(secret)
  if (bytes < shortest) return `has ${bytes} bytes; it needs at least ${shortest}`
  if (wellKnown.test(secret.toLowerCase().replace(/[^a-z0-9]/g, ""))) {
    return "is an example out of a manual or template, which everybody knows"
  }
  const unit = repeated(secret)
  if (Buffer.byteLength(unit) < shortest && unit !== secret) return "only repeats a shorter text; it is easily guessed"
  return new Set(secret).size < 10 ? "has fewer than 10 different characters; it is easily guessed" : undefined
}

/** The shortest text of which `text` is a repetition: itself, if of no other. */
const repeated = (text: string): string => text.slice(0, (text + text).indexOf(text, 1))

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

const read = (path: string) => Effect.map(ReadFile.secret(path), (secret) => Redacted.make(secret))

const fromFile = (path: string, namedBy: string) =>
  read(path).pipe(
    Effect.mapError((error) =>
      new SigningKeyInvalid({
        summary: `The file of the signing secret ${path} (${namedBy}) ${ReadFile.problem(error)}.`,
        remedy: `Correct the path or the file's permissions. ${howToMake}`
      })
    ),
    Effect.flatMap((secret) => make(secret, `the file ${path} (${namedBy})`))
  )
