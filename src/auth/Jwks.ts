/**
 * Where the keys of an identity provider come from, and which ones count now.
 *
 * A file is read at the start, and again when it has changed. An address is
 * asked at most every 30 seconds, by one fetch for all that wait for it; while
 * it cannot be reached, the keys that it gave last count for a day.
 */
import { type FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Clock, Deferred, Duration, Effect, Either, Exit, FiberId } from "effect"
import * as Files from "../config/Files.js"
import * as ReadFile from "../config/ReadFile.js"
import { IdentityUnavailable } from "../domain/Errors.js"
import * as JwksFetch from "./JwksFetch.js"
import * as KeySet from "./KeySet.js"

export interface Jwks {
  /** The keys that count now. */
  readonly keys: Effect.Effect<KeySet.KeySet, IdentityUnavailable>
  /** For a token whose key is not among them: newer ones, unless it is too soon to ask for any. */
  readonly newer: Effect.Effect<KeySet.KeySet, IdentityUnavailable>
  /** Rereads a file that has changed, and has old keys of an address fetched; true when the keys have changed since. */
  readonly reload: Effect.Effect<boolean>
}

export interface Options {
  /** The issuer's name in the configuration. */
  readonly issuer: string
  readonly algorithms: ReadonlyArray<KeySet.Algorithm>
}

/** How long fetched keys count without a question. */
export const fresh = Duration.minutes(10)

/** The least time between two fetches, whatever came of the first. */
export const cooldown = Duration.seconds(30)

/** How long keys count after their fetch while no newer ones can be had. */
export const stale = Duration.hours(24)

/** The keys of a file that `parse` understands; damaged later, it leaves the keys as they are. */
export const fromFile = (
  path: string,
  parse: typeof KeySet.fromJwks,
  { algorithms, issuer }: Options
): Effect.Effect<Jwks, KeySet.KeySetInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const stamp = Files.stamp(path)
    const read = Effect.mapError(ReadFile.text(path, ReadFile.maxBytes.keys), unreadable).pipe(
      Effect.flatMap((text) => parse(text, algorithms))
    )
    // The stamp first: a change that comes between the two is seen the next time.
    let seen = yield* stamp
    let keys = yield* read
    const change = (newest: string) =>
      Effect.gen(function*() {
        const result = yield* Effect.either(read)
        // Also of a damaged file, which is worth one warning and not one each time.
        seen = newest
        if (Either.isLeft(result)) {
          const { problem } = result.left
          yield* Effect.annotateLogs(Effect.logWarning("the old keys of an issuer stay"), { issuer, path, problem })
          return false
        }
        const changed = result.right.fingerprint !== keys.fingerprint
        keys = result.right
        return changed
      })
    const current = Effect.sync(() => keys)
    return {
      keys: current,
      newer: current,
      reload: Effect.flatMap(stamp, (newest) => newest === seen ? Effect.succeed(false) : change(newest))
    }
  })

/** The keys of a JWKS at `source.url`. Asked at once, and again when somebody needs it: a provider may be down for a while. */
export const fromUrl = (source: JwksFetch.Source, { algorithms, issuer }: Options): Effect.Effect<Jwks> =>
  Effect.gen(function*() {
    const { url } = source
    let known: { readonly keys: KeySet.KeySet; readonly at: number } | undefined
    let failure: JwksFetch.KeysUnreachable | undefined
    let triedAt = -Infinity
    let flight: Deferred.Deferred<void> | undefined
    let told = ""

    const attempt = JwksFetch.download(source).pipe(
      Effect.flatMap((text) =>
        Either.mapLeft(
          KeySet.fromJwks(text, algorithms),
          ({ problem }) => new JwksFetch.KeysUnreachable({ address: JwksFetch.addressOf(url), problem })
        )
      ),
      Effect.flatMap((keys) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          // The same object for the same keys: jose has imported those already.
          known = { keys: keys.fingerprint === known?.keys.fingerprint ? known.keys : keys, at }
        })
      ),
      Effect.catchAll((error) => {
        failure = error
        const { address, problem } = error
        return Effect.annotateLogs(Effect.logWarning("the keys of an issuer cannot be fetched"), {
          issuer,
          address,
          problem,
          keys: known === undefined ? "none" : "the last ones"
        })
      })
    )

    /** Begins a fetch unless one goes on already, or it is too soon; yields what there is to wait for. */
    const begin = Effect.uninterruptible(
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (flight !== undefined) {
          return Effect.succeed(Deferred.await(flight))
        }
        if (isWithin(cooldown, triedAt, now)) {
          return Effect.succeed(Effect.void)
        }
        const mine = flight = Deferred.unsafeMake<void>(FiberId.none)
        const end = Effect.map(Clock.currentTimeMillis, (now) => {
          triedAt = now
          flight = undefined
          Deferred.unsafeDone(mine, Exit.void)
        })
        // On a fiber of its own: the call that was first may be gone before the others.
        const started = Effect.forkDaemon(Effect.ensuring(Effect.interruptible(attempt), end))
        return Effect.as(started, Deferred.await(mine))
      })
    )
    const fetched = Effect.flatten(begin)
    /** Whatever is known and not older than this. */
    const within = (age: Duration.Duration) =>
      Effect.map(
        Clock.currentTimeMillis,
        (now) => known !== undefined && isWithin(age, known.at, now) ? known.keys : undefined
      )
    const newer = Effect.flatMap(
      Effect.zipRight(fetched, within(stale)),
      (keys) => keys === undefined ? new IdentityUnavailable({ issuer, cause: failure }) : Effect.succeed(keys)
    )
    const tell = Effect.map(within(stale), (keys) => {
      const before = told
      told = keys?.fingerprint ?? ""
      return told !== before
    })

    yield* Effect.zipRight(fetched, tell)
    return {
      keys: Effect.flatMap(within(fresh), (keys) => keys === undefined ? newer : Effect.succeed(keys)),
      newer,
      // Nobody waits here; without this, a key that was withdrawn would go on for callers whose tokens are remembered.
      reload: Effect.flatMap(within(fresh), (keys) => Effect.zipRight(keys === undefined ? begin : Effect.void, tell))
    }
  })

// -- internals ---------------------------------------------------------------

/** A clock that is set back must not keep keys fresh, or fetches away, until it has caught up. */
const isWithin = (time: Duration.Duration, since: number, now: number) =>
  Math.abs(now - since) < Duration.toMillis(time)

const unreadable = (error: PlatformError) =>
  new KeySet.KeySetInvalid({
    problem: ReadFile.problem(error),
    remedy: "Correct the path or the file's permissions."
  })
