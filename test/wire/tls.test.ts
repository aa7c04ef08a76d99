import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Effect, Redacted } from "effect"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Credentials from "../../src/grpc/Credentials.js"
import * as PeerCertificate from "../../src/grpc/PeerCertificate.js"
import * as Proto from "../../src/grpc/Proto.js"
import type * as Issue from "../../src/tls/Issue.js"
import * as Certificates from "../support/Certificates.js"
import * as Loopback from "../support/Loopback.js"
import { bounded } from "../support/Patience.js"

/** A server with a CA of its own. */
const serving = (options: Partial<Credentials.Serving> = {}, handshakeMillis?: number) =>
  Effect.gen(function*() {
    const ca = yield* Certificates.authority
    const base: Credentials.Serving = {
      certificate: yield* Certificates.server(ca),
      clientCa: undefined,
      minVersion: "1.3",
      ...options
    }
    const credentials = new Credentials.ServerTls(base, handshakeMillis)
    const port = yield* Loopback.serve({ credentials, proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo }) })
    return { ca, base, credentials, port }
  })

interface Shaken {
  /** The version of TLS, or the code of the error. */
  readonly outcome: string
  readonly serial: string | undefined
  readonly reused: boolean
  readonly session: Buffer | undefined
}

/** Connects and waits for the server's first bytes: only then has the server accepted the client, too. */
const shake = (port: number, ca: Issue.Issued, options: Tls.ConnectionOptions = {}) =>
  Effect.async<Shaken>((resume) => {
    const socket = Tls.connect({
      host: "127.0.0.1",
      port,
      servername: "localhost",
      ca: ca.certificate,
      ALPNProtocols: ["h2"],
      ...options
    })
    let session: Buffer | undefined
    const end = (outcome: string) => {
      const serial = socket.getPeerX509Certificate()?.serialNumber
      resume(Effect.succeed({ outcome, serial, reused: socket.isSessionReused(), session }))
      socket.destroy()
    }
    socket.on("session", (value: Buffer) => {
      session = value
    })
    // The ticket comes after the handshake, and may come after the first data.
    socket.once("data", () => setTimeout(() => end(socket.getProtocol() ?? "none"), 50))
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    socket.once("end", () => end("closed"))
  })

const clientPair = ({ certificate, key }: Issue.Issued) => ({ cert: certificate, key: Redacted.value(key) })

describe("the version of TLS", () => {
  it.scopedLive("is 1.3 and no older one by default", () =>
    Effect.gen(function*() {
      const { ca, port } = yield* serving()
      const before = Tls.DEFAULT_MIN_VERSION
      assert.strictEqual((yield* shake(port, ca)).outcome, "TLSv1.3")
      const old = yield* shake(port, ca, { maxVersion: "TLSv1.2" })
      assert.strictEqual(old.outcome, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")
      assert.strictEqual(Tls.DEFAULT_MIN_VERSION, before, "the rest of the process keeps its own")
    }))

  it.scopedLive("may be 1.2 where that is said", () =>
    Effect.gen(function*() {
      const { ca, port } = yield* serving({ minVersion: "1.2" })
      assert.strictEqual((yield* shake(port, ca, { maxVersion: "TLSv1.2" })).outcome, "TLSv1.2")
      assert.strictEqual((yield* shake(port, ca)).outcome, "TLSv1.3")
    }))

  it.scopedLive("is still the lowest after the certificate was replaced", () =>
    Effect.gen(function*() {
      const { base, ca, credentials, port } = yield* serving()
      credentials.replace({ ...base, certificate: yield* Certificates.server(ca) })
      const old = yield* shake(port, ca, { maxVersion: "TLSv1.2" })
      assert.strictEqual(old.outcome, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")
    }))
})

describe("a connection that begins no handshake", () => {
  it.scopedLive("is closed after its time, also in the middle of one", () =>
    Effect.gen(function*() {
      const { ca, port } = yield* serving({}, 200)
      // A record of a handshake that promises more than it brings.
      for (const bytes of ["", "\x16\x03\x01\x02\x00\x01\x00"]) {
        yield* bounded(Effect.async<void>((resume) => {
          const socket = Net.connect(port, "127.0.0.1", () => socket.write(bytes, "latin1"))
          socket.on("error", () => {})
          socket.on("close", () => resume(Effect.void))
        }))
      }
      assert.strictEqual((yield* shake(port, ca)).outcome, "TLSv1.3")
    }))
})

describe("a replaced certificate", () => {
  it.scopedLive("is for new connections, and those that stand go on", () =>
    Effect.gen(function*() {
      const { base, ca, credentials, port } = yield* serving()
      const first = yield* shake(port, ca)
      const client = yield* grpcClient(port, ca)
      yield* Loopback.unaryCall(client, "GetServerInfo")
      const other = yield* Certificates.authority
      credentials.replace({ ...base, certificate: yield* Certificates.server(other) })
      // This client trusts the first CA only, so that it can be the old connection only.
      yield* Loopback.unaryCall(client, "GetServerInfo")
      const second = yield* shake(port, other)
      assert.strictEqual(second.outcome, "TLSv1.3")
      assert.notStrictEqual(second.serial, first.serial)
      assert.strictEqual((yield* shake(port, ca)).outcome, "SELF_SIGNED_CERT_IN_CHAIN")
    }))

  it.scopedLive("that OpenSSL refuses changes nothing", () =>
    Effect.gen(function*() {
      const { base, ca, credentials, port } = yield* serving()
      const first = yield* shake(port, ca)
      const { certChain } = yield* Certificates.server(ca)
      assert.throws(() => credentials.replace({ ...base, certificate: { ...base.certificate, certChain } }))
      assert.deepInclude(yield* shake(port, ca), { outcome: "TLSv1.3", serial: first.serial })
    }))
})

describe("client certificates", () => {
  const withClients = Effect.gen(function*() {
    const clients = yield* Certificates.authority
    return { clients, ...yield* serving({ clientCa: clients.certificate }) }
  })

  it.scopedLive("must be there, be signed by the CA of the clients, be for clients and be in time", () =>
    Effect.gen(function*() {
      const { ca, clients, port } = yield* withClients
      const give = (issued: Issue.Issued) => Effect.map(shake(port, ca, clientPair(issued)), ({ outcome }) => outcome)
      assert.strictEqual(yield* give(yield* Certificates.client(clients, "ada")), "TLSv1.3")
      assert.strictEqual((yield* shake(port, ca)).outcome, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")
      const server = yield* Certificates.server(clients)
      const refused = [
        yield* Certificates.client(ca, "ada"),
        yield* Certificates.client(clients, "ada", Certificates.days(-1)),
        { certificate: server.certChain, key: server.key }
      ]
      for (const issued of refused) assert.include(["closed", "ECONNRESET"], yield* give(issued))
    }))

  it.scopedLive("of another CA are refused once the CA is replaced, also where a session is resumed", () =>
    Effect.gen(function*() {
      const { base, ca, clients, credentials, port } = yield* withClients
      const ada = clientPair(yield* Certificates.client(clients, "ada"))
      const first = yield* shake(port, ca, ada)
      const { session } = first
      assert.isDefined(session)
      assert.deepInclude(yield* shake(port, ca, { ...ada, session }), { outcome: "TLSv1.3", reused: true })
      const others = yield* Certificates.authority
      credentials.replace({ ...base, clientCa: others.certificate })
      assert.include(["closed", "ECONNRESET"], (yield* shake(port, ca, { ...ada, session })).outcome)
      const bob = clientPair(yield* Certificates.client(others, "bob"))
      assert.strictEqual((yield* shake(port, ca, bob)).outcome, "TLSv1.3")
    }))

  it.scopedLive("tell an interceptor the name of the client", () =>
    Effect.gen(function*() {
      const clients = yield* Certificates.authority
      const ca = yield* Certificates.authority
      const certificate = yield* Certificates.server(ca)
      for (const clientCa of [clients.certificate, undefined]) {
        const seen: Array<string | undefined> = []
        const port = yield* listen(new Credentials.ServerTls({ certificate, clientCa, minVersion: "1.3" }), seen)
        for (const name of ["ada", "Ada Lovelace, CN=root", "ümläut"]) {
          const client = yield* grpcClient(port, ca, yield* Certificates.client(clients, name))
          yield* Effect.ignore(Loopback.unaryCall(client, "GetServerInfo"))
        }
        const expected = clientCa === undefined
          ? [undefined, undefined, undefined]
          : ["ada", "Ada Lovelace, CN=root", "ümläut"]
        assert.deepStrictEqual(seen, expected)
      }
    }))
})

describe("PeerCertificate.nameOf", () => {
  const of = (subject: unknown) =>
    PeerCertificate.nameOf({
      getAuthContext: () => ({ sslPeerCertificate: { subject } as Tls.PeerCertificate })
    })

  it("is undefined where it would not be clear who is meant", () => {
    assert.strictEqual(of({ CN: "ada" }), "ada")
    for (const CN of [undefined, "", " ", ["ada", "root"], "a\nb", "a\u2028b", "x".repeat(256)]) {
      assert.isUndefined(of({ CN }), JSON.stringify(CN))
    }
    assert.isUndefined(of({}))
    assert.isUndefined(of(undefined))
    assert.isUndefined(PeerCertificate.nameOf({ getAuthContext: () => ({}) }))
    const gone = () => {
      throw new Error("The http2 socket has been disconnected from the http2 session")
    }
    assert.isUndefined(PeerCertificate.nameOf({ getAuthContext: gone }))
  })
})

const grpcClient = (port: number, ca: Issue.Issued, pair?: Issue.Issued) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      new Grpc.Client(
        `localhost:${port}`,
        Grpc.credentials.createSsl(
          Buffer.from(ca.certificate),
          pair === undefined ? null : Buffer.from(Redacted.value(pair.key)),
          pair === undefined ? null : Buffer.from(pair.certificate)
        )
      )
    ),
    (client) => Effect.sync(() => client.close())
  )

/** A server of nothing, that notes who calls. */
const listen = (credentials: Grpc.ServerCredentials, seen: Array<string | undefined>) =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Grpc.Server; readonly port: number }>((resume) => {
      const server = new Grpc.Server({
        interceptors: [(_, call) => {
          seen.push(PeerCertificate.nameOf(call))
          return new Grpc.ServerInterceptingCall(call)
        }]
      })
      server.addService(Proto.service, {})
      server.bindAsync("127.0.0.1:0", credentials, (_, port) => resume(Effect.succeed({ server, port })))
    }),
    ({ server }) => Effect.sync(() => server.forceShutdown())
  ).pipe(Effect.map(({ port }) => port))
