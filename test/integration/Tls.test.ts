import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import type * as Net from "node:net"
import * as NodeTls from "node:tls"
import * as Connection from "../../src/client/Connection.js"
import * as Credentials from "../../src/grpc/Credentials.js"
import type { Certificate } from "../../src/tls/Certificate.js"
import type * as Issue from "../../src/tls/Issue.js"
import * as Certificates from "../support/Certificates.js"
import * as Loopback from "../support/Loopback.js"

const serve = (certificate: Certificate, clientCa?: Issue.Issued) =>
  Loopback.serve({
    credentials: new Credentials.ServerTls({ certificate, clientCa: clientCa?.certificate, minVersion: "1.3" }),
    proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo })
  })

/** What a client learns of the server: its name, or why it cannot be reached. */
const ask = (port: number, roots: Issue.Issued, options: Partial<Connection.Options> = {}) =>
  Effect.flatMap(
    Connection.make({ host: "localhost", port, tls: true, roots: roots.certificate, retryAttempts: 0, ...options }),
    ({ serverInfo }) => serverInfo
  ).pipe(
    Effect.map(({ name }) => name),
    Effect.catchTag("Unreachable", ({ detail, reason, summary }) => {
      assert.include(summary, `:${port}`)
      assert.isUndefined(detail)
      return Effect.succeed(reason)
    })
  )

const clientCertificate = (issued: Issue.Issued): Certificate => ({ certChain: issued.certificate, key: issued.key })

describe("a connection with TLS", () => {
  it.scopedLive("says what is wrong with the certificate of the server", () =>
    Effect.gen(function*() {
      const [ca, other] = [yield* Certificates.authority, yield* Certificates.authority]
      const good = yield* serve(yield* Certificates.server(ca, ["localhost"]))
      assert.strictEqual(yield* ask(good, ca), "x")
      assert.strictEqual(yield* ask(good, other), "CERTIFICATE_UNTRUSTED")
      assert.strictEqual(yield* ask(good, ca, { host: "127.0.0.1" }), "CERTIFICATE_WRONG_HOST")
      const expired = yield* serve(yield* Certificates.server(ca, ["localhost"], Certificates.days(-1)))
      assert.strictEqual(yield* ask(expired, ca), "CERTIFICATE_EXPIRED")
    }))

  it.scopedLive("shows its own certificate to a server that asks for one, under a host name and an address", () =>
    Effect.gen(function*() {
      const [ca, clients] = [yield* Certificates.authority, yield* Certificates.authority]
      const port = yield* serve(yield* Certificates.server(ca), clients)
      const certificate = clientCertificate(yield* Certificates.client(clients, "ada"))
      for (const host of ["localhost", "127.0.0.1"]) {
        assert.strictEqual(yield* ask(port, ca, { host, clientCertificate: certificate }), "x", host)
        assert.strictEqual(yield* ask(port, ca, { host }), "CLIENT_CERTIFICATE_REQUIRED", host)
      }
    }))

  it.scopedLive("says that the server does not accept its certificate", () =>
    Effect.gen(function*() {
      const [ca, clients] = [yield* Certificates.authority, yield* Certificates.authority]
      const port = yield* serve(yield* Certificates.server(ca), clients)
      const refused = [
        clientCertificate(yield* Certificates.client(ca, "ada")),
        clientCertificate(yield* Certificates.client(clients, "ada", Certificates.days(-1))),
        yield* Certificates.server(clients)
      ]
      for (const certificate of refused) {
        assert.strictEqual(yield* ask(port, ca, { clientCertificate: certificate }), "CLIENT_CERTIFICATE_REFUSED")
      }
    }))

  it.scopedLive("does not blame its certificate for anything else", () =>
    Effect.gen(function*() {
      const [ca, clients] = [yield* Certificates.authority, yield* Certificates.authority]
      const certificate = clientCertificate(yield* Certificates.client(clients, "ada"))
      const port = yield* serve(yield* Certificates.server(ca, ["localhost"]), clients)
      const asked = ask(port, ca, { host: "127.0.0.1", clientCertificate: certificate })
      assert.strictEqual(yield* asked, "CERTIFICATE_WRONG_HOST")
      const unasked = yield* serve(yield* Certificates.server(ca))
      assert.strictEqual(yield* ask(unasked, ca, { clientCertificate: certificate }), "x")
    }))

  it.scopedLive("says that there is no version of TLS in common", () =>
    Effect.gen(function*() {
      const ca = yield* Certificates.authority
      const port = yield* oldServer(yield* Certificates.server(ca))
      assert.strictEqual(yield* ask(port, ca), "TLS_VERSION_REFUSED")
    }))
})

/** Speaks TLS 1.1 and nothing newer. */
const oldServer = ({ certChain, key }: Certificate) =>
  Effect.acquireRelease(
    Effect.async<NodeTls.Server>((resume) => {
      const server = NodeTls.createServer({
        cert: certChain,
        key: Redacted.value(key),
        minVersion: "TLSv1.1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0"
      })
      server.on("tlsClientError", () => {})
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ).pipe(Effect.map((server) => (server.address() as Net.AddressInfo).port))
