import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Path from "node:path"
import * as Server from "../../src/server/Cli.js"
import * as Commands from "../support/Commands.js"

const execute = Commands.executor((argv) => Server.run(argv, Effect.succeed(false)))

const canary = "CANARY-0aZ9bY8cX7dW6eV5fU4gT3hS2iR1"
const provider = (settings: object) => ({ providers: { a: { kind: "openai", ...settings } } })
const issuer = (settings: object) => ({
  auth: { issuers: { corp: { issuer: "https://login.example.com", audience: "vibectl", ...settings } } }
})

/** Each wrong in another way, and with the secret where it is wrong. */
const wrong: ReadonlyArray<object> = [
  { server: { jwt_secret: { nested: canary } } },
  { server: { jwt_secret: [canary] } },
  { server: { jwt_secret: canary, jwt_secret_file: "x" } },
  { server: { jwt_secret: canary.slice(0, 20) } },
  { server: { jwt_secrett: canary } },
  { server: { jwt_secret: `\${${canary}}` } },
  { server: { jwt_secret: `\${NAME:-${canary}` } },
  { server: { log_level: "nonsense", jwt_secret: canary } },
  provider({ api_key: [canary] }),
  provider({ api_key: canary, api_key_file: "/nowhere" }),
  provider({ api_key: canary, kind: "opnai" }),
  provider({ apikey: canary }),
  provider({ api_key: canary, base_url: 7 }),
  provider({ base_url: `http://user:${canary}@host` }),
  provider({ base_url: `ftp://host/?key=${canary}` }),
  issuer({ jwks_url: `ftp://host/${canary}` }),
  issuer({ jwks_url: `https://user:${canary}@host/keys` }),
  issuer({ jwks_url: `https://host/keys?key=${canary}`, jwks_file: "/nowhere" })
]

describe("a secret in a configuration that is wrong", () => {
  it.effect("is never repeated by what is said of it", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(Path.dirname(file), { recursive: true })
        const check = (text: string, words: ReadonlyArray<string>) =>
          Effect.gen(function*() {
            yield* files.writeFileString(file, text)
            for (const line of words) {
              const { error, stderr, stdout } = yield* execute(...line.split(" "))
              assert.isDefined(error, `${line}: ${text}`)
              for (const shown of [error ?? "", stderr, stdout]) assert.notInclude(shown, canary.slice(0, 16), line)
              assert.include(error, Path.basename(Path.dirname(file)), "it says where")
            }
          })
        for (const settings of wrong) {
          yield* check(JSON.stringify(settings), ["config validate", "generate-token x", "keys list"])
        }
        // Not even YAML.
        for (const text of [`a: "${canary}\n`, `a: {b: ${canary}\n`, `${canary}: [\n`, `\t${canary}`, `- ${canary}`]) {
          yield* check(text, ["config validate", "config show"])
        }
      })
    ))

  it.effect("is hidden where every setting is shown", () =>
    Commands.inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(Path.dirname(file), { recursive: true })
        const good = {
          server: { jwt_secret: canary },
          ...provider({ api_key: canary, base_url: "https://host/v1" }),
          ...issuer({ jwks_url: `https://host/keys?key=${canary}` })
        }
        yield* files.writeFileString(file, JSON.stringify(good))
        for (const output of ["table", "json"]) {
          const { error, stdout } = yield* execute("config", "show", "--output", output)
          assert.isUndefined(error, error)
          assert.include(stdout, "server.jwt_secret")
          assert.notInclude(stdout, "CANARY")
        }
      })
    ))
})
