/**
 * Two servers on two machines, which share nothing but a Redis behind TLS: its URL is in a file, and its certificate is
 * of a CA of its own. What a command revokes at one of them is refused by the other.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Connection from "../../src/client/Connection.js"
import * as Certificates from "../support/Certificates.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"
import * as Redis from "../support/Redis.js"
import * as Temporary from "../support/Temporary.js"

const home = Effect.acquireRelease(Effect.sync(Programs.home), (home) => Effect.promise(home.close))

/** The reason of a refusal, or undefined where the token is accepted. */
const refusal = (port: number, token: string) =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* Connection.make({
      host: "127.0.0.1",
      port,
      tls: false,
      token: Redacted.make(token),
      retryAttempts: 0
    })
    return yield* Effect.match(client.serverInfo, {
      onSuccess: () => undefined,
      onFailure: (error) => error._tag === "CallFailed" ? error.reason : error._tag
    })
  }))

/** Redis speaks TLS only, with a password that is in the file of its URL. */
const world = Effect.gen(function*() {
  const directory = Temporary.directory("redis-tls")
  const ca = yield* Certificates.authority
  const { certChain, key } = yield* Certificates.server(ca)
  const file = (name: string, text: string) => {
    Fs.writeFileSync(Path.join(directory, name), text, { mode: 0o600 })
    return Path.join(directory, name)
  }
  const port = yield* Effect.promise(Programs.freePort)
  const files = {
    cert: file("redis.crt", certChain),
    key: file("redis.key", Redacted.value(key)),
    ca: file("ca.crt", ca.certificate)
  }
  yield* Redis.server("a-password-of-redis", [
    ...["--port", "0", "--tls-port", `${port}`, "--tls-auth-clients", "no"],
    ...["--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", files.ca]
  ])
  const url = file("redis.url", `rediss://:a-password-of-redis@127.0.0.1:${port}\n`)
  const settings = {
    server: { jwt_secret: "a secret that both of the servers have, and nobody else" },
    state: { url_file: url, ca_file: files.ca }
  }
  const machine = Effect.map(home, (person) => {
    const config = Path.join(person.directory, ".config/vibectl/server/config.yaml")
    Fs.mkdirSync(Path.dirname(config), { recursive: true, mode: 0o700 })
    Fs.writeFileSync(config, JSON.stringify(settings), { mode: 0o600 })
    const sh = (line: string) => Effect.promise(() => person.sh(line))
    return { sh, serve: Effect.promise(() => person.serve("vibectl-server --insecure --enable-auth --port 0")) }
  })
  return { machine, url, ca: files.ca }
})

describe.skipIf(!Redis.available())(`a Redis behind TLS (skipped without ${Redis.packages})`, () => {
  it.scopedLive("carries what is revoked by a command at one server to the other", () =>
    Effect.gen(function*() {
      const { ca, machine, url } = yield* world
      const [here, there] = [yield* machine, yield* machine]
      const [a, b] = yield* Effect.all([here.serve, there.serve], { concurrency: 2 })
      const [bad, good] = yield* Effect.forEach(["mallory", "ada"], (name) =>
        Effect.map(here.sh(`vibectl-server generate-token ${name}`), ({ stdout }) => stdout.trim()))
      for (const { port } of [a, b]) {
        for (const token of [bad!, good!]) {
          assert.isUndefined(yield* refusal(port, token))
        }
      }
      const revoked = yield* here.sh("vibectl-server revoke-token mallory --as subject")
      assert.strictEqual(revoked.code, 0, revoked.stderr)
      assert.match(revoked.stderr, /at every server that shares Redis at 127\.0\.0\.1:\d+/)
      yield* Patience.eventually(Effect.map(refusal(b.port, bad!), (found) =>
        found === "TOKEN_REVOKED"))
      assert.strictEqual(yield* refusal(a.port, bad!), "TOKEN_REVOKED")
      assert.isUndefined(yield* refusal(b.port, good!))

      // What a command cannot pass on holds where it was typed, and the command says so.
      for (
        const [file, named] of [[url, "state.url_file"], [ca, "state.ca_file"]] as const
      ) {
        Fs.renameSync(file, `${file}.away`)
        const alone = yield* here.sh(`vibectl-server revoke-token somebody-without-${Path.extname(file).slice(1)}`)
        Fs.renameSync(`${file}.away`, file)
        assert.strictEqual(alone.code, 1, alone.stderr)
        assert.include(alone.stderr, "for the servers with this configuration directory only")
        assert.include(alone.stderr, named)
      }
      const { stdout } = yield* here.sh("vibectl-server revocations --output json")
      assert.include(stdout, "somebody-without-url")
      assert.include(stdout, "somebody-without-crt")
      for (const { log } of [a, b]) assert.notInclude(log(), "a-password-of-redis")
    }))
})
