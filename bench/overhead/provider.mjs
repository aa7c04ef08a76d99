// A model provider that costs next to nothing: OpenAI's chat completions over HTTP/1.1 with bytes encoded beforehand.
//
// The model's name says what is answered (see scenarios.mjs). Requests may come in any pieces, and several at once.
// A child process: sends its parent { port }, and its counts when it is told anything.
import * as Net from "node:net"
import { piecesOf, shapeOf } from "./scenarios.mjs"

const answers = new Map()
const counts = { requests: 0, answered: 0, abandoned: 0, open: 0 }

const server = Net.createServer({ noDelay: true }, (socket) => serve(socket))
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => process.send?.({ port: server.address().port }))
process.on("message", () => process.send(counts))
process.on("disconnect", () => process.exit(0))

function serve(socket) {
  const waiting = []
  let received = Buffer.alloc(0)
  /** Ends the answer that is being sent; undefined while there is none. */
  let stop
  counts.open++
  const next = () => {
    const request = waiting.shift()
    if (request === undefined) return
    counts.requests++
    stop = answer(socket, request, () => {
      counts.answered++
      stop = undefined
      next()
    })
  }
  socket.on("data", (bytes) => {
    received = received.length === 0 ? bytes : Buffer.concat([received, bytes])
    for (let taken = parse(received); taken !== undefined; taken = parse(received)) {
      received = received.subarray(taken.size)
      // It lists no models; being asked for them is no call.
      if (taken.model === "") socket.write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
      else waiting.push(taken)
    }
    if (stop === undefined) next()
  })
  socket.on("error", () => {})
  socket.on("end", () => socket.end())
  socket.on("close", () => {
    counts.open--
    if (stop !== undefined) counts.abandoned++
    stop?.()
    stop = undefined
    waiting.length = 0
  })
}

/** The first request, once it is there as a whole. */
function parse(bytes) {
  const head = bytes.indexOf("\r\n\r\n")
  if (head < 0) return undefined
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.latin1Slice(0, head))?.[1]
  const size = head + 4 + Number(length ?? 0)
  if (bytes.length < size) return undefined
  const body = bytes.latin1Slice(head + 4, size)
  return {
    size,
    model: /"model" *: *"(?:[^"/]*\/)?([^"]+)"/.exec(body)?.[1] ?? "",
    streams: /"stream" *: *true/.test(body)
  }
}

/** Yields how to stop it. `done` is not called by an answer that was stopped. */
function answer(socket, { model, streams }, done) {
  const encoded = answers.get(`${model} ${streams}`) ?? encode(model, streams)
  answers.set(`${model} ${streams}`, encoded)
  const { head, kind, parts, pause } = encoded
  if (kind === "whole") {
    socket.write(head)
    done()
    return undefined
  }
  if (kind === "cut") {
    socket.write(head)
    socket.destroy()
    return () => {}
  }
  let at = 0
  let timer
  const step = () => {
    socket.write(parts[at++])
    if (at === parts.length) done()
    else if (pause > 0) timer = setTimeout(step, pause)
    else timer = setImmediate(step)
  }
  socket.write(head)
  step()
  return () => {
    clearTimeout(timer)
    clearImmediate(timer)
    at = Infinity
  }
}

function encode(model, streams) {
  const shape = shapeOf(model)
  if (shape === undefined) return whole(404, { error: { message: `no model ${model}`, code: "model_not_found" } })
  if (shape.how === "429") return whole(429, { error: { message: "slow down", code: "rate_limit_exceeded" } })
  if (shape.how === "500") return whole(500, { error: { message: "out of order", code: "server_error" } })
  const tokens = shape.tokens ?? 3
  const pieces = piecesOf(tokens)
  const usage = { prompt_tokens: 150, completion_tokens: tokens, total_tokens: 150 + tokens }
  if (!streams) {
    const message = { role: "assistant", content: pieces.join(""), refusal: null }
    const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }]
    return whole(200, { ...common(model), object: "chat.completion", choices, usage })
  }
  const event = (choices, usage) =>
    Buffer.from(
      `data: ${
        JSON.stringify({ ...common(model), object: "chat.completion.chunk", choices, usage: usage ?? null })
      }\n\n`
    )
  const delta = (delta, finish_reason = null) => event([{ index: 0, delta, logprobs: null, finish_reason }])
  const texts = pieces.map((content) => delta({ content }))
  const [opening, ending] = [
    delta({ role: "assistant", content: "" }),
    Buffer.concat([delta({}, "stop"), event([], usage), Buffer.from("data: [DONE]\n\n")])
  ]
  const head = Buffer.from(
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
  )
  if (shape.kind === "fail") {
    return { kind: "cut", head: Buffer.concat([head, chunked(opening), ...texts.map(chunked)]) }
  }
  const end = Buffer.concat([chunked(ending), Buffer.from("0\r\n\r\n")])
  if (shape.kind === "burst" || shape.kind === "unary") {
    return { kind: "whole", head: Buffer.concat([head, chunked(Buffer.concat([opening, ...texts])), end]) }
  }
  const parts = texts.map(chunked)
  parts[0] = Buffer.concat([chunked(opening), parts[0]])
  parts[parts.length - 1] = Buffer.concat([parts.at(-1), end])
  return { kind: "parts", head, parts, pause: shape.pause }
}

function whole(status, content) {
  const body = JSON.stringify(content)
  const head = `HTTP/1.1 ${status} Any\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`
  return { kind: "whole", head: Buffer.from(`${head}\r\n\r\n${body}`) }
}

function common(model) {
  return {
    id: "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
    created: 1_700_000_000,
    model,
    service_tier: "default",
    system_fingerprint: "fp_0123456789"
  }
}

function chunked(bytes) {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
}
