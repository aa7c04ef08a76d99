import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, DateTime, Duration, Effect, Redacted, type Scope } from "effect"
import * as Issuers from "../../src/auth/Issuers.js"
import * as Keyring from "../../src/auth/Keyring.js"
import * as Revocations from "../../src/auth/Revocations.js"
import type { Shared } from "../../src/auth/Shared.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"
import * as RedisTrust from "../../src/limits/RedisTrust.js"
import { logged } from "../support/IdentityProvider.js"
import * as Patience from "../support/Patience.js"
import * as Redis from "../support/Redis.js"

const options = (url: string): RedisTrust.Options => ({
  url: Redacted.make(url),
  prefix: "vibectl",
  timeout: Duration.seconds(1)
})

interface Server {
  readonly tokens: Tokens.Tokens["Type"]
  readonly shared: Shared
  /** As a command on its machine. */
  readonly command: <A, E>(
    effect: Effect.Effect<A, E, FileSystem.FileSystem>
  ) => Effect.Effect<A, E, FileSystem.FileSystem>
}

const secret = "a secret that both of the servers have, and nobody else"

/** A server with files of its own. */
const serverAt = (url: string): Effect.Effect<Server, never, Scope.Scope | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const root = yield* Effect.orDie(files.makeTempDirectoryScoped())
    const variables = new Map([["VIBECTL_CONFIG_DIR", root], ["VIBECTL_JWT_SECRET", secret]])
    const command: Server["command"] = Effect.withConfigProvider(ConfigProvider.fromMap(variables))
    const shared = yield* Effect.orDie(RedisTrust.make(options(url)))
    const trust = yield* Effect.orDie(
      Effect.withConfigProvider(
        Trust.live({ signing: {}, issuers: Issuers.none, shared }),
        ConfigProvider.fromMap(variables)
      )
    )
    return { tokens: Tokens.trusting(trust), shared, command }
  })

const verdict = ({ tokens }: Server, token: Redacted.Redacted) =>
  Effect.match(tokens.verify(token), {
    onSuccess: ({ subject }) => subject,
    onFailure: (error) => error._tag === "Unauthenticated" ? error.refusal : error._tag
  })

const revoke = (
  { command }: Server,
  kind: "token" | "subject",
  id: string,
  action: "revoke" | "block" | "restore" = "revoke"
) => command(Effect.flatMap(DateTime.now, (at) => Revocations.add({ at, action, kind, id })))

/** Waits until it is so; yields for how many milliseconds. */
const until = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.gen(function*() {
    const begin = performance.now()
    yield* Patience.eventually(condition)
    return performance.now() - begin
  })

const becomes = (server: Server, token: Redacted.Redacted, expected: string) =>
  until(Effect.map(verdict(server, token), (found) => found === expected))

const median = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0

describe.skipIf(!Redis.available())(`revocations in Redis (needs ${Redis.packages})`, () => {
  it.scopedLive("hold at every server within a second, and are taken back everywhere", () =>
    Effect.gen(function*() {
      const { url } = yield* Redis.server()
      const [a, b] = [yield* serverAt(url), yield* serverAt(url)]
      const times: Array<number> = []
      for (let turn = 0; turn < 5; turn++) {
        const token = yield* a.tokens.issue(`ci-${turn}`, Duration.days(1))
        assert.strictEqual(yield* verdict(b, token), `ci-${turn}`)
        yield* revoke(a, "subject", `ci-${turn}`)
        times.push(yield* becomes(b, token, "revoked_subject"))
        assert.strictEqual(yield* verdict(a, token), "revoked_subject")
        yield* revoke(b, "subject", `ci-${turn}`, "restore")
        times.push(yield* becomes(a, token, `ci-${turn}`))
      }
      // Of a machine that does other things: the promise is of one second.
      assert.isBelow(median(times), 1000, times.map(Math.round).join(" "))
    }).pipe(Effect.provide(NodeContext.layer)), 60_000)

  it.scopedLive("are known to a server that joins before it takes a call", () =>
    Effect.gen(function*() {
      const { url } = yield* Redis.server()
      const a = yield* serverAt(url)
      const token = yield* a.tokens.issue("ci", Duration.days(1))
      yield* revoke(a, "subject", "ci", "block")
      yield* becomes(a, token, "revoked_subject")
      const redis = yield* Redis.client(url)
      yield* until(Effect.promise(async () => await redis.hExists("{vibectl}:trust", "subject ci") === 1))
      assert.strictEqual(yield* verdict(yield* serverAt(url), token), "revoked_subject")
    }).pipe(Effect.provide(NodeContext.layer)), 60_000)

  it.scopedLive("survive a flush and a restart of Redis, and reach who was cut off meanwhile", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const server = yield* Redis.server()
      const [a, b] = [yield* serverAt(server.url), yield* serverAt(server.url)]
      const issue = (subject: string) => a.tokens.issue(subject, Duration.days(1))
      const [one, two, three] = [yield* issue("one"), yield* issue("two"), yield* issue("three")]
      yield* revoke(a, "subject", "one")
      yield* becomes(b, one, "revoked_subject")
      const redis = yield* Redis.client(server.url)
      yield* Effect.promise(() => redis.flushAll())
      yield* until(Effect.promise(async () => await redis.hExists("{vibectl}:trust", "subject one") === 1))

      yield* server.kill
      yield* revoke(a, "subject", "two")
      yield* becomes(a, two, "revoked_subject")
      assert.strictEqual(yield* verdict(b, one), "revoked_subject", "what is known holds without Redis")
      assert.strictEqual(yield* verdict(b, three), "three", "and the others are served")
      yield* server.start
      yield* becomes(b, two, "revoked_subject")
      assert.strictEqual(yield* verdict(yield* serverAt(server.url), one), "revoked_subject")
      assert.include(lines.join("\n"), "revocations are not shared with other servers now")
      assert.include(lines.join("\n"), "revocations are shared with other servers again")
      assert.notInclude(lines.join("\n"), secret)
    }).pipe(Effect.provide(NodeContext.layer), logged(lines))
  }, 60_000)

  it.scopedLive("refuse every call of a server that has never learnt them, until it has", () =>
    Effect.gen(function*() {
      const server = yield* Redis.server()
      yield* server.kill
      const a = yield* serverAt(server.url)
      const token = yield* a.tokens.issue("ci", Duration.days(1))
      assert.strictEqual(yield* verdict(a, token), "IdentityUnavailable")
      yield* server.start
      yield* becomes(a, token, "ci")
    }).pipe(Effect.provide(NodeContext.layer)), 60_000)

  it.scopedLive("carry retired keys too, and name a signing key that others do not have", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const { url } = yield* Redis.server()
      const [a, b] = [yield* serverAt(url), yield* serverAt(url)]
      const token = yield* a.tokens.issue("ci", Duration.days(1))
      const { keyId } = yield* b.tokens.verify(token)
      // At a third server, which has another secret by now.
      const retired = new Map([[`key ${keyId}`, { revoked: Date.now(), blocked: 0, restored: 0 }]])
      yield* Effect.scoped(RedisTrust.announce(options(url), retired))
      for (const server of [a, b]) yield* becomes(server, token, "retired_key")
      yield* Patience.eventually(() => lines.some((line) => line.includes("was retired at another server")))
      const other = new Map([["signs other-key", { revoked: 1, blocked: 0, restored: 0 }]])
      yield* Effect.scoped(RedisTrust.announce(options(url), other))
      yield* Patience.eventually(() =>
        lines.some((line) => line.includes("signs with the key other-key, which is not here"))
      )
    }).pipe(Effect.provide(NodeContext.layer), logged(lines))
  }, 60_000)

  it.scopedLive("are read in pages, and take no earlier time for a later one", () =>
    Effect.gen(function*() {
      const { url } = yield* Redis.server()
      const many = new Map(Array.from({ length: 2345 }, (_, index) =>
        [`token t${index}`, { revoked: 1000 + index, blocked: 0, restored: 0 }] as const))
      yield* Effect.scoped(RedisTrust.announce(options(url), many))
      const older = { revoked: 1, blocked: 0, restored: 999 }
      yield* Effect.scoped(RedisTrust.announce(options(url), new Map([["token t0", older]])))
      const shared = yield* RedisTrust.make(options(url))
      assert.strictEqual(shared.records().size, 2345)
      assert.deepStrictEqual(shared.records().get("token t0"), { revoked: 1000, blocked: 0, restored: 999 })
    }).pipe(Effect.provide(NodeContext.layer)), 60_000)
})

it.effect("keeps the keyring as it is while nothing was retired elsewhere", () =>
  Effect.gen(function*() {
    const ring = yield* Effect.provide(
      Effect.withConfigProvider(Keyring.load({}), ConfigProvider.fromMap(new Map([["VIBECTL_JWT_SECRET", secret]]))),
      NodeContext.layer
    )
    assert.strictEqual(Keyring.without(ring, new Map()), ring)
    const now = yield* DateTime.now
    assert.deepStrictEqual(Keyring.without(ring, new Map([[ring.signing.kid, now]])).keys, [])
  }))
