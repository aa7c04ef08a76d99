import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { ClientConfig } from "../../src/config/ClientConfig.js"
import * as ClientKey from "../../src/config/ClientKey.js"
import type { ClientSettings } from "../../src/config/ClientSettings.js"
import { Env } from "../../src/config/Environment.js"
import { person } from "../support/Client.js"
import { forAll } from "../support/Property.js"

const comments = ["# top", "# of mode", "# between", "# of work", "# at the end"]

const file = `# top
proxy:
  active: work
  timeout_seconds: 12.5
  retry_attempts: 0x2
  profiles:
    # of work
    work:
      server_url: 'vibectl-server://w:1'
      ca_bundle_path: &path /ca
      jwt_path: "/t"
      security: &security
        audit_logging: true
        audit_log_path: /log
    other.one: { server_url: "vibectl-server://o:1", ca_bundle_path: *path, security: *security }
assistant:
  # of mode
  mode: "manual"

  # between
  allow_verbs:
    - scale
    - rollout restart
  kubectl: kubectl
  model: >-
    a/b
  memory: true
# at the end
`

const text = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ minLength: 1, unit: "grapheme" }),
  fc.constantFrom(
    "true",
    "5",
    "0x10",
    "1e3",
    "- a",
    "a: b",
    "# no",
    "a #b",
    "'",
    "\"",
    "${HOME}",
    "$${",
    "*path",
    "&a",
    "!!str",
    "|",
    " x ",
    "\n"
  )
)
const verb = fc.stringMatching(/^[a-z][a-z-]{0,8}( [a-z][a-z-]{0,8})?$/)
const boolean = fc.boolean().map(String)
const absolute = fc.stringMatching(/^\/[a-z0-9 #'":.-]{1,12}$/).filter((path) => !/\/\.{1,2}$|\.$/.test(path))

/** Values as they are typed, for keys of every kind. */
const change: fc.Arbitrary<readonly [key: string, typed: string]> = fc.oneof(
  ...([
    ["assistant.model", text.filter((each) => each.trim() !== "" && !/^(~|null|Null|NULL)$/.test(each))],
    ["assistant.mode", fc.constantFrom("manual", "semiauto", "auto")],
    ["assistant.allow_verbs", fc.array(verb.filter((each) => each !== "null")).map((verbs) => verbs.join(","))],
    ["assistant.max_steps", fc.integer({ min: 1, max: 100 }).map(String)],
    ["assistant.memory", boolean],
    ["assistant.show_metrics", boolean],
    ["proxy.timeout_seconds", fc.integer({ min: 1, max: 864_000 }).map((tenths) => String(tenths / 10))],
    ["proxy.retry_attempts", fc.integer({ min: 0, max: 10 }).map(String)],
    ["proxy.active", fc.constantFrom("work", "other.one")],
    ["proxy.profiles.work.ca_bundle_path", absolute],
    ["proxy.profiles.work.security.audit_log_path", absolute],
    ["proxy.profiles.work.security.audit_logging", boolean],
    ["proxy.profiles.other.one.security.confirmation_mode", fc.constantFrom("per-command", "per-session")],
    ["proxy.profiles.other.one.server_url", fc.constantFrom("vibectl-server://o:1", "vibectl-server-insecure://x:2")]
  ] as const).map(([key, value]) => fc.tuple(fc.constant(key), value))
)

/** Every setting by its key. */
const settingsOf = (value: ClientSettings): ReadonlyMap<string, unknown> =>
  new Map(
    ClientKey.all(value).map((key) => [
      key,
      valueAt(value, key)
    ])
  )

const valueAt = (value: unknown, key: string): unknown => {
  if (key === "") return value
  if (typeof value !== "object" || value === null) return undefined
  const name = Object.keys(value).filter((each) => key === each || key.startsWith(`${each}.`))
    .sort((a, b) => b.length - a.length)[0]
  return name === undefined ? undefined : valueAt(Reflect.get(value, name), key.slice(name.length + 1))
}

const session = <A, E>(
  use: (config: ClientConfig["Type"], read: Effect.Effect<string>) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const { config, home } = yield* person()
    yield* config.write(file)
    const service = yield* Effect.provide(ClientConfig, ClientConfig.layer()).pipe(
      Effect.provide(Env.layerTest({ VIBECTL_CONFIG_DIR: home, HOME: "/home/x" }))
    )
    return yield* use(service, config.read)
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

describe("ClientConfig.set and unset", () => {
  it.effect(
    "get what was set, and leave every other key and every comment as it was",
    () =>
      forAll(
        fc.array(change, { minLength: 1, maxLength: 5 }),
        100,
        (changes) =>
          Effect.orDie(session((config, read) =>
            Effect.gen(function*() {
              for (const [key, typed] of changes) {
                const before = (yield* config.load).value
                const { path, shape } = yield* ClientKey.find(key, before)
                yield* config.set(path, yield* ClientKey.read(shape, typed))
                const after = (yield* config.load).value
                const text = yield* read
                const said = `${key} = ${JSON.stringify(typed)}\n${text}`
                assert.strictEqual(ClientKey.write(valueAt(after, key)), typed, said)
                assert.deepStrictEqual(without(settingsOf(after), key), without(settingsOf(before), key), said)
                for (const comment of comments) {
                  assert.include(linesOf(text), comment, said)
                }
              }
            })
          ))
      )
  )

  it.effect("take one key out and no other", () =>
    Effect.forEach(
      ["assistant.mode", "assistant.allow_verbs", "assistant.model", "proxy.active", "proxy.timeout_seconds"].concat([
        "proxy.profiles.work.ca_bundle_path",
        "proxy.profiles.work.security.audit_log_path",
        "proxy.profiles.work.security.audit_logging",
        "proxy.profiles.other.one.ca_bundle_path",
        "proxy.profiles.other.one.security.audit_log_path"
      ]),
      (key) =>
        session((config, read) =>
          Effect.gen(function*() {
            const before = (yield* config.load).value
            const { path } = yield* ClientKey.find(key, before)
            assert.isTrue(yield* config.unset(path))
            const after = (yield* config.load).value
            assert.deepStrictEqual(without(settingsOf(after), key), without(settingsOf(before), key), yield* read)
            const text = yield* read
            for (const comment of comments) assert.include(linesOf(text), comment, text)
            assert.isFalse(yield* config.unset(path))
            assert.strictEqual(yield* read, text)
          })
        ),
      { discard: true }
    ))
})

const linesOf = (text: string) => text.split("\n").map((line) => line.trim())

const without = (settings: ReadonlyMap<string, unknown>, key: string) =>
  Object.fromEntries([...settings].filter(([each]) => each !== key))
