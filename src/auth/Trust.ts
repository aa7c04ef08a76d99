/**
 * Whom the server trusts now: its keys, the identity providers it was told of,
 * and what was revoked.
 *
 * `vibectl-server keys` and `revoke-token` change files; a running server
 * notices within a quarter of a second. What cannot be read is told once, and
 * what was read before goes on holding: a damaged file must neither refuse
 * every caller nor trust a revoked one again.
 */
import { FileSystem } from "@effect/platform"
import { Config, Effect, Option, PubSub, Schedule, type Scope, Stream } from "effect"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import * as Issuers from "./Issuers.js"
import * as Keyring from "./Keyring.js"
import * as Revocations from "./Revocations.js"
import type * as SigningKey from "./SigningKey.js"

export interface Trust {
  readonly keyring: () => Keyring.Keyring
  readonly revocations: () => Revocations.Revocations
  readonly issuers: Issuers.Issuers
  /** When it completes, what was on disk when it began is taken in. */
  readonly refresh: Effect.Effect<void>
  /** Grows whenever keys changed, so that what they verified is verified anew. */
  readonly generation: () => number
  /** An element after every change of keys or revocations. */
  readonly changes: Stream.Stream<void>
}

/** What never changes. */
export const fixed = (keyring: Keyring.Keyring, revocations = Revocations.none): Trust => ({
  keyring: () => keyring,
  revocations: () => revocations,
  issuers: Issuers.none,
  refresh: Effect.void,
  generation: () => 0,
  changes: Stream.never
})

export interface Options {
  readonly signing: SigningKey.Options
  readonly issuers: Issuers.Issuers
}

/** What the files of this server say, followed while the scope is open. */
export const live = ({ issuers, signing }: Options): Effect.Effect<
  Trust,
  SigningKey.SigningKeyInvalid | Revocations.RevocationsUnusable,
  FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const changes = yield* PubSub.sliding<void>(1)
    let generation = 0

    const { jwtSecret, keyring: keyringFile, revocations: revocationsFile } = yield* paths
    const keyring = yield* followed({
      files: [keyringFile, jwtSecret, ...yield* secretFiles(signing)],
      // Without it, what was retired would be trusted again, or a new key made and every token refused. A rotation
      // puts the generated secret into the keyring.
      isGone: ([keyringWas, secretWas], [keyringIs, secretIs]) =>
        keyringIs === "" && (keyringWas !== "" || (secretWas !== "" && secretIs === "")),
      first: Keyring.load(signing),
      again: () => Keyring.load(signing)
    })
    const revocations = yield* followed({
      files: [revocationsFile],
      isGone: ([was], [is]) => was !== "" && is === "",
      first: Revocations.loadWhole,
      again: (present) => Effect.flatMap(Revocations.load, (loaded) => grown(loaded, present, revocationsFile))
    })

    const refresh = yield* shared(
      Effect.gen(function*() {
        const keys = yield* keyring.refresh
        const revoked = yield* revocations.refresh
        const foreign = yield* issuers.reload
        if (keys || foreign) generation++
        if (keys || revoked || foreign) yield* PubSub.publish(changes, undefined)
      }).pipe(Effect.provideService(FileSystem.FileSystem, files))
    )

    yield* Effect.forkScoped(
      Effect.repeat(
        Effect.catchAllCause(refresh, (cause) => Effect.logError("keys and revocations were not read again", cause)),
        Schedule.spaced("250 millis")
      )
    )
    return {
      keyring: keyring.value,
      revocations: revocations.value,
      issuers,
      refresh,
      generation: () => generation,
      changes: Stream.fromPubSub(changes)
    }
  })

// -- internals ---------------------------------------------------------------

type NeedsFiles<A, E = never> = Effect.Effect<A, E, FileSystem.FileSystem>

/**
 * Does it once for all who ask before it begins, and never twice at a time. A
 * caller that goes away takes nothing from the others.
 */
const shared = (look: Effect.Effect<void>): Effect.Effect<Effect.Effect<void>> =>
  Effect.map(Effect.makeSemaphore(1), (one) => {
    let waiting: Effect.Effect<void> | undefined
    const begin = Effect.suspend(() => {
      waiting = undefined
      return look
    })
    return Effect.suspend(() =>
      waiting ?? Effect.flatMap(Effect.cached(Effect.uninterruptible(one.withPermits(1)(begin))), (cached) => {
        waiting = cached
        return cached
      })
    )
  })

/** A value that is loaded again when one of `files` changed, but not when they are gone; told by their stamps. */
const followed = <A, E, F extends { readonly message: string }>({ again, files, first, isGone }: {
  readonly files: ReadonlyArray<string>
  readonly isGone: (were: ReadonlyArray<string>, are: ReadonlyArray<string>) => boolean
  readonly first: NeedsFiles<A, E>
  readonly again: (present: A) => NeedsFiles<A, F>
}) =>
  Effect.gen(function*() {
    const look = Effect.forEach(files, Files.stamp)
    // Before the content: what changes in between is seen as changed.
    let seen = yield* look
    let value = yield* first
    let told = ""
    const tell = (problem: string) => {
      if (told === problem) return Effect.succeed(false)
      told = problem
      return Effect.as(Effect.logError(problem), false)
    }
    const refresh = Effect.gen(function*() {
      const now = yield* look
      if (now.every((stamp, index) => stamp === seen[index])) return false
      if (isGone(seen, now)) {
        const gone = files.filter((_, index) => now[index] === "").join(" and ")
        return yield* tell(`${gone}: gone; what was read from there holds until the next start`)
      }
      return yield* Effect.matchEffect(again(value), {
        onFailure: (error) => tell(error.message),
        onSuccess: (loaded) =>
          Effect.sync(() => {
            value = loaded
            seen = now
            told = ""
            return true
          })
      })
    })
    return { value: () => value, refresh }
  })

/** Lines are only ever added; what a lost or damaged one revoked is not trusted again before the next start. */
const grown = (loaded: Revocations.Revocations, present: Revocations.Revocations, file: string) => {
  const fault = loaded.damaged.length > 0
    ? `is damaged in line ${loaded.damaged.join(", ")}`
    : loaded.size < present.size
    ? "is shorter than it was"
    : undefined
  return fault === undefined
    ? Effect.succeed(loaded)
    : Effect.as(
      Effect.logError(`${file} ${fault}; what was refused before still is`),
      Revocations.both(loaded, present)
    )
}

/** Those that the operator names. */
const secretFiles = (signing: SigningKey.Options) =>
  Effect.map(
    Effect.orDie(Config.option(Config.nonEmptyString("VIBECTL_JWT_SECRET_FILE"))),
    (named) =>
      [Option.getOrUndefined(named), signing.secretFile, ...signing.previousSecretFiles ?? []]
        .filter((file) => file !== undefined)
  )
