import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Path from "node:path"
import { Env } from "../../src/config/Environment.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"
import * as Models from "../../src/server/Models.js"
import * as StartChecks from "../../src/server/StartChecks.js"
import * as Commands from "../support/Commands.js"

const kinds = ["openai", "demo"]

/** What a start with this configuration warns of; files by their path in the directory, with their modes. */
const warnings = (
  settings: object,
  secrets: Record<string, number> = {},
  { env = {}, mode = 0o600 }: { readonly env?: Record<string, string>; readonly mode?: number } = {}
) =>
  Commands.inDirectory((file, files) =>
    Effect.gen(function*() {
      const directory = Path.dirname(file)
      yield* files.makeDirectory(Path.join(directory, "tls"), { recursive: true })
      yield* files.writeFileString(file, JSON.stringify(settings, undefined, 2))
      yield* files.chmod(file, mode)
      for (const [name, mode] of Object.entries(secrets)) {
        yield* files.writeFileString(Path.join(directory, name), "secret")
        yield* files.chmod(Path.join(directory, name), mode)
      }
      const loaded = yield* ServerConfig.load({ file, kinds })
      const found = yield* StartChecks.warnings(loaded, kinds, yield* Effect.scoped(Models.make(loaded.value)))
      return found.map((text) => text.replaceAll(directory, "DIR"))
    }).pipe(
      Effect.provide(
        Layer.merge(NodeContext.layer, Env.layerTest({ VIBECTL_CONFIG_DIR: Path.dirname(Path.dirname(file)), ...env }))
      )
    )
  )

const readable = (name: string) =>
  `DIR/${name} holds a secret, and every user of this machine can read it: \`chmod 600 DIR/${name}\``

describe("StartChecks.warnings", () => {
  it.effect("names every file with a secret that all can read, with the command that mends it", () =>
    Effect.gen(function*() {
      const settings = {
        server: { jwt_secret_file: "jwt", jwt_previous_secret_files: ["old-jwt"] },
        tls: { cert_file: "cert.pem", key_file: "key.pem" },
        providers: { a: { kind: "openai", api_key_file: "api-key" } }
      }
      const files = ["keys.json", "jwt", "old-jwt", "key.pem", "api-key"]
      const with644 = Object.fromEntries(files.map((name) => [name, 0o644]))
      assert.sameMembers(yield* warnings(settings, with644), files.map(readable))
      const with640 = Object.fromEntries(files.map((name) => [name, 0o640]))
      assert.deepStrictEqual(yield* warnings(settings, with640), [])
      assert.deepStrictEqual(yield* warnings({}, { "jwt-secret": 0o604, "tls/server.pem": 0o644 }), [
        readable("jwt-secret"),
        readable("tls/server.pem")
      ])
    }))

  it.effect("names the configuration file only if a secret stands in it", () =>
    Effect.gen(function*() {
      const all = { mode: 0o644 }
      const literal = { providers: { a: { kind: "openai", api_key: "sk-canary-0123456789" } } }
      const found = yield* warnings(literal, {}, all)
      assert.deepStrictEqual(found, [readable("config.yaml")])
      assert.notInclude(found.join(), "canary")
      const variable = { providers: { a: { kind: "openai", api_key: "${KEY}" } } }
      assert.deepStrictEqual(yield* warnings(variable, {}, { ...all, env: { KEY: "sk-canary-0123456789" } }), [])
      assert.deepStrictEqual(yield* warnings({ server: { port: 1 } }, {}, all), [])
      assert.deepStrictEqual(yield* warnings(literal), [])
    }))

  it.effect("warns of no authentication, and of plaintext that others can read", () =>
    Effect.gen(function*() {
      assert.include((yield* warnings({ server: { enable_auth: false } })).join(), "authentication is off")
      assert.include(
        (yield* warnings({ server: { host: "0.0.0.0" }, tls: { enabled: false } })).join(),
        "plaintext on 0.0.0.0"
      )
      assert.deepStrictEqual(yield* warnings({ tls: { enabled: false } }), [])
    }))

  it.effect("names the prices that no model of its providers has", () =>
    Effect.gen(function*() {
      const price = { input: 1, output: 2 }
      const providers = { openai: { kind: "openai" }, local: { kind: "openai" } }
      const prices = { "openai/gpt-4o": price, "*/x": price, "opnai/gpt-4o": price, "gpt-4o": price }
      assert.deepStrictEqual(yield* warnings({ providers, prices }), [
        "prices.opnai/gpt-4o is the price of no model: it must begin with the name of a provider and a slash, and there are openai, local",
        "prices.gpt-4o is the price of no model: it must begin with the name of a provider and a slash, and there are openai, local"
      ])
      const [alone] = yield* warnings({ prices: { "openai/gpt-4o": price } })
      assert.include(alone, "there is only demo")
    }))
})

describe("StartChecks.noOpenAccess", () => {
  const refused = (settings: object, tls = {}) =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(Path.dirname(file), { recursive: true })
        yield* files.writeFileString(file, JSON.stringify({ server: settings, tls }))
        const { value } = yield* ServerConfig.load({ file, kinds })
        return yield* Effect.match(StartChecks.noOpenAccess(value), {
          onFailure: ({ message }) => message,
          onSuccess: () => undefined
        })
      })
    )

  it.effect("refuses to be open to other machines, unless that is meant", () =>
    Effect.gen(function*() {
      for (const host of ["0.0.0.0", "::", "10.0.0.1", "proxy.example.com", "127.example.com", "2001:db8::1"]) {
        const error = yield* refused({ host, enable_auth: false })
        assert.include(error, host)
        assert.include(error, "allow_open_access")
        assert.isUndefined(yield* refused({ host }))
        assert.isUndefined(yield* refused({ host, enable_auth: false, allow_open_access: true }))
      }
      const certificates = { host: "0.0.0.0", enable_auth: false }
      assert.isUndefined(yield* refused(certificates, { client_ca_file: "/ca.pem" }), "nobody comes in without one")
      for (const host of ["127.0.0.1", "127.0.0.53", "::1", "localhost"]) {
        assert.isUndefined(yield* refused({ host, enable_auth: false }))
      }
    }))

  it.effect("names aliases whose provider is not there, and patterns of access that no model matches", () =>
    Effect.gen(function*() {
      const settings = {
        providers: { openai: { kind: "openai" }, closed: { kind: "openai", models: ["small", "large"] } },
        model_aliases: { fast: "openai/gpt-4o-mini", lost: "opnai/gpt-4o" },
        access: {
          default: { models: ["fast", "opnai/*"] },
          subjects: { ada: { models: ["closed/sm*", "closed/medium"] } },
          roles: { dev: { models: ["openai/anything-new", "*"] } },
          tenants: { acme: { models: ["large", "l*rge-2"] } }
        }
      }
      assert.sameMembers(yield* warnings(settings), [
        "model_aliases.lost is opnai/gpt-4o, and no provider is called 'opnai'",
        "access.default: the pattern 'opnai/*' matches no model",
        "access.subjects.ada: the pattern 'closed/medium' matches no model",
        "access.tenants.acme: the pattern 'l*rge-2' matches no model"
      ])
    }))
})
