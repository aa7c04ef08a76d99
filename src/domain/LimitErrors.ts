/**
 * Failures of limits, a part of the algebra in `Errors.ts`.
 */
import { Data, Duration } from "effect"
import * as Span from "./Span.js"

/** What was limited, as the trailer `limit-type` and the metrics say it. */
export type LimitType =
  | "rpm"
  | "tpm"
  | "concurrency"
  | "tokens_per_day"
  | "tokens_per_month"
  | "usd_per_day"
  | "usd_per_month"

/** What was to be used has been used up for now. */
export class LimitExceeded extends Data.TaggedError("LimitExceeded")<{
  readonly reason: "RATE_LIMITED" | "CONCURRENCY_LIMITED" | "QUOTA_EXCEEDED"
  readonly type: LimitType
  /** Whose limit it is. */
  readonly scope: "subject" | "token" | "tenant" | "model"
  /** The name of that subject, tenant or model; a token goes by its subject. */
  readonly name: string
  /** What is limited, e.g. `60 requests per minute`. */
  readonly limit: string
  /** What this one request sets aside, e.g. `1,486 tokens`, where that alone is more than the limit. */
  readonly setsAside?: string | undefined
  readonly retryAfter: Duration.Duration
}> {
  get summary() {
    const who = `${scopes[this.scope]}'${this.name}'`
    return this.setsAside === undefined
      ? `${who} reached its limit of ${this.limit}.`
      : `This request sets aside ${this.setsAside}, and ${who} may use ${this.limit}.`
  }
  get remedy() {
    const ask = "ask the operator of the server for a higher limit"
    return this.setsAside === undefined
      ? `Try again ${moments[this.type]} ${Span.inWords(this.retryAfter)}, or ${ask}.`
      : `Waiting does not help: send less text, or ${ask}.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The store of what was used cannot be reached, and nobody may call uncounted. */
export class LimitsUnavailable extends Data.TaggedError("LimitsUnavailable")<{ readonly cause: unknown }> {
  readonly reason = "LIMITS_UNAVAILABLE"
  get summary() {
    return "The server cannot check the caller's limits."
  }
  get remedy() {
    return "Send the request again; if it happens every time, ask the operator to check the store of the limits."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The requests that the server holds now take all the memory that it gives them; none of this one was kept. */
export class ServerBusy extends Data.TaggedError("ServerBusy") {
  readonly reason = "SERVER_BUSY"
  readonly retryAfter = Duration.seconds(1)
  get summary() {
    return "The server holds so many bytes of other requests that it has no room for this one."
  }
  get remedy() {
    return `Try again in ${Span.inWords(this.retryAfter)}, or send less text.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

/** When there is room again; the days and months of quotas begin at 00:00 UTC. */
const moments: Record<LimitType, string> = {
  rpm: "in",
  tpm: "in",
  concurrency: "when one of the calls has ended, or in",
  tokens_per_day: "at 00:00 UTC, in",
  usd_per_day: "at 00:00 UTC, in",
  tokens_per_month: "on the 1st at 00:00 UTC, in",
  usd_per_month: "on the 1st at 00:00 UTC, in"
}

const scopes: Record<LimitExceeded["scope"], string> = {
  subject: "",
  token: "A token of ",
  tenant: "The tenant ",
  model: "The model "
}
