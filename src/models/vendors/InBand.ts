/**
 * Failures that a vendor reports in a body whose status is 200: where they stand, and what is none.
 *
 * Some members are failures wherever they stand, as an `error` that is not empty. Others are only where no answer
 * stands beside them: `code`, `detail`, `success: false`. `error: ""`, `{}` and `false` are none.
 * Sources: OpenAI https://platform.openai.com/docs/guides/error-codes · Anthropic https://docs.claude.com/en/api/errors ·
 * vLLM and FastChat (`object: error`, codes of five digits that begin with a status), https://github.com/lm-sys/FastChat ·
 * MiniMax (`base_resp`), https://platform.minimax.io/docs/api-reference/errorcode · FastAPI (`detail`),
 * https://fastapi.tiangolo.com/tutorial/handling-errors · RFC 9457 (`status`, `title`, `detail`).
 */
import * as Json from "../Json.js"

/** What a vendor sent to say that it failed, for the one place that judges such bodies. */
export interface Failure {
  readonly body: unknown
}

/** Of the root of an event or of a body; `hasAnswer` is whether it has text, or the reason of an end, too. */
export const find = (root: Json.JsonObject, event: string, hasAnswer: boolean): Failure | undefined => {
  if (isErrorEvent.test(event)) return failure(root)
  if (someError(root) !== undefined || isErrorWord(root["object"]) || isErrorWord(root["type"])) return failure(root)
  const base = root["base_resp"]
  if (Json.isRecord(base) && isBadCode(base["status_code"])) return failure(base)
  return !hasAnswer && isImplied(root) ? failure(root) : undefined
}

/** Of an error inside of a choice, a message or a delta. */
export const inside = (from: Json.JsonObject): Failure | undefined => {
  const error = someError(from)
  return error === undefined ? undefined : failure(Json.object(error) ?? { error })
}

/** Of a word for how an answer failed, with an error beside it where there is one. */
export const ofWord = (word: string): Failure => ({ body: { code: word } })

/** Of a text that is no JSON and speaks of a failure. */
export const ofText = (text: string): Failure | undefined =>
  isFailureText.test(text) ? { body: { message: text } } : undefined

/** Whether the name of an event says that it is a failure. */
export const isErrorEvent = /^(error|exception|fault)$/i

// -- internals ---------------------------------------------------------------

const isFailureText = /^\W*(error|exception|fatal|traceback)\b/i

const isErrorWord = (value: unknown): boolean =>
  typeof value === "string" && /^(error|exception|fault)$|^\w*(_error|Error|Exception)$/.test(value)

const errorNames = [
  "error",
  "errors",
  "err",
  "Error",
  "exception",
  "fault",
  "error_message",
  "error_msg",
  "errorMessage"
]

const someError = (from: Json.JsonObject): unknown => {
  for (const name of errorNames) {
    const value = from[name]
    if (value !== undefined && value !== null && isSomething(value)) return value
  }
  return undefined
}

/** Nothing is false, 0, blank, empty, or made of nothing; so is what says that all is well. */
const isSomething = (value: unknown, depth = 0): boolean => {
  if (value === undefined || value === null || value === false || value === 0) return false
  if (typeof value === "string") return !/^\s*(|0|false|null|none|ok|success)\s*$/i.test(value)
  if (typeof value !== "object" || depth > 4) return true
  return Object.entries(value).some(([name, inner]) =>
    (!codeNames.includes(name) || isBadCode(inner)) && isSomething(inner, depth + 1)
  )
}

/** Not 0 and not of the 200s, nor a word for it. */
const isBadCode = (value: unknown): boolean =>
  typeof value === "number"
    ? value !== 0 && !(value >= 200 && value < 300)
    : typeof value === "string" && !/^\s*(|0+|2\d\d|ok|success|succeeded|true|null|none)\s*$/i.test(value)

const isImplied = (root: Json.JsonObject): boolean =>
  root["success"] === false || root["ok"] === false ||
  codeNames.some((name) => root[name] !== undefined && isBadCode(root[name])) ||
  isBadStatus(root["status"]) || isSomething(root["detail"])

const codeNames = ["code", "status_code", "statusCode", "error_code", "errorCode", "err_code", "errcode", "errno"]

const isBadStatus = (value: unknown): boolean =>
  typeof value === "number"
    ? value >= 400
    : typeof value === "string" && /^(error|fail(ed|ure)?|4\d\d|5\d\d)$/i.test(value)

/** Beside the vendor's own code of five or six digits stands the status that it begins with. */
const failure = (body: Json.JsonObject): Failure => {
  const error = Json.object(body["error"])
  for (const name of codeNames) {
    const code = Number(body[name] ?? error?.[name] ?? NaN)
    const status = Math.floor(code / (code >= 100_000 ? 1000 : 100))
    if (Number.isInteger(code) && status >= 400 && status < 600) return { body: { ...body, http_status: status } }
  }
  return { body }
}
