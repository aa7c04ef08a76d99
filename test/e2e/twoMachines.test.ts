import { Effect, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Http2 from "node:http2"
import type * as Net from "node:net"
import * as Path from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import * as Certificates from "../support/Certificates.js"
import * as Patience from "../support/Patience.js"
import * as Programs from "../support/Programs.js"

/** The operator's machine and the user's: neither sees the files of the other. */
let server: Programs.Home
let client: Programs.Home
beforeEach(() => {
  server = Programs.home()
  client = Programs.home()
})
afterEach(() => Promise.all([server.close(), client.close()]))

const tls = ".config/vibectl/server/tls"

const done = async (home: Programs.Home, line: string) => {
  const ran = await home.sh(line)
  assert.strictEqual(ran.code, 0, `${line}\n${ran.stderr}`)
  return ran
}

/** Somebody carries a file from the one machine to the other. */
const carry = (from: string, to = Path.basename(from)) =>
  Fs.copyFileSync(Path.join(server.directory, from), Path.join(client.directory, to))

const read = (home: Programs.Home, file: string) => Fs.readFileSync(Path.join(home.directory, file), "utf8")

/** A server that other machines reach, a token, and the CA on the client's machine. */
const setUp = async (flags = "") => {
  const serving = await server.serve(`vibectl-server --host 0.0.0.0 --port 0 ${flags}`)
  await done(server, "vibectl-server generate-token ada --output token.jwt")
  carry(`${tls}/ca.crt`)
  carry("token.jwt")
  return serving
}

const configure = (port: number, { flags = "--ca-bundle ca.crt", host = "localhost", variables = {} } = {}) =>
  client.sh(`vibectl setup-proxy configure vibectl-server://$(cat token.jwt)@${host}:${port} ${flags}`, variables)

const refused = (ran: Programs.Ran, sentence: RegExp) => {
  assert.strictEqual(ran.code, 5, ran.stderr)
  assert.match(ran.stderr, sentence)
  assert.match(ran.stderr, /^Solution: /m)
}

describe("a client on another machine", () => {
  it("works with a copy of the server's CA, and trusts nothing without it", async () => {
    const { port } = await setUp()
    refused(await configure(port, { flags: "" }), /Error: The certificate of localhost:\d+ is not signed by a CA/)
    const configured = await configure(port)
    assert.strictEqual(configured.code, 0, configured.stderr)
    assert.include((await done(client, "vibectl vibe hello there")).stdout, "hello there")
  })

  it("refuses a server whose certificate is for another name, until it gets that name", async () => {
    const { log, port } = await setUp()
    refused(
      await configure(port, { host: "127.0.0.2" }),
      /Error: The certificate of 127\.0\.0\.2:\d+ is for another host name\./
    )
    await done(server, "vibectl-server certs init 127.0.0.2")
    await Patience.eventuallyPromise(() => log().includes("certificates replaced"), log)
    assert.strictEqual((await configure(port, { host: "127.0.0.2" })).code, 0)
  })

  it("refuses a server whose certificate has expired, and such a server does not start", async () => {
    const ca = await Effect.runPromise(Certificates.authority)
    const expired = await Effect.runPromise(Certificates.server(ca, ["localhost"], Certificates.days(-1)))
    const key = Redacted.value(expired.key)
    Fs.writeFileSync(Path.join(client.directory, "ca.crt"), ca.certificate)
    Fs.writeFileSync(Path.join(client.directory, "token.jwt"), "a.b.c")
    const http2 = Http2.createSecureServer({ cert: expired.certChain, key })
    await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve))
    refused(
      await configure((http2.address() as Net.AddressInfo).port),
      /Error: The certificate of localhost:\d+ is expired or not yet valid\./
    )
    http2.close()

    Fs.writeFileSync(Path.join(server.directory, "old.crt"), expired.certChain)
    Fs.writeFileSync(Path.join(server.directory, "old.key"), key)
    const started = await server.sh("vibectl-server --port 0 --tls-cert old.crt --tls-key old.key")
    assert.strictEqual(started.code, 1)
    assert.match(started.stderr, /Error: The certificate in .*\/old\.crt \(tls\.cert_file\) expired on 20/)
    assert.match(started.stderr, /Solution: Renew it/)
  })

  it("must speak TLS 1.3, unless the operator allows 1.2", async () => {
    const { port, stop } = await setUp()
    const variables = { NODE_OPTIONS: "--tls-max-v1.2" }
    refused(await configure(port, { variables }), /have no version of TLS in common\./)
    await stop()
    const { port: lenient } = await server.serve("vibectl-server --port 0", { VIBECTL_TLS__MIN_VERSION: "1.2" })
    assert.strictEqual((await configure(lenient, { variables })).code, 0)
  })
})

describe("a server with client certificates", () => {
  it("lets in a client with a certificate of the CA, and tells the others what is missing", async () => {
    await done(server, "vibectl-server certs init")
    await done(server, "vibectl-server certs issue ada --client --cert ada.crt --key ada.key --expires-in 30d")
    const { log, port } = await setUp(`--client-ca ${tls}/ca.crt`)
    for (const file of ["ada.crt", "ada.key"]) carry(file)
    refused(await configure(port), /Error: The server on localhost:\d+ wants a client certificate, and the profile has/)
    const flags = "--ca-bundle ca.crt --client-cert ada.crt --client-key ada.key"
    const configured = await configure(port, { flags })
    assert.strictEqual(configured.code, 0, configured.stderr)
    assert.include((await done(client, "vibectl vibe hello there")).stdout, "hello there")

    // Of another CA, made with the same command.
    await done(client, "vibectl-server certs init")
    await done(client, "vibectl-server certs issue ada --client --cert forged.crt --key forged.key")
    refused(
      await configure(port, { flags: "--ca-bundle ca.crt --client-cert forged.crt --client-key forged.key" }),
      /Error: The server on localhost:\d+ does not accept this client's certificate\./
    )
    const key = read(server, "ada.key").split("\n")[1]!
    for (
      const shown of [log(), configured.stdout, configured.stderr, read(client, ".config/vibectl/client/config.yaml")]
    ) {
      assert.notInclude(shown, key)
    }
  })
})

describe("a running server", () => {
  it("takes over a renewed certificate without cutting an answer", async () => {
    await done(server, "vibectl-server certs init")
    const issue = "vibectl-server certs issue localhost --cert own.crt --key own.key"
    await done(server, issue)
    const { log, port } = await setUp("--tls-cert own.crt --tls-key own.key --log-level INFO")
    const configured = await configure(port)
    assert.strictEqual(configured.code, 0, configured.stderr)
    const session = Http2.connect(`https://localhost:${port}`, { ca: read(client, "ca.crt") })
    await new Promise((resolve) => session.once("remoteSettings", resolve))

    Fs.writeFileSync(Path.join(server.directory, "own.crt"), "damaged")
    await Patience.eventuallyPromise(() => log().includes("the certificates stay as they were"), log)
    assert.strictEqual((await configure(port)).code, 0, "the old one is still there")

    await done(server, `${issue} --force`)
    await Patience.eventuallyPromise(() => log().includes("certificates replaced"), log)
    assert.strictEqual((await configure(port)).code, 0)
    assert.lengthOf(log().match(/certificates replaced/g)!, 1)
    assert.match(log(), /"notAfter":"20\d\d-/)
    await new Promise<void>((resolve, reject) => session.ping((error) => error === null ? resolve() : reject(error)))
    assert.isFalse(session.destroyed, "the connection from before still stands")
    session.destroy()
  })
})
