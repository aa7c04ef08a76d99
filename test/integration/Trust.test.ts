import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, DateTime, Duration, Effect, Fiber, Logger, type Redacted, Stream } from "effect"
import * as Issuers from "../../src/auth/Issuers.js"
import * as Keyring from "../../src/auth/Keyring.js"
import * as Revocations from "../../src/auth/Revocations.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"

interface World {
  readonly tokens: Tokens.Tokens["Type"]
  readonly files: FileSystem.FileSystem
  readonly directory: string
  /** What was logged since the start. */
  readonly log: ReadonlyArray<string>
}

/** A running server's trust, and its files. */
const live = <A, E>(use: (world: World) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const root = yield* files.makeTempDirectoryScoped()
    const log: Array<string> = []
    const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void log.push(String(message))))
    return yield* Effect.gen(function*() {
      const trust = yield* Trust.live({ signing: {}, issuers: Issuers.none })
      return yield* use({ tokens: Tokens.trusting(trust), files, directory: `${root}/server`, log })
    }).pipe(
      Effect.provide(logger),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", root]])))
    )
  }).pipe(Effect.provide(NodeContext.layer))

/** As another process: it reads the files, and knows nothing of the server. */
const elsewhere = Effect.flatMap(
  Keyring.load({}),
  (keyring) => Effect.map(Revocations.load, (revocations) => Tokens.trusting(Trust.fixed(keyring, revocations)))
)

const verdict = (tokens: Tokens.Tokens["Type"], token: Redacted.Redacted) =>
  Effect.match(tokens.verify(token), {
    onSuccess: ({ subject }) => subject,
    onFailure: (error) => error._tag === "Unauthenticated" ? error.refusal : error._tag
  })

/** Waits until it is so; the test's own time limit ends a wait in vain. */
const until = <E>(condition: Effect.Effect<boolean, E>) =>
  Effect.repeat(Effect.delay(condition, "20 millis"), { until: (met) => met })

const day = Duration.days(1)

const revoke = (kind: "token" | "subject", id: string, action: "revoke" | "block" | "restore" = "revoke") =>
  Effect.flatMap(DateTime.now, (at) => Revocations.add({ at, action, kind, id }))

describe("Trust.live", () => {
  it.scopedLive("takes a token of a key that was made a moment ago", () =>
    live(({ tokens }) =>
      Effect.gen(function*() {
        const old = yield* tokens.issue("old", day)
        for (let turn = 0; turn < 5; turn++) {
          yield* Keyring.rotate({})
          // At once: not when the files are looked at next.
          const fresh = yield* Effect.flatMap(elsewhere, (other) => other.issue("new", day))
          const verdicts = yield* Effect.all(Array.from({ length: 16 }, () => verdict(tokens, fresh)), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual([...new Set(verdicts)], ["new"])
          assert.strictEqual(yield* verdict(tokens, old), "old")
        }
      })
    ))

  it.scopedLive("refuses a retired key's tokens, also those it knew, and says that something changed", () =>
    live(({ tokens }) =>
      Effect.gen(function*() {
        const token = yield* tokens.issue("ci", day)
        const claims = yield* tokens.verify(token)
        const { previous } = yield* Keyring.rotate({})
        const changed = yield* Effect.fork(Stream.runHead(tokens.changes))
        yield* Effect.sleep("50 millis")
        yield* Keyring.retire({}, previous.kid)
        yield* Fiber.join(changed)
        yield* until(Effect.map(verdict(tokens, token), (found) => found === "retired_key"))
        assert.strictEqual((yield* Effect.flip(tokens.recheck(claims))).reason, "TOKEN_UNTRUSTED")
      })
    ))

  it.scopedLive("refuses what is revoked, and takes what is trusted again", () =>
    live(({ tokens }) =>
      Effect.gen(function*() {
        const [one, other] = [yield* tokens.issue("ci", day), yield* tokens.issue("ci", day)]
        const { tokenId } = yield* tokens.verify(one)
        yield* revoke("token", tokenId)
        yield* until(Effect.map(verdict(tokens, one), (found) => found === "revoked_token"))
        assert.strictEqual(yield* verdict(tokens, other), "ci")
        yield* revoke("token", tokenId, "restore")
        yield* until(Effect.map(verdict(tokens, one), (found) => found === "ci"))

        yield* revoke("subject", "ci")
        yield* until(Effect.map(verdict(tokens, other), (found) => found === "revoked_subject"))
        // Issued in the same second, and meant to be good.
        const next = yield* Effect.flatMap(elsewhere, (tokens) => tokens.issue("ci", day))
        assert.strictEqual(yield* verdict(tokens, next), "ci")
        yield* revoke("subject", "ci", "block")
        yield* until(Effect.map(verdict(tokens, next), (found) => found === "revoked_subject"))
      })
    ))

  it.scopedLive("trusts nobody more for a file that is gone or damaged, and says so once", () =>
    live(({ directory, files, log, tokens }) =>
      Effect.gen(function*() {
        yield* Keyring.rotate({})
        const [gone, good] = [yield* tokens.issue("gone", day), yield* tokens.issue("good", day)]
        yield* revoke("subject", "gone")
        yield* until(Effect.map(verdict(tokens, gone), (found) => found === "revoked_subject"))
        const held = Effect.gen(function*() {
          yield* Effect.sleep("700 millis")
          assert.strictEqual(yield* verdict(tokens, gone), "revoked_subject")
          assert.strictEqual(yield* verdict(tokens, good), "good")
        })
        const [keyring, revocations] = [`${directory}/keys.json`, `${directory}/revocations.jsonl`]
        const whole = yield* files.readFileString(keyring)
        const damages = [
          files.writeFileString(revocations, "not a line\n"),
          files.writeFileString(revocations, ""),
          files.remove(revocations),
          files.writeFileString(keyring, whole.slice(0, 100)),
          files.remove(keyring)
        ]
        for (const [index, damage] of damages.entries()) {
          const before = log.length
          yield* damage
          yield* held
          assert.lengthOf(log.slice(before), 1, `${index}: ${log.slice(before).join("\n")}`)
        }
        assert.isFalse(yield* files.exists(`${directory}/jwt-secret`), "no new key was made")
        yield* files.writeFileString(keyring, whole)
        yield* held
      })
    ))

  it.scopedLive("starts with nothing that it cannot read whole", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const root = yield* files.makeTempDirectoryScoped()
      yield* files.makeDirectory(`${root}/server`)
      yield* files.writeFileString(`${root}/server/revocations.jsonl`, "{\"at\":")
      const error = yield* Trust.live({ signing: {}, issuers: Issuers.none }).pipe(
        Effect.flip,
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", root]])))
      )
      assert.include(error.message, "revocations.jsonl is damaged in line 1")
    }).pipe(Effect.provide(NodeContext.layer)))
})
