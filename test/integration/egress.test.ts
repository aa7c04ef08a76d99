import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Logger, Redacted } from "effect"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import * as Path from "node:path"
import * as JwksFetch from "../../src/auth/JwksFetch.js"
import * as Transport from "../../src/models/Transport.js"
import * as Certificates from "../support/Certificates.js"
import * as ConnectProxy from "../support/ConnectProxy.js"
import * as Patience from "../support/Patience.js"
import * as Temporary from "../support/Temporary.js"

/** A plain server behind the proxy; `/hold` never ends, and `/big` sends 16 MB as fast as it is read. */
const origin = Effect.acquireRelease(
  Effect.promise(async () => {
    let written = 0
    const server = Http.createServer((request, response) => {
      if (request.url === "/hold") return response.flushHeaders()
      if (request.url === "/big") {
        const write = () => {
          while (written < 16 << 20) {
            written += 65_536
            if (!response.write(Buffer.alloc(65_536))) return response.once("drain", write)
          }
          return response.end()
        }
        return write()
      }
      return response.end(JSON.stringify([request.headers.host, request.headers["proxy-authorization"] ?? null]))
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    return { server, port: (server.address() as Net.AddressInfo).port, written: () => written }
  }),
  ({ server }) => Effect.sync(() => server.close().closeAllConnections())
)

const withVariables = (variables: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

const behind = (variables: (port: number) => Record<string, string>) =>
  Effect.gen(function*() {
    const server = yield* origin
    const proxy = yield* ConnectProxy.make(server.port)
    const transport = yield* withVariables(variables(proxy.port))(Transport.make)
    const get = (url: string, connect = 5000, signal?: AbortSignal) =>
      transport.fetch(url, { dispatcher: transport.pool(connect), ...signal === undefined ? {} : { signal } })
    return { server, proxy, get }
  })

const failure = (promise: Promise<unknown>) =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("it went well"),
      (error: unknown) =>
        error instanceof Error ? `${error.name} ${error.message}: ${String(error.cause)}` : String(error)
    )
  )

describe("a proxy for connections to providers", () => {
  it.scopedLive("gets one tunnel for each connection, with its own credentials, which go no further", () =>
    Effect.gen(function*() {
      const { get, proxy } = yield* behind((port) => ({ HTTP_PROXY: `http://ann:hunter2@127.0.0.1:${port}` }))
      for (let turn = 0; turn < 9; turn++) {
        const text = yield* Effect.promise(() => get("http://provider.invalid/v1").then((reply) => reply.text()))
        assert.deepStrictEqual(JSON.parse(text), ["provider.invalid", null])
      }
      assert.isBelow(proxy.asked.length, 4, "connections are kept")
      assert.deepStrictEqual([...new Set(proxy.asked)], ["provider.invalid:80"])
      assert.deepStrictEqual([...new Set(proxy.credentials)], [
        `Basic ${Buffer.from("ann:hunter2").toString("base64")}`
      ])
      yield* Effect.promise(() => get("http://other.invalid:8080/").then((reply) => reply.text()))
      assert.strictEqual(proxy.asked.at(-1), "other.invalid:8080")
    }))

  it.scopedLive("is left out for this machine and for what NO_PROXY names", () =>
    Effect.gen(function*() {
      const { get, proxy, server } = yield* behind((port) => ({
        http_proxy: `http://127.0.0.1:${port}`,
        no_proxy: ".invalid"
      }))
      yield* Effect.promise(() => get(`http://localhost:${server.port}/`).then((reply) => reply.text()))
      yield* failure(get("http://provider.invalid/"))
      assert.deepStrictEqual(proxy.asked, [])
    }))

  it.scopedLive("closes the tunnel when the call is over, also while it is being made, and in time", () =>
    Effect.gen(function*() {
      const { get, proxy } = yield* behind((port) => ({ HTTP_PROXY: `http://127.0.0.1:${port}` }))
      proxy.answer("silence")
      const [waiting, running] = [new AbortController(), new AbortController()]
      const refused = failure(get("http://provider.invalid/", 60_000, waiting.signal))
      yield* Patience.eventually(() => proxy.open() === 1)
      waiting.abort()
      assert.match(yield* refused, /abort/i)
      yield* Patience.eventually(() => proxy.open() === 0)

      assert.match(yield* failure(get("http://provider.invalid/", 50)), /TooLate/)
      yield* Patience.eventually(() => proxy.open() === 0)

      proxy.answer("tunnel")
      yield* Effect.promise(() => get("http://provider.invalid/hold", 5000, running.signal))
      assert.strictEqual(proxy.open(), 1)
      running.abort()
      yield* Patience.eventually(() => proxy.open() === 0)
    }))

  it.scopedLive("slows the provider when nobody reads, and names itself when it refuses", () =>
    Effect.gen(function*() {
      const { get, proxy, server } = yield* behind((port) => ({ HTTP_PROXY: `http://ann:hunter2@127.0.0.1:${port}` }))
      const reply = yield* Effect.promise(() => get("http://provider.invalid/big"))
      let before = -1
      yield* Patience.eventually(() => {
        const isStill = before === server.written()
        before = server.written()
        return isStill && before > 0
      })
      assert.isBelow(server.written(), 16 << 20)
      assert.strictEqual((yield* Effect.promise(() => reply.text())).length, 16 << 20)
      for (const status of [403, 407, 502]) {
        proxy.answer(status)
        const words = yield* failure(get(`http://p${status}.invalid/`))
        assert.include(words, `the proxy 127.0.0.1:${proxy.port} (HTTP_PROXY) answered ${status} to CONNECT`)
        assert.notInclude(words, "hunter2")
      }
    }))

  it.scopedLive("checks the certificate of the address behind it", () =>
    Effect.gen(function*() {
      const ca = yield* Certificates.authority
      const certificate = yield* Certificates.server(ca, ["provider.invalid"])
      const directory = Temporary.directory()
      const caFile = Path.join(directory, "ca.crt")
      Fs.writeFileSync(caFile, ca.certificate)
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const options = { cert: certificate.certChain, key: Redacted.value(certificate.key) }
          const server = Https.createServer(options, (_, response) => void response.end("{\"keys\":[]}"))
          server.on("tlsClientError", () => {}).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.close().closeAllConnections())
      )
      const proxy = yield* ConnectProxy.make((server.address() as Net.AddressInfo).port)
      const download = (host: string) =>
        withVariables({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` })(
          JwksFetch.download({ url: new URL(`https://${host}/keys`), caFile })
        )
      assert.strictEqual(yield* download("provider.invalid"), "{\"keys\":[]}")
      assert.include((yield* Effect.flip(download("another.invalid"))).problem, "cannot be reached")
      assert.deepStrictEqual(proxy.asked, ["provider.invalid:443", "another.invalid:443"])
    }))

  it.scopedLive("says nothing of its password when it cannot be reached", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const transport = yield* withVariables({ HTTP_PROXY: "http://ann:hunter2@127.0.0.1:9" })(Transport.make)
      const words = yield* failure(transport.fetch("http://provider.invalid/", { dispatcher: transport.pool(1000) }))
        .pipe(
          Effect.provide(
            Logger.replace(Logger.defaultLogger, Logger.make(({ message }) => void lines.push(String(message))))
          )
        )
      assert.include(words, "the proxy 127.0.0.1:9 (HTTP_PROXY) cannot be reached")
      assert.notInclude(words + lines.join(), "hunter2")
    }))
})
