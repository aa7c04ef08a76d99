/**
 * Whom the server trusts now: its keys, the configured identity providers, and
 * what was revoked.
 *
 * `vibectl-server keys` and `revoke-token` change files; a running server
 * notices within a quarter of a second. What a file has lost holds until the
 * process ends, and is reported once: while a server runs, only a `restore`
 * line ends a refusal, and only `keys retire` takes away a key of its own
 * files. A damaged, emptied, replaced or deleted file neither refuses every
 * caller nor trusts a revoked one again.
 */
import { FileSystem } from "@effect/platform"
import { Clock, Config, DateTime, Effect, Either, Option, PubSub, Schedule, type Scope, Stream } from "effect"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import * as Issuers from "./Issuers.js"
import * as Keyring from "./Keyring.js"
import * as Revocations from "./Revocations.js"
import * as Shared from "./Shared.js"
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
  /** Why it cannot be said yet what other servers have revoked; then nobody is trusted. */
  readonly unknown: () => Shared.Unheard | undefined
}

/** What never changes. */
export const fixed = (keyring: Keyring.Keyring, revocations = Revocations.none): Trust => ({
  keyring: () => keyring,
  revocations: () => revocations,
  issuers: Issuers.none,
  refresh: Effect.void,
  generation: () => 0,
  changes: Stream.never,
  unknown: () => undefined
})

export interface Options {
  readonly signing: SigningKey.Options
  readonly issuers: Issuers.Issuers
  /** Runs once for each fault of a file whose former content still holds: for the audit log. */
  readonly onKept?: (kept: Kept) => Effect.Effect<void>
  /** What other servers revoke and retire, and learn from this one; none by default. */
  readonly shared?: Shared.Shared
}

export interface Kept {
  readonly file: string
  /** The end of a sentence about the file, e.g. `is gone`. */
  readonly problem: string
}

/** What the files of this server say, followed while the scope is open. */
export const live = ({ issuers, onKept = () => Effect.void, shared = Shared.alone, signing }: Options): Effect.Effect<
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
      file: keyringFile,
      files: [keyringFile, jwtSecret, ...yield* secretFiles(signing)],
      onKept,
      first: Keyring.load(signing),
      again: (present) =>
        Effect.map(Keyring.reload(signing), (loaded) => ({
          value: Keyring.join(present, loaded),
          problem: Keyring.lost(present, loaded)
        }))
    })
    const revocations = yield* followed({
      file: revocationsFile,
      files: [revocationsFile],
      onKept,
      first: Revocations.loadWhole,
      again: (present) => Effect.map(Revocations.load, (loaded) => joined(present, loaded))
    })

    let present = { keyring: keyring.value(), revocations: revocations.value() }
    let heard = shared.records()
    const warned = new Set<string>()

    /** What the files and the other servers say together; true when that is new. */
    const combine = Effect.gen(function*() {
      const [keys, revoked] = [keyring.value(), revocations.value()]
      yield* shared.offer(offered(keys, revoked))
      heard = shared.records()
      const records = Revocations.join(present.revocations.records, Revocations.join(heard, revoked.records))
      const next = {
        keyring: Keyring.without(keys, retiredIn(records)),
        revocations: records === present.revocations.records ? present.revocations : Revocations.of(records)
      }
      const isOther = !Keyring.equals(next.keyring, present.keyring)
      const isNew = isOther || next.revocations !== present.revocations
      if (isOther) generation++
      present = { keyring: isOther ? next.keyring : present.keyring, revocations: next.revocations }
      for (const warning of doubts(present.keyring, records)) {
        if (warned.has(warning)) continue
        warned.add(warning)
        yield* Effect.logWarning(warning)
      }
      return isNew
    })

    const refresh = yield* together(
      Effect.gen(function*() {
        yield* keyring.refresh
        yield* revocations.refresh
        const isNew = yield* combine
        const foreign = yield* issuers.reload
        if (foreign) generation++
        if (isNew || foreign) yield* PubSub.publish(changes, undefined)
      }).pipe(Effect.provideService(FileSystem.FileSystem, files))
    )

    yield* combine
    const safely = Effect.catchAllCause(
      refresh,
      (cause) => Effect.logError("keys and revocations were not read again", cause)
    )
    yield* Effect.forkScoped(Effect.repeat(safely, Schedule.spaced("250 millis")))
    yield* Effect.forkScoped(Stream.runForEach(shared.changes, () => safely))
    return {
      keyring: () => present.keyring,
      revocations: () => present.revocations,
      issuers,
      refresh,
      generation: () => generation,
      changes: Stream.fromPubSub(changes),
      unknown: shared.unknown
    }
  })

// -- internals ---------------------------------------------------------------

type NeedsFiles<A, E = never> = Effect.Effect<A, E, FileSystem.FileSystem>

/**
 * Does it once for all who ask before it begins, and never twice at a time. A
 * caller that goes away takes nothing from the others.
 */
const together = (look: Effect.Effect<void>): Effect.Effect<Effect.Effect<void>> =>
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

/**
 * A value that is loaded again when one of `files` changed. Stamps only save the reading: what a file has lost is judged
 * by its content, in `again`, against all that was read since the start.
 */
const followed = <A, E, F extends { readonly message: string }>({ again, file, files, first, onKept }: {
  /** The one whose content must not get less. */
  readonly file: string
  readonly files: ReadonlyArray<string>
  readonly onKept: (kept: Kept) => Effect.Effect<void>
  readonly first: NeedsFiles<A, E>
  /** `present` itself where nothing changed, and what the file has lost. */
  readonly again: (present: A) => NeedsFiles<{ readonly value: A; readonly problem: string | undefined }, F>
}) =>
  Effect.gen(function*() {
    const look = Effect.forEach(files, Files.stamp)
    // Before the content: what changes in between is seen as changed.
    let seen = yield* look
    let value = yield* first
    let existed = seen
    let changedAt = yield* Clock.currentTimeMillis
    let reported = ""
    const report = (message: string, kept: Kept) => {
      if (reported === message) return Effect.void
      reported = message
      return Effect.zipRight(Effect.logError(message), onKept(kept))
    }
    const lost = (problem: string) =>
      report(`${file} ${problem}; what was read from there holds until the next start`, { file, problem })
    const refresh = Effect.gen(function*() {
      const [now, stamps] = [yield* Clock.currentTimeMillis, yield* look]
      const isSame = stamps.every((stamp, index) => stamp === seen[index])
      // Two changes in one tick of the file system's clock have the same stamp.
      if (isSame && Math.abs(now - changedAt) > settledMillis) return false
      existed = existed.map((before, index) => before === "" ? stamps[index] ?? "" : before)
      const loaded = yield* Effect.either(again(value))
      // Looked at afterwards, so that a file that goes in between is not said to be something else first.
      const isGone = existed[0] !== "" && (yield* Files.stamp(file)) === ""
      if (Either.isLeft(loaded)) {
        const changed = files.find((_, index) => stamps[index] !== seen[index]) ?? file
        const { message } = loaded.left
        yield* isGone ? lost("is gone") : report(message, { file: changed, problem: message })
        return false
      }
      if (!isSame) changedAt = now
      seen = stamps
      const { problem, value: next } = loaded.right
      if (problem === undefined) reported = ""
      else yield* lost(isGone ? "is gone" : problem)
      const isNew = next !== value
      value = next
      return isNew
    })
    return { value: () => value, refresh }
  })

/** Longer than a tick of any file system's clock (FAT: 2 seconds). */
const settledMillis = 2_500

const joined = (present: Revocations.Revocations, loaded: Revocations.Revocations) => {
  const records = Revocations.join(present.records, loaded.records)
  const missing = Revocations.countMissing(records, loaded.records)
  return {
    value: records === present.records ? present : Revocations.of(records),
    problem: loaded.damaged.length > 0
      ? `is damaged in line ${loaded.damaged.slice(0, 10).join(", ")}`
      : missing > 0
      ? `lacks ${missing} of the revocations that it held`
      : undefined
  }
}

/** The same object for the same files, so that nothing is sent twice. */
const offered = memoized((keyring: Keyring.Keyring, revocations: Revocations.Revocations): Revocations.Records => {
  const time = (revoked: number) => ({ revoked, blocked: 0, restored: 0 })
  return new Map([
    ...revocations.records,
    ...[...keyring.retired].map(([kid, at]) =>
      [Shared.retiredKey(kid), time(Math.max(1, DateTime.toEpochMillis(at)))] as const
    ),
    [Shared.signingKey(keyring.signing.kid), time(1)]
  ])
})

function memoized<A, B, C>(make: (a: A, b: B) => C): (a: A, b: B) => C {
  let last: readonly [A, B, C] | undefined
  return (a, b) => {
    if (last === undefined || last[0] !== a || last[1] !== b) last = [a, b, make(a, b)]
    return last[2]
  }
}

const idsOf = (records: Revocations.Records, prefix: string): ReadonlyArray<string> =>
  [...records.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length))

const retiredIn = (records: Revocations.Records): ReadonlyMap<string, DateTime.Utc> =>
  new Map(
    idsOf(records, Shared.retiredKey("")).map((kid) =>
      [kid, DateTime.unsafeMake(records.get(Shared.retiredKey(kid))?.revoked ?? 0)] as const
    )
  )

/** What an operator should know of the keys of several servers. */
const doubts = ({ keys, retired, signing }: Keyring.Keyring, records: Revocations.Records): ReadonlyArray<string> => [
  ...retired.has(signing.kid)
    ? [`the key ${signing.kid}, which signs here, was retired at another server: its tokens are refused; rotate it`]
    : [],
  ...idsOf(records, Shared.signingKey(""))
    .filter((kid) => !retired.has(kid) && !keys.some((key) => key.kid === kid))
    .slice(0, 16)
    .map((kid) => `another server signs with the key ${kid}, which is not here: its tokens are refused here`)
]

/** Those that the operator names. */
const secretFiles = (signing: SigningKey.Options) =>
  Effect.map(
    Effect.orDie(Config.option(Config.nonEmptyString("VIBECTL_JWT_SECRET_FILE"))),
    (named) =>
      [Option.getOrUndefined(named), signing.secretFile, ...signing.previousSecretFiles ?? []]
        .filter((file) => file !== undefined)
  )
