/**
 * The keys of the server's own tokens: one signs, and all of them verify.
 *
 * The first key is the one that {@link SigningKey} finds. A rotation makes a
 * new one that signs from then on; the old ones go on verifying until they are
 * retired, so that no live token is refused. A retired key leaves its name,
 * without its secret: nothing signed with it is ever accepted again, even if
 * the secret is configured once more.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Data, DateTime, Effect, Redacted, Schema } from "effect"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import * as ReadFile from "../config/ReadFile.js"
import * as SigningKey from "./SigningKey.js"

export interface Key extends SigningKey.SigningKey {
  /** Undefined for a key that the operator brought. */
  readonly createdAt: DateTime.Utc | undefined
  /** Whether this server's own files hold it: then only `keys retire` takes it away. */
  readonly isStored: boolean
}

export interface Keyring {
  readonly signing: Key
  /** The signing one first. */
  readonly keys: ReadonlyArray<Key>
  /** When each retired key was retired, by its id. */
  readonly retired: ReadonlyMap<string, DateTime.Utc>
}

/** A keyring of this key alone. */
export const ofKey = (key: SigningKey.SigningKey): Keyring => {
  const signing = { ...key, createdAt: undefined, isStored: false }
  return { signing, keys: [signing], retired: new Map() }
}

/** The keys as they are now; makes the first one when there is none. */
export const load = (
  options: SigningKey.Options
): Effect.Effect<Keyring, SigningKey.SigningKeyInvalid, FileSystem.FileSystem> => loadWith(options, true)

/** The same while a server runs: it fails when no key that signs is left, because a new one would refuse every token. */
export const reload = (
  options: SigningKey.Options
): Effect.Effect<Keyring, SigningKey.SigningKeyInvalid, FileSystem.FileSystem> => loadWith(options, false)

/**
 * `loaded`, without anything that files of this server have lost since `present`: what was retired stays so, and a
 * stored key is trusted until it is retired. `present` itself when nothing changed.
 */
export const join = (present: Keyring, loaded: Keyring): Keyring => {
  const retired = new Map([...present.retired, ...loaded.retired])
  const isGood = ({ kid }: Key) => !retired.has(kid)
  const ids = new Set(loaded.keys.map(({ kid }) => kid))
  const kept = present.keys.filter((key) => key.isStored && !ids.has(key.kid))
  const signing = isGood(loaded.signing) ? loaded.signing : present.signing
  const others = [...loaded.keys, ...kept].filter((key) => isGood(key) && key.kid !== signing.kid)
  const joined = { signing, keys: [signing, ...others], retired }
  return fingerprint(joined) === fingerprint(present) ? present : joined
}

export const equals = (one: Keyring, other: Keyring): boolean =>
  one === other || fingerprint(one) === fingerprint(other)

/** Trusting none of these keys; the one that signs is kept for signing only. */
export const without = (keyring: Keyring, retired: ReadonlyMap<string, DateTime.Utc>): Keyring =>
  [...retired.keys()].every((kid) => keyring.retired.has(kid))
    ? keyring
    : {
      signing: keyring.signing,
      keys: keyring.keys.filter(({ kid }) => !retired.has(kid)),
      retired: new Map([...keyring.retired, ...retired])
    }

/** What files of this server have lost since `present`, as the end of a sentence; undefined for nothing. */
export const lost = (present: Keyring, loaded: Keyring): string | undefined => {
  const retired = [...present.retired.keys()].filter((kid) => !loaded.retired.has(kid))
  const keys = present.keys.filter(({ isStored, kid }) =>
    isStored && !loaded.retired.has(kid) && !loaded.keys.some((key) => key.kid === kid)
  )
  const parts = [
    ...keys.length === 0 ? [] : [`the key ${keys.map(({ kid }) => kid).join(", ")}`],
    ...retired.length === 0 ? [] : [`the retirement of ${retired.join(", ")}`]
  ]
  return parts.length === 0 ? undefined : `lacks ${parts.join(" and ")}`
}

export interface Rotated {
  /** The key that signs now, or, when the operator brings the signing secret, still. */
  readonly signing: Key
  /** The key that goes on verifying. */
  readonly previous: Key
}

/**
 * A new key that signs from now on. When the operator brings the signing
 * secret, the present one is kept for verifying, and the operator may replace it.
 */
export const rotate = (options: SigningKey.Options): Effect.Effect<Rotated, EditFailed, FileSystem.FileSystem> =>
  edit((file, stored) =>
    Effect.gen(function*() {
      const { jwtSecret } = yield* paths
      const brought = yield* SigningKey.configured(options)
      const { keys, signing: previous } = yield* load(options)
      const now = yield* DateTime.now
      const others = stored.keys.filter(({ kid }) => kid !== previous.kid)
      const old = entry(previous, now)
      if (keys.length >= most) return yield* new TooManyKeys({ most })
      if (brought !== undefined) {
        yield* write(file, { ...stored, keys: [...others, old] })
        return { signing: previous, previous }
      }
      const made = yield* SigningKey.make(Redacted.make(yield* SigningKey.random), `the file ${file}`)
      const signing = { ...made, createdAt: now, isStored: true }
      yield* write(file, { version: 1, signing: signing.kid, keys: [...others, old, entry(signing, now)] })
      // Its secret is in the keyring now; left here, it would outlive its retirement.
      yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.remove(jwtSecret, { force: true })).pipe(
        Effect.mapError((error) => unusable(jwtSecret, error))
      )
      return { signing, previous }
    })
  )

/** Trusts the key no longer; its secret is forgotten. */
export const retire = (
  options: SigningKey.Options,
  kid: string
): Effect.Effect<Key, EditFailed | KeyNotFound | KeySigns, FileSystem.FileSystem> =>
  edit((file, stored) =>
    Effect.gen(function*() {
      const { keys, retired, signing } = yield* load(options)
      if (kid === signing.kid) return yield* new KeySigns({ kid })
      const key = keys.find((key) => key.kid === kid)
      if (key === undefined) {
        return yield* new KeyNotFound({ kid, known: keys.map((key) => key.kid), retired: retired.has(kid) })
      }
      const now = yield* DateTime.now
      const created_at = stored.keys.find((key) => key.kid === kid)?.created_at ?? now
      const others = stored.keys.filter((key) => key.kid !== kid)
      yield* write(file, { ...stored, keys: [...others, { kid, created_at, retired_at: now }] })
      return key
    })
  )

export type EditFailed = SigningKey.SigningKeyInvalid | Files.FileBusy | TooManyKeys

/** A token without a key id is tried with every key, so there is an end to their number. */
export class TooManyKeys extends Data.TaggedError("TooManyKeys")<{ readonly most: number }> {
  get summary() {
    return `There are ${this.most} keys already.`
  }
  get remedy() {
    return "Retire one whose tokens have all expired: `vibectl-server keys list`, then `vibectl-server keys retire KEY`."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export class KeyNotFound extends Data.TaggedError("KeyNotFound")<{
  readonly kid: string
  readonly known: ReadonlyArray<string>
  readonly retired: boolean
}> {
  get summary() {
    return this.retired ? `The key ${this.kid} is retired already.` : `There is no key '${this.kid}'.`
  }
  get remedy() {
    return `Keys that are trusted now: ${this.known.join(", ")}.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The key that signs cannot be retired: the next token would be born dead. */
export class KeySigns extends Data.TaggedError("KeySigns")<{ readonly kid: string }> {
  get summary() {
    return `The key ${this.kid} signs the tokens that are issued now.`
  }
  get remedy() {
    return "Make a new one with `vibectl-server keys rotate` first, or set another secret."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const most = 16

const loadWith = (
  options: SigningKey.Options,
  mayMake: boolean
): Effect.Effect<Keyring, SigningKey.SigningKeyInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { jwtSecret, keyring } = yield* paths
    const stored = yield* read(keyring)
    const kept = yield* Effect.forEach(stored.keys.filter(hasSecret), (key) =>
      Effect.map(
        SigningKey.make(key.secret, `the file ${keyring}`),
        (made) => ({ ...made, createdAt: key.created_at, isStored: true })
      ))
    const brings = (key: SigningKey.SigningKey): Key => {
      const isStored = kept.some(({ kid }) => kid === key.kid)
      return { ...key, createdAt: undefined, isStored }
    }
    const brought = yield* SigningKey.configured(options)
    const signing: Key | undefined = brought === undefined
      ? kept.find(({ kid }) => kid === stored.signing)
      : brings(brought)
    const old = (yield* SigningKey.previous(options)).map(brings)
    const found = yield* Effect.either(
      signing !== undefined ? Effect.succeed(signing) : Effect.map(
        SigningKey.generated(jwtSecret, mayMake),
        (made) => ({ ...made, createdAt: undefined, isStored: true })
      )
    )
    // A first rotation in the meantime took the secret into the keyring, so that another one was made here for nothing.
    if (signing === undefined && (yield* read(keyring)).signing !== stored.signing) {
      return yield* loadWith(options, mayMake)
    }
    const first = yield* found
    const retired = new Map(
      stored.keys.flatMap(({ kid, retired_at }) => retired_at === undefined ? [] : [[kid, retired_at] as const])
    )
    if (retired.has(first.kid)) return yield* signsWithRetired(first)
    const all = new Map([first, ...kept, ...old].toReversed().map((key) => [key.kid, key] as const))
    const others = [...all.values()].filter(({ kid }) => kid !== first.kid && !retired.has(kid)).toReversed()
    return { signing: first, keys: [first, ...others], retired }
  })

const fingerprint = ({ keys, retired }: Keyring): string =>
  JSON.stringify([keys.map(({ isStored, kid }) => [kid, isStored]), [...retired.keys()].sort()])

const StoredKey = Schema.Struct({
  kid: Schema.NonEmptyString,
  secret: Schema.optionalWith(Schema.Redacted(Schema.NonEmptyString), { exact: true }),
  created_at: Schema.DateTimeUtc,
  retired_at: Schema.optionalWith(Schema.DateTimeUtc, { exact: true })
})
const Stored = Schema.parseJson(
  Schema.Struct({
    version: Schema.Literal(1),
    /** Absent while the operator brings the signing secret. */
    signing: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
    keys: Schema.Array(StoredKey)
  }),
  { space: 2 }
)
type Stored = typeof Stored.Type
type StoredKey = typeof StoredKey.Type

const hasSecret = (key: StoredKey): key is StoredKey & { readonly secret: Redacted.Redacted } =>
  key.secret !== undefined && key.retired_at === undefined

const entry = (key: Key, now: DateTime.Utc): StoredKey => ({
  kid: key.kid,
  secret: key.secret,
  created_at: key.createdAt ?? now
})

const read = (file: string): Effect.Effect<Stored, SigningKey.SigningKeyInvalid, FileSystem.FileSystem> =>
  ReadFile.text(file, ReadFile.maxBytes.keys).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed(empty)),
    Effect.mapError((error) => unusable(file, error)),
    // The parser's own words would quote the file.
    Effect.flatMap((text) => Effect.mapError(Schema.decode(Stored)(text), () => unusable(file, undefined)))
  )

const empty = JSON.stringify({ version: 1, keys: [] })

const write = (file: string, stored: Stored) =>
  Effect.flatMap(
    Effect.orDie(Schema.encode(Stored)(stored)),
    (text) => Effect.mapError(Files.writePrivate(file, `${text}\n`), (error) => unusable(file, error))
  )

const edit = <A, E, R>(change: (file: string, stored: Stored) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.gen(function*() {
    const { keyring: file } = yield* paths
    yield* Effect.catchTags(Files.locked(file), {
      BadArgument: (error) => unusable(file, error),
      SystemError: (error) => unusable(file, error)
    })
    return yield* change(file, yield* read(file))
  }))

const isMissing = (error: PlatformError) => error._tag === "SystemError" && error.reason === "NotFound"

const unusable = (file: string, error: PlatformError | undefined) =>
  new SigningKey.SigningKeyInvalid({
    summary: error === undefined
      ? `The keyring ${file} is damaged.`
      : `The keyring ${file} cannot be read or written: it ${ReadFile.problem(error)}.`,
    remedy: error === undefined
      ? "Restore it from a backup. Without it, every token signed with its keys is refused."
      : "Make the file and its directory readable and writable for this user."
  })

const signsWithRetired = (key: Key) =>
  new SigningKey.SigningKeyInvalid({
    summary: `The signing secret in ${key.source} is the key ${key.kid}, which was retired.`,
    remedy: "Set a new secret: `openssl rand -base64 48` makes one."
  })
