/**
 * Every failure a caller of the proxy can act on.
 *
 * Anything that is not in this file is a defect: it is logged with its cause
 * at the gRPC edge and reaches the client only as `INTERNAL`. Each error says
 * what happened (`summary`) and what to do next (`remedy`); both are safe to
 * show to anybody. A `cause` is for the log only.
 */
import { Data, type Duration } from "effect"
import type { LimitExceeded, LimitsUnavailable, ServerBusy } from "./LimitErrors.js"
import * as Span from "./Span.js"

export { LimitExceeded, LimitsUnavailable, type LimitType, ServerBusy } from "./LimitErrors.js"

/** `error_code` on the wire and `ErrorInfo.reason` in the status details. */
export type Reason = ProxyError["reason"]

export type ProxyError =
  | Unauthenticated
  | IdentityUnavailable
  | ModelNotAllowed
  | InvalidRequest
  | ModelNotFound
  | LimitExceeded
  | LimitsUnavailable
  | ServerBusy
  | RequestTimeout
  | ProviderFailure
  | StreamInterrupted
  | ShuttingDown
  | VersionIncompatible

/** Why exactly a caller was refused: for the audit log, and never for the caller. */
export type Refusal =
  | "no_token"
  | "not_bearer"
  | "not_a_jwt"
  | "algorithm_none"
  | "wrong_algorithm"
  | "unknown_key"
  | "retired_key"
  | "unusable_key"
  | "bad_signature"
  | "unknown_issuer"
  | "wrong_audience"
  | "expired"
  | "not_yet_valid"
  | "issued_in_the_future"
  | "missing_exp"
  | "missing_sub"
  | "missing_jti"
  | "malformed_claims"
  | "subject_not_verified"
  | "revoked_token"
  | "revoked_subject"
  | "certificate_of_another"
  | "certificate_without_name"

/** The bearer token is missing, unreadable, expired, revoked or not ours. */
export class Unauthenticated extends Data.TaggedError("Unauthenticated")<{
  readonly reason: "TOKEN_MISSING" | "TOKEN_MALFORMED" | "TOKEN_EXPIRED" | "TOKEN_UNTRUSTED" | "TOKEN_REVOKED"
  /** Not sent to the caller, who would learn from it how to make a better forgery. */
  readonly refusal: Refusal
  /** Whose token it is, where its signature was good. */
  readonly holder?: { readonly subject: string; readonly tokenId: string }
  /** The claim that it lacks, where its signature was good. */
  readonly claim?: string
}> {
  get summary() {
    return this.facts.summary
  }
  get remedy() {
    return this.facts.remedy
  }
  private get facts(): Facts {
    if (this.claim !== undefined) return lacking(this.claim)
    return this.refusal === "subject_not_verified" ? notAccepted : tokenFacts[this.reason]
  }
  override get message() {
    return sentence(this)
  }
}

/** The keys of the token's issuer, or the revocations of other servers, cannot be had now: it is not known whether the token is good. */
export class IdentityUnavailable extends Data.TaggedError("IdentityUnavailable")<{
  /** The issuer's name in the configuration; undefined where revocations are missing. */
  readonly issuer: string | undefined
  readonly cause: unknown
}> {
  readonly reason = "IDENTITY_UNAVAILABLE"
  get summary() {
    return this.issuer === undefined
      ? "The server does not know yet whether the caller was revoked at another server."
      : "The server cannot reach the issuer of the bearer token to check it."
  }
  get remedy() {
    return this.issuer === undefined
      ? "Send the request again; if it happens every time, ask the operator to check the server's Redis."
      : "Send the request again; if it happens every time, ask the operator to check the issuer's key address."
  }
  override get message() {
    return sentence(this)
  }
}

/** The token is good, but not for this model. */
export class ModelNotAllowed extends Data.TaggedError("ModelNotAllowed")<{
  readonly model: string
  readonly subject: string
  /** Why, where it is not simply forbidden. */
  readonly because?: string
}> {
  readonly reason = "MODEL_NOT_ALLOWED"
  get summary() {
    const because = this.because === undefined ? "" : `: ${this.because}`
    return `The token of '${this.subject}' may not use the model '${this.model}'${because}.`
  }
  get remedy() {
    return "Use another model, or ask the operator of the server for a token that allows it."
  }
  override get message() {
    return sentence(this)
  }
}

/** The request itself is wrong; sending it again cannot help. */
export class InvalidRequest extends Data.TaggedError("InvalidRequest")<{
  readonly reason: "NO_MODEL" | "INVALID_REQUEST" | "INPUT_TOO_LONG"
  /** The wire name of the field at fault, e.g. `response_model_schema`. */
  readonly field: string
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return sentence(this)
  }
}

/** No configured provider serves this model. */
export class ModelNotFound extends Data.TaggedError("ModelNotFound")<{
  readonly requested: string
  /** Full names that can be called now. */
  readonly available: ReadonlyArray<string>
  /** Names and aliases most like the requested one, best first. */
  readonly closest: ReadonlyArray<string>
  /** Why a name that looks right is not served, e.g. an alias whose provider is not configured. */
  readonly because: string | undefined
}> {
  readonly reason = "MODEL_NOT_FOUND"
  get summary() {
    const because = this.because === undefined ? "" : ` (${this.because})`
    return `The model '${this.requested}' is not served here${because}.`
  }
  get remedy() {
    const closest = this.closest.length === 0 ? "" : `Did you mean ${this.closest.join(" or ")}? `
    return `${closest}Available models: ${listed(this.available)}.`
  }
  override get message() {
    return sentence(this)
  }
}

/** The answer took longer than the caller's limit allows; what had been sent of it is incomplete. */
export class RequestTimeout extends Data.TaggedError("RequestTimeout")<{ readonly seconds: number }> {
  readonly reason = "REQUEST_TIMEOUT"
  get summary() {
    return `The answer took longer than the ${this.seconds} seconds that one request may take.`
  }
  get remedy() {
    return "Ask for less at once, use a faster model, or ask the operator of the server for a higher limit."
  }
  override get message() {
    return sentence(this)
  }
}

/** The model provider did not give an answer. */
export class ProviderFailure extends Data.TaggedError("ProviderFailure")<{
  readonly reason:
    | "PROVIDER_RATE_LIMITED"
    | "PROVIDER_UNAVAILABLE"
    | "PROVIDER_TIMEOUT"
    | "PROVIDER_REJECTED"
    | "PROVIDER_EMPTY"
  readonly provider: string
  /** The provider's own short code, e.g. `model_not_found` or `HTTP 503`; never its raw body. */
  readonly detail: string | undefined
  /** How long the provider asked us to wait. */
  readonly retryAfter: Duration.Duration | undefined
  /**
   * What is wrong with this server's account there: its key, its credit, or what it may do. Every request with that key
   * would fail alike, and another provider may serve it. Undefined when it is not the account.
   */
  readonly account?: "key" | "credit" | "access" | undefined
  /** Whether the provider does not know the model. */
  readonly unknownModel?: boolean | undefined
  /** Whether the provider asks for another attempt, or forbids one; undefined when it does not say. */
  readonly again?: boolean | undefined
  /** Whether the provider may have worked on an answer, and bills it, although none of it came. */
  readonly maybeBilled?: boolean
  readonly cause: unknown
}> {
  get summary() {
    const detail = this.detail === undefined ? "" : ` (${this.detail})`
    return `The provider '${this.provider}' ${this.facts.summary}${detail}.`
  }
  get remedy() {
    return this.retryAfter === undefined || this.reason === "PROVIDER_REJECTED" || this.account !== undefined
      ? this.facts.remedy
      : `Try again in ${Span.inWords(this.retryAfter)}, or use another model.`
  }
  private get facts(): Facts {
    return this.account === undefined ? providerFacts[this.reason] : accountFacts[this.account]
  }
  override get message() {
    return sentence(this)
  }
}

/** A stream broke after text had been sent, and the client cannot take a restart. */
export class StreamInterrupted extends Data.TaggedError("StreamInterrupted")<{
  readonly provider: string
  readonly cause: unknown
}> {
  readonly reason = "STREAM_INTERRUPTED"
  get summary() {
    return `The answer of the provider '${this.provider}' broke off; the text received so far is incomplete.`
  }
  get remedy() {
    return "Send the request again."
  }
  override get message() {
    return sentence(this)
  }
}

/** The server is going away. */
export class ShuttingDown extends Data.TaggedError("ShuttingDown") {
  readonly reason = "SHUTTING_DOWN"
  get summary() {
    return "The server is shutting down."
  }
  get remedy() {
    return "Send the request again; another or the restarted server will answer it."
  }
  override get message() {
    return sentence(this)
  }
}

/** Client and server do not speak the same version of the protocol. */
export class VersionIncompatible extends Data.TaggedError("VersionIncompatible")<{
  readonly client: string
  readonly server: string
  readonly remedy: string
}> {
  readonly reason = "VERSION_INCOMPATIBLE"
  get summary() {
    return `Client version ${this.client} is incompatible with server version ${this.server}.`
  }
  override get message() {
    return sentence(this)
  }
}

// -- internals ---------------------------------------------------------------

interface Facts {
  readonly summary: string
  readonly remedy: string
}

const sentence = (error: Facts): string => `${error.summary} ${error.remedy}`

/** Enough names to choose from, at most this many bytes: a status has to fit into the headers that proxies take. */
const maxListedBytes = 400

const listed = (names: ReadonlyArray<string>): string => {
  if (names.length === 0) return "none"
  const shown: Array<string> = []
  let bytes = 0
  for (const name of names) {
    bytes += Buffer.byteLength(name) + 2
    if (bytes > maxListedBytes || shown.length === 20) break
    shown.push(name)
  }
  const left = names.length - shown.length
  if (left === 0) return shown.join(", ")
  return `${shown.join(", ")}${shown.length === 0 ? "" : " and "}${left} more; GetServerInfo has all of them`
}

const tokenFacts: Record<Unauthenticated["reason"], Facts> = {
  TOKEN_MISSING: {
    summary: "No bearer token was sent.",
    remedy: "Create one with `vibectl-server generate-token <subject>` and send it as `authorization: Bearer <token>`."
  },
  TOKEN_MALFORMED: {
    summary: "The bearer token is not a valid JWT.",
    remedy: "Send a token of the form header.payload.signature, as `vibectl-server generate-token <subject>` prints it."
  },
  TOKEN_EXPIRED: {
    summary: "The bearer token has expired.",
    remedy: "Create a new one with `vibectl-server generate-token <subject>`."
  },
  TOKEN_UNTRUSTED: {
    summary: "The bearer token was not issued for this server.",
    remedy: "Use a token made by this server's `vibectl-server generate-token <subject>`."
  },
  TOKEN_REVOKED: {
    summary: "The bearer token has been revoked.",
    remedy: "Ask the operator of the server for a new one."
  }
}

const lacking = (claim: string): Facts => ({
  summary: `The bearer token has no claim '${claim}', which this server needs.`,
  remedy: claim === "exp"
    ? "Have its issuer put an end into it (`exp`)."
    : "Have its issuer put the claim into it, or ask the operator of the server to change what it needs of that issuer."
})

/** The issuer is right, and no token of this server helps. */
const notAccepted: Facts = {
  summary: "The bearer token is not accepted by this server.",
  remedy: "Ask the operator of the server: the audit log has the reason."
}

const providerFacts: Record<ProviderFailure["reason"], Facts> = {
  PROVIDER_RATE_LIMITED: {
    summary: "is limiting this server's requests",
    remedy: "Wait and send the request again, or use another model."
  },
  PROVIDER_UNAVAILABLE: {
    summary: "could not be reached or failed",
    remedy: "Send the request again, or use another model."
  },
  PROVIDER_TIMEOUT: {
    summary: "did not answer in time",
    remedy: "Send the request again with a longer deadline, or use another model."
  },
  PROVIDER_REJECTED: {
    summary: "refused the request",
    remedy: "Check the model name and the request; if they are right, ask the operator to check the provider's API key."
  },
  PROVIDER_EMPTY: {
    summary: "ended its answer without any text",
    remedy:
      "Send the request again or in other words, or use another model; if it ran into its limit (`length`), ask for a higher max_output_tokens."
  }
}

const accountFacts: Record<NonNullable<ProviderFailure["account"]>, Facts> = {
  key: {
    summary: "refused the request because of this server's API key",
    remedy: "Use a model of another provider, or ask the operator of the server to check the provider's API key."
  },
  credit: {
    summary: "refused the request because this server's account has no credit or quota left",
    remedy:
      "Use a model of another provider, or ask the operator of the server to check the provider's billing and quota."
  },
  access: {
    summary: "refused the request because of what this server's account may do",
    remedy:
      "Use a model of another provider, or ask the operator of the server to check what the provider's account may do."
  }
}
