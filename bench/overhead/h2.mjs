// gRPC calls over a bare socket: an HTTP/2 client that does what a load generator needs and nothing more.
//
// Requests are copies of bytes encoded beforehand, windows are as large as they can be, and answers are read in place.
// Nothing counts as good that was not understood: an unknown status, a reset and a lost connection end calls as failed.
import * as Net from "node:net"
import { answer, envelope, executeRequest, fault, frame, hpack, paths, take } from "./wire.mjs"
import { statusIn } from "./wire.mjs"

const frames = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, window: 8, continuation: 9 }
const largest = 2 ** 31 - 1
/** The server may send this much on a connection before we open its window again. */
const refill = 2 ** 28

const preface = (() => {
  const settings = Buffer.alloc(12)
  // SETTINGS_HEADER_TABLE_SIZE 0, and SETTINGS_INITIAL_WINDOW_SIZE.
  settings.writeUInt16BE(1, 0)
  settings.writeUInt16BE(4, 6)
  settings.writeUInt32BE(largest, 8)
  return Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    frame(frames.settings, 0, 0, settings),
    windowUpdate(largest - 65_535)
  ])
})()

function windowUpdate(size) {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(size)
  return frame(frames.window, 0, 0, payload)
}

/** The bytes of a request; its frames' stream numbers stand at 5 and at `second`. */
export const template = (rpc, model, token) => {
  const block = hpack([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", paths[rpc]],
    [":authority", "127.0.0.1"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ["user-agent", "grpc-bench/1"],
    ["authorization", `Bearer ${token}`]
  ])
  const message = rpc === "info" ? envelope(Buffer.alloc(0)) : executeRequest(model)
  const headers = frame(frames.headers, 4, 0, block)
  return { rpc, model, bytes: Buffer.concat([headers, frame(frames.data, 1, 0, message)]), second: headers.length + 5 }
}

/**
 * A connection. `call(template, keep, ended)` makes a call; `ended(call, wrong)` is told its end, and what is wrong with
 * it. A call has `startedAt` and `firstAt`, by performance.now().
 */
export const connect = (port, onText = () => {}) => {
  const calls = new Map()
  let [nextId, received, lost] = [1, 0, undefined]
  let pending = Buffer.alloc(0)
  let out = []
  let flushing = false

  const socket = Net.connect({
    port,
    host: "127.0.0.1",
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(256 * 1024),
      callback: (size, buffer) => {
        read(buffer.subarray(0, size))
        return true
      }
    }
  })
  socket.write(preface)
  const fail = (reason) => {
    lost ??= reason
    for (const call of [...calls.values()]) end(call, lost)
  }
  socket.on("error", (error) => fail(error.code ?? error.message))
  socket.on("close", () => fail("connection closed"))

  const send = (bytes) => {
    out.push(bytes)
    if (flushing) return
    flushing = true
    setImmediate(flush)
  }
  const flush = () => {
    flushing = false
    if (lost === undefined && out.length > 0) socket.write(out.length === 1 ? out[0] : Buffer.concat(out))
    out = []
  }

  const end = (call, wrong) => {
    if (!calls.delete(call.id)) return
    call.ended(call, wrong)
  }

  const read = (bytes) => {
    if (pending.length > 0) bytes = Buffer.concat([pending, bytes])
    let at = 0
    while (bytes.length - at >= 9) {
      const size = bytes[at] * 65536 + bytes[at + 1] * 256 + bytes[at + 2]
      if (bytes.length - at < 9 + size) break
      const id = (bytes[at + 5] & 127) * 2 ** 24 + bytes[at + 6] * 65536 + bytes[at + 7] * 256 + bytes[at + 8]
      onFrame(bytes[at + 3], bytes[at + 4], id, bytes, at + 9, at + 9 + size)
      at += 9 + size
    }
    // What is left is copied: the buffer is read into again.
    pending = at === bytes.length ? none : Buffer.from(bytes.subarray(at))
    if (received > refill) {
      send(windowUpdate(received))
      received = 0
    }
  }

  const onFrame = (type, flags, id, bytes, from, to) => {
    if (type === frames.data) {
      received += to - from
      const call = calls.get(id)
      if (call === undefined) return
      data(call, bytes, from, to)
      if ((flags & 1) !== 0) end(call, "ended without trailers")
    } else if (type === frames.headers || type === frames.continuation) {
      const call = calls.get(id)
      if (call === undefined) return
      if ((flags & 4) === 0) return end(call, "headers in pieces")
      if ((flags & 1) === 0) return
      const status = statusIn(bytes.subarray(from, to))
      end(call, call.rest === undefined ? fault(call.answer, status) : "half a message")
    } else if (type === frames.reset) {
      const call = calls.get(id)
      if (call !== undefined) end(call, `reset ${bytes.readUInt32BE(from)}`)
    } else if (type === frames.settings && (flags & 1) === 0) send(frame(frames.settings, 1, 0))
    else if (type === frames.ping && (flags & 1) === 0) {
      send(frame(frames.ping, 1, 0, Buffer.from(bytes.subarray(from, to))))
    } else if (type === frames.goaway) {
      lost ??= "server goes away"
    }
  }

  const data = (call, bytes, from, to) => {
    const before = call.answer.text
    if (call.rest !== undefined) {
      bytes = Buffer.concat([call.rest, bytes.subarray(from, to)])
      from = 0
      to = bytes.length
      call.rest = undefined
    }
    while (from < to) {
      const size = to - from < 5 ? Infinity : bytes.readUInt32BE(from + 1)
      if (to - from < 5 + size) {
        call.rest = Buffer.from(bytes.subarray(from, to))
        break
      }
      take(call.answer, bytes, from + 5, from + 5 + size)
      from += 5 + size
    }
    if (call.answer.text === before) return
    if (call.firstAt === undefined) call.firstAt = performance.now()
    onText(call.answer.text - before)
  }

  return {
    call: (template, keep, ended) => {
      const id = nextId
      nextId += 2
      const bytes = Buffer.from(template.bytes)
      bytes.writeUInt32BE(id, 5)
      bytes.writeUInt32BE(id, template.second)
      const call = {
        id,
        answer: answer(template.rpc, template.model, keep),
        rest: undefined,
        startedAt: performance.now(),
        firstAt: undefined,
        ended
      }
      calls.set(id, call)
      if (lost === undefined) send(bytes)
      else setImmediate(() => end(call, lost))
      return call
    },
    /** Leaves the call; its end is not told. */
    cancel: (call) => {
      if (!calls.delete(call.id)) return
      const code = Buffer.alloc(4)
      code.writeUInt32BE(8)
      send(frame(frames.reset, 0, call.id, code))
    },
    cancelAll: () => {
      calls.clear()
    },
    running: () => calls.size,
    close: () => {
      calls.clear()
      lost ??= "closed"
      socket.destroy()
    }
  }
}

const none = Buffer.alloc(0)
