import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
// The default export is the object that `net` looks its `lookup` up in.
import Dns from "node:dns"
import { once } from "node:events"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import { vi } from "vitest"
import * as Transport from "../../src/models/Transport.js"

/** Holds `/hold` open, and answers everything else on a connection that closes after it. */
const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = Http.createServer((request, response) => {
      if (request.url === "/hold") return response.flushHeaders()
      response.writeHead(200, { connection: "close" }).end("ok")
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    return server
  }),
  (server) => Effect.sync(() => server.close().closeAllConnections())
)

/** Answers `/zipped/…` in that encoding, in two parts; sends on from `/moved/STATUS?to=URL`; else says what it was asked. */
const worldly = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = Http.createServer((request, response) => {
        const url = new URL(request.url ?? "", "http://localhost")
        const [, what, how = ""] = url.pathname.split("/")
        const zip = { gzip: Zlib.gzipSync, deflate: Zlib.deflateSync, br: Zlib.brotliCompressSync }[how]
        if (what === "zipped" && zip !== undefined) {
          const bytes = zip("some words")
          response.writeHead(200, { "content-encoding": how }).write(bytes.subarray(0, 9))
          return setTimeout(() => response.end(bytes.subarray(9)), 10)
        }
        if (what === "moved") {
          return response.writeHead(Number(how), { location: url.searchParams.get("to") ?? "" }).end()
        }
        const body: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => body.push(chunk)).on("end", () => {
          response.end(JSON.stringify([request.method, Buffer.concat(body).toString(), request.headers.authorization]))
        })
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close().closeAllConnections())
  ),
  (server) => `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}`
)

/** Makes every host name resolve so many milliseconds later than it would. */
const slowNames = (millis: number) => {
  const resolve = Dns.lookup as unknown as (...args: ReadonlyArray<unknown>) => void
  return Effect.acquireRelease(
    Effect.sync(() =>
      vi.spyOn(Dns, "lookup").mockImplementation(
        (...args: ReadonlyArray<unknown>) => void setTimeout(() => resolve(...args), millis)
      )
    ),
    (spy) => Effect.sync(() => spy.mockRestore())
  )
}

describe("Transport", () => {
  it.scopedLive("leaves the connection that a new call waits for alone when an old call's signal aborts", () =>
    Effect.gen(function*() {
      const { port } = (yield* server).address() as Net.AddressInfo
      const transport = yield* Transport.make
      const [holder, old, fresh] = [new AbortController(), new AbortController(), new AbortController()]
      const call = ({ signal }: AbortController, path: string) =>
        transport.fetch(`http://localhost:${port}${path}`, {
          method: "POST",
          body: "{}",
          signal,
          dispatcher: transport.pool(5000)
        })
      // A connection that stays keeps the pool, and with it the client that the old call used.
      yield* Effect.promise(() => call(holder, "/hold"))
      yield* Effect.promise(() => call(old, "/").then((response) => response.text()))
      yield* Effect.sleep("50 millis")
      yield* slowNames(300)
      const answer = call(fresh, "/").then((response) => response.text(), (error: unknown) => String(error))
      yield* Effect.sleep("50 millis")
      old.abort()
      assert.strictEqual(yield* Effect.promise(() => answer), "ok")
      holder.abort()
    }))

  const post = (transport: Transport.Transport, url: string, name = "authorization") =>
    Effect.promise(() =>
      transport.fetch(url, {
        method: "POST",
        headers: { [name]: "Bearer key" },
        body: "words",
        dispatcher: transport.pool(5000)
      }).then(async (response) => [response.status, await response.text()])
    )

  it.scopedLive("reads an answer that was compressed though nobody asked for it", () =>
    Effect.gen(function*() {
      const [home, transport] = [yield* worldly, yield* Transport.make]
      for (const encoding of ["gzip", "deflate", "br"]) {
        assert.deepStrictEqual(yield* post(transport, `${home}/zipped/${encoding}`), [200, "some words"])
      }
    }))

  it.scopedLive("follows redirections, with the key to the same origin only", () =>
    Effect.gen(function*() {
      const [home, abroad, transport] = [yield* worldly, yield* worldly, yield* Transport.make]
      const moved = (status: number, to: string) =>
        Effect.map(post(transport, `${home}/moved/${status}?to=${encodeURIComponent(to)}`), ([status, text]) => {
          assert.strictEqual(status, 200)
          return JSON.parse(String(text)) as unknown
        })
      for (const status of [307, 308]) {
        assert.deepStrictEqual(yield* moved(status, "/x"), ["POST", "words", "Bearer key"])
        assert.deepStrictEqual(yield* moved(status, `${abroad}/x`), ["POST", "words", null])
      }
      for (const status of [301, 302, 303]) {
        assert.deepStrictEqual(yield* moved(status, `${home}/x`), ["GET", "", "Bearer key"])
      }
      const written = yield* post(
        transport,
        `${home}/moved/307?to=${encodeURIComponent(`${abroad}/x`)}`,
        "Authorization"
      )
      assert.deepStrictEqual(written, [200, JSON.stringify(["POST", "words", null])], "in whatever case it is written")
      assert.deepStrictEqual(yield* post(transport, `${home}/moved/304?to=x`), [304, ""])
    }))

  it.scopedLive("stops reading what nobody takes, and loses none of it", () =>
    Effect.gen(function*() {
      const all = Buffer.alloc(16 << 20, "0123456789")
      let written = 0
      const server = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const server = Http.createServer((_, response) => {
            const write = () => {
              while (written < all.length) {
                const piece = all.subarray(written, written + 65_536)
                written += piece.length
                if (!response.write(piece)) return response.once("drain", write)
              }
              return response.end()
            }
            write()
          }).listen(0, "127.0.0.1")
          await once(server, "listening")
          return server
        }),
        (server) => Effect.sync(() => server.close().closeAllConnections())
      )
      const transport = yield* Transport.make
      const { port } = server.address() as Net.AddressInfo
      const response = yield* Effect.promise(() =>
        transport.fetch(`http://127.0.0.1:${port}/`, { dispatcher: transport.pool(5000) })
      )
      yield* Effect.sleep("300 millis")
      assert.isBelow(written, all.length)
      assert.isTrue((yield* Effect.promise(() => response.text())) === all.toString())
    }))
})
