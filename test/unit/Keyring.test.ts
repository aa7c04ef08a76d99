import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, type Redacted, TestClock } from "effect"
import * as Keyring from "../../src/auth/Keyring.js"
import type * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"

const brought = "operator-secret-0123456789-abcdefghij"
const replaced = "operator-secret-9876543210-klmnopqrst"

interface Home {
  readonly files: FileSystem.FileSystem
  readonly keyring: string
  readonly generated: string
  readonly write: (name: string, content: string) => Effect.Effect<string>
}

/** In a fresh configuration directory. */
const home = <A, E>(use: (home: Home) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    const write = (name: string, content: string) =>
      Effect.orDie(Effect.as(files.writeFileString(`${directory}/${name}`, content), `${directory}/${name}`))
    return yield* use({
      files,
      write,
      keyring: `${directory}/server/keys.json`,
      generated: `${directory}/server/jwt-secret`
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", directory]]))))
  }).pipe(Effect.provide(NodeContext.layer))

const kids = ({ keys }: Keyring.Keyring) => keys.map(({ kid }) => kid)

const issue = (keyring: Keyring.Keyring) => Tokens.trusting(Trust.fixed(keyring)).issue("ci", Duration.hours(1))

/** `accepted`, or why not. */
const verdict = (keyring: Keyring.Keyring, token: Redacted.Redacted) =>
  Effect.match(Tokens.trusting(Trust.fixed(keyring)).verify(token), {
    onSuccess: () => "accepted",
    onFailure: (error) => error._tag === "Unauthenticated" ? error.refusal : error._tag
  })

describe("Keyring", () => {
  it.scoped("rotates a generated key: the new one signs, and tokens of every earlier one stay good", () =>
    home(({ files, generated, keyring }) =>
      Effect.gen(function*() {
        const first = yield* Keyring.load({})
        const tokens = [yield* issue(first)]
        for (let turn = 0; turn < 3; turn++) {
          const { previous, signing } = yield* Keyring.rotate({})
          const now = yield* Keyring.load({})
          assert.strictEqual(now.signing.kid, signing.kid)
          assert.notStrictEqual(signing.kid, previous.kid)
          assert.include(kids(now), previous.kid)
          tokens.push(yield* issue(now))
          for (const token of tokens) assert.strictEqual(yield* verdict(now, token), "accepted")
        }
        assert.strictEqual(yield* verdict(first, tokens[1]!), "unknown_key")
        assert.isFalse(yield* files.exists(generated), "the first secret is kept once")
        assert.strictEqual((yield* files.stat(keyring)).mode & 0o777, 0o600)
      })
    ))

  it.scoped("retires a key for good, and forgets its secret", () =>
    home(({ files, keyring, write }) =>
      Effect.gen(function*() {
        const secretFile = yield* write("secret", brought)
        const first = yield* Keyring.load({ secretFile })
        const token = yield* issue(first)
        const other = { secretFile: yield* write("other", replaced) }
        // The operator's secret is kept, and then replaced.
        assert.strictEqual((yield* Keyring.rotate({ secretFile })).signing.kid, first.signing.kid)
        const both = yield* Keyring.load(other)
        assert.deepStrictEqual(kids(both).slice(1), [first.signing.kid])
        assert.strictEqual(yield* verdict(both, token), "accepted")

        yield* Keyring.retire(other, first.signing.kid)
        const after = yield* Keyring.load(other)
        assert.strictEqual(yield* verdict(after, token), "retired_key")
        assert.notInclude(yield* files.readFileString(keyring), brought)
        // Not even if it is configured for verifying once more.
        const previous = yield* Keyring.load({ ...other, previousSecretFiles: [secretFile] })
        assert.strictEqual(yield* verdict(previous, token), "retired_key")
        const again = yield* Effect.flip(Keyring.load({ secretFile }))
        assert.include(again.message, "was retired")
      })
    ))

  it.scoped("verifies with the secrets that the operator names as earlier ones", () =>
    home(({ write }) =>
      Effect.gen(function*() {
        const old = yield* write("old", brought)
        const token = yield* issue(yield* Keyring.load({ secretFile: old }))
        const secretFile = yield* write("new", replaced)
        const now = yield* Keyring.load({ secretFile, previousSecretFiles: [old] })
        assert.strictEqual(yield* verdict(now, token), "accepted")
        assert.strictEqual(yield* verdict(yield* Keyring.load({ secretFile }), token), "unknown_key")
        const weak = yield* write("weak", "short")
        const error = yield* Effect.flip(Keyring.load({ secretFile, previousSecretFiles: [weak] }))
        assert.include(error.message, "jwt_previous_secret_files")
      })
    ))

  it.scoped("keeps the key that signs, and says which there are", () =>
    home(() =>
      Effect.gen(function*() {
        const { signing } = yield* Keyring.load({})
        const inUse = yield* Effect.flip(Keyring.retire({}, signing.kid))
        assert.strictEqual(inUse._tag, "KeySigns")
        const missing = yield* Effect.flip(Keyring.retire({}, "none"))
        assert.strictEqual(missing._tag, "KeyNotFound")
        assert.include(missing.message, signing.kid)
        yield* Keyring.rotate({})
        yield* Keyring.retire({}, signing.kid)
        assert.include((yield* Effect.flip(Keyring.retire({}, signing.kid))).message, "already")
      })
    ))

  it.scoped("has an end to the number of keys", () =>
    home(() =>
      Effect.gen(function*() {
        for (let count = 1; count < 16; count++) yield* Keyring.rotate({})
        assert.lengthOf((yield* Keyring.load({})).keys, 16)
        const error = yield* Effect.flip(Keyring.rotate({}))
        assert.strictEqual(error._tag, "TooManyKeys")
        assert.lengthOf((yield* Keyring.load({})).keys, 16)
      })
    ))

  it.scopedLive("loses no key when several rotate at once", () =>
    home(() =>
      Effect.gen(function*() {
        yield* Keyring.load({})
        const rotated = yield* Effect.all(Array.from({ length: 6 }, () => Keyring.rotate({})), {
          concurrency: "unbounded"
        })
        const all = kids(yield* Keyring.load({}))
        assert.lengthOf(all, 7)
        assert.includeMembers(all, rotated.map(({ signing }) => signing.kid))
      })
    ))

  it.scoped("does not start over with a damaged keyring, and quotes nothing of it", () =>
    home(({ files, keyring }) =>
      Effect.gen(function*() {
        yield* Keyring.rotate({})
        const whole = yield* files.readFileString(keyring)
        const options: SigningKey.Options = {}
        for (const damaged of ["", "{", whole.slice(0, 200), whole.replace("\"version\": 1", "\"version\": 2")]) {
          yield* files.writeFileString(keyring, damaged)
          const error = yield* Effect.flip(Keyring.load(options))
          assert.include(error.message, keyring)
          for (const word of whole.match(/[\w-]{40,}/g) ?? []) assert.notInclude(error.message, word)
          assert.strictEqual((yield* Effect.flip(Keyring.rotate(options)))._tag, "SigningKeyInvalid")
          assert.strictEqual(yield* files.readFileString(keyring), damaged)
        }
      })
    ))

  it.scoped("gives up on a file that somebody holds, and names the lock", () =>
    home(({ files, keyring }) =>
      Effect.gen(function*() {
        yield* Keyring.rotate({})
        yield* files.writeFileString(`${keyring}.lock`, "")
        const rotating = yield* Effect.fork(Effect.flip(Keyring.rotate({})))
        // Real files and a test's clock: each try is one more tick.
        for (let tick = 0; tick < 300; tick++) {
          yield* TestClock.adjust("50 millis")
          yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
        }
        const error = yield* rotating
        assert.strictEqual(error._tag, "FileBusy")
        assert.include(error.message, `${keyring}.lock`)
      })
    ))
})
