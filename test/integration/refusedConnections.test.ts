/**
 * Clients that cannot even connect: what the server's log says of them, over real sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, HashMap, Logger, TestClock } from "effect"
import { execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as NodeTls from "node:tls"
import * as Connection from "../../src/client/Connection.js"
import * as Credentials from "../../src/grpc/Credentials.js"
import * as RefusedConnections from "../../src/grpc/RefusedConnections.js"
import type * as Issue from "../../src/tls/Issue.js"
import * as Certificates from "../support/Certificates.js"
import * as Loopback from "../support/Loopback.js"
import * as Patience from "../support/Patience.js"
import { freePort } from "../support/Programs.js"
import * as RawHttp2 from "../support/RawHttp2.js"
import * as Temporary from "../support/Temporary.js"

interface Line {
  readonly message: string
  readonly annotations: { readonly [key: string]: unknown }
}

const logging = (lines: Array<Line>) =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, message }) =>
      void lines.push({
        message: [message].flat().map(String).join(" "),
        annotations: Object.fromEntries(HashMap.toEntries(annotations))
      })
    )
  )

/** A server, its authority, and what it has logged of clients that could not connect. */
const serving = (minVersion?: "1.2" | "1.3") =>
  Effect.gen(function*() {
    const ca = yield* Certificates.authority
    const certificate = yield* Certificates.server(ca)
    const lines: Array<Line> = []
    const port = yield* Loopback.serve({
      ...minVersion !== undefined && {
        credentials: new Credentials.ServerTls({ certificate, clientCa: undefined, minVersion })
      },
      proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo })
    }).pipe(Effect.provide(logging(lines)))
    return { port, ca, refused: () => lines.filter(({ message }) => message.includes("could not connect")) }
  })

/** Completes when the server has hung up, or the handshake has ended well. */
const plaintext = (bytes: string | Buffer) => (port: number) => RawHttp2.bytes(port, [Buffer.from(bytes)])

const handshake = (options: NodeTls.ConnectionOptions) => (port: number) =>
  Patience.bounded(Effect.async<void>((resume) => {
    const socket = NodeTls.connect({
      port,
      host: "127.0.0.1",
      ALPNProtocols: ["h2"],
      rejectUnauthorized: false,
      ...options
    })
    socket.on("error", () => {})
    socket.on("secureConnect", () => socket.destroy())
    socket.on("close", () => resume(Effect.void))
  }))

const old = { ciphers: "DEFAULT@SECLEVEL=0", minVersion: "TLSv1.1", maxVersion: "TLSv1.1" } as const
const http1 = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"

describe("a client that cannot connect", () => {
  for (
    const [client, minVersion, connect, remedy] of [
      ["with TLS 1.2 to TLS 1.3", "1.3", handshake({ maxVersion: "TLSv1.2" }), "set tls.min_version to 1.2"],
      ["with TLS 1.1 to TLS 1.3", "1.3", handshake(old), "set tls.min_version to 1.2"],
      ["with TLS 1.1 to TLS 1.2", "1.2", handshake(old), "no version of TLS that this server accepts"],
      ["with TLS 1.2 to TLS 1.2", "1.2", handshake({ maxVersion: "TLSv1.2" }), undefined],
      ["with TLS 1.3 to TLS 1.3", "1.3", handshake({}), undefined],
      ["with plaintext HTTP/2 to TLS", "1.3", plaintext(RawHttp2.preface), "plaintext to a port with TLS"],
      ["with plaintext HTTP/1.1 to TLS", "1.3", plaintext(http1), "plaintext to a port with TLS"],
      ["with TLS to plaintext", undefined, handshake({}), "to a port without TLS"],
      ["with HTTP/1.1 to plaintext", undefined, plaintext(http1), "another protocol than HTTP/2"]
    ] as const
  ) {
    it.scopedLive(`${client} ${remedy === undefined ? "is not in the log" : "is in the log, with what to change"}`, () =>
      Effect.gen(function*() {
        const { ca, port, refused } = yield* serving(minVersion)
        yield* connect(port)
        if (remedy === undefined) {
          const options = { host: "localhost", port, tls: true, roots: ca.certificate }
          yield* Effect.flatMap(Connection.make(options), ({ serverInfo }) => serverInfo)
          assert.deepStrictEqual(refused(), [])
          return
        }
        yield* Patience.eventually(() => refused().length > 0)
        assert.lengthOf(refused(), 1)
        assert.include(refused()[0]!.message, remedy)
        assert.match(String(refused()[0]!.annotations["peer"]), /127\.0\.0\.1/)
      }))
  }

  it.scopedLive("is one line, however often it comes back", () =>
    Effect.gen(function*() {
      const { port, refused } = yield* serving("1.3")
      for (let count = 0; count < 20; count++) yield* plaintext(http1)(port)
      yield* handshake({ maxVersion: "TLSv1.2" })(port)
      yield* Patience.eventually(() => refused().length === 2)
    }))

  it.scoped("is counted in the minute after its line, and has a line again later", () =>
    Effect.gen(function*() {
      const lines: Array<Line> = []
      yield* Effect.gen(function*() {
        const refused = RefusedConnections.make((line) => Effect.runSync(Effect.provide(line, logging(lines))))
        yield* Effect.forkScoped(refused.report)
        for (let count = 0; count < 4; count++) refused.note(`10.0.0.${count}`, "ERR_SSL_HTTP_REQUEST")
        refused.note("10.0.0.9", "ECONNRESET")
        assert.deepStrictEqual(lines.map(({ annotations }) => annotations), [
          { peer: "10.0.0.0", code: "ERR_SSL_HTTP_REQUEST" }
        ])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(lines[1]?.annotations, { peer: "10.0.0.0", further: 3 })
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(lines, 2)
        refused.note("10.0.0.5", "ERR_SSL_WRONG_VERSION_NUMBER")
        assert.deepInclude(lines[2]?.annotations, { peer: "10.0.0.5" })
      }).pipe(Effect.provide(logging(lines)))
    }))
})

const page = Fs.readFileSync(new URL("../../docs/proxies.md", import.meta.url), "utf8")

/** What the page sets in nginx for servers with TLS. */
const directives = [...page.matchAll(/`(grpc_ssl_[^`]*;)`/g)].map(([, text]) => text!)
const [version, verification] = [
  directives.find((text) => text.startsWith("grpc_ssl_protocols"))!,
  directives.find((text) => text.startsWith("grpc_ssl_verify"))!
]

const hasNginx = (() => {
  try {
    execFileSync("nginx", ["-v"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** nginx in front of a server with TLS; gives the port that it takes plaintext HTTP/2 on. */
const nginx = (to: number, ca: Issue.Issued, more: string) =>
  Effect.gen(function*() {
    const front = yield* Effect.promise(freePort)
    const directory = Temporary.directory("nginx")
    Fs.writeFileSync(Path.join(directory, "ca.crt"), ca.certificate)
    const scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(" ")
    const file = Path.join(directory, "nginx.conf")
    Fs.writeFileSync(
      file,
      `daemon off; pid ${directory}/pid; error_log ${directory}/log; events {} http { access_log off; ${scratch}
       server { listen 127.0.0.1:${front} http2; location / { grpc_pass grpcs://127.0.0.1:${to}; ${more} } } }`
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => spawn("nginx", ["-c", file, "-p", directory, "-e", `${directory}/log`], { stdio: "ignore" })),
      (child) => Effect.sync(() => void child.kill("SIGTERM"))
    )
    const open = Effect.async<boolean>((resume) => {
      const socket = Net.connect(front, "127.0.0.1")
      socket.on("connect", () => resume(Effect.succeed(true)))
      socket.on("error", () => resume(Effect.succeed(false)))
      socket.on("connect", () => socket.destroy())
    })
    yield* Patience.eventually(open)
    return front
  })

describe.skipIf(!hasNginx)(`nginx with grpcs${hasNginx ? "" : " (skipped: no nginx)"}`, () => {
  for (
    const [what, minVersion, more, http] of [
      ["as it is by itself is refused by TLS 1.3", "1.3", "", 502],
      ["as it is by itself reaches a server of tls.min_version 1.2", "1.2", "", 200],
      ["reaches TLS 1.3 with the page's version", "1.3", version, 200],
      ["reaches TLS 1.3 and checks the certificate, as on the page", "1.3", `${version} ${verification}`, 200]
    ] as const
  ) {
    it.scopedLive(`${what}: HTTP ${http}`, () =>
      Effect.gen(function*() {
        const { ca, port, refused } = yield* serving(minVersion)
        const front = yield* nginx(port, ca, more)
        const session = yield* RawHttp2.connect(front)
        const ended = yield* RawHttp2.call(
          session,
          RawHttp2.headersOf("/vibectl.llm_proxy.VibectlLLMProxy/GetServerInfo")
        )
        assert.strictEqual(ended.http, http)
        if (http === 200) assert.strictEqual(ended.status, 0)
        else {
          yield* Patience.eventually(() => refused().length > 0)
          assert.include(refused()[0]!.message, "grpc_ssl_protocols TLSv1.3")
          assert.include(refused()[0]!.message, "tls.min_version")
        }
      }))
  }

  it.scopedLive("refuses a certificate of another authority, with the settings of the page: HTTP 502", () =>
    Effect.gen(function*() {
      const { port } = yield* serving("1.3")
      const front = yield* nginx(port, yield* Certificates.authority, `${version} ${verification}`)
      const session = yield* RawHttp2.connect(front)
      const path = "/vibectl.llm_proxy.VibectlLLMProxy/GetServerInfo"
      assert.strictEqual((yield* RawHttp2.call(session, RawHttp2.headersOf(path))).http, 502)
    }))
})
