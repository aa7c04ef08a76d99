import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"

/** Where each failure of `setup-proxy test` comes from, and what a person sees of it. */
describe("vibectl setup-proxy test", () => {
  let home: Programs.Home
  let elsewhere: Programs.Home
  let server: Programs.Serving
  let plaintext: Programs.Serving
  let token: string
  const seen = new Set<string>()

  beforeAll(async () => {
    home = Programs.home()
    elsewhere = Programs.home()
    server = await home.serve("vibectl-server --port 0")
    plaintext = await home.serve("vibectl-server --port 0 --insecure")
    token = (await home.sh("vibectl-server generate-token t")).stdout.trim()
  })
  afterAll(async () => {
    await home.close()
    await elsewhere.close()
  })

  const fails = async (from: Programs.Home, url: string, code: number, error: RegExp, solution: RegExp) => {
    const tested = await from.sh(`vibectl setup-proxy test ${url}`)
    assert.strictEqual(tested.code, code, tested.stderr)
    assert.strictEqual(tested.stdout, "")
    const [first = "", second = "", ...rest] = tested.stderr.trimEnd().split("\n")
    assert.deepStrictEqual(rest, [])
    assert.match(first, error)
    assert.match(second, solution)
    assert.isFalse(seen.has(first), "its own sentence")
    seen.add(first)
  }

  it("a dead port", async () => {
    const port = await Programs.freePort()
    await fails(
      home,
      `vibectl-server://${token}@localhost:${port}`,
      5,
      /^Error: Nothing listens on/,
      /^Solution: Start the server/
    )
  })

  it("a token of another server", async () => {
    const foreign = (await elsewhere.sh("vibectl-server generate-token t")).stdout.trim()
    const url = `vibectl-server://${foreign}@localhost:${server.port}`
    await fails(
      home,
      url,
      3,
      /^Error: The bearer token was not issued for this server/,
      /^Solution: Use a token made by/
    )
  })

  it("an expired token", async () => {
    const url = `vibectl-server://${expired(home.directory)}@localhost:${server.port}`
    await fails(home, url, 3, /^Error: The bearer token has expired/, /^Solution: Create a new one/)
  })

  it("no token", async () => {
    await fails(
      home,
      `vibectl-server://localhost:${server.port}`,
      3,
      /^Error: No bearer token/,
      /^Solution: Create one/
    )
  })

  it("an untrusted certificate", async () => {
    const url = `vibectl-server://${token}@localhost:${server.port}`
    await fails(elsewhere, url, 5, /^Error: The certificate of .* is not signed by a CA/, /^Solution: .*--ca-bundle/)
  })

  it("a plaintext server", async () => {
    const url = `vibectl-server://${token}@localhost:${plaintext.port}`
    await fails(
      home,
      url,
      5,
      /^Error: The server on .* does not speak TLS/,
      /^Solution: .*vibectl-server-insecure:\/\//
    )
  })

  it("a TLS server spoken to in plaintext", async () => {
    const url = `vibectl-server-insecure://${token}@localhost:${server.port}`
    await fails(home, url, 5, /^Error: The server on .* speaks TLS/, /^Solution: Use a `vibectl-server:\/\/` URL/)
  })

  it("an incompatible version", async () => {
    const port = await incompatible()
    await fails(
      home,
      `vibectl-server-insecure://localhost:${port}`,
      6,
      /^Error: Client version 0\.9\.1 is incompatible with server version 2\.0\.0/,
      /^Solution: Upgrade client or server/
    )
  })

  it("an address that is no proxy URL", async () => {
    await fails(home, "http://localhost:1", 2, /^Error: /, /^Solution: .*vibectl-server:\/\//)
  })

  it("trusts the server's CA from another home with --ca-bundle", async () => {
    const ca = Path.join(home.directory, ".config/vibectl/server/tls/ca.crt")
    const url = `vibectl-server://${token}@localhost:${server.port}`
    const configured = await elsewhere.sh(`vibectl setup-proxy configure ${url} --ca-bundle ${ca}`)
    assert.strictEqual(configured.code, 0, configured.stderr)
    assert.strictEqual((await elsewhere.sh("vibectl setup-proxy test")).code, 0)
  })
})

describe("vibectl-server", () => {
  it("says what is wrong with its configuration, and where", async () => {
    const home = Programs.home()
    const file = Path.join(home.directory, "config.yaml")
    Fs.writeFileSync(file, "server:\n  prot: 1\n  log_level: LOUD\n")
    const failed = await home.sh("vibectl-server --config config.yaml")
    assert.strictEqual(failed.code, 1)
    assert.match(failed.stderr, /config\.yaml:2:3: server\.prot.*port/)
    assert.match(failed.stderr, /config\.yaml:3:14: server\.log_level.*LOUD/)
    await home.close()
  })

  for (
    const [line, code, words] of [
      ["vibectl-server --config nowhere.yaml", 1, /nowhere\.yaml/],
      ["vibectl-server --tls-cert a.pem --tls-key b.pem", 1, /a\.pem/],
      ["vibectl-server --model openai/x", 1, /openai\/x/],
      ["vibectl-server --prot 1", 2, /--prot/],
      ["vibectl-server frobnicate", 2, /frobnicate|subcommand/],
      ["vibectl-server generate-token", 2, /subject/],
      ["vibectl-server generate-token x --expires-in 0d", 2, /0d/],
      ["vibectl frobnicate", 2, /frobnicate|subcommand/],
      ["vibectl vibe hello", 1, /setup-proxy configure/]
    ] as const
  ) {
    it(`${line}: exit code ${code} and a reason`, async () => {
      const home = Programs.home()
      const failed = await home.sh(line)
      assert.match(failed.stderr, words)
      assert.strictEqual(failed.code, code, failed.stderr)
      assert.strictEqual(failed.stdout, "")
      await home.close()
    })
  }
})

/** A token of the server in `directory` that expired in 2020, signed with its own secret. */
const expired = (directory: string): string => {
  const script = `
    import { SignJWT } from "jose"
    import { readFileSync } from "node:fs"
    const secret = readFileSync(process.argv[1], "utf8").trim()
    console.log(await new SignJWT({ sub: "t", jti: "j", iss: "vibectl-server", iat: 1577836800, exp: 1577836801 })
      .setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(secret)))`
  const secret = Path.join(directory, ".config/vibectl/server/jwt-secret")
  return execFileSync(process.execPath, ["--input-type=module", "-e", script, secret], { encoding: "utf8" }).trim()
}

/** A server of another major version. */
const incompatible = async (): Promise<number> => {
  const Grpc = await import("@grpc/grpc-js")
  const Proto = await import("../../src/grpc/Proto.js")
  const server = new Grpc.Server()
  server.addService(Proto.service, {
    GetServerInfo: (_: unknown, respond: (error: null, answer: object) => void) =>
      respond(null, { server_version: "2.0.0", server_name: "vibectl-llm-proxy" })
  })
  return new Promise((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      Grpc.ServerCredentials.createInsecure(),
      (error, port) => error === null ? resolve(port) : reject(error)
    )
  )
}
