// The bytes of gRPC, as far as a load generator needs them: requests encoded beforehand, answers read without objects.
import { shapeOf } from "./scenarios.mjs"

const varint = (value) => {
  const bytes = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128)
  return Buffer.from([...bytes, value])
}

const text = (field, value) => {
  const content = Buffer.from(value)
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content])
}

const paragraph = "You are a careful assistant for people who run Kubernetes. Answer briefly and to the point. "

export const prompt = { system: paragraph.repeat(3), user: "Why is my pod not ready? ".repeat(16) }

/** `ExecuteRequest` in the envelope of gRPC. */
export const executeRequest = (model) =>
  envelope(Buffer.concat([text(1, prompt.system), text(2, prompt.user), text(3, `openai/${model}`)]))

export const envelope = (message) => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

export const paths = {
  stream: "/vibectl.llm_proxy.VibectlLLMProxy/StreamExecute",
  unary: "/vibectl.llm_proxy.VibectlLLMProxy/Execute",
  info: "/vibectl.llm_proxy.VibectlLLMProxy/GetServerInfo"
}

export const frame = (type, flags, stream, payload = Buffer.alloc(0)) => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Header fields as literals that no table remembers (RFC 7541, section 6.2.2). */
export const hpack = (pairs) =>
  Buffer.concat(pairs.flatMap(([name, value]) => [Buffer.of(0), ...[name, value].flatMap(literal)]))

const literal = (value) => {
  const content = Buffer.from(value, "latin1")
  if (content.length < 127) return [Buffer.of(content.length), content]
  return [Buffer.of(127), varint(content.length - 127), content]
}

/** `grpc-status` as a literal of HPACK, with Huffman's code and without. */
const statusNames = [Buffer.from("9acac8b21234da8f", "hex"), Buffer.from("grpc-status")].map((name, index) =>
  Buffer.concat([Buffer.of(name.length + (index === 0 ? 128 : 0)), name])
)

/**
 * The status in a block of headers, undefined when there is none that can be read: then the call counts as failed.
 * We allow the server no table, and a number of one or two digits is not shorter in Huffman's code.
 */
export const statusIn = (block) => {
  for (const name of statusNames) {
    const at = block.indexOf(name)
    if (at < 0) continue
    const [from, size] = [at + name.length + 1, block[at + name.length]]
    return size === 1 || size === 2 ? Number(block.latin1Slice(from, from + size)) : undefined
  }
  return undefined
}

/** What has come of one answer. */
export const answer = (rpc, model, keep) => ({
  rpc,
  model,
  /** Bytes of text. */
  text: 0,
  /** The text itself, where it is kept. */
  kept: keep ? [] : undefined,
  messages: 0,
  complete: false,
  metrics: false,
  error: undefined
})

/** Takes one message in, from `at` to `end`. */
export const take = (answer, bytes, at, end) => {
  answer.messages++
  if (answer.rpc === "stream") return fields(bytes, at, end, inChunk, answer)
  if (answer.rpc === "unary") return fields(bytes, at, end, inResponse, answer)
  fields(bytes, at, end, inInfo, answer)
}

const wants = new Map()
const wanted = (model) => {
  const found = wants.get(model) ?? Buffer.from(shapeOf(model).text)
  wants.set(model, found)
  return found
}

/** Undefined for a whole and right answer that ended with this status, else what is wrong with it. */
export const fault = (answer, status) => {
  if (answer.error !== undefined) return answer.error
  if (status !== 0) return `status ${status}`
  if (!answer.complete) return "not complete"
  if (answer.rpc === "info") return undefined
  if (!answer.metrics) return "no metrics"
  if (answer.text !== wanted(answer.model).length) return "a wrong length"
  if (answer.kept !== undefined && !Buffer.concat(answer.kept).equals(wanted(answer.model))) return "a wrong text"
  return undefined
}

let next = 0
const readVarint = (bytes, at) => {
  let [value, scale, byte] = [0, 1, bytes[at++]]
  for (; byte >= 128; byte = bytes[at++]) {
    value += (byte - 128) * scale
    scale *= 128
  }
  next = at
  return value + byte * scale
}

const fields = (bytes, at, end, visit, answer) => {
  while (at < end) {
    const tag = readVarint(bytes, at)
    at = next
    const kind = tag & 7
    if (kind === 2) {
      const length = readVarint(bytes, at)
      at = next
      visit(answer, tag >>> 3, bytes, at, at + length)
      at += length
    } else if (kind === 0) {
      readVarint(bytes, at)
      at = next
    } else at += kind === 1 ? 8 : 4
  }
}

const inChunk = (answer, field, bytes, at, end) => {
  if (field === 2) took(answer, bytes, at, end)
  else if (field === 3) answer.metrics = true
  else if (field === 5) answer.complete = true
  else if (field === 4) fields(bytes, at, end, inError, answer)
}

const inResponse = (answer, field, bytes, at, end) => {
  if (field === 2) fields(bytes, at, end, inSuccess, answer)
  else if (field === 3) fields(bytes, at, end, inError, answer)
}

const inSuccess = (answer, field, bytes, at, end) => {
  if (field === 1) took(answer, bytes, at, end)
  else if (field === 2) answer.metrics = true
  else if (field === 3) answer.complete = true
}

/** A list of models and a version. */
const inInfo = (answer, field) => {
  if (field === 1) answer.metrics = true
  if (field === 4) answer.complete = answer.metrics
}

const inError = (answer, field, bytes, at, end) => {
  if (field === 1) answer.error = bytes.toString("utf8", at, end)
}

const took = (answer, bytes, at, end) => {
  answer.text += end - at
  answer.kept?.push(Buffer.from(bytes.subarray(at, end)))
}
