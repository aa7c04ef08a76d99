import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Config from "../../src/server/commands/config.js"
import * as Commands from "../support/Commands.js"

const canary = "sk-canary-0123456789"
const run = Commands.program(Config.make(["openai", "anthropic", "demo"]))

const execute = Commands.executor(run)

describe("config init", () => {
  it.effect("writes a file for its owner only, that validates and changes nothing", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        const before = yield* execute("show", "--output", "json")
        assert.deepStrictEqual(yield* execute("init"), { stdout: "", stderr: `Wrote ${file}.`, error: undefined })
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
        const valid = yield* execute("validate")
        assert.deepStrictEqual(valid, {
          stdout: `OK: the configuration ${file} is valid.`,
          stderr: "",
          error: undefined
        })
        assert.strictEqual((yield* execute("show", "--output", "json")).stdout, before.stdout)
      })
    ))

  it.effect("warns of prices that no model has, and is valid all the same", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* execute("init")
        const price = { input: 1, output: 2 }
        const providers = { openai: { kind: "openai" } }
        yield* files.writeFileString(file, JSON.stringify({ providers, prices: { "opnai/*": price, "*": price } }))
        const { error, stderr, stdout } = yield* execute("validate")
        assert.isUndefined(error)
        assert.match(stdout, /^OK/)
        assert.match(stderr, /^Warning: prices\.opnai\/\* is the price of no model: .* there is only openai\.$/)
      })
    ))

  it.effect("refuses with the start's own words what a server would not start with", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* execute("init")
        const providers = { openai: { kind: "openai", models: ["gpt-4o"] } }
        const refused: ReadonlyArray<readonly [object, RegExp]> = [
          [
            { providers, fallbacks: { "openai/gpt-4o": ["openai/gpt-9"] } },
            /fallbacks of 'openai\/gpt-4o' cannot be used/
          ],
          [{ providers, fallbacks: { "opnai/gpt-4o": ["openai/gpt-4o"] } }, /no provider is called 'opnai'/],
          [{ providers, server: { default_model: "gpt-9" } }, /default model cannot be used/],
          [{ providers, server: { enable_auth: false, host: "0.0.0.0" } }, /Authentication is off/],
          [{ providers, tls: { cert_file: "/nowhere.crt", key_file: "/nowhere.key" } }, /nowhere/],
          [{ providers, tls: { client_ca_file: "/nowhere.crt" } }, /nowhere/],
          [
            { providers, auth: { issuers: { corp: { issuer: "x", audience: "y", key_file: "/nowhere.pem" } } } },
            /nowhere.*auth\.issuers\.corp\.key_file/
          ]
        ]
        for (const [settings, reason] of refused) {
          yield* files.writeFileString(file, JSON.stringify(settings))
          const { error, stdout } = yield* execute("validate")
          assert.strictEqual(stdout, "", JSON.stringify(settings))
          assert.match(error ?? "no error", reason, JSON.stringify(settings))
        }
      })
    ))

  it.effect("explains every key; each can be taken out of its comment", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* execute("init")
        const template = yield* files.readFileString(file)
        const keys = ["host", "port", "enable_auth", "log_level", "log_format", "jwt_secret", "jwt_secret_file"].concat(
          [
            "default_model",
            "drain_seconds",
            "enabled",
            "cert_file",
            "key_file",
            "min_version",
            "client_ca_file",
            "client_identity",
            "kind",
            "api_key",
            "api_key_file"
          ],
          ["base_url", "models", "max_output_tokens", "total_seconds", "failover_seconds", "heartbeat_seconds", "gpt-4"]
        )
        for (const key of keys) assert.match(template, new RegExp(`^ {2}# +${key}: \\S`, "m"))
        assert.include(template, "Default: 50051.")
        const all = template.split("\n")
          .filter((line) => !/_file: /.test(line) || /cert_file|key_file: \/etc\/vibectl\/tls/.test(line))
          .filter((line) => !line.includes("jwt_previous_secret_files"))
          .map((line) => line.replace(/^ {2}# (?! *#)/, "  "))
        yield* files.writeFileString(file, all.join("\n"))
        // The files of the examples are not there, which `validate` would say.
        const { error } = yield* execute("show")
        assert.isUndefined(error, error ?? "")
        assert.include((yield* execute("show", "--output", "json")).stdout, "\"value\": \"https://api.openai.com/v1\"")
      }), {
      OPENAI_API_KEY: "x",
      REDIS_URL: "redis://127.0.0.1:6379",
      JWT_SECRET: "0123456789-abcdefghijklmnopqrstuvwxyz"
    }))

  it.effect("replaces no file unless it is forced to", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        const other = `${file}.other`
        yield* execute("init", "--config", other)
        const template = yield* files.readFileString(other)
        for (const content of ["server: {}", template]) {
          yield* files.writeFileString(other, content, { mode: 0o644 })
          const { error, stdout } = yield* execute("init", "--config", other)
          assert.match(error ?? "", /The file .*\.other exists already\. Replace it with --force/)
          assert.strictEqual(stdout, "")
          assert.strictEqual(yield* files.readFileString(other), content)
        }
        yield* files.writeFileString(other, "x", { mode: 0o644 })
        yield* execute("init", "--force", "--config", other)
        assert.strictEqual(yield* files.readFileString(other), template)
        assert.strictEqual((yield* files.stat(other)).mode & 0o777, 0o600)
        const bad = yield* execute("init", "--config", `${other}/below/x`)
        assert.match(bad.error ?? "", /could not be written/)
      })
    ))
})

describe("config show", () => {
  it.effect("has every setting with its source, and no secret", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* execute("init")
        yield* files.writeFileString(file, `server:\n  port: 1\n  jwt_secret: ${canary}\n`)
        const { stdout } = yield* execute("show", "--output", "json")
        const shown = JSON.parse(stdout) as { settings: ReadonlyArray<{ key: string; value: unknown; source: string }> }
        const by = new Map(shown.settings.map((row) => [row.key, row]))
        assert.deepInclude(by.get("server.port"), { value: 1, source: `${file}:2` })
        assert.deepInclude(by.get("server.jwt_secret"), { value: "<redacted>", source: `${file}:3` })
        assert.deepInclude(by.get("server.log_format"), { value: null, source: "default" })
        assert.deepInclude(by.get("server.host"), { value: "::", source: "VIBECTL_SERVER__HOST" })
        assert.deepInclude(by.get("providers.openai.api_key"), { value: "<redacted>", source: "OPENAI_API_KEY" })
        const table = (yield* execute("show")).stdout
        assert.match(table, /│ server\.port +│ 1 +│ .*config\.yaml:2 +│/)
        assert.notInclude(stdout + table, "canary")
      }), { OPENAI_API_KEY: canary, VIBECTL_SERVER__HOST: "::" }))
})

describe("config validate and path", () => {
  it.effect("reports the problems as the error, for the file that is named", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* execute("init")
        const wrong = `${file}.wrong`
        yield* files.writeFileString(wrong, "server:\n  port: x\n  jwt_secret_file: none\n")
        for (const args of [[wrong], ["--config", wrong]]) {
          const { error, stdout } = yield* execute("validate", ...args)
          assert.strictEqual(stdout, "")
          assert.include(error ?? "", `${wrong}:2:9: server.port: found "x"`)
        }
        yield* files.writeFileString(wrong, "server:\n  jwt_secret_file: none\n")
        const { error } = yield* execute("validate", wrong)
        assert.include(error ?? "", `${wrong}:2:20: server.jwt_secret_file: the file`)
        assert.include((yield* execute("validate", `${wrong}.not`)).error ?? "", "does not exist")
        assert.strictEqual((yield* execute("path")).stdout, file)
        assert.strictEqual((yield* execute("path", "--config", "/x")).stdout, "/x")
      })
    ))
})
