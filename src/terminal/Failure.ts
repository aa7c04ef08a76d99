/**
 * The command line's face of every failure: two lines and an exit code.
 */
import type { CallFailed } from "../domain/ClientErrors.js"
import type { Reason } from "../domain/Errors.js"
import { harmless } from "./Output.js"

/** 0 is success, 130 an interruption. */
export const exitCodes = {
  failure: 1,
  usage: 2,
  authentication: 3,
  limit: 4,
  unavailable: 5,
  versionMismatch: 6,
  interrupted: 130
} as const

/** What every error of ours has. */
export interface Explained {
  readonly _tag: string
  readonly summary: string
  /** What to do about it; undefined for what the person wanted, which is shown as no error. */
  readonly remedy: string | undefined
}

export interface Report {
  /** For stderr, without a trailing newline. */
  readonly lines: string
  readonly exitCode: number
}

/** Says what happened and what to do, in words that no terminal obeys: some are a server's; undefined for what is not one of our errors. */
export const report = (error: unknown): Report | undefined =>
  isExplained(error)
    ? {
      lines: harmless(
        error.remedy === undefined ? error.summary : `Error: ${error.summary}\nSolution: ${error.remedy}`
      ),
      exitCode: exitCodeOf(error)
    }
    : undefined

// -- internals ---------------------------------------------------------------

const isExplained = (error: unknown): error is Explained =>
  typeof error === "object" && error !== null
  && "_tag" in error && typeof error._tag === "string"
  && "summary" in error && typeof error.summary === "string"
  && "remedy" in error && (typeof error.remedy === "string" || error.remedy === undefined)

const exitCodeOf = (error: Explained): number => {
  if (isCallFailed(error)) {
    return Object.hasOwn(reasons, error.reason)
      ? reasons[error.reason as Reason]
      : statuses[error.status] ?? exitCodes.failure
  }
  return tags[error._tag] ?? exitCodes.failure
}

const isCallFailed = (error: Explained): error is CallFailed => error._tag === "CallFailed"

const tags: { readonly [tag: string]: number } = {
  Unreachable: exitCodes.unavailable,
  UsageUnreadable: exitCodes.unavailable,
  OpsUnavailable: exitCodes.unavailable,
  VersionMismatch: exitCodes.versionMismatch,
  ProxyUrlInvalid: exitCodes.usage,
  LifetimeInvalid: exitCodes.usage,
  InvalidSubject: exitCodes.usage,
  InvalidGrants: exitCodes.usage,
  NotAToken: exitCodes.usage,
  KeyNotFound: exitCodes.usage,
  UsageInvalid: exitCodes.usage,
  CertificateRequestInvalid: exitCodes.usage
}

const { authentication, failure, limit, unavailable, versionMismatch } = exitCodes

const reasons: Record<Reason, number> = {
  TOKEN_MISSING: authentication,
  TOKEN_MALFORMED: authentication,
  TOKEN_EXPIRED: authentication,
  TOKEN_UNTRUSTED: authentication,
  TOKEN_REVOKED: authentication,
  IDENTITY_UNAVAILABLE: unavailable,
  MODEL_NOT_ALLOWED: authentication,
  NO_MODEL: failure,
  INVALID_REQUEST: failure,
  INPUT_TOO_LONG: failure,
  MODEL_NOT_FOUND: failure,
  RATE_LIMITED: limit,
  CONCURRENCY_LIMITED: limit,
  QUOTA_EXCEEDED: limit,
  LIMITS_UNAVAILABLE: unavailable,
  SERVER_BUSY: limit,
  PROVIDER_RATE_LIMITED: limit,
  PROVIDER_UNAVAILABLE: unavailable,
  STREAM_INTERRUPTED: unavailable,
  SHUTTING_DOWN: unavailable,
  REQUEST_TIMEOUT: unavailable,
  PROVIDER_TIMEOUT: unavailable,
  PROVIDER_REJECTED: failure,
  PROVIDER_EMPTY: unavailable,
  VERSION_INCOMPATIBLE: versionMismatch
}

/** For servers that send no reason of ours. */
const statuses: { readonly [status: string]: number } = {
  UNAUTHENTICATED: authentication,
  PERMISSION_DENIED: authentication,
  RESOURCE_EXHAUSTED: limit,
  UNAVAILABLE: unavailable,
  ABORTED: unavailable,
  DEADLINE_EXCEEDED: unavailable
}
