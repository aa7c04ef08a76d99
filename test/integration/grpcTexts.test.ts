/**
 * Whether grpc-js still says what src/grpc/GrpcJs.ts reads, over real sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import * as Http2 from "node:http2"
import { createRequire } from "node:module"
import type * as Net from "node:net"
import * as NodeNet from "node:net"
import { RequestTimeout } from "../../src/domain/Errors.js"
import * as GrpcJs from "../../src/grpc/GrpcJs.js"
import * as Status from "../../src/grpc/Status.js"
import { freePort } from "../support/Programs.js"

/** How one call ends. */
const call = (port: number, millis = 10_000, host = "127.0.0.1") =>
  Effect.promise(() =>
    new Promise<Grpc.ServiceError>((resolve, reject) => {
      const client = new Grpc.Client(`${host}:${port}`, Grpc.credentials.createInsecure())
      client.makeUnaryRequest(
        "/a/b",
        () => Buffer.alloc(0),
        (bytes) => bytes,
        {},
        new Grpc.Metadata(),
        { deadline: Date.now() + millis },
        (error) => {
          client.close()
          if (error === null) reject(new Error("it was answered"))
          else resolve(error)
        }
      )
    })
  )

interface Serving extends Http2.Http2Server {
  readonly sessions: Set<Http2.ServerHttp2Session>
  readonly sockets: Set<Net.Socket>
}

const serve = (answer: (stream: Http2.ServerHttp2Stream) => void) =>
  Effect.acquireRelease(
    Effect.async<Serving>((resume) => {
      const sockets = new Set<Net.Socket>()
      const sessions = new Set<Http2.ServerHttp2Session>()
      const server = Http2.createServer()
      server.on("connection", (socket: Net.Socket) => void sockets.add(socket))
      server.on("session", (session) => void sessions.add(session.on("error", () => undefined)))
      server.on("stream", (stream) => answer(stream.on("error", () => undefined)))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(Object.assign(server, { sessions, sockets }))))
    }),
    (server) =>
      Effect.sync(() => {
        for (const session of server.sessions) session.destroy()
        server.close()
      })
  )

/** The port of a server that answers the first stream of each connection with a GOAWAY whose last id is 0. Node cannot. */
const refusing = Effect.map(
  Effect.acquireRelease(
    Effect.async<Net.Server>((resume) => {
      const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
      const goaway = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
      const server = NodeNet.createServer((socket) => {
        let bytes = Buffer.alloc(0)
        socket.on("error", () => undefined).write(settings)
        socket.on("data", (chunk: Buffer) => {
          bytes = Buffer.concat([bytes, chunk])
          // Behind the preface of 24 bytes: frames of nine bytes and their payload; 1 is HEADERS.
          for (let at = 24; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
            if (bytes[at + 3] === 1) return socket.end(goaway)
          }
          return undefined
        })
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => (server.address() as Net.AddressInfo).port
)

const portOf = (server: Http2.Http2Server) => (server.address() as Net.AddressInfo).port

describe("grpc-js", () => {
  it("is the version whose texts were read", () => {
    const { version } = createRequire(import.meta.url)("@grpc/grpc-js/package.json") as { readonly version: string }
    assert.match(version, /^1\.14\./)
  })

  it.scopedLive("says where no connection stood", () =>
    Effect.gen(function*() {
      const error = yield* call(yield* Effect.promise(freePort))
      assert.match(error.details, /^No connection established\. Last error: .*ECONNREFUSED/)
      assert.isTrue(GrpcJs.hasNotBegun(error))
    }))

  it.scopedLive("says where the name has no address", () =>
    Effect.gen(function*() {
      const error = yield* call(1, 10_000, "no-such-host.invalid")
      assert.match(error.details, /^Name resolution failed for target /)
      assert.isTrue(GrpcJs.hasNotBegun(error))
    }))

  it.scopedLive("says that the server refused the stream, after it tried once more by itself", () =>
    Effect.gen(function*() {
      let streams = 0
      const server = yield* serve((stream) => {
        streams++
        stream.close(Http2.constants.NGHTTP2_REFUSED_STREAM)
      })
      const error = yield* call(portOf(server))
      assert.strictEqual(error.details, "Stream refused by server")
      assert.isTrue(GrpcJs.hasNotBegun(error))
      assert.strictEqual(streams, 2)
    }))

  it.scopedLive("says the same of a stream above the last one of a GOAWAY", () =>
    Effect.gen(function*() {
      const error = yield* call(yield* refusing)
      assert.strictEqual(error.details, "Stream refused by server")
      assert.isTrue(GrpcJs.hasNotBegun(error))
    }))

  for (const how of ["destroyed", "reset"] as const) {
    it.scopedLive(`a connection that is ${how} under a call may have begun it`, () =>
      Effect.gen(function*() {
        const server: Serving = yield* serve((stream) => {
          if (how === "reset") { for (const socket of server.sockets) socket.resetAndDestroy() }
          else stream.session?.destroy()
        })
        const error = yield* call(portOf(server))
        assert.isFalse(GrpcJs.hasNotBegun(error), `${error.code} ${error.details}`)
      }))
  }

  it.scopedLive("names the peer of a call that had a connection at its deadline", () =>
    Effect.gen(function*() {
      const server = yield* serve(() => undefined)
      const error = yield* call(portOf(server), 300)
      assert.strictEqual(error.code, Grpc.status.DEADLINE_EXCEEDED)
      assert.isFalse(GrpcJs.hadNoConnection(error))
    }))

  it.scopedLive("names no peer of a call that had none at its deadline", () =>
    Effect.gen(function*() {
      const sockets = new Set<Net.Socket>()
      const silent = NodeNet.createServer((socket) => void sockets.add(socket.on("error", () => undefined)))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const socket of sockets) socket.destroy()
          silent.close()
        })
      )
      yield* Effect.async<void>((resume) => void silent.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const error = yield* call((silent.address() as Net.AddressInfo).port, 300)
      assert.match(error.details, /^Deadline exceeded after /)
      assert.isTrue(GrpcJs.hadNoConnection(error))
    }))

  it("does not take a server's own DEADLINE_EXCEEDED for a call without a connection", () => {
    assert.isFalse(GrpcJs.hadNoConnection(Status.fromError(new RequestTimeout({ seconds: 1 }))))
    const bare = { code: Grpc.status.DEADLINE_EXCEEDED, details: "too late", metadata: new Grpc.Metadata() }
    assert.isFalse(GrpcJs.hadNoConnection(bare))
  })
})
