import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted, type Scope } from "effect"
import { Audit } from "../../src/audit/Audit.js"
import * as ConfigChanges from "../../src/audit/ConfigChanges.js"
import type { Event } from "../../src/audit/Event.js"
import * as Support from "../support/AuditFiles.js"

const canary = "sk-canary-0123456789"

const inDirectory = <A, E>(
  use: (
    files: FileSystem.FileSystem,
    state: string
  ) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    return yield* use(files, `${directory}/server/config-state.json`).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", directory]])))
    )
  }).pipe(Effect.provide(NodeContext.layer))

/** What changed since the last time. */
const start = (settings: ConfigChanges.Settings) =>
  Effect.flatMap(ConfigChanges.since(settings), ({ keys, remember }) => Effect.as(remember, keys))

const settings = (given: {
  readonly port?: number
  readonly secret?: string
  readonly key?: string
  readonly aliases?: Record<string, string>
  readonly models?: ReadonlyArray<unknown>
}) => ({
  server: {
    port: given.port ?? 1,
    host: undefined,
    limits: { per_token: { "a b": { max_input_length: null } } },
    jwt_secret: Redacted.make(given.secret ?? canary)
  },
  providers: { mine: { api_key: Redacted.make(given.key ?? canary), models: given.models ?? ["a"] } },
  model_aliases: given.aliases ?? {}
})

describe("ConfigChanges.since", () => {
  it.scoped("does not know at the first start, and sees nothing where nothing changed", () =>
    inDirectory(() =>
      Effect.gen(function*() {
        assert.isUndefined(yield* start(settings({})))
        assert.deepStrictEqual(yield* start(settings({})), [])
        assert.deepStrictEqual(yield* start(settings({})), [])
      })
    ))

  it.scoped("names what was changed, added and removed, secrets and lists too", () =>
    inDirectory(() =>
      Effect.gen(function*() {
        yield* start(settings({ aliases: { old: "x/y", same: "x/y" } }))
        assert.deepStrictEqual(yield* start(settings({ port: 2, aliases: { new: "x/y", same: "x/y" } })), [
          "model_aliases.new",
          "model_aliases.old",
          "server.port"
        ])
        const aliases = { new: "x/y", same: "x/y" }
        assert.deepStrictEqual(yield* start(settings({ port: 2, aliases, secret: "another", models: ["a", "b"] })), [
          "providers.mine.models",
          "server.jwt_secret"
        ])
        assert.deepStrictEqual(
          yield* start({ server: { limits: { per_token: { "a b": { max_input_length: 5 } } } } }),
          [
            "model_aliases.new",
            "model_aliases.same",
            "providers.mine.api_key",
            "providers.mine.models",
            "server.jwt_secret",
            "server.limits.per_token.\"a b\".max_input_length",
            "server.port"
          ]
        )
      })
    ))

  it.scoped("sees a secret change inside a list", () =>
    inDirectory(() =>
      Effect.gen(function*() {
        const models = (secret: string) => settings({ models: [{ name: "a", secret: Redacted.make(secret) }] })
        yield* start(models("one"))
        assert.deepStrictEqual(yield* start(models("one")), [])
        assert.deepStrictEqual(yield* start(models("two")), ["providers.mine.models"])
      })
    ))

  it.scoped("takes texts by name", () =>
    inDirectory(() =>
      Effect.gen(function*() {
        yield* start(new Map([["server.port", "1"], ["a", "b"]]))
        assert.deepStrictEqual(yield* start(new Map([["server.port", "2"], ["c", "b"]])), ["a", "c", "server.port"])
      })
    ))

  it.scoped("keeps digests only, in a private file, that say nothing about equal values or servers", () =>
    inDirectory((files, state) =>
      Effect.gen(function*() {
        const Stored = (text: string) =>
          JSON.parse(text) as { readonly settings: Record<string, string>; readonly key: string }
        yield* start(settings({}))
        const text = yield* files.readFileString(state)
        assert.notInclude(text, canary)
        assert.strictEqual((yield* files.stat(state)).mode & 0o777, 0o600)
        const one = Stored(text)
        assert.notStrictEqual(one.settings["server.jwt_secret"], one.settings["providers.mine.api_key"])
        yield* files.remove(state)
        yield* start(settings({}))
        const two = Stored(yield* files.readFileString(state))
        assert.notStrictEqual(one.key, two.key)
        assert.notStrictEqual(one.settings["server.jwt_secret"], two.settings["server.jwt_secret"])
      })
    ))

  it.scoped("forgets nothing when a start fails: what was not remembered is told again", () =>
    inDirectory(() =>
      Effect.gen(function*() {
        yield* start(settings({}))
        const failed = yield* ConfigChanges.since(settings({ port: 2 }))
        assert.deepStrictEqual(failed.keys, ["server.port"])
        assert.deepStrictEqual(yield* start(settings({ port: 2 })), ["server.port"])
      })
    ))

  it.scoped("replaces a damaged file with a warning that does not quote it", () =>
    inDirectory((files, state) =>
      Effect.gen(function*() {
        yield* start(settings({}))
        const whole = yield* files.readFileString(state)
        const damaged = ["", canary, "{}", whole.slice(0, -10), whole.replace(/"key": "[^"]*"/, `"key": "short"`)]
        for (const text of damaged) {
          yield* files.writeFileString(state, text)
          const { layer, logged } = Support.logging()
          assert.isUndefined(yield* Effect.provide(start(settings({ port: 2 })), layer))
          assert.deepStrictEqual(logged.map(({ level }) => level), ["WARN"])
          assert.include(logged[0]!.text, state)
          assert.notInclude(logged[0]!.text, canary)
          assert.deepStrictEqual(yield* start(settings({ port: 2 })), [])
        }
      })
    ))

  it.scoped("stops nobody when the file cannot be read or written", () =>
    inDirectory((files, state) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(state, { recursive: true })
        const { layer, logged } = Support.logging()
        assert.isUndefined(yield* Effect.provide(start(settings({})), layer))
        assert.deepStrictEqual(logged.map(({ level }) => level), ["WARN", "WARN"])
      })
    ))
})

describe("ConfigChanges.record", () => {
  it.scoped("records names, and only when something changed", () =>
    inDirectory(() =>
      Effect.gen(function*() {
        const events: Array<Event> = []
        const record = (given: ConfigChanges.Settings) =>
          ConfigChanges.record(given).pipe(
            Effect.provideService(Audit, { record: (event) => Effect.sync(() => void events.push(event)) })
          )
        yield* record(settings({}))
        yield* record(settings({}))
        assert.deepStrictEqual(events, [])
        yield* record(settings({ key: "another" }))
        yield* record(settings({ key: "another" }))
        assert.deepStrictEqual(events, [{ event: "config_changed", keys: ["providers.mine.api_key"] }])
      })
    ))
})
