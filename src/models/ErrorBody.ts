/**
 * What a provider's refusal says, whatever its shape: its codes, its sentences, the fields it objects to, and how long
 * to wait.
 *
 * Vendors, gateways and web frameworks put the same few facts under many names: `error`, `errors`, `detail`, `message`
 * with an object in it, a list of one, JSON inside of a string. So the body is walked, a bounded part of it, and what
 * stands under a known name is taken. What may quote the prompt (`input`, `ctx`, `messages`) is not entered.
 * Sources: https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors,
 * https://google.aip.dev/193 (`details`, `RetryInfo`), https://fastapi.tiangolo.com/tutorial/handling-errors (`detail`),
 * https://openrouter.ai/docs/api-reference/errors (`metadata`), MiniMax's `base_resp`.
 */
import * as Json from "./Json.js"
import * as Waits from "./Waits.js"

export interface ErrorBody {
  /** Such as `insufficient_quota`, `overloaded_error` or `RESOURCE_EXHAUSTED`; the outermost first. */
  readonly codes: ReadonlyArray<string>
  /** A status of HTTP that the body names, from 400 to 599. */
  readonly status: number | undefined
  /** Each cut to a bounded length. They may quote the prompt. */
  readonly messages: ReadonlyArray<string>
  /** Names and paths of the request's fields that it objects to, with dots between the parts of a path. */
  readonly fields: ReadonlyArray<string>
  /** How long to wait, in milliseconds, where a field of the body has it. */
  readonly wait: number | undefined
}

/** `body` is parsed JSON, or text. `now` in milliseconds since the epoch: a wait may be given as a moment. */
export const read = (body: unknown, now: number): ErrorBody => {
  const codes: Array<string> = []
  const messages: Array<string> = []
  const fields: Array<string> = []
  let status: number | undefined
  let wait: number | undefined
  let values = 0

  const note = (into: Array<string>, text: string): void => {
    if (text.trim() !== "" && into.length < maxTexts && !into.includes(text)) into.push(text.slice(0, maxLength))
  }
  const sentence = (text: string, depth: number): void => {
    const inner = /^\s*[[{]/.test(text) && text.length <= maxJson ? Json.parse(text) : undefined
    if (inner === undefined) {
      note(messages, text)
      // As `{"error": "invalid_token"}` has it.
      if (isIdentifier.test(text)) note(codes, text)
    } else walk(inner, depth + 1)
  }
  const code = (value: unknown): void => {
    const number = typeof value === "number" ? value : Number(typeof value === "string" && value !== "" ? value : NaN)
    if (Number.isInteger(number) && number >= 400 && number <= 599) status ??= number
    else if (typeof value === "string" && value !== "error") note(isSentence(value) ? messages : codes, value)
    else if (typeof value === "number") note(codes, String(value))
  }
  const field = (value: unknown): void => {
    if (typeof value === "string") note(fields, value)
    else if (Array.isArray(value)) {
      if (value.every((part) => typeof part !== "object")) note(fields, value.slice(0, 16).join("."))
      else for (const each of value.slice(0, 16)) field(each)
    }
  }

  const walk = (value: unknown, depth: number): void => {
    if (depth > maxDepth || ++values > maxValues) return
    if (typeof value === "string") return sentence(value, depth)
    if (Array.isArray(value)) {
      for (const each of value.slice(0, maxTexts)) walk(each, depth + 1)
      return
    }
    const object = Json.object(value)
    if (object === undefined) return
    for (const key of codeKeys) code(object[key])
    for (const key of fieldKeys) field(object[key])
    for (const key of messageKeys) if (typeof object[key] === "string") sentence(object[key], depth)
    for (const [key, unit] of Waits.fields) wait ??= Waits.parse(object[key], unit, now)
    // The headers of the vendor behind a gateway.
    const headers = Json.object(object["headers"])
    if (headers !== undefined) wait ??= Waits.ofHeaders(headersOf(headers), true, now)
    for (const key of innerKeys) {
      if (typeof object[key] !== "string" || !messageKeys.includes(key)) walk(object[key], depth + 1)
    }
  }
  walk(body, 0)
  return { codes, status, messages, fields, wait }
}

/** Whether it objects to this field of a request: names it in a path or a sentence. */
export const names = ({ fields, messages }: ErrorBody, field: string): boolean => {
  const word = new RegExp(`(?<![A-Za-z0-9_])${field}(?![A-Za-z0-9_])`)
  return fields.some((path) => word.test(path)) || messages.some((message) => word.test(message))
}

// -- internals ---------------------------------------------------------------

const maxDepth = 8
const maxValues = 256
const maxTexts = 16
/** UTF-16 code units of a text that is kept; a sentence about an error is shorter. */
const maxLength = 2000
const maxJson = 65_536

const codeKeys = [
  "code",
  "type",
  "status",
  "error_code",
  "errorCode",
  "err_code",
  "errcode",
  "errorcode",
  "Code",
  "error_type",
  "errorType",
  "status_code",
  "statusCode",
  "http_status",
  "httpCode",
  "reason",
  "__type"
]
const messageKeys = [
  "message",
  "msg",
  "error_message",
  "errorMessage",
  "error_msg",
  "errmsg",
  "errMsg",
  "errorMsg",
  "retmsg",
  "faultstring",
  "status_msg",
  "error_description",
  "description",
  "title",
  "text",
  "Message"
]
const fieldKeys = ["param", "parameter", "params", "loc", "field", "path", "argument", "location", "name"]
/** What has the facts, or more of them, inside. */
const innerKeys = [
  "error",
  "errors",
  "Error",
  "err",
  "Response",
  "result",
  "detail",
  "details",
  "base_resp",
  "metadata",
  "raw",
  "innererror",
  "innerError",
  "inner_error",
  "cause",
  "causes",
  "body",
  "response",
  "data",
  "fault",
  "failure",
  "fieldViolations",
  "violations",
  "validation_errors",
  "exception",
  "extensions",
  "ResponseMetadata",
  "output",
  "message",
  "msg"
]

const isIdentifier = /^[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+$/

const isSentence = (text: string): boolean => /\s/.test(text.trim())

const headersOf = (headers: Json.JsonObject): ReadonlyArray<readonly [string, string]> =>
  Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)])
