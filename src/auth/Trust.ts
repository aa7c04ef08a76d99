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
  /** Takes in what changed on disk; true when anything did. */
  readonly refresh: Effect.Effect<boolean>
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
  refresh: Effect.succeed(false),
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
    const one = yield* Effect.makeSemaphore(1)
    let generation = 0

    const { jwtSecret, keyring: keyringFile, revocations: revocationsFile } = yield* paths
    const keyring = yield* followed({
      files: yield* keyFiles(signing),
      // Without these it would make a new key, and refuse every token.
      needed: [keyringFile, jwtSecret],
      first: Keyring.load(signing),
      again: () => Keyring.load(signing)
    })
    const revocations = yield* followed({
      files: [revocationsFile],
      needed: [revocationsFile],
      first: Revocations.loadWhole,
      again: (present) => Effect.flatMap(Revocations.load, (loaded) => undamaged(loaded, present, revocationsFile))
    })

    const refresh = one.withPermits(1)(Effect.gen(function*() {
      const keys = yield* keyring.refresh
      const revoked = yield* revocations.refresh
      const foreign = yield* issuers.reload
      if (keys || foreign) generation++
      const changed = keys || revoked || foreign
      if (changed) yield* PubSub.publish(changes, undefined)
      return changed
    })).pipe(Effect.provideService(FileSystem.FileSystem, files))

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

/** A value that is loaded again when one of `files` changed, but not when all that are `needed` went away. */
const followed = <A, E, F extends { readonly message: string }>({ again, files, first, needed }: {
  readonly files: ReadonlyArray<string>
  readonly needed: ReadonlyArray<string>
  readonly first: NeedsFiles<A, E>
  readonly again: (present: A) => NeedsFiles<A, F>
}) =>
  Effect.gen(function*() {
    // Before the content: what changes in between is seen as changed.
    let seen = yield* stampOf(files)
    let had = (yield* stampOf(needed)) !== ""
    let value = yield* first
    let told = ""
    const tell = (problem: string) => {
      if (told === problem) return Effect.succeed(false)
      told = problem
      return Effect.as(Effect.logError(problem), false)
    }
    const refresh = Effect.gen(function*() {
      const now = yield* stampOf(files)
      if (now === seen) return false
      const has = (yield* stampOf(needed)) !== ""
      if (had && !has) {
        return yield* tell(`${needed.join(" and ")}: gone; what was read from there holds until the next start`)
      }
      return yield* Effect.matchEffect(again(value), {
        onFailure: (error) => tell(error.message),
        onSuccess: (loaded) =>
          Effect.sync(() => {
            value = loaded
            seen = now
            had = has
            told = ""
            return true
          })
      })
    })
    return { value: () => value, refresh }
  })

/** What a damaged line revoked is not trusted again. */
const undamaged = (loaded: Revocations.Revocations, present: Revocations.Revocations, file: string) =>
  loaded.damaged.length === 0
    ? Effect.succeed(loaded)
    : Effect.as(
      Effect.logError(`${file} is damaged in line ${loaded.damaged.join(", ")}; what was refused before still is`),
      Revocations.both(loaded, present)
    )

/** Several files at once; `""` when none is there. */
const stampOf = (files: ReadonlyArray<string>): NeedsFiles<string> =>
  Effect.map(Effect.forEach(files, Files.stamp), (stamps) => stamps.join("\n").trim())

/** Every file that a secret of ours is read from. */
const keyFiles = (signing: SigningKey.Options) =>
  Effect.gen(function*() {
    const { jwtSecret, keyring } = yield* paths
    const named = yield* Effect.orDie(Config.option(Config.nonEmptyString("VIBECTL_JWT_SECRET_FILE")))
    const given = [Option.getOrUndefined(named), signing.secretFile, ...signing.previousSecretFiles ?? []]
    return [keyring, jwtSecret, ...given.filter((file) => file !== undefined)]
  })
