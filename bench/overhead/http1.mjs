// Chat completions over a bare socket: an HTTP/1.1 client for proxies that speak no gRPC. One connection per call at a
// time; the same promises as h2.mjs.
import * as Net from "node:net"
import { shapeOf } from "./scenarios.mjs"
import { prompt } from "./wire.mjs"

const mark = Buffer.from("\"content\":\"")
const lastChunk = "\r\n0\r\n\r\n"
const quote = 0x22
const backslash = 0x5c

/** The bytes of a request with these headers. */
export const template = (rpc, model, headers) => {
  const messages = [{ role: "system", content: prompt.system }, { role: "user", content: prompt.user }]
  const stream = rpc === "stream"
  const body = JSON.stringify({
    model,
    messages,
    ...stream && { stream, stream_options: { include_usage: true } }
  })
  const lines = [
    "POST /v1/chat/completions HTTP/1.1",
    "host: 127.0.0.1",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  ]
  const whole = JSON.stringify(shapeOf(model).text).slice(1, -1)
  return { stream, wants: Buffer.byteLength(whole), bytes: Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`) }
}

/** Calls on as many connections as there are calls at once. */
export const connect = (port, onText = () => {}) => {
  const idle = []
  const all = new Set()
  let running = 0

  const open = () => {
    const connection = { socket: Net.connect({ port, host: "127.0.0.1", noDelay: true }), call: undefined }
    all.add(connection)
    connection.socket.on("data", (bytes) => received(connection, bytes))
    connection.socket.on("error", () => {})
    connection.socket.on("close", () => {
      all.delete(connection)
      end(connection, "connection closed")
    })
    return connection
  }

  const end = (connection, wrong) => {
    const { call } = connection
    if (call === undefined) return
    connection.call = undefined
    running--
    if (wrong === undefined) idle.push(connection)
    else connection.socket.destroy()
    call.ended(call, wrong)
  }

  const received = (connection, bytes) => {
    const { call } = connection
    if (call === undefined) return
    call.parts.push(bytes)
    call.tail = (call.tail + bytes.latin1Slice(Math.max(0, bytes.length - 7))).slice(-7)
    if (call.firstAt === undefined && textIn(bytes) > 0) call.firstAt = performance.now()
    // A stream is put together when its end has come.
    if (call.template.stream && call.tail !== lastChunk && call.parts.length > 1) return
    const body = bodyOf(Buffer.concat(call.parts))
    if (body === undefined) return
    const wrong = faultOf(call, body)
    onText(textIn(body.content))
    end(connection, wrong)
  }

  return {
    call: (template, _keep, ended) => {
      const connection = idle.pop() ?? open()
      const call = { template, parts: [], tail: "", startedAt: performance.now(), firstAt: undefined, ended }
      connection.call = call
      running++
      connection.socket.write(template.bytes)
      return call
    },
    cancelAll: () => {
      for (const connection of all) connection.call = undefined
      running = 0
    },
    running: () => running,
    close: () => {
      for (const { socket } of all) socket.destroy()
    }
  }
}

const faultOf = ({ template }, { content, status }) => {
  if (status !== 200) return `HTTP ${status}`
  if (template.stream && !content.includes("data: [DONE]")) return "not complete"
  return textIn(content) === template.wants ? undefined : "a wrong length"
}

/** Bytes of the text in these bytes of JSON, as they are there: with the escapes. */
const textIn = (bytes) => {
  let sum = 0
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at)) {
    const from = at + mark.length
    at = from
    while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1
    sum += at - from
  }
  return sum
}

/** The whole body, without its chunks; undefined before it is there. */
const bodyOf = (bytes) => {
  const head = bytes.indexOf("\r\n\r\n")
  if (head < 0) return undefined
  const fields = bytes.latin1Slice(0, head)
  const status = Number(fields.slice(9, 12))
  const length = /\r\ncontent-length: *(\d+)/i.exec(fields)?.[1]
  if (length !== undefined) {
    const end = head + 4 + Number(length)
    return bytes.length < end ? undefined : { status, content: bytes.subarray(head + 4, end) }
  }
  // Only a body whose end is there is taken apart.
  if (bytes.latin1Slice(bytes.length - 7) !== lastChunk) return undefined
  const parts = []
  for (let at = head + 4;;) {
    const line = bytes.indexOf("\r\n", at)
    const size = Number.parseInt(bytes.latin1Slice(at, line), 16)
    if (size === 0) return { status, content: Buffer.concat(parts) }
    parts.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
}
