import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import * as Keyring from "../../src/auth/Keyring.js"
import * as SigningKey from "../../src/auth/SigningKey.js"

const secret = (letter: string, length = 40) =>
  `${letter}-${letter}0123456789abcdefghijklmnopqrstuvwxyz`.slice(0, length)
const redacted = (letter: string) => Redacted.make(secret(letter))

/** Resolves as in a fresh home directory with this environment. */
const resolve = (
  directory: string,
  environment: Record<string, string> = {},
  options: SigningKey.Options = {}
) =>
  Effect.withConfigProvider(
    Effect.map(Keyring.load(options), ({ signing }) => signing),
    ConfigProvider.fromMap(new Map(Object.entries({ VIBECTL_CONFIG_DIR: directory, ...environment })))
  )

const inDirectory = <A, E>(
  use: (files: FileSystem.FileSystem, directory: string) => Effect.Effect<A, E, FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    return yield* use(files, yield* files.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))

describe("SigningKey", () => {
  it.scoped("takes the first source that is set", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = (letter: string) =>
          Effect.as(files.writeFileString(`${directory}/${letter}`, `${secret(letter)}\n`), `${directory}/${letter}`)
        const inVariable = { VIBECTL_JWT_SECRET: secret("a") }
        const inVariableFile = { VIBECTL_JWT_SECRET_FILE: yield* file("b") }
        const inConfig = { secret: redacted("c") }
        const inConfigFile = { secretFile: yield* file("d") }
        const cases = [
          ["a", "VIBECTL_JWT_SECRET", { ...inVariable, ...inVariableFile }, { ...inConfig, ...inConfigFile }],
          ["b", "VIBECTL_JWT_SECRET_FILE", inVariableFile, { ...inConfig, ...inConfigFile }],
          ["d", "server.jwt_secret_file", {}, { ...inConfig, ...inConfigFile }],
          ["c", "server.jwt_secret", {}, inConfig]
        ] as const
        for (const [letter, source, environment, options] of cases) {
          const key = yield* resolve(directory, environment, options)
          assert.strictEqual(Redacted.value(key.secret), secret(letter))
          assert.include(key.source, source)
        }
        assert.isFalse(yield* files.exists(`${directory}/server/jwt-secret`), "none was generated")
      })
    ))

  it.scoped("generates one private secret and finds it again", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const [one, two] = yield* Effect.all([resolve(directory), resolve(directory)], { concurrency: "unbounded" })
        const three = yield* resolve(directory)
        assert.strictEqual(Redacted.value(one.secret), Redacted.value(two.secret))
        assert.strictEqual(Redacted.value(one.secret), Redacted.value(three.secret))
        assert.match(Redacted.value(one.secret), /^[\w-]{64}$/)
        const { mode } = yield* files.stat(`${directory}/server/jwt-secret`)
        assert.strictEqual(mode & 0o777, 0o600)
        assert.deepStrictEqual(yield* files.readDirectory(`${directory}/server`), ["jwt-secret"])
      })
    ))

  it.scoped("generates another secret in another directory", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        const one = yield* resolve(`${directory}/one`)
        const two = yield* resolve(`${directory}/two`)
        assert.notStrictEqual(Redacted.value(one.secret), Redacted.value(two.secret))
        assert.notStrictEqual(one.kid, two.kid)
      })
    ))

  it.scoped("refuses a short secret of every source, by its name and its length in bytes", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const short = `${directory}/short`
        yield* files.writeFileString(short, `${secret("s", 31)}\n`)
        const cases = [
          ["VIBECTL_JWT_SECRET", 31, { VIBECTL_JWT_SECRET: secret("s", 31) }, {}],
          ["VIBECTL_JWT_SECRET", 0, { VIBECTL_JWT_SECRET: "" }, {}],
          [short, 31, { VIBECTL_JWT_SECRET_FILE: short }, {}],
          ["server.jwt_secret", 30, {}, { secret: Redacted.make("éèêëàâäîïôöùûüç") }],
          ["server.jwt_secret_file", 31, {}, { secretFile: short }]
        ] as const
        for (const [source, length, environment, options] of cases) {
          const error = yield* Effect.flip(resolve(directory, environment, options))
          assert.include(error.message, source)
          assert.include(error.message, ` ${length} bytes`)
          assert.include(error.remedy, "openssl rand -base64 48")
          assert.notInclude(error.message, "s-s0")
        }
        const enough = yield* resolve(directory, {}, { secret: Redacted.make("éèêëàâäîïôöùûüçÿ") })
        assert.strictEqual(Redacted.value(enough.secret).length, 16)
      })
    ))

  it.scoped("says which file is missing, empty or unreadable", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const missing = yield* Effect.flip(resolve(directory, {}, { secretFile: `${directory}/none` }))
        assert.include(missing.summary, `${directory}/none`)
        assert.include(missing.summary, "does not exist")
        const unreadable = yield* Effect.flip(resolve(directory, { VIBECTL_JWT_SECRET_FILE: directory }))
        assert.include(unreadable.summary, directory)
        assert.include(unreadable.summary, "cannot be read")
        yield* files.writeFileString(`${directory}/empty`, "\n")
        const empty = yield* Effect.flip(resolve(directory, {}, { secretFile: `${directory}/empty` }))
        assert.include(empty.summary, `${directory}/empty`)
        assert.include(empty.summary, " 0 bytes")
      })
    ))

  it.scoped("does not replace a generated secret that was damaged", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(`${directory}/server`)
        yield* files.writeFileString(`${directory}/server/jwt-secret`, "half")
        const error = yield* Effect.flip(resolve(directory))
        assert.include(error.message, `${directory}/server/jwt-secret`)
        assert.strictEqual(yield* files.readFileString(`${directory}/server/jwt-secret`), "half")
      })
    ))

  it.scoped("says so when no secret can be kept", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        yield* files.writeFileString(`${directory}/file`, "")
        const error = yield* Effect.flip(resolve(`${directory}/file`))
        assert.include(error.summary, `${directory}/file/server/`)
        assert.include(error.remedy, "writable")
      })
    ))
})

describe("SigningKey.make", () => {
  it.effect("names a key the same everywhere without giving it away", () =>
    Effect.gen(function*() {
      const one = yield* SigningKey.make(redacted("a"), "here")
      const two = yield* SigningKey.make(redacted("a"), "there")
      const other = yield* SigningKey.make(redacted("b"), "here")
      assert.match(one.kid, /^[\w-]{16}$/)
      assert.strictEqual(one.kid, two.kid)
      assert.notStrictEqual(one.kid, other.kid)
      assert.notInclude(JSON.stringify(one), "a-a0")
    }))

  it.effect("refuses a secret that is easily guessed, whatever its length", () =>
    Effect.gen(function*() {
      const weak: ReadonlyArray<readonly [string, string]> = [
        ["x".repeat(64), "only repeats"],
        ["correct-horse-battery-".repeat(3), "only repeats"],
        ["abababacacacababadadabacabadadacab", "10 different"],
        ["CHANGE_ME_0123456789abcdefghijklmnop", "manual or template"],
        ["your-256-bit-secret-for-hs256-tokens", "manual or template"],
        ["please-change-this-secret-in-production", "manual or template"]
      ]
      for (const [secret, words] of weak) {
        const error = yield* Effect.flip(SigningKey.make(Redacted.make(secret), "here"))
        assert.include(error.message, words, secret)
        assert.notInclude(error.message, secret)
        assert.include(error.remedy, "openssl rand -base64 48")
      }
      // A long text that says itself twice has enough in it.
      const half = "0123456789abcdefghijklmnopqrstuv"
      yield* SigningKey.make(Redacted.make(half + half), "here")
      for (let count = 0; count < 200; count++) {
        yield* SigningKey.make(Redacted.make(yield* SigningKey.random), "here")
      }
    }))
})
