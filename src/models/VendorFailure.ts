/**
 * What a vendor's SDK, socket or stream threw, as a {@link ProviderFailure}.
 *
 * What a client may see is our own words and the vendor's short code. The
 * `cause` is for the log, and even it holds neither the SDK's error, which
 * carries headers and the whole body, nor the API key.
 */
import { DateTime, Duration, Option, Redacted } from "effect"
import { ProviderFailure } from "../domain/Errors.js"
import { isRecord } from "./Json.js"
import { type Limit, TooLate } from "./Timeouts.js"
import type { Empty } from "./vendors/Answers.js"

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
  const status = isRecord(thrown) && typeof thrown["status"] === "number" ? thrown["status"] : undefined
  const headers = isRecord(thrown) && isHeaders(thrown["headers"]) ? thrown["headers"] : undefined
  const limit = limitOf(source, thrown)
  const code = limit !== undefined
    ? tooLate[limit]
    : status === undefined
    ? connectionCode(thrown)
    : shortCode(source, thrown)
  return new ProviderFailure({
    provider: source.provider,
    reason: limit !== undefined
      ? "PROVIDER_TIMEOUT"
      : status === undefined
      ? "PROVIDER_UNAVAILABLE"
      : reasonOfStatus(status),
    detail: code ?? (status === undefined ? undefined : `HTTP ${status}`),
    retryAfter: headers && retryAfter(headers, now),
    maybeBilled: status === undefined && limit !== "connect" && !(code !== undefined && neverThere.test(code)),
    cause: {
      name: nameOf(thrown),
      status,
      code,
      requestId: headers?.get("x-request-id") ?? headers?.get("request-id") ?? undefined,
      message: Redacted.make(withoutSecrets(source, messageOf(thrown, status)))
    } satisfies VendorError
  })
}

/** `body` is what a vendor sends inside a stream or in place of an answer: the error, or what it stands in. */
export const fromEvent = (source: Source, body: unknown): ProviderFailure => {
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : body
  const code = shortCode(source, error)
  const status = isRecord(error) && typeof error["code"] === "number" ? error["code"] : undefined
  return new ProviderFailure({
    provider: source.provider,
    reason: status !== undefined && status >= 400 ? reasonOfStatus(status) : reasonOfCode(kindsOf(error)),
    detail: code ?? (status === undefined ? undefined : `HTTP ${status}`),
    retryAfter: undefined,
    // It took the request, and says nothing of what it did until it failed.
    maybeBilled: true,
    cause: {
      name: "ErrorEvent",
      status,
      code,
      requestId: undefined,
      message: Redacted.make(withoutSecrets(source, stringIn(error, "message") ?? "no message"))
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

/** Milliseconds, seconds or a date (RFC 9110, 10.2.3); never negative. */
export const retryAfter = (headers: Headers, now: number): Duration.Duration | undefined => {
  const milliseconds = amount(headers.get("retry-after-ms"))
  if (milliseconds !== undefined) return Duration.millis(milliseconds)
  const header = headers.get("retry-after")
  const seconds = amount(header)
  if (seconds !== undefined) return Duration.seconds(seconds)
  // A date names its day and month; anything shorter is not one, whatever the parser makes of it.
  if (header === null || !/^[A-Za-z]{3,9},? /.test(header)) return undefined
  // HTTP dates end in GMT, which DateTime does not take for a zone.
  return Option.getOrUndefined(
    Option.map(
      DateTime.make(header.replace(/ GMT$/, " Z")),
      (at) => Duration.millis(Math.max(0, DateTime.toEpochMillis(at) - now))
    )
  )
}

// -- internals ---------------------------------------------------------------

type Reason = ProviderFailure["reason"]

const reasonOfStatus = (status: number): Reason =>
  status === 429
    ? "PROVIDER_RATE_LIMITED"
    : status === 408
    ? "PROVIDER_TIMEOUT"
    : status >= 500
    ? "PROVIDER_UNAVAILABLE"
    : "PROVIDER_REJECTED"

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

/**
 * The first that names one wins; the rest is the vendor's own trouble.
 * Sources: https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors
 */
const reasonOfCode = (codes: ReadonlyArray<string>): Reason => {
  for (const code of codes) {
    if (/rate_?limit|too_many_requests|insufficient_quota/i.test(code)) return "PROVIDER_RATE_LIMITED"
    if (/timeout/i.test(code)) return "PROVIDER_TIMEOUT"
    if (/invalid|authentication|permission|not_found|too_large|billing|content_filter|context_length/i.test(code)) {
      return "PROVIDER_REJECTED"
    }
  }
  return "PROVIDER_UNAVAILABLE"
}

const kindsOf = (error: unknown): ReadonlyArray<string> =>
  ["code", "errorCode", "type"].flatMap((key) => stringIn(error, key) ?? [])

/** A code is short and of few characters, so that no prompt, URL or body can pass for one. */
const shortCode = (source: Source, error: unknown): string | undefined =>
  kindsOf(error).find((code) => /^[A-Za-z0-9_.:-]{1,64}$/.test(code) && withoutSecrets(source, code) === code)

/** `ECONNREFUSED` and the like, from the chain of causes. */
const systemCode = (thrown: unknown): string | undefined =>
  chain(thrown).flatMap((error) => stringIn(error, "code") ?? []).find((code) => /^[A-Z][A-Z0-9_]{2,63}$/.test(code))

/** The transport's own code says nothing to a caller. */
const connectionCode = (thrown: unknown): string | undefined => {
  const code = systemCode(thrown)
  return code === "UND_ERR_SOCKET" ? "connection lost" : code
}

const chain = (thrown: unknown): ReadonlyArray<unknown> => {
  const errors: Array<unknown> = []
  for (let error = thrown; isRecord(error) && errors.length < 8; error = error["cause"]) errors.push(error)
  return errors
}

const nameOf = (thrown: unknown): string => thrown instanceof Error ? thrown.constructor.name : typeof thrown

/** The vendor's sentence where it sent one; without it, an SDK's message is the raw body. */
const messageOf = (thrown: unknown, status: number | undefined): string => {
  if (status === undefined) return chain(thrown).flatMap((error) => stringIn(error, "message") ?? []).join(": ")
  const body = isRecord(thrown) ? thrown["error"] : undefined
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : body
  return stringIn(error, "message") ?? `HTTP ${status}`
}

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

const amount = (header: string | null): number | undefined =>
  header !== null && /^\d+(\.\d+)?$/.test(header.trim()) ? Number(header) : undefined
