/**
 * The one table between proxy errors and gRPC statuses, read in both directions.
 */
import * as Grpc from "@grpc/grpc-js"
import { Cause, Duration, Option } from "effect"
import { CallFailed } from "../domain/ClientErrors.js"
import { type ProxyError, type Reason, ShuttingDown } from "../domain/Errors.js"
import * as Details from "./Details.js"
import * as GrpcJs from "./GrpcJs.js"

/** A new reason that has no status here does not compile. */
export const codes: Record<Reason, Grpc.status> = {
  TOKEN_MISSING: Grpc.status.UNAUTHENTICATED,
  TOKEN_MALFORMED: Grpc.status.UNAUTHENTICATED,
  TOKEN_EXPIRED: Grpc.status.UNAUTHENTICATED,
  TOKEN_UNTRUSTED: Grpc.status.UNAUTHENTICATED,
  TOKEN_REVOKED: Grpc.status.UNAUTHENTICATED,
  IDENTITY_UNAVAILABLE: Grpc.status.UNAVAILABLE,
  MODEL_NOT_ALLOWED: Grpc.status.PERMISSION_DENIED,
  NO_MODEL: Grpc.status.INVALID_ARGUMENT,
  INVALID_REQUEST: Grpc.status.INVALID_ARGUMENT,
  INPUT_TOO_LONG: Grpc.status.INVALID_ARGUMENT,
  MODEL_NOT_FOUND: Grpc.status.NOT_FOUND,
  RATE_LIMITED: Grpc.status.RESOURCE_EXHAUSTED,
  CONCURRENCY_LIMITED: Grpc.status.RESOURCE_EXHAUSTED,
  QUOTA_EXCEEDED: Grpc.status.RESOURCE_EXHAUSTED,
  LIMITS_UNAVAILABLE: Grpc.status.UNAVAILABLE,
  SERVER_BUSY: Grpc.status.RESOURCE_EXHAUSTED,
  PROVIDER_RATE_LIMITED: Grpc.status.RESOURCE_EXHAUSTED,
  PROVIDER_UNAVAILABLE: Grpc.status.UNAVAILABLE,
  STREAM_INTERRUPTED: Grpc.status.UNAVAILABLE,
  SHUTTING_DOWN: Grpc.status.UNAVAILABLE,
  REQUEST_TIMEOUT: Grpc.status.DEADLINE_EXCEEDED,
  PROVIDER_TIMEOUT: Grpc.status.DEADLINE_EXCEEDED,
  PROVIDER_REJECTED: Grpc.status.FAILED_PRECONDITION,
  // Not UNAVAILABLE, which gRPC itself may try again: an empty answer is billed, too.
  PROVIDER_EMPTY: Grpc.status.ABORTED,
  VERSION_INCOMPATIBLE: Grpc.status.FAILED_PRECONDITION
}

/**
 * All headers of it have at most {@link maxHeaderBytes}: nginx takes 4 KiB by default and answers 502 to more, gRPC in
 * Python and Ruby 8 KiB. What is too long is cut.
 */
export const fromError = (error: ProxyError): Grpc.StatusObject => {
  let status = withWords(error, Infinity)
  for (let bytes = 1024; headerBytes(status) > maxHeaderBytes; bytes /= 2) status = withWords(error, bytes)
  return status
}

/** Names and values as they are sent, before HPACK makes them smaller. */
export const maxHeaderBytes = 4096

/** Why a call ended without an answer. A defect's cause is for the log: only `INTERNAL` leaves. */
export const fromCause = (cause: Cause.Cause<ProxyError>): Ending => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return { error: failure.value, status: fromError(failure.value) }
  if (Cause.isInterruptedOnly(cause)) {
    // A client that left cannot read a status, so the only reader of this one is a call cut by shutdown.
    const error = new ShuttingDown()
    return { error, status: fromError(error) }
  }
  return {
    error: undefined,
    status: {
      code: Grpc.status.INTERNAL,
      details: "Internal error. The server's log has the cause.",
      metadata: new Grpc.Metadata()
    }
  }
}

export interface Ending {
  readonly error: ProxyError | undefined
  readonly status: Grpc.StatusObject
}

/** A status as the client's error. Servers that send no details are described by their code. */
export const toCallFailed = (status: Grpc.StatusObject): CallFailed => {
  const name = Grpc.status[status.code] ?? "UNKNOWN"
  const [bytes] = status.metadata.get(Details.key)
  const details = Option.getOrUndefined(bytes instanceof Buffer ? Details.decode(bytes) : Option.none())
  return new CallFailed({
    reason: details?.reason ?? name,
    status: name,
    summary: details?.summary ?? described(name, status.details).replace(/\.?$/, "."),
    remedy: details?.remedy ?? advice[status.code] ?? "Look at the server's log.",
    retryAfter: details?.retryAfter ?? retryAfterMs(status.metadata),
    begun: GrpcJs.hasNotBegun(status) ? "no" : "maybe",
    ...GrpcJs.hadNoConnection(status) && { unconnected: true }
  })
}

// -- internals ---------------------------------------------------------------

/** `bytes` is how long its summary and its remedy each may be; names may have a quarter of it. */
const withWords = (error: ProxyError, bytes: number): Grpc.StatusObject => {
  const metadata = new Grpc.Metadata()
  const code = codes[error.reason]
  // Nothing is cut where all fits, so that the message is the error's own.
  const [summary, remedy] = [cut(error.summary, bytes), cut(error.remedy, bytes)]
  const message = bytes === Infinity ? cut(error.message, bytes) : `${summary} ${remedy}`
  metadata.set(
    Details.key,
    Details.encode(code, error, { message, summary, remedy, name: (name) => cut(name, bytes / 4) })
  )
  const after = Details.retryAfter(error)
  if (after !== undefined) metadata.set("retry-after-ms", String(Math.ceil(Duration.toMillis(after))))
  if (error._tag === "LimitExceeded") metadata.set("limit-type", error.type)
  return { code, details: message, metadata }
}

/** grpc-js throws where nobody can catch it over half of a surrogate pair, and the subject of a token may hold one. */
const cut = (text: string, bytes: number): string => {
  const encoded = Buffer.from(text)
  if (encoded.length <= bytes) return encoded.toString()
  // A character that is cut in its middle is left out.
  return `${encoded.subarray(0, Math.max(0, bytes - 3)).toString().replace(/\uFFFD+$/, "")}…`
}

/** With those that every status has, and 32 bytes each, as HTTP/2 counts them (RFC 9113, section 6.5.2). */
const headerBytes = ({ details, metadata }: Grpc.StatusObject): number => {
  let bytes = commonHeaderBytes + encodeURI(details ?? "").length
  for (const [name, value] of Object.entries(metadata.getMap())) {
    bytes += 32 + name.length + (typeof value === "string" ? value.length : Math.ceil(value.length / 3) * 4)
  }
  return bytes
}

/** `:status`, `content-type`, `grpc-status`, the name of `grpc-message` and what HTTP/2 adds to each. */
const commonHeaderBytes = 384

const described = (name: string, words: string): string =>
  GrpcJs.findMadeUp(words) === undefined ? `The server answered ${name}: ${words}` : `${words} (${name})`

const retryAfterMs = (metadata: Grpc.Metadata): Duration.Duration | undefined => {
  const millis = Number(metadata.get("retry-after-ms")[0])
  return Number.isFinite(millis) && millis >= 0 ? Duration.millis(millis) : undefined
}

const advice: { readonly [code in Grpc.status]?: string } = {
  [Grpc.status.UNAUTHENTICATED]:
    "Ask the operator for a token (`vibectl-server generate-token <subject>`) and configure the proxy with it.",
  [Grpc.status.UNIMPLEMENTED]: "This is not a vibectl server, or one of another version: check the proxy URL.",
  [Grpc.status.DEADLINE_EXCEEDED]: "Allow more time (proxy.timeout_seconds or --timeout), or send a shorter request.",
  [Grpc.status.ABORTED]: "Send the request again, or use another model.",
  [Grpc.status.RESOURCE_EXHAUSTED]: "Wait and send the request again.",
  [Grpc.status.UNAVAILABLE]: "Send the request again; if it happens every time, check that the server runs."
}
