/**
 * gRPC calls as bare HTTP/2: headers, frames and bytes that no gRPC library
 * would send. Everything here ends, or the test dies.
 */
import { Effect } from "effect"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Patience from "./Patience.js"

export interface Ended {
  /** `grpc-status`; undefined when the call ended without one. */
  readonly status: number | undefined
  /** `grpc-message`, as it is on the wire. */
  readonly message: string
  /** `:status`; undefined when nothing was answered at all. */
  readonly http: number | undefined
  /** The error code of RST_STREAM; 0 when there was none. */
  readonly reset: number
  /** Bytes of messages that came back. */
  readonly bytes: number
}

export type Headers = Http2.OutgoingHttpHeaders

/** What every gRPC request has to have. */
export const headersOf = (path: string, more: Headers = {}): Headers => ({
  ":method": "POST",
  ":path": path,
  "content-type": "application/grpc",
  te: "trailers",
  ...more
})

/** A message in its envelope; `flag` 1 says that it is compressed. */
export const envelope = (message: Uint8Array, flag = 0, length = message.length): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt8(flag, 0)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, message])
}

/** A connection for as long as the scope lives. */
export const connect = (port: number, options: Http2.ClientSessionOptions = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const session = Http2.connect(`http://127.0.0.1:${port}`, options)
      session.on("error", () => {})
      return session
    }),
    (session) => Effect.sync(() => session.destroy())
  )

/** Sends the body in one piece and ends the request. */
export const whole = (body: Uint8Array) => (stream: Http2.ClientHttp2Stream): void => void stream.end(body)

/** A call and its end, whichever it is. */
export const call = (
  session: Http2.ClientHttp2Session,
  headers: Headers,
  send: (stream: Http2.ClientHttp2Stream) => void = whole(envelope(Buffer.alloc(0)))
): Effect.Effect<Ended> =>
  Effect.async<Ended>((resume) => {
    let [status, http]: Array<number | undefined> = []
    let [message, bytes] = ["", 0]
    const take = (received: Http2.IncomingHttpHeaders) => {
      if (received["grpc-status"] !== undefined) status = Number(received["grpc-status"])
      message += received["grpc-message"]?.toString() ?? ""
    }
    const stream = session.request(headers)
    stream.on("response", (received) => {
      http = received[":status"]
      take(received)
    })
    stream.on("trailers", take)
    stream.on("data", (received: Buffer) => {
      bytes += received.length
    })
    stream.on("error", () => {})
    stream.on("close", () => resume(Effect.succeed({ status, message, http, bytes, reset: stream.rstCode ?? 0 })))
    send(stream)
    // Who has the status wants no more; a request that stays open would keep the stream.
    stream.on("end", () => stream.writableEnded || stream.end())
  }).pipe(Patience.bounded)

/** A call whose header block is exactly these pairs, in this order, valid or not; of one message, without text. */
export const callWithHeaders = (port: number, pairs: ReadonlyArray<readonly [string, string]>): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(
    connect(port, { createConnection: () => substituting(port, hpack(pairs)) }),
    (session) => call(session, headersOf("/replaced"))
  ))

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

export const frame = (type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream >>> 0, 5)
  return Buffer.concat([head, payload])
}

export const frames = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const
export const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const

/** A header block of literals (RFC 7541, section 6.2.3). */
export const hpack = (pairs: ReadonlyArray<readonly [string, string]>): Buffer =>
  Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.of(0x10), ...[name, value].flatMap(literal)]))

/** Sends these bytes on a connection of their own, says nothing more, and completes when the server has hung up. */
export const bytes = (port: number, chunks: ReadonlyArray<Uint8Array>): Effect.Effect<void> =>
  Patience.bounded(Effect.scoped(Effect.flatMap(socket(port), (socket) =>
    Effect.async<void>((resume) => {
      socket.on("close", () => resume(Effect.void))
      socket.resume()
      for (const chunk of chunks) socket.write(chunk)
      socket.end()
    }))))

/** A bare connection for as long as the scope lives; it reads nothing until it is asked to. */
export const socket = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = Net.connect(port, "127.0.0.1")
      socket.on("error", () => {})
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

// -- internals ---------------------------------------------------------------

const literal = (text: string): ReadonlyArray<Buffer> => {
  const content = Buffer.from(text, "latin1")
  return [integer(content.length), content]
}

/** With a prefix of 7 bits (RFC 7541, section 5.1). */
const integer = (value: number): Buffer => {
  if (value < 127) return Buffer.of(value)
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128)
  return Buffer.of(...bytes, rest)
}

/** The largest frame that a peer has to take unasked. */
const frameSize = 16_384

/** A socket that sends `block` in place of every header block that is written to it. */
const substituting = (port: number, block: Buffer): Duplex => {
  const socket = Net.connect(port, "127.0.0.1")
  let written = Buffer.alloc(0)
  let prefaceLeft = preface.length
  const duplex = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      written = Buffer.concat([written, chunk])
      if (prefaceLeft > 0 && written.length >= prefaceLeft) {
        socket.write(written.subarray(0, prefaceLeft))
        written = written.subarray(prefaceLeft)
        prefaceLeft = 0
      }
      while (prefaceLeft === 0 && written.length >= 9 && written.length >= 9 + written.readUIntBE(0, 3)) {
        const size = 9 + written.readUIntBE(0, 3)
        const [type, flag, stream] = [written[3]!, written[4]!, written.readUInt32BE(5)]
        if (type === frames.headers) socket.write(headerFrames(block, flag & flags.endStream, stream))
        else if (type !== frames.continuation) socket.write(written.subarray(0, size))
        written = written.subarray(size)
      }
      done()
    },
    final: (done) => {
      socket.end()
      done()
    },
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    }
  })
  socket.on("data", (received) => duplex.push(received))
  socket.on("error", () => {})
  socket.on("close", () => {
    duplex.push(null)
    duplex.destroy()
  })
  return duplex
}

const headerFrames = (block: Buffer, flag: number, stream: number): Buffer => {
  const parts: Array<Buffer> = []
  for (let at = 0; at === 0 || at < block.length; at += frameSize) {
    const last = at + frameSize >= block.length ? flags.endHeaders : 0
    const part = block.subarray(at, at + frameSize)
    parts.push(
      at === 0 ? frame(frames.headers, flag | last, stream, part) : frame(frames.continuation, last, stream, part)
    )
  }
  return Buffer.concat(parts)
}
