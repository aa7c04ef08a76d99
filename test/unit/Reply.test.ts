import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"
import { type Abort } from "../../src/models/Abort.js"
import * as HttpBody from "../../src/models/HttpBody.js"
import * as Transport from "../../src/models/Transport.js"
import { eventually } from "../support/Patience.js"

/** A provider, and how many bytes it could send before its connection was closed. */
const provider = (answer: (socket: Net.Socket, response: Http.ServerResponse) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const server = Http.createServer((request, response) => {
          request.resume()
          response.on("error", () => {})
          answer(request.socket, response)
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        server.on("connection", (socket) => {
          open.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => open.delete(socket))
        })
        const open = new Set<Net.Socket>()
        Object.assign(server, { open })
      }),
      (server) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    ),
    (server) => ({
      url: `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}/`,
      open: (server as Http.Server & { open: Set<Net.Socket> }).open
    })
  )

/** Writes the chunk again and again, for as long as the connection takes it. */
const endless = (out: Http.ServerResponse | Net.Socket, chunk: Buffer | string) => {
  const more = (): void => {
    while (!out.destroyed) {
      if (!out.write(chunk)) return void out.once("drain", more)
    }
  }
  more()
}

const ask = (url: string) =>
  Effect.flatMap(Transport.make, (transport) =>
    HttpBody.whole(
      (abort: Abort) =>
        transport.post({ url, headers: {}, body: "{}", onSent: undefined, abort, dispatcher: transport.pool(5000) }),
      { millis: 30_000, limit: "total" }
    ))

const chunk = Buffer.alloc(64 * 1024, "x")

describe("the body of a provider's answer", () => {
  it.scopedLive("fails beyond 16 MiB, and its connection is closed", () =>
    Effect.gen(function*() {
      const { open, url } = yield* provider((_, response) => endless(response.writeHead(200), chunk))
      const { cause } = yield* Effect.flip(ask(url))
      assert.propertyVal(cause, "code", "ANSWER_TOO_LARGE")
      yield* eventually(() => open.size === 0)
    }), 60_000)

  it.scopedLive("fails beyond 16 MiB once it is unpacked, without unpacking all of it", () =>
    Effect.gen(function*() {
      const bomb = Zlib.gzipSync(Buffer.alloc(256 * 1024 * 1024))
      const { open, url } = yield* provider((_, response) =>
        response.writeHead(200, { "content-encoding": "gzip" }).write(bomb)
      )
      const before = process.memoryUsage.rss()
      const { cause } = yield* Effect.flip(ask(url))
      assert.propertyVal(cause, "code", "ANSWER_TOO_LARGE")
      assert.isBelow(process.memoryUsage.rss() - before, 150 * 1024 * 1024)
      yield* eventually(() => open.size === 0)
    }), 60_000)

  it.scopedLive("of an error is read up to 64 KiB, and no longer than two seconds", () =>
    Effect.gen(function*() {
      const large = yield* provider((_, response) => endless(response.writeHead(503), chunk))
      assert.lengthOf(yield* ask(large.url), 64 * 1024)
      const slow = yield* provider((_, response) => void response.writeHead(500).write("so far"))
      assert.strictEqual(yield* ask(slow.url), "so far")
    }), 60_000)

  it.scopedLive("is not waited for behind endless interim responses", () =>
    Effect.gen(function*() {
      const { open, url } = yield* provider((socket) => endless(socket, "HTTP/1.1 102 Processing\r\n\r\n".repeat(500)))
      const { cause } = yield* Effect.flip(ask(url))
      assert.include(String((cause as Error).cause), "too many interim responses")
      yield* eventually(() => open.size === 0)
    }), 60_000)
})
