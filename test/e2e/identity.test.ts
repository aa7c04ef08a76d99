import * as Grpc from "@grpc/grpc-js"
import { Effect, Schema } from "effect"
import * as Jose from "jose"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { Line } from "../../src/audit/Event.js"
import * as Status from "../../src/grpc/Status.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

let home: Programs.Home
beforeEach(() => {
  home = Programs.home()
})
afterEach(() => home.close())

const file = (name: string) => Path.join(home.directory, ".config/vibectl/server", name)
const write = (name: string, content: object) => {
  Fs.mkdirSync(Path.dirname(file(name)), { recursive: true, mode: 0o700 })
  Fs.writeFileSync(file(name), JSON.stringify(content), { mode: 0o600 })
}
const audited = () =>
  Fs.readFileSync(file("audit.jsonl"), "utf8").split("\n").filter(Boolean).map((line) => Schema.decodeSync(Line)(line))

/** Whether the server lets this token in, or why not. */
const call = (port: number, token: string) =>
  Effect.runPromise(Effect.scoped(Effect.gen(function*() {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure())),
      (client) => Effect.sync(() => client.close())
    )
    return yield* Effect.match(
      Loopback.unaryCall(client, "GetServerInfo", {}, { authorization: `Bearer ${token}` }),
      { onSuccess: () => "OK", onFailure: (error) => Status.toCallFailed(error).reason }
    )
  })))

describe("a server that must not start", () => {
  it("says what is wrong, in one sentence, and does not listen", async () => {
    write("revocations.jsonl", { at: "noon" })
    const secret = "0123456789-abcdefghijklmnopqrstuvwxyz"
    const cases: ReadonlyArray<readonly [string, Record<string, string>, RegExp]> = [
      ["", { VIBECTL_JWT_SECRET: "short" }, /has 5 bytes; it needs at least 32/],
      [
        "",
        { VIBECTL_JWT_SECRET: "your-secret-key-your-secret-key-your-secret-key" },
        /example out of a manual|only repeats/
      ],
      ["--no-enable-auth --host 0.0.0.0", { VIBECTL_JWT_SECRET: secret }, /can be reached from other machines/],
      ["", { VIBECTL_JWT_SECRET: secret }, /revocations\.jsonl is damaged in line 1/],
      ["", { VIBECTL_AUDIT__FILE: "/proc/none/audit", VIBECTL_CONFIG_DIR: "/dev/null/x" }, /Solution: /]
    ]
    await Promise.all(cases.map(async ([flags, variables, sentence]) => {
      const { code, stderr } = await home.sh(`vibectl-server --insecure --port 0 ${flags}`, variables)
      assert.strictEqual(code, 1, stderr)
      assert.match(stderr, sentence)
      assert.match(stderr, /^Solution: /m)
      assert.notInclude(stderr, "listening")
    }))
  })
})

describe("a server that knows its callers", () => {
  it(
    "takes its own tokens and an identity provider's, forgets nothing over a restart, and writes all of it down",
    async () => {
      const { privateKey, publicKey } = await Jose.generateKeyPair("ES256", { extractable: true })
      write("jwks.json", { keys: [{ ...await Jose.exportJWK(publicKey), kid: "k1", alg: "ES256", use: "sig" }] })
      const settings = {
        auth: {
          issuers: { corp: { issuer: "https://login.example.com", audience: "vibectl", jwks_file: "jwks.json" } }
        }
      }
      write("config.yaml", settings)
      const foreign = (audience: string) =>
        new Jose.SignJWT({ sub: "ada", jti: "corp-1" }).setProtectedHeader({ alg: "ES256", kid: "k1" })
          .setIssuer("https://login.example.com").setAudience(audience).setExpirationTime("1h").sign(privateKey)
      const flags = "--insecure --port 0 --log-level INFO"
      const first = await home.serve(`vibectl-server ${flags}`)
      const own = (await home.sh("vibectl-server generate-token ci")).stdout.trim()
      const corp = await foreign("vibectl")
      assert.strictEqual(await call(first.port, own), "OK")
      assert.strictEqual(await call(first.port, corp), "OK")
      assert.strictEqual(await call(first.port, await foreign("somebody else")), "TOKEN_UNTRUSTED")
      assert.strictEqual((await home.sh("vibectl-server revoke-token corp:ada --block")).code, 0)
      await Patience.eventuallyPromise(async () => await call(first.port, corp) !== "OK")
      await first.stop()

      write("config.yaml", { ...settings, server: { heartbeat_seconds: 5 } })
      Fs.chmodSync(file("jwt-secret"), 0o644)
      const second = await home.serve(`vibectl-server ${flags}`)
      assert.include(second.log(), `\`chmod 600 ${file("jwt-secret")}\``)
      assert.strictEqual(await call(second.port, corp), "TOKEN_REVOKED")
      assert.strictEqual(await call(second.port, own), "OK")
      await second.stop()

      const events = audited()
      const names = new Set(events.map(({ event }) => event))
      for (
        const name of ["server_started", "token_issued", "token_accepted", "token_refused", "token_revoked"] as const
      ) {
        assert.isTrue(names.has(name), name)
      }
      const refusals = events.flatMap((event) =>
        event.event === "token_refused" ? [[event.refusal, event.subject]] : []
      )
      assert.deepStrictEqual(refusals[0], ["wrong_audience", "corp:ada"])
      assert.deepStrictEqual(refusals.at(-1), ["revoked_subject", "corp:ada"])
      const accepted = events.filter((event) => event.event === "token_accepted")
      assert.deepStrictEqual(accepted.map(({ issuer, subject }) => [issuer, subject]).slice(0, 2), [
        [undefined, "ci"],
        ["corp", "corp:ada"]
      ])
      const changed = events.flatMap((event) => event.event === "config_changed" ? [event.keys] : [])
      assert.deepStrictEqual(changed, [["server.heartbeat_seconds"]])
      assert.strictEqual(events.at(-1)?.event, "server_stopped")
      assert.strictEqual(Fs.statSync(file("audit.jsonl")).mode & 0o777, 0o600)
      const whole = Fs.readFileSync(file("audit.jsonl"), "utf8")
      for (const part of [...own.split("."), ...corp.split(".")]) assert.notInclude(whole, part)
    }
  )
})
