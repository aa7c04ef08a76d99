/**
 * What a client says of things between itself and the server: other proxies' answers, and the proxy of its environment.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import { createRequire } from "node:module"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Connection from "../../src/client/Connection.js"
import * as Loopback from "../support/Loopback.js"

const listening = <S extends Net.Server>(server: S) =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )

/** Answers every request with this status, or resets it. */
const gateway = (answer: (stream: Http2.ServerHttp2Stream) => void) => {
  const server = Http2.createServer()
  server.on("stream", (stream) => {
    stream.on("error", () => {})
    answer(stream)
  })
  return listening(server)
}

const ask = (port: number, host = "127.0.0.1", env: Record<string, string> = {}, retryAttempts = 0) =>
  Effect.flatMap(
    Connection.make({ host, port, tls: false, retryAttempts, infoTimeout: "5 seconds" }),
    ({ serverInfo }) => serverInfo
  ).pipe(Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))))

describe("an answer of something in front of the server", () => {
  for (
    const [status, reason, words] of [
      [301, "GATEWAY_REDIRECT", /vibectl-server:\/\//],
      [308, "GATEWAY_REDIRECT", /vibectl-server:\/\//],
      [401, "GATEWAY_FORBIDDEN", /token is not at fault/],
      [403, "GATEWAY_FORBIDDEN", /token is not at fault/],
      [404, "GATEWAY_NO_ROUTE", /VibectlLLMProxy/],
      [413, "GATEWAY_TOO_LARGE", /client_max_body_size/],
      [429, "GATEWAY_RATE_LIMITED", /limits the requests/],
      [502, "GATEWAY_BAD_ANSWER", /TLSv1\.3/],
      [503, "GATEWAY_NO_SERVER", /no server to send/],
      [504, "GATEWAY_TIMEOUT", /grpc_read_timeout/],
      [418, "GATEWAY_FAILED", /HTTP 418/]
    ] as const
  ) {
    it.scopedLive(`of HTTP ${status} is ${reason}`, () =>
      Effect.gen(function*() {
        const port = yield* gateway((stream) => {
          stream.respond({ ":status": status, "content-type": "text/html" })
          stream.end("<html>")
        })
        const error = yield* Effect.flip(ask(port))
        assert.deepInclude(error, { _tag: "Unreachable", reason, detail: `HTTP ${status}` })
        assert.match(error.message, words)
        assert.notInclude(error.message, "The server answered")
      }))
  }

  for (
    const code of [
      Http2.constants.NGHTTP2_INTERNAL_ERROR,
      Http2.constants.NGHTTP2_CANCEL,
      Http2.constants.NGHTTP2_PROTOCOL_ERROR
    ]
  ) {
    it.scopedLive(`that resets the stream with ${code} is STREAM_RESET, also in the middle of an answer`, () =>
      Effect.gen(function*() {
        const atOnce = yield* gateway((stream) => stream.close(code))
        assert.deepInclude(yield* Effect.flip(ask(atOnce)), { _tag: "Unreachable", reason: "STREAM_RESET" })
        const later = yield* gateway((stream) => {
          stream.respond({ ":status": 200, "content-type": "application/grpc" })
          setImmediate(() => stream.close(code))
        })
        assert.deepInclude(yield* Effect.flip(ask(later)), { _tag: "Unreachable", reason: "STREAM_RESET" })
      }))
  }

  it.scopedLive("that refuses the stream gets the call again, which cannot have begun", () =>
    Effect.gen(function*() {
      let streams = 0
      const port = yield* gateway((stream) => {
        streams++
        stream.close(Http2.constants.NGHTTP2_REFUSED_STREAM)
      })
      const error = yield* Effect.flip(ask(port, "127.0.0.1", {}, 1))
      assert.deepInclude(error, { _tag: "Unreachable", reason: "STREAM_RESET", begun: "no" })
      // grpc-js sends each of the two once more by itself.
      assert.strictEqual(streams, 4)
    }))

  it("is known by the texts of grpc-js, which are those of its version", () => {
    const source = Path.dirname(createRequire(import.meta.url).resolve("@grpc/grpc-js"))
    const text = ["subchannel-call.js"].map((file) => Fs.readFileSync(Path.join(source, file), "utf8")).join("\n")
    for (
      const words of [
        "`Received HTTP status code ${code}`",
        "`Received RST_STREAM with code ${",
        "'Call cancelled'",
        "'Stream refused by server'",
        "'Bandwidth exhausted",
        "'Connection dropped'"
      ]
    ) assert.include(text, words)
  })
})

describe("the proxy of the environment", () => {
  const dead = "http://127.0.0.1:9"
  const serve = Loopback.serve({ proxy: Loopback.proxy({ serverInfo: Loopback.serverInfo }) })

  for (
    const env of [
      { https_proxy: dead },
      { http_proxy: dead },
      { HTTP_PROXY: dead },
      { grpc_proxy: dead },
      { http_proxy: dead, NO_PROXY: "localhost,127.0.0.1" },
      { http_proxy: dead, no_proxy: "*" },
      { http_proxy: dead, no_proxy: "example.com, localhost" },
      { http_proxy: dead, no_proxy: "127.0.0.0/8" }
    ]
  ) {
    it.scopedLive(`is not used for this machine: ${JSON.stringify(env)}`, () =>
      Effect.gen(function*() {
        const port = yield* serve
        for (const host of ["127.0.0.1", "localhost"]) yield* ask(port, host, env)
      }))
  }

  it.scopedLive("carries the calls to other hosts, with its credentials, except those in no_proxy", () =>
    Effect.gen(function*() {
      const port = yield* serve
      const seen: Array<string> = []
      const proxy = Http.createServer()
      proxy.on("connect", (request, socket) => {
        seen.push(`${request.url} ${request.headers["proxy-authorization"]}`)
        const far = Net.connect(port, "127.0.0.1", () => {
          socket.write("HTTP/1.1 200 OK\r\n\r\n")
          far.pipe(socket)
          socket.pipe(far)
        })
        far.on("error", () => socket.destroy())
        socket.on("error", () => far.destroy())
      })
      const at = yield* listening(proxy)
      for (const variable of ["http_proxy", "grpc_proxy"]) {
        const env = { [variable]: `http://me:secret@127.0.0.1:${at}`, no_proxy: "example.com, host.example" }
        assert.strictEqual((yield* ask(1234, `${variable}.myhost.example`, env)).name, "x")
      }
      const basic = `Basic ${Buffer.from("me:secret").toString("base64")}`
      assert.deepStrictEqual(seen, [
        `http_proxy.myhost.example:1234 ${basic}`,
        `grpc_proxy.myhost.example:1234 ${basic}`
      ])
    }))

  for (const [variable, env] of [["http_proxy", { http_proxy: dead }], ["grpc_proxy", { grpc_proxy: dead }]] as const) {
    it.scopedLive(`is named when it does not answer: ${variable}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(ask(1234, "server.example", env))
        assert.deepInclude(error, { _tag: "Unreachable", reason: "PROXY_FAILED" })
        assert.include(error.message, `${variable} names 127.0.0.1:9: ECONNREFUSED`)
        assert.include(error.message, "no_proxy")
      }))
  }

  it.scopedLive("is named when it refuses, and when it cannot be used", () =>
    Effect.gen(function*() {
      const proxy = Http.createServer()
      proxy.on("connect", (_request, socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
      const at = yield* listening(proxy)
      const refused = yield* Effect.flip(ask(1234, "server.example", { http_proxy: `http://127.0.0.1:${at}` }))
      assert.include(refused.message, `http_proxy names 127.0.0.1:${at}: HTTP 407`)
      for (const value of ["https://proxy.example", "socks5://proxy.example"]) {
        const error = yield* Effect.flip(ask(1234, "server.example", { http_proxy: value }))
        assert.deepInclude(error, { _tag: "Unreachable", reason: "PROXY_FAILED" })
        assert.include(error.message, "http_proxy")
      }
    }))
})
