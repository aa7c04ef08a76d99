import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ClientConfig } from "../../src/config/ClientConfig.js"
import { activeProfile, description } from "../../src/config/ClientSettings.js"
import { Env } from "../../src/config/Environment.js"
import * as ServerSettings from "../../src/config/ServerSettings.js"

const commented = `# My servers.
proxy:
  # The one at work.
  active: work   # or home
  profiles:
    work:
      server_url: "vibectl-server://\${HOST:-w}:1"   # the URL
      jwt_path: token   # the token

    home: { server_url: vibectl-server://h:1 }
  retry_attempts: 5
`

/** What applies where a profile says nothing. */
const security = {
  sanitize_requests: true,
  audit_logging: true,
  confirmation_mode: "per-command",
  warn_sanitization: true
} as const

/** A fresh configuration directory whose client file holds `text`, if any. */
const withFile = <A, E>(
  text: string | undefined,
  use: (tools: {
    readonly config: ClientConfig["Type"]
    readonly read: Effect.Effect<string>
    readonly mode: Effect.Effect<string>
    readonly directory: string
  }) => Effect.Effect<A, E>,
  env: Record<string, string> = {}
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    const layer = ClientConfig.layer().pipe(
      Layer.provide(Env.layerTest({ VIBECTL_CONFIG_DIR: directory, ...env })),
      Layer.provide(NodeContext.layer)
    )
    const config = yield* Effect.provide(ClientConfig, layer)
    if (text !== undefined) {
      yield* files.makeDirectory(`${directory}/client`)
      yield* files.writeFileString(config.file, text, { mode: 0o644 })
    }
    return yield* use({
      config,
      directory,
      read: Effect.orDie(files.readFileString(config.file)),
      mode: Effect.orDie(Effect.map(files.stat(config.file), (info) => (info.mode & 0o777).toString(8)))
    })
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

describe("ClientConfig.load", () => {
  it.effect("has defaults without a file", () =>
    withFile(undefined, ({ config }) =>
      Effect.gen(function*() {
        const { value } = yield* config.load
        assert.deepStrictEqual(value, {
          proxy: { profiles: {}, timeout_seconds: 300, retry_attempts: 3 },
          assistant: {
            mode: "semiauto",
            allow_verbs: [],
            max_steps: 10,
            kubectl: "kubectl",
            kubectl_timeout_seconds: 60,
            show_kubectl: true,
            show_metrics: false,
            memory: true,
            memory_max_chars: 2000
          }
        })
        assert.isUndefined(yield* activeProfile(value))
      })))

  it.effect("reads the file as it is now, and the environment over it", () =>
    withFile(commented, ({ config, directory }) =>
      Effect.gen(function*() {
        const { sources, value } = yield* config.load
        assert.deepStrictEqual(yield* activeProfile(value), {
          name: "work",
          profile: { server_url: "vibectl-server://w:1", jwt_path: `${directory}/client/token`, security }
        })
        assert.strictEqual(value.proxy.timeout_seconds, 0.5)
        assert.strictEqual(sources.get("proxy.timeout_seconds"), "VIBECTL_PROXY__TIMEOUT_SECONDS")
        assert.strictEqual(sources.get("proxy.retry_attempts"), `${config.file}:11`)
      }), { VIBECTL_PROXY__TIMEOUT_SECONDS: "0.5", VIBECTL_SERVER__NONSENSE: "x" }))

  it("leaves every variable of the server to the server, and the other way round", () => {
    assert.sameMembers([...description.foreign], Object.keys(ServerSettings.defaults))
    const foreign = ServerSettings.description([]).foreign
    assert.sameMembers([...foreign], Object.keys(description.defaults as object))
  })

  it.effect("says where a section of the server belongs", () =>
    withFile("server: { port: 1 }\n", ({ config }) =>
      Effect.gen(function*() {
        const { problems } = yield* Effect.flip(config.load)
        assert.deepStrictEqual(problems.map((problem) => problem.message.replace(config.file, "f")), [
          "f:1:1: server: this section belongs into another file: vibectl-server reads server/config.yaml, and vibectl "
          + "client/config.yaml."
        ])
      })))

  it.effect("says what is wrong, without the token somebody pasted", () =>
    withFile(
      "proxy:\n  profiles:\n    work: vibectl-server://canary@h:1\n    .x: { server_url: [canary] }\n    y: { server_url: 1, security: x }\n  retry_attempts: 11\n",
      ({ config }) =>
        Effect.gen(function*() {
          const { message, problems } = yield* Effect.flip(config.load)
          assert.deepStrictEqual(problems.map((problem) => problem.message.replace(config.file, "f")), [
            "f:3:11: proxy.profiles.work: found text, expected a mapping of keys to values.",
            "f:4:5: proxy.profiles..x: the name of a profile is 1 to 64 letters, digits, _, . and -, the first a letter or digit.",
            "f:5:22: proxy.profiles.y.server_url: found <redacted>, expected the URL of a server: vibectl-server://HOST:PORT.",
            "f:5:35: proxy.profiles.y.security: found text, expected a mapping of keys to values.",
            "f:6:19: proxy.retry_attempts: found 11, expected a whole number from 0 to 10."
          ])
          assert.notInclude(message, "canary")
        })
    ))
})

describe("a client certificate", () => {
  for (const [given, missing] of [["cert", "key"], ["key", "cert"]] as const) {
    it.effect(`needs its ${missing}`, () =>
      withFile(
        `proxy:\n  profiles:\n    w:\n      server_url: vibectl-server://w:1\n      client_${given}_path: x\n`,
        ({ config }) =>
          Effect.gen(function*() {
            const { problems } = yield* Effect.flip(config.load)
            assert.deepStrictEqual(problems.map((problem) => problem.message.replace(config.file, "f")), [
              `f:5:7: proxy.profiles.w.client_${missing}_path: it is missing, and client_${given}_path is set; `
              + "set both or neither."
            ])
          })
      ))
  }
})

describe("ClientConfig edits", () => {
  it.effect("make the file, readable by its owner only", () =>
    withFile(undefined, ({ config, mode, read }) =>
      Effect.gen(function*() {
        yield* config.saveProfile("work", { server_url: "vibectl-server://w:1" }, { activate: false })
        assert.strictEqual(yield* read, "proxy:\n  profiles:\n    work:\n      server_url: vibectl-server://w:1\n")
        assert.strictEqual(yield* mode, "600")
        yield* config.use("work")
        assert.strictEqual((yield* config.load).value.proxy.active, "work")
      })))

  it.effect("keep comments, other keys and variables", () =>
    withFile(commented, ({ config, mode, read }) =>
      Effect.gen(function*() {
        yield* config.saveProfile("lab", { server_url: "vibectl-server://${l}:1", jwt_path: "/t" }, { activate: true })
        assert.strictEqual(
          yield* read,
          commented.replace("active: work   # or home", "active: lab # or home")
            .replaceAll("   #", " #")
            .replace(
              "  retry",
              () => "    lab:\n      server_url: vibectl-server://$${l}:1\n      jwt_path: /t\n  retry"
            )
        )
        assert.strictEqual(yield* mode, "600")
        assert.strictEqual((yield* config.load).value.proxy.profiles["lab"]?.server_url, "vibectl-server://${l}:1")

        yield* config.saveProfile("work", { server_url: "vibectl-server://n:2" }, { activate: false })
        const changed = yield* read
        assert.include(changed, "server_url: \"vibectl-server://n:2\" # the URL\n")
        assert.notInclude(changed, "jwt_path: token")
        yield* config.disable
        assert.include(yield* read, "  active: null # or home\n")
        yield* config.use("work")
        yield* config.remove("work")
        const last = yield* read
        assert.include(last, "# My servers.\n")
        assert.include(last, "retry_attempts: 5")
        const { proxy } = (yield* config.load).value
        assert.isUndefined(proxy.active)
        assert.deepStrictEqual(Object.keys(proxy.profiles), ["home", "lab"])
      })))

  it.effect("work on files of comments, empty sections and aliases", () =>
    Effect.gen(function*() {
      const save = (text: string) =>
        withFile(text, ({ config, read }) =>
          Effect.zipRight(config.saveProfile("b", { server_url: "u" }, { activate: false }), read))
      assert.strictEqual(yield* save("# Mine.\n"), "# Mine.\n\nproxy:\n  profiles:\n    b:\n      server_url: u\n")
      assert.match(yield* save("proxy: # mine\n"), /# mine\n/)
      assert.match(
        yield* save("proxy:\n  profiles:\n    a: &a { server_url: x, jwt_path: /j }\n    b: *a\n"),
        /a: &a \{ server_url: x, jwt_path: \/j \}\n {4}b:\n {6}server_url: u\n$/
      )
    }))

  it.effect("keep relative paths meaning what the user meant", () =>
    withFile(undefined, ({ config }) =>
      Effect.gen(function*() {
        yield* config.saveProfile("a", { server_url: "u", ca_bundle_path: "ca.crt" }, { activate: false })
        const { proxy } = (yield* config.load).value
        assert.strictEqual(proxy.profiles["a"]?.ca_bundle_path, `${process.cwd()}/ca.crt`)
      })))

  it.effect("never replace an invalid file, nor make one", () =>
    Effect.gen(function*() {
      for (const text of ["proxy: { activ: x }", "proxy: [", "- x", "proxy: { active: a, active: b }"]) {
        yield* withFile(text, ({ config, read }) =>
          Effect.gen(function*() {
            assert.strictEqual((yield* Effect.flip(config.disable))._tag, "ConfigInvalid")
            assert.strictEqual(yield* read, text)
          }))
      }
      yield* withFile(commented, ({ config, read }) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(config.saveProfile("a b", { server_url: "u" }, { activate: true }))
          assert.match(error.message, /the name of a profile/)
          assert.strictEqual(yield* read, commented)
        }))
    }))

  it.effect("name the profiles there are when one is not", () =>
    withFile(commented, ({ config, read }) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(config.use("wrok"))
        assert.strictEqual(
          error.message,
          "There is no profile 'wrok'. Did you mean work? Profiles: work, home."
        )
        assert.strictEqual((yield* Effect.flip(config.remove("x")))._tag, "ProfileNotFound")
        assert.strictEqual(yield* read, commented)
      })))
})
