/**
 * Failures that a vendor reports in a body whose status is 200: where they stand, and what is none.
 *
 * Some members are failures wherever they stand, as an `error` that is not empty. Others are only where no answer
 * stands beside them: `code`, `detail`, `success: false`, `status: failed`, also inside of `data`, `result` and the like.
 * `error: ""`, `{}` and `false` are none. Names are compared without their case and their punctuation.
 * Sources: OpenAI https://platform.openai.com/docs/guides/error-codes · Anthropic https://docs.claude.com/en/api/errors ·
 * vLLM and FastChat (`object: error`, codes of five digits that begin with a status), https://github.com/lm-sys/FastChat ·
 * MiniMax (`base_resp`), https://platform.minimax.io/docs/api-reference/errorcode · FastAPI (`detail`),
 * https://fastapi.tiangolo.com/tutorial/handling-errors · AWS (`__type`), https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html ·
 * Amazon Bedrock (`throttlingException` as a name), https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ResponseStream.html ·
 * Tencent (`Response.Error.Code`), https://cloud.tencent.com/document/api/1729 · SiliconFlow (20000 is success) · RFC 9457 (`status`, `title`, `detail`).
 */
import * as Json from "../Json.js"

/** What a vendor sent to say that it failed, for the one place that judges such bodies. */
export interface Failure {
  readonly body: unknown
}

/** Of the root of an event or of a body; `hasAnswer` is whether it has text, or the reason of an end, too. */
export const find = (root: Json.JsonObject, event: string, hasAnswer: boolean): Failure | undefined => {
  if (isErrorEvent(event)) return failure(root, event)
  if (hasError(root) || isErrorWord(root["object"]) || isErrorWord(root["type"])) return failure(root)
  const base = root["base_resp"]
  if (Json.isRecord(base) && isBadCode(base["status_code"])) return failure(base)
  return !hasAnswer && isImplied(root, 0) ? failure(root) : undefined
}

/** Of an error inside of a choice, a message or a delta. */
export const inside = (from: Json.JsonObject): Failure | undefined => hasError(from) ? failure(from) : undefined

/** Of a word for how an answer failed, with an error beside it where there is one. */
export const ofWord = (word: string): Failure => ({ body: { code: word } })

/** Of a text that is no JSON and speaks of a failure. */
export const ofText = (text: string): Failure | undefined =>
  isFailureText.test(text) || isMarkup.test(text) ? { body: { message: text } } : undefined

/** The sentence of an event that may be no answer; one that says that all is well is none. */
export const sentenceOf = (root: Json.JsonObject): string | undefined => {
  const sentence = Json.string(root["message"]) ?? Json.string(root["msg"]) ?? Json.string(root["Message"])
  return sentence !== undefined && isSomething(sentence) ? sentence : undefined
}

/** Whether the name of an event says that it is a failure. */
export const isErrorEvent = (event: string): boolean =>
  event !== "" && (isFailureWord.test(event) || isErrorType.test(event))

// -- internals ---------------------------------------------------------------

const isFailureText =
  /\b(errors?|exception|fatal|traceback|fail(ed|ure|s)?|time(d[ -]?)?out|exceeded|unauthorized|forbidden|denied|bad gateway|too many requests|service unavailable|(temporarily|currently) unavailable|overloaded|connection (refused|reset|closed))\b|^\W*[45]\d\d\b/i
const isMarkup = /^\s*<(\?xml|!doctype|html|error|fault)\b/i

const isFailureWord =
  /^(errors?|exception|faults?|fatal|fail(ed|ure)?|abort(ed)?|cancell?ed|time(d[-_]?)?out|rejected)$/i
/** `response.failed`, `stream_error`, `ThrottlingException`, `com.amazon.coral.validate#ValidationException`. */
const isErrorType =
  /^[\w.#:-]*[._#:-](error|exception|fault|fail(ed|ure))$|^[\w.#:-]*[a-z](Error|Exception|Fault|Failure)$/

const isErrorWord = (value: unknown): boolean =>
  typeof value === "string" && (/^(error|exception|fault)$/i.test(value) || isErrorType.test(value))

/** Names that nearly every event has, and that say nothing of a failure. */
const usual: ReadonlySet<string> = new Set([
  "id",
  "object",
  "type",
  "created",
  "model",
  "choices",
  "usage",
  "index",
  "delta",
  "content",
  "role",
  "finish_reason",
  "message",
  "system_fingerprint",
  "service_tier"
])

/** Without case and punctuation; empty for one that nobody would look at. */
const plain = (name: string): string => name.length > 32 ? "" : name.replace(/[^A-Za-z0-9]/g, "").toLowerCase()

const isErrorName =
  /^(err(or)?s?|exceptions?|faults?|traceback|(is|has)err(or)?|err(or)?(message|messages|msg|description|detail|details|info|text))$/

/** The code of a failure, or of success. */
const isCodeName = /^(http|err(or)?|ret(urn)?|status|biz|result)?(code|no)$|^ret$|^httpstatus$/

/** Something under a name that only a failure has. */
const hasError = (from: Json.JsonObject): boolean => {
  for (const name in from) {
    if (!usual.has(name) && isErrorName.test(plain(name)) && isSomething(from[name])) return true
    if (isException.test(name) && Json.isRecord(from[name])) return true
  }
  return false
}

/** The name of a failure as the name of what says more of it. */
const isException = /^\w*[a-z]Exception$/

/** Nothing is false, 0, blank, empty, or made of nothing; so is what says that all is well. */
const isSomething = (value: unknown, depth = 0): boolean => {
  if (value === undefined || value === null || value === false || value === 0) return false
  if (typeof value === "string") return !/^\s*(|0|false|null|none|ok|success)\s*$/i.test(value)
  if (typeof value !== "object" || depth > 4) return true
  return Object.entries(value).some(([name, inner]) =>
    (!isCodeName.test(plain(name)) || isBadCode(inner)) && isSomething(inner, depth + 1)
  )
}

/** Not 0 and not of the 200s, nor a word for it. */
const isBadCode = (value: unknown): boolean =>
  typeof value === "number"
    ? value !== 0 && !(value >= 200 && value < 300) && !/^200+$/.test(String(value))
    : typeof value === "string" && !/^\s*(|0+|2\d\d|200+|ok|success|succeeded|true|null|none)\s*$/i.test(value)

/** What is a failure where no answer stands beside it, there or inside of what is around the answer. */
const isImplied = (root: Json.JsonObject, depth: number): boolean => {
  for (const name in root) {
    const value = root[name]
    if (value === undefined || value === null) continue
    const key = plain(name)
    if (isCodeName.test(key) && isBadCode(value)) return true
    if (depth > 0 && isErrorName.test(key) && isSomething(value)) return true
    switch (key) {
      case "success":
      case "succeeded":
      case "issuccess":
      case "ok":
        if (value === false || value === 0 || typeof value === "string" && /^(false|0|no)$/i.test(value)) return true
        continue
      case "failed":
      case "failure":
        if (value === true || value === 1 || value === "true") return true
        continue
      case "status":
      case "state":
      case "event":
      case "type":
        if (isBadStatus(value)) return true
        continue
      case "detail":
      case "details":
        if (isSomething(value)) return true
        continue
      case "result":
        if (isBadStatus(value)) return true
    }
    if (depth < maxWrappers && isWrapper.has(key) && Json.isRecord(value) && isImplied(value, depth + 1)) return true
  }
  return false
}

const maxWrappers = 2
const isWrapper: ReadonlySet<string> = new Set(
  ["data", "result", "response", "output", "body", "meta", "header", "payload", "baseresp", "xgroq"]
)

const isBadStatus = (value: unknown): boolean =>
  typeof value === "number"
    ? value >= 400
    : typeof value === "string" && (isFailureWord.test(value) || isErrorType.test(value) || /^[45]\d\d$/.test(value))

/** Beside the vendor's own code of five or six digits stands the status that it begins with. */
const failure = (body: Json.JsonObject, event = ""): Failure => {
  const exception = Object.keys(body).find((name) => isException.test(name))
  const named = exception !== undefined
    ? { code: exception, ...Json.object(body[exception]) }
    : isErrorType.test(event)
    ? { code: event, ...body }
    : body
  const error = Json.object(body["error"])
  for (const from of [body, error ?? {}]) {
    for (const name in from) {
      const code = isCodeName.test(plain(name)) ? Number(from[name] ?? NaN) : NaN
      const status = Math.floor(code / (code >= 100_000 ? 1000 : 100))
      if (Number.isInteger(code) && isHttpStatus(status)) return { body: { ...named, http_status: status } }
    }
  }
  return { body: named }
}

/** That of a failure: vendors have codes of their own that only begin with a 4. */
const isHttpStatus = (status: number): boolean =>
  status >= 400 && status <= 431 || status === 451 || status === 498 || status === 499 ||
  status >= 500 && status <= 511 || status === 529
