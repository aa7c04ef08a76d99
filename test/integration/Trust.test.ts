import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, DateTime, Duration, Effect, Fiber, Logger, type Redacted, Stream } from "effect"
import * as Fs from "node:fs"
import * as Issuers from "../../src/auth/Issuers.js"
import * as Keyring from "../../src/auth/Keyring.js"
import * as Revocations from "../../src/auth/Revocations.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"
import * as Patience from "../support/Patience.js"

interface World {
  readonly tokens: Tokens.Tokens["Type"]
  readonly files: FileSystem.FileSystem
  readonly directory: string
  /** What was logged since the start. */
  readonly log: ReadonlyArray<string>
  /** What the audit log holds of files that lost something. */
  readonly kept: ReadonlyArray<Trust.Kept>
}

/** A running server's trust, and its files. */
const live = <A, E>(use: (world: World) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const root = yield* files.makeTempDirectoryScoped()
    const log: Array<string> = []
    const logger = Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void log.push(String(message))))
    return yield* Effect.gen(function*() {
      const kept: Array<Trust.Kept> = []
      const onKept = (one: Trust.Kept) => Effect.sync(() => void kept.push(one))
      const trust = yield* Trust.live({ signing: {}, issuers: Issuers.none, onKept })
      return yield* use({ tokens: Tokens.trusting(trust), files, directory: `${root}/server`, log, kept })
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
        yield* Patience.eventually(Effect.map(verdict(tokens, token), (found) => found === "retired_key"))
        assert.strictEqual((yield* Effect.flip(tokens.recheck(claims))).reason, "TOKEN_UNTRUSTED")
      })
    ))

  it.scopedLive("refuses what is revoked, and takes what is trusted again", () =>
    live(({ tokens }) =>
      Effect.gen(function*() {
        const [one, other] = [yield* tokens.issue("ci", day), yield* tokens.issue("ci", day)]
        const { tokenId } = yield* tokens.verify(one)
        yield* revoke("token", tokenId)
        yield* Patience.eventually(Effect.map(verdict(tokens, one), (found) => found === "revoked_token"))
        assert.strictEqual(yield* verdict(tokens, other), "ci")
        yield* revoke("token", tokenId, "restore")
        yield* Patience.eventually(Effect.map(verdict(tokens, one), (found) => found === "ci"))

        yield* revoke("subject", "ci")
        yield* Patience.eventually(Effect.map(verdict(tokens, other), (found) => found === "revoked_subject"))
        // Issued in the same second, and meant to be good.
        const next = yield* Effect.flatMap(elsewhere, (tokens) => tokens.issue("ci", day))
        assert.strictEqual(yield* verdict(tokens, next), "ci")
        yield* revoke("subject", "ci", "block")
        yield* Patience.eventually(Effect.map(verdict(tokens, next), (found) => found === "revoked_subject"))
      })
    ))

  it.scopedLive("trusts nobody more for a file that is gone or damaged, and says so once", () =>
    live(({ directory, files, log, tokens }) =>
      Effect.gen(function*() {
        yield* Keyring.rotate({})
        const [gone, good] = [yield* tokens.issue("gone", day), yield* tokens.issue("good", day)]
        yield* revoke("subject", "gone")
        yield* Patience.eventually(Effect.map(verdict(tokens, gone), (found) => found === "revoked_subject"))
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

  const line = (action: string, kind: string, id: string, at = new Date()) =>
    `${JSON.stringify({ at: at.toISOString(), action, kind, id })}\n`

  /** What may happen to the file of revocations behind the server's back. */
  const losses: Readonly<Record<string, (file: string, present: string) => void>> = {
    "emptied": (file) => Fs.writeFileSync(file, ""),
    "deleted": (file) => Fs.rmSync(file),
    "replaced by one of the same length": (file, present) => {
      const text = line("revoke", "token", "x")
      Fs.writeFileSync(file, text + "\n".repeat(present.length - text.length))
    },
    "replaced by a longer one with the times of the old one": (file, present) => {
      const { atime, mtime } = Fs.statSync(file)
      Fs.writeFileSync(`${file}.new`, line("revoke", "token", "x".repeat(present.length)))
      Fs.renameSync(`${file}.new`, file)
      Fs.utimesSync(file, atime, mtime)
    },
    "rewritten in place, with the length and the times of the old one": (file, present) => {
      const { atime, mtime } = Fs.statSync(file)
      Fs.writeFileSync(file, "\n".repeat(Buffer.byteLength(present)))
      Fs.utimesSync(file, atime, mtime)
    },
    "replaced by a backup in which an earlier revocation was taken back": (file) =>
      Fs.writeFileSync(
        file,
        ["gone", "blocked"].map((id) =>
          line("revoke", "subject", id, new Date(1e12)) + line("restore", "subject", id, new Date(1.1e12))
        ).join("")
      ),
    "cut in the middle": (file, present) => Fs.writeFileSync(file, present.slice(0, 30))
  }
  for (const [how, lose] of Object.entries(losses)) {
    it.scopedLive(`goes on refusing what was revoked, whatever is revoked next, when the file was ${how}`, () =>
      live(({ directory, kept, log, tokens }) =>
        Effect.gen(function*() {
          const file = `${directory}/revocations.jsonl`
          const issue = (subject: string) => tokens.issue(subject, day)
          const [one, gone, blocked] = [yield* issue("one"), yield* issue("gone"), yield* issue("blocked")]
          const [next, good] = [yield* issue("next"), yield* issue("good")]
          const { tokenId } = yield* tokens.verify(one)
          yield* revoke("token", tokenId)
          yield* revoke("subject", "gone")
          yield* revoke("subject", "blocked", "block")
          const verdicts = Effect.forEach([one, gone, blocked], (token) => verdict(tokens, token))
          const refused = ["revoked_token", "revoked_subject", "revoked_subject"]
          yield* Patience.eventually(Effect.map(verdicts, (found) => found.join() === refused.join()))

          lose(file, Fs.readFileSync(file, "utf8"))
          yield* Patience.eventually(() => kept.length === 1)
          assert.deepStrictEqual(yield* verdicts, refused)
          assert.strictEqual(kept[0]?.file, file)
          for (const id of ["next", "another", "third"]) {
            yield* revoke("subject", id)
            yield* Patience.eventually(
              Effect.map(Revocations.load, ({ entries }) => entries.some((entry) => entry.id === id))
            )
          }
          yield* Patience.eventually(Effect.map(verdict(tokens, next), (found) => found === "revoked_subject"))
          assert.deepStrictEqual(yield* verdicts, refused)
          assert.strictEqual(yield* verdict(tokens, good), "good")
          assert.isAtMost(log.filter((text) => text.includes("holds until the next start")).length, 2)

          for (const [kind, id] of [["token", tokenId], ["subject", "gone"], ["subject", "blocked"]] as const) {
            yield* revoke(kind, id, "restore")
          }
          yield* Patience.eventually(Effect.map(verdicts, (found) => found.join() === "one,gone,blocked"))
        })
      ))
  }

  /** What may happen to the keyring. */
  const keyLosses: Readonly<Record<string, (file: string) => void>> = {
    "emptied": (file) => Fs.writeFileSync(file, ""),
    "deleted": (file) => Fs.rmSync(file),
    "replaced by one without keys": (file) => Fs.writeFileSync(file, JSON.stringify({ version: 1, keys: [] }))
  }
  for (const [how, lose] of Object.entries(keyLosses)) {
    it.scopedLive(`goes on trusting its keys, and none that was retired, when the keyring was ${how}`, () =>
      live(({ directory, files, kept, tokens }) =>
        Effect.gen(function*() {
          const file = `${directory}/keys.json`
          const old = yield* tokens.issue("old", day)
          const { previous } = yield* Keyring.rotate({})
          const whole = yield* files.readFileString(file)
          const good = yield* Effect.flatMap(elsewhere, (other) => other.issue("good", day))
          yield* Keyring.retire({}, previous.kid)
          yield* Patience.eventually(Effect.map(verdict(tokens, old), (found) => found === "retired_key"))
          assert.strictEqual(yield* verdict(tokens, good), "good")

          lose(file)
          yield* Patience.eventually(() => kept.length === 1)
          const verdicts = Effect.forEach([old, good], (token) => verdict(tokens, token))
          assert.deepStrictEqual(yield* verdicts, ["retired_key", "good"])
          assert.isFalse(yield* files.exists(`${directory}/jwt-secret`), "no new key was made")

          // The keyring of before the retirement.
          yield* files.writeFileString(file, whole)
          yield* Keyring.rotate({})
          const newest = yield* Effect.flatMap(elsewhere, (other) => other.issue("newest", day))
          yield* Patience.eventually(Effect.map(verdict(tokens, newest), (found) => found === "newest"))
          assert.deepStrictEqual(yield* verdicts, ["retired_key", "good"])
        })
      ))
  }

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
