import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Schema } from "effect"
import * as Jose from "jose"
import * as Path from "node:path"
import { Line } from "../../src/audit/Event.js"
import * as Server from "../../src/server/Cli.js"
import * as Commands from "../support/Commands.js"

const execute = Commands.executor((argv) => Server.run(argv, Effect.succeed(false)))

/** In a fresh directory, with what the audit log says. */
const home = <A, E, R>(
  use: (home: {
    readonly write: (config: object) => Effect.Effect<void>
    readonly events: Effect.Effect<ReadonlyArray<typeof Line.Type>>
    readonly audited: Effect.Effect<string>
  }) => Effect.Effect<A, E, R>
) =>
  Commands.inDirectory((file, files) => {
    const audited = Effect.orElseSucceed(
      files.readFileString(Path.join(Path.dirname(file), "audit.jsonl")),
      () => ""
    )
    return use({
      write: (config) =>
        Effect.orDie(
          Effect.zipRight(
            files.makeDirectory(Path.dirname(file), { recursive: true }),
            files.writeFileString(file, JSON.stringify(config))
          )
        ),
      audited,
      events: Effect.flatMap(audited, (text) =>
        Effect.orDie(Effect.forEach(text.split("\n").filter(Boolean), (line) => Schema.decode(Line)(line))))
    }) as Effect.Effect<A, E>
  })

const told = (events: ReadonlyArray<typeof Line.Type>) =>
  events.map(({ time: _, ...event }) => event as Record<string, unknown>)

describe("generate-token", () => {
  it.effect("puts what the token may do into one claim, and into the audit log, but not the token", () =>
    home(({ audited, events }) =>
      Effect.gen(function*() {
        const { error, stderr, stdout: token } = yield* execute(
          ...["generate-token", "ci", "--model", "openai/gpt-4o*", "--model", "fast", "--tenant", "acme"],
          ...["--role", "dev", "--max-rpm", "60", "--max-concurrent", "4", "--max-input-length", "1000"],
          ...["--max-seconds", "30"]
        )
        assert.isUndefined(error, error)
        assert.include(stderr, "the role 'dev'", "that the configuration does not know")
        assert.include(stderr, "the tenant 'acme'")
        const { exp, iat, jti, vibectl } = Jose.decodeJwt(token)
        assert.deepStrictEqual<unknown>(vibectl, {
          models: ["openai/gpt-4o*", "fast"],
          tenant: "acme",
          roles: ["dev"],
          limits: {
            max_requests_per_minute: 60,
            max_concurrent_requests: 4,
            max_input_length: 1000,
            request_timeout_seconds: 30
          }
        })
        assert.strictEqual(exp! - iat!, 30 * 86_400)
        const [issued] = told(yield* events)
        assert.strictEqual(issued?.["event"], "token_issued")
        assert.strictEqual(issued?.["token_id"], jti)
        assert.deepStrictEqual(issued?.["models"], ["openai/gpt-4o*", "fast"])
        for (const part of token.split(".")) assert.notInclude(yield* audited, part)
      })
    ))

  it.effect("says nothing that is not asked for, and knows what the configuration knows", () =>
    home(({ write }) =>
      Effect.gen(function*() {
        yield* write({ access: { roles: { dev: { models: ["*"] } }, tenants: { acme: { models: ["*"] } } } })
        const { stderr, stdout } = yield* execute("generate-token", "ci", "--role", "dev", "--tenant", "acme")
        assert.strictEqual(stderr, "")
        assert.deepStrictEqual<unknown>(Jose.decodeJwt(stdout)["vibectl"], { roles: ["dev"], tenant: "acme" })
        assert.notProperty(Jose.decodeJwt((yield* execute("generate-token", "ci")).stdout), "vibectl")
      })
    ))

  it.effect("replaces no file unless it is told to, and writes one that its owner alone can read", () =>
    Commands.inDirectory((config, files) =>
      Effect.gen(function*() {
        const file = `${Path.dirname(Path.dirname(config))}/t.jwt`
        assert.isUndefined((yield* execute("generate-token", "ci", "--output", file)).error)
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
        const first = yield* files.readFileString(file)
        const log = `${Path.dirname(config)}/audit.jsonl`
        const audited = yield* files.readFileString(log)
        const refused = yield* execute("generate-token", "ci", "--output", file)
        assert.strictEqual(
          refused.error,
          `The file ${file} exists already. Replace it with --force, or name another one.`
        )
        assert.strictEqual(yield* files.readFileString(file), first)
        assert.strictEqual(yield* files.readFileString(log), audited, "no token was made")
        yield* files.chmod(file, 0o644)
        assert.isUndefined((yield* execute("generate-token", "ci", "--output", file, "--force")).error)
        assert.notStrictEqual(yield* files.readFileString(file), first)
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
        yield* files.symlink(`${file}.gone`, `${file}.link`)
        assert.isDefined((yield* execute("generate-token", "ci", "--output", `${file}.link`)).error)
        assert.isFalse(yield* files.exists(`${file}.gone`))
      })
    ))

  it.effect("refuses limits that are none, and names that no log can show", () =>
    home(() =>
      Effect.gen(function*() {
        for (const words of [["--max-rpm", "0"], ["--max-rpm", "-1"], ["--max-rpm", "x"], ["--model", "a\nb"]]) {
          const { error, stdout } = yield* execute("generate-token", "ci", ...words)
          assert.isDefined(error, words.join(" "))
          assert.strictEqual(stdout, "")
        }
      })
    ))
})

describe("keys", () => {
  it.effect("rotates and retires, tells both to the audit log, and shows no secret", () =>
    home(({ audited, events }) =>
      Effect.gen(function*() {
        yield* execute("generate-token", "ci")
        const list = Effect.map(
          execute("keys", "list", "--output", "json"),
          ({ stdout }) => JSON.parse(stdout) as { readonly keys: ReadonlyArray<Record<string, string>> }
        )
        const [first] = (yield* list).keys
        const rotated = yield* execute("keys", "rotate")
        assert.include(rotated.stderr, `vibectl-server keys retire ${first!["key"]}`)
        assert.deepStrictEqual((yield* list).keys.map(({ key, use }) => [key, use]), [
          [rotated.stdout, "signs"],
          [first!["key"], "verifies"]
        ])
        assert.isUndefined((yield* execute("keys", "retire", first!["key"]!)).error)
        assert.deepStrictEqual((yield* list).keys.map(({ key, use }) => [key, use]), [
          [rotated.stdout, "signs"],
          [first!["key"], "retired"]
        ])
        assert.include((yield* execute("keys", "retire", "nothing")).error, "There is no key 'nothing'")
        assert.deepStrictEqual(told(yield* events).slice(1), [
          { event: "key_rotated", key_id: rotated.stdout, previous_key_id: first!["key"] },
          { event: "key_retired", key_id: first!["key"] }
        ])
        const table = (yield* execute("keys", "list")).stdout
        for (const shown of [table, rotated.stderr, yield* audited]) assert.notMatch(shown, /[\w-]{60,}/)
      })
    ))

  it.effect("keeps the operator's own secret and says what to do", () =>
    home(({ write }) =>
      Effect.gen(function*() {
        yield* write({ server: { jwt_secret: "operator-secret-0123456789-abcdefghij" } })
        const { stderr } = yield* execute("keys", "rotate")
        assert.include(stderr, "Now put a new secret in its place")
      })
    ))
})

describe("revoke-token", () => {
  const revocations = Effect.map(
    execute("revocations", "--output", "json"),
    ({ stdout }) =>
      (JSON.parse(stdout) as { readonly revocations: ReadonlyArray<Record<string, string>> }).revocations
        .map(({ action, id, kind }) => `${action} ${kind} ${id}`)
  )

  it.effect("knows a token's id, a whole token and a subject apart", () =>
    home(({ audited, events }) =>
      Effect.gen(function*() {
        const token = (yield* execute("generate-token", "ci")).stdout
        const { jti } = Jose.decodeJwt(token)
        const uuid = "00000000-0000-4000-8000-000000000000"
        for (const words of [[token], [uuid], ["alice"], ["bob", "--block"], ["ext-1", "--as", "token"]]) {
          assert.isUndefined((yield* execute("revoke-token", ...words)).error)
        }
        yield* execute("revoke-token", uuid, "--as", "subject")
        yield* execute("revoke-token", "alice", "--undo")
        assert.deepStrictEqual(yield* revocations, [
          `revoke token ${jti}`,
          `revoke token ${uuid}`,
          "block subject bob",
          "revoke token ext-1",
          `revoke subject ${uuid}`
        ])
        assert.lengthOf(told(yield* events).filter(({ event }) => event === "token_revoked"), 7)
        assert.notInclude(yield* audited, token.split(".")[1]!)
      })
    ))

  it.effect("takes a token of an identity provider by the claims that its settings name", () =>
    home(({ write }) =>
      Effect.gen(function*() {
        const corp = { issuer: "https://login.example.com", audience: "vibectl", jwks_file: "/jwks.json" }
        yield* write({ auth: { issuers: { corp: { ...corp, token_id_claim: "uti", subject_claim: "email" } } } })
        const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url")
        const claims = { iss: corp.issuer, jti: "wrong", uti: "right", sub: "0", email: "ada@example.com" }
        const token = `${part({ alg: "RS256" })}.${part(claims)}.c2ln`
        assert.isUndefined((yield* execute("revoke-token", token)).error)
        assert.isUndefined((yield* execute("revoke-token", token, "--as", "subject", "--block")).error)
        assert.deepStrictEqual(yield* revocations, ["revoke token right", "block subject corp:ada@example.com"])
        const without = `${part({ alg: "RS256" })}.${part({ ...claims, uti: 7 })}.c2ln`
        assert.include((yield* execute("revoke-token", without)).error, "has no claim uti")
      })
    ))

  it.effect("revokes one token of an issuer without ids by its hash, given as a token or as the hash", () =>
    home(({ write }) =>
      Effect.gen(function*() {
        const corp = { issuer: "https://login.example.com", audience: "vibectl", jwks_file: "/jwks.json" }
        yield* write({ auth: { issuers: { corp: { ...corp, token_id: "hash" } } } })
        const part = (json: object) => Buffer.from(JSON.stringify(json)).toString("base64url")
        const signed = `${part({ alg: "RS256" })}.${part({ iss: corp.issuer, sub: "1148" })}`
        const shown = (yield* execute("inspect-token", `${signed}.c2ln`)).stdout
        const [hash] = /sha256-[\w-]{43}/.exec(shown) ?? [""]
        assert.match(shown, /no jti .*token_id: hash/)
        assert.isUndefined((yield* execute("revoke-token", `${signed}.c2ln`)).error)
        assert.deepStrictEqual(yield* revocations, [`revoke token ${hash}`])
        assert.isUndefined((yield* execute("revoke-token", hash, "--undo")).error)
        assert.deepStrictEqual(yield* revocations, [])
      })
    ))

  it.effect("revokes again what was issued in the second of the last time", () =>
    home(() =>
      Effect.gen(function*() {
        yield* execute("revoke-token", "ci")
        const { stdout: token } = yield* execute("generate-token", "ci")
        yield* execute("revoke-token", "ci")
        assert.include((yield* execute("inspect-token", token, "--verify")).stdout, "refused: revoked_subject")
      })
    ))

  it.effect("shows nothing of an id that a terminal would obey", () =>
    home(() =>
      Effect.gen(function*() {
        const { stderr } = yield* execute("revoke-token", "ev\u001b[2Jil")
        assert.include(stderr, "ev [2Jil")
      })
    ))

  it.effect("does nothing half meant", () =>
    home(() =>
      Effect.gen(function*() {
        for (
          const words of [["a", "--block", "--undo"], ["ext-1", "--as", "token", "--block"], [
            "00000000-0000-4000-8000-00000000000A"
          ]]
        ) {
          assert.isDefined((yield* execute("revoke-token", ...words)).error)
        }
        assert.deepStrictEqual(yield* revocations, [])
      })
    ))

  it.effect("holds also while the configuration cannot be read, and says what is missing then", () =>
    home(({ write }) =>
      Effect.gen(function*() {
        yield* write({ server: { prot: 1 } })
        const { error, stderr } = yield* execute("revoke-token", "alice")
        assert.include(error, "whether others share a Redis cannot be told")
        assert.include(stderr, "not in the audit log")
        assert.include(stderr, "prot")
        assert.deepStrictEqual(yield* revocations, ["revoke subject alice"])
      })
    ))

  it.effect("makes generate-token warn of a blocked subject, and good again at once for a revoked one", () =>
    home(() =>
      Effect.gen(function*() {
        yield* execute("revoke-token", "bob", "--block")
        assert.include((yield* execute("generate-token", "bob")).stderr, "'bob' is blocked")
        yield* execute("revoke-token", "ci")
        const { stdout: token } = yield* execute("generate-token", "ci")
        const { stdout } = yield* execute("inspect-token", token, "--verify")
        assert.include(stdout, "accepted as 'ci'")
      })
    ))
})

describe("inspect-token", () => {
  it.effect("shows what a token says, and nothing that could be used", () =>
    home(() =>
      Effect.gen(function*() {
        const { stdout: token } = yield* execute("generate-token", "ci", "--max-rpm", "5")
        const [header, payload, signature] = token.split(".") as [string, string, string]
        const shown = yield* execute("inspect-token", token)
        assert.include(shown.stdout, "ci")
        assert.include(shown.stdout, "max_requests_per_minute")
        assert.match(shown.stdout, /exp .*\d+ \(\d{4}-/)
        const json = yield* execute("inspect-token", token, "--output", "json")
        for (const part of [header, payload, signature]) {
          assert.notInclude(shown.stdout, part)
          assert.notInclude(json.stdout, part)
        }
        assert.strictEqual((JSON.parse(json.stdout) as { claims: { sub: string } }).claims.sub, "ci")
      })
    ))

  it.effect("says whether the server would take it, in the words of the audit log", () =>
    home(() =>
      Effect.gen(function*() {
        const { stdout: token } = yield* execute("generate-token", "ci")
        const verdict = (text: string) => Effect.map(execute("inspect-token", text, "--verify"), ({ stdout }) => stdout)
        assert.include(yield* verdict(token), "accepted as 'ci'")
        assert.include(yield* verdict(token.slice(0, -3) + "abc"), "refused: bad_signature")
        yield* execute("revoke-token", token)
        assert.include(yield* verdict(token), "refused: revoked_token")
      })
    ))

  it.effect("repeats nothing of what is no token", () =>
    home(() =>
      Effect.gen(function*() {
        const { error } = yield* execute("inspect-token", "sk-canary-0123456789")
        assert.include(error, "not a token")
        assert.notInclude(error, "canary")
      })
    ))
})
