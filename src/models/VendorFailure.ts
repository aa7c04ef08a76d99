/**
 * What a vendor's SDK, socket or stream threw, as a {@link ProviderFailure}.
 *
 * What a client may see is our own words and the vendor's short code. The
 * `cause` is for the log, and even it holds neither the SDK's error, which
 * carries headers and the whole body, nor the API key.
 */
import { Duration, Redacted } from "effect"
import { ProviderFailure } from "../domain/Errors.js"
import * as AccountFaults from "./AccountFaults.js"
import * as ErrorBody from "./ErrorBody.js"
import { isRecord } from "./Json.js"
import { requestIdOf } from "./ResponseHead.js"
import { type Limit, TooLate } from "./Timeouts.js"
import type { Empty } from "./vendors/Answers.js"
import * as Waits from "./Waits.js"

export interface Source {
  /** The provider's name in the configuration. */
  readonly provider: string
  readonly apiKey: Redacted.Redacted | undefined
  /** Whether the SDK's error says that its own timer ran out. */
  readonly isTimeout: (thrown: unknown) => boolean
}

/** What stays of a vendor's error. */
export interface VendorError {
  readonly name: string
  readonly status: number | undefined
  readonly code: string | undefined
  readonly requestId: string | undefined
  /** May quote the prompt, so it is shown only by a program that means to. */
  readonly message: Redacted.Redacted
}

/** `now` in milliseconds since the epoch: a `Retry-After` may be a date. */
export const fromThrown = (source: Source, thrown: unknown, now: number): ProviderFailure => {
  const status = statusOf(thrown)
  return status === undefined ? unanswered(source, thrown) : refused(source, thrown, status, now)
}

/** The status of a refusal; undefined for what is none. */
export const statusOf = (thrown: unknown): number | undefined =>
  isRecord(thrown) && typeof thrown["status"] === "number" ? thrown["status"] : undefined

/** What the vendor sent with a status of failure, as {@link Requests} hands it over. */
export const bodyOf = (thrown: unknown, now: number): ErrorBody.ErrorBody =>
  ErrorBody.read(isRecord(thrown) ? thrown["error"] : undefined, now)

/**
 * `error` is what a vendor sends inside a stream or in place of an answer to say that it failed: the error, or whatever
 * it stands in. `now` in milliseconds since the epoch: a wait may be given as a moment.
 */
export const fromEvent = (source: Source, error: unknown, now: number): ProviderFailure => {
  const body = ErrorBody.read(error, now)
  const wait = waitOf(body, [], true, now)
  const account = AccountFaults.of(undefined, body, wait !== undefined)
  return new ProviderFailure({
    provider: source.provider,
    reason: body.status !== undefined ? reasonOf(body.status, body, account) : reasonOfBody(body, account),
    detail: shortCode(source, body) ?? (body.status === undefined ? undefined : `HTTP ${body.status}`),
    retryAfter: account === undefined ? wait : undefined,
    account,
    unknownModel: isUnknownModel(body.status, body, account),
    // It took the request, and says nothing of what it did until it failed.
    maybeBilled: account === undefined,
    cause: {
      name: "ErrorEvent",
      status: body.status,
      code: shortCode(source, body),
      requestId: undefined,
      message: Redacted.make(withoutSecrets(source, body.messages[0] ?? "no message"))
    } satisfies VendorError
  })
}

/** The vendor ended its answer, and there is no text in it; `detail` is our word for what there is. */
export const empty = (source: Source, detail: Empty["detail"]): ProviderFailure =>
  new ProviderFailure({
    provider: source.provider,
    reason: "PROVIDER_EMPTY",
    detail,
    retryAfter: undefined,
    // What the model decided, or had no room for, it would do again.
    again: detail === "no text" || detail === "only reasoning" ? undefined : false,
    maybeBilled: true,
    cause: undefined
  })

/** The vendor did not keep to its own protocol; `detail` is our word for it. */
export const broken = (
  source: Source,
  detail: "stream ended early" | "invalid event" | "event too large" | "invalid answer"
): ProviderFailure =>
  new ProviderFailure({
    provider: source.provider,
    reason: "PROVIDER_UNAVAILABLE",
    detail,
    retryAfter: undefined,
    maybeBilled: true,
    cause: undefined
  })

// -- internals ---------------------------------------------------------------

type Reason = ProviderFailure["reason"]

/** The vendor answered with a status of failure. */
const refused = (source: Source, thrown: unknown, status: number, now: number): ProviderFailure => {
  const headers = isRecord(thrown) && isHeaders(thrown["headers"]) ? thrown["headers"] : undefined
  const body = bodyOf(thrown, now)
  const isLimited = status === 429 || status === 503 || status === 529
  const sent = headers === undefined ? [] : [...headers]
  const wait = waitOf(body, sent, isLimited, now)
  const account = AccountFaults.of(status, body, wait !== undefined)
  const code = shortCode(source, body)
  return new ProviderFailure({
    provider: source.provider,
    reason: reasonOf(status, body, account),
    detail: code ?? `HTTP ${status}`,
    // Time heals no account, whatever its limits say; a header that was set for this answer is handed on.
    retryAfter: account === undefined ? wait : durationOf(Waits.ofHeaders(sent, false, now)),
    account,
    unknownModel: isUnknownModel(status, body, account),
    again: account === undefined ? shouldRetry(headers?.get("x-should-retry")) : undefined,
    maybeBilled: false,
    cause: {
      name: nameOf(thrown),
      status,
      code,
      requestId: requestIdOf((name) => headers?.get(name), source.apiKey && Redacted.value(source.apiKey)),
      message: Redacted.make(withoutSecrets(source, body.messages[0] ?? `HTTP ${status}`))
    } satisfies VendorError
  })
}

/** Nothing came, or not all of it. */
const unanswered = (source: Source, thrown: unknown): ProviderFailure => {
  const limit = limitOf(source, thrown)
  const code = limit === undefined ? connectionCode(thrown) : tooLate[limit]
  return new ProviderFailure({
    provider: source.provider,
    reason: limit === undefined ? "PROVIDER_UNAVAILABLE" : "PROVIDER_TIMEOUT",
    detail: code,
    retryAfter: undefined,
    maybeBilled: limit !== "connect" && !(code !== undefined && neverThere.test(code)),
    cause: {
      name: nameOf(thrown),
      status: undefined,
      code,
      requestId: undefined,
      message: Redacted.make(withoutSecrets(source, sentencesOf(thrown)))
    } satisfies VendorError
  })
}

/** Where a header, a field or a sentence names it. */
const waitOf = (
  body: ErrorBody.ErrorBody,
  headers: Iterable<readonly [string, string]>,
  isLimited: boolean,
  now: number
): Duration.Duration | undefined => {
  const millis = Waits.ofHeaders(headers, false, now) ?? body.wait ??
    (isLimited ? Waits.ofSentences(body.messages) ?? Waits.ofHeaders(headers, true, now) : undefined)
  return durationOf(millis)
}

const durationOf = (millis: number | undefined): Duration.Duration | undefined =>
  millis === undefined ? undefined : Duration.millis(millis)

/** As Stainless' SDKs read it: https://github.com/openai/openai-node/blob/master/src/client.ts (`shouldRetry`). */
const shouldRetry = (header: string | null | undefined): boolean | undefined =>
  header === "true" ? true : header === "false" ? false : undefined

/** Of a status of HTTP; 409 and 425 ask for the same request a little later. */
const reasonOf = (
  status: number,
  body: ErrorBody.ErrorBody,
  account: AccountFaults.AccountFault | undefined
): Reason => {
  if (status === 429 || isPaced(body.codes)) return "PROVIDER_RATE_LIMITED"
  if (account !== undefined) return "PROVIDER_REJECTED"
  if (status === 408) return "PROVIDER_TIMEOUT"
  return status >= 500 || status === 409 || status === 425 ? "PROVIDER_UNAVAILABLE" : "PROVIDER_REJECTED"
}

/** Of an error without a status. */
const reasonOfBody = (body: ErrorBody.ErrorBody, account: AccountFaults.AccountFault | undefined): Reason => {
  if (isPaced(body.codes) || body.codes.some((code) => quota.test(code))) return "PROVIDER_RATE_LIMITED"
  if (account !== undefined) return "PROVIDER_REJECTED"
  // The type that some have for every failure says less than a sentence.
  const codes = body.codes.filter((code) => code !== "invalid_request_error")
  return reasonOfTexts(codes, codeRules) ?? reasonOfTexts(body.messages, sentenceRules) ??
    (codes.length < body.codes.length ? "PROVIDER_REJECTED" : "PROVIDER_UNAVAILABLE")
}

/**
 * By its code, or by a sentence of a refusal that is about what was asked for: OpenAI has `model_not_found`, Anthropic
 * `not_found_error` with "model: claude-x", Ollama and vLLM a sentence with the model's name.
 */
const isUnknownModel = (
  status: number | undefined,
  { codes, messages }: ErrorBody.ErrorBody,
  account: AccountFaults.AccountFault | undefined
): boolean => {
  if (account !== undefined || status !== undefined && status !== 404 && status !== 400) return false
  if (
    codes.some((code) => /model[-_.]?(not[-_.]?(found|exist)|does[-_.]?not[-_.]?exist)|unknown[-_.]?model/i.test(code))
  ) return true
  const isMissing = status === 404 || codes.some((code) => /not[-_.]?found/i.test(code))
  return messages.some((text) => unknownModel.test(text) || isMissing && /^model: \S+$/.test(text.trim()))
}

const unknownModel =
  /\bmodels?\b.{0,120}\b(not found|does not exist|not exist|do(es)?n't exist|is unknown|is not a valid model)|\bunknown model\b|\b(no|not a valid|invalid) (such )?model\b|模型不存在/i

const isPaced = (codes: ReadonlyArray<string>): boolean => codes.some((code) => pace.test(code))

const pace =
  /rate[-_.]?limit|too[-_.]?many[-_.]?requests|throttl|request[-_.]?limit[-_.]?exceeded|limit[-_.]requests|QuotaExceeded/i
const quota = /insufficient[-_.]?(\w+[-_.])?quota|RESOURCE_EXHAUSTED|quota/i

type Rules = ReadonlyArray<readonly [Reason, RegExp]>

/** The first code that names a reason wins, and in it the first rule; the rest is the vendor's own trouble. */
const reasonOfTexts = (texts: ReadonlyArray<string>, rules: Rules): Reason | undefined => {
  for (const text of texts) {
    const found = rules.find(([, rule]) => rule.test(text))
    if (found !== undefined) return found[0]
  }
  return undefined
}

/** Sources: https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors */
const codeRules: Rules = [
  ["PROVIDER_TIMEOUT", /timeout|timed[-_.]?out|deadline[-_.]?exceeded/i],
  [
    "PROVIDER_REJECTED",
    /invalid|validation|unauthori[sz]ed|access[-_.]?denied|authentication|auth[-_.]?failure|permission|not[-_.]?found|too[-_.]?(large|long)|billing|content[-_.]?filter|context[-_.]?length|bad[-_.]?request|unsupported|unprocessable|moderation|safety|inspection|sensitive/i
  ]
]

const sentenceRules: Rules = [
  [
    "PROVIDER_RATE_LIMITED",
    /\b(rate[- ]limit|too many requests|quota|throttl|requests? per (second|minute|hour|day)|request limit (reached|exceeded)|limit exceeded ?\((tpm|rpm|rpd|qps)\))|速率|频率|频繁|限频|限流|限速|并发|请求过多|负载已?饱和/i
  ],
  ["PROVIDER_TIMEOUT", /\b(timed? ?out|deadline exceeded)\b|超时/i],
  ["PROVIDER_UNAVAILABLE", /\b(overloaded|over capacity|capacity (temporarily )?exceeded|too busy)\b|繁忙|过载/i],
  [
    "PROVIDER_REJECTED",
    /\b(context (is full|length|window)|maximum context|too (long|large)|(model|deployment)\b.{0,80}\b(not found|does not exist|not exist)|content (filter|policy|management)|invalid (request|param|parameter|argument|value)s?|bad request|not supported|(inappropriate|sensitive|harmful|unsafe) (content|information)|new_sensitive|(content|text)\b.{0,20}\bmoderation|(prompt|input) is too long)\b|参数|不存在|敏感|违规|审核|不合规|过长/i
  ]
]

/** Which limit ran out; undefined when the failure is of another kind. */
const limitOf = (source: Source, thrown: unknown): Limit | undefined => {
  const late = chain(thrown).find((error) => error instanceof TooLate)
  return late?.limit ?? (source.isTimeout(thrown) ? "total" : undefined)
}

const tooLate: Record<Limit, string> = {
  connect: "no connection in time",
  firstToken: "no first token in time",
  betweenTokens: "no next token in time",
  total: "no whole answer in time"
}

/** The request has not reached anybody. */
const neverThere =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT|ERR_TLS_.*|.*CERT.*)$/

/** The transport has a class of its own, so `instanceof` is of no use. */
const isHeaders = (value: unknown): value is Headers => isRecord(value) && typeof value["get"] === "function"

/** A code is short and of few characters, so that no prompt, URL or body can pass for one. */
const shortCode = (source: Source, { codes }: ErrorBody.ErrorBody): string | undefined =>
  codes.find((code) => /^[A-Za-z0-9_.:-]{1,64}$/.test(code) && withoutSecrets(source, code) === code)

/** `ECONNREFUSED` and the like, from the chain of causes. */
const systemCode = (thrown: unknown): string | undefined =>
  chain(thrown).flatMap((error) => stringIn(error, "code") ?? []).find((code) => /^[A-Z][A-Z0-9_]{2,63}$/.test(code))

/** The transport's own codes say nothing to a caller. */
const ownWords: ReadonlyMap<string, string> = new Map([
  ["UND_ERR_SOCKET", "connection lost"],
  ["ANSWER_TOO_LARGE", "answer too large"],
  ["TOO_MANY_INTERIM_RESPONSES", "too many interim responses"]
])

const connectionCode = (thrown: unknown): string | undefined => {
  const code = systemCode(thrown)
  return code === undefined ? undefined : ownWords.get(code) ?? code
}

const chain = (thrown: unknown): ReadonlyArray<unknown> => {
  const errors: Array<unknown> = []
  for (let error = thrown; isRecord(error) && errors.length < 8; error = error["cause"]) errors.push(error)
  return errors
}

const nameOf = (thrown: unknown): string => thrown instanceof Error ? thrown.constructor.name : typeof thrown

/** Of what was thrown and its causes. */
const sentencesOf = (thrown: unknown): string =>
  chain(thrown).flatMap((error) => stringIn(error, "message") ?? []).join(": ")

const stringIn = (value: unknown, key: string): string | undefined => {
  const found = isRecord(value) ? value[key] : undefined
  return typeof found === "string" && found !== "" ? found : undefined
}

const withoutSecrets = (source: Source, text: string): string => {
  const key = source.apiKey && Redacted.value(source.apiKey)
  return (key === undefined || key === "" ? text : text.replaceAll(key, redacted))
    // Vendors quote a wrong key with its middle starred out; URLs may carry a password.
    .replace(/\b(sk|pk|gsk)[-_][A-Za-z0-9_*-]{6,}/g, redacted)
    .replace(/\/\/[^/@\s]*@/g, `//${redacted}@`)
    .slice(0, 500)
}

const redacted = "<redacted>"
