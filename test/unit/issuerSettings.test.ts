import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Path from "node:path"
import * as Server from "../../src/server/Cli.js"
import * as Commands from "../support/Commands.js"

const execute = Commands.executor((argv) => Server.run(argv, Effect.succeed(false)))

const issuer = (settings: object) => ({
  issuer: "https://a.example.com",
  audience: "vibectl",
  jwks_file: "/jwks",
  ...settings
})

/** What is wrong with these issuers; undefined when nothing is. */
const problem = (issuers: object) =>
  Commands.inDirectory((file, files) =>
    Effect.gen(function*() {
      yield* files.makeDirectory(Path.dirname(file), { recursive: true })
      yield* files.writeFileString(file, JSON.stringify({ auth: { issuers } }))
      return (yield* execute("config", "show")).error
    })
  )

describe("issuers that do not go together", () => {
  it.effect("are refused, with the place and the reason", () =>
    Effect.gen(function*() {
      const other = issuer({ issuer: "https://b.example.com" })
      const cases: ReadonlyArray<readonly [object, RegExp]> = [
        [{ a: issuer({ jwks_file: undefined }) }, /auth\.issuers\.a: it needs jwks_url, jwks_file or key_file/],
        [{ a: issuer({ key_file: "/k" }) }, /auth\.issuers\.a\.key_file: it is set together with jwks_file/],
        [{ a: issuer({}), b: issuer({}) }, /auth\.issuers\.b\.issuer: it is the issuer of auth\.issuers\.a too/],
        [{ a: issuer({ issuer: "vibectl-server" }) }, /this server's own tokens too/],
        [
          { a: issuer({ subject_prefix: "x" }), b: { ...other, subject_prefix: "x" } },
          /b\.subject_prefix: its subjects/
        ],
        [{ a: issuer({ subject_prefix: "" }), b: other }, /b\.subject_prefix: its subjects could be those of/],
        [{ a: issuer({}), b: { ...other, subject_prefix: "a:b:" } }, /neither prefix may begin with the other/],
        [{ a: issuer({ jwks_url: "http://keys.example.com", jwks_file: undefined }) }, /an https URL/],
        [{ a: issuer({ algorithms: ["HS256"] }) }, /EdDSA, Ed25519, ES256/],
        [{ a: issuer({ jwks_token_file: "/t" }) }, /a\.jwks_token_file: it is used to download keys/],
        [{ a: issuer({ ca_file: "/t" }) }, /a\.ca_file: it is used to download keys/],
        [{ a: issuer({ token_id: "hash", token_id_claim: "uti" }) }, /a\.token_id_claim: token_id is hash/],
        [{ a: issuer({ token_id_claim: "sub" }) }, /a\.token_id_claim: .* set token_id: hash/],
        [{ a: issuer({ token_id_claim: "iat" }) }, /a\.token_id_claim: .* set token_id: hash/],
        [{ a: issuer({ subject_claim: "oid", token_id_claim: "oid" }) }, /a\.token_id_claim: .* set token_id: hash/],
        [{ a: issuer({ subject_verification: "not_needed" }) }, /a\.subject_verification: it is for the subject_claim/]
      ]
      for (const [issuers, words] of cases) {
        assert.match((yield* problem(issuers)) ?? "", words, JSON.stringify(issuers))
      }
      assert.isUndefined(yield* problem({ a: issuer({}), b: other }))
      assert.isUndefined(yield* problem({ a: issuer({ subject_prefix: "" }) }))
    }))
})
