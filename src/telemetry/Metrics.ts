/**
 * What the server counts and measures, named once.
 *
 * Labels come from bounded sets only: providers as configured, tiers and
 * reasons as the domain lists them, models that are listed, and subjects up to a
 * number. Never a token or a request id.
 * Sources: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ (`gen_ai.*`, with its buckets); the
 * deployed names `vibectl_requests_total`, `vibectl_rate_limited_total`, `vibectl_concurrent_in_flight`.
 */
import type { FinishReason, Tier } from "../domain/Answer.js"
import type { LimitType, ProviderFailure } from "../domain/Errors.js"
import { bounded, counter, gauge, histogram, upDown } from "./Instruments.js"

/** `unary` is the tier of an answer in one message. */
type AnswerTier = Tier | "unary"

/** The names of subjects as labels; those of the configuration are added at the start. */
export const subjects = bounded(100)

/** The names of models as labels: those that the catalog lists; all others are `other`. */
export const models = bounded(0)

/** Calls by who made them, let in or not. */
export const requests = counter<[sub: string]>("vibectl_requests_total", {
  description: "Calls to a model, by subject",
  labels: ["sub"]
})

export const limited = counter<[sub: string, type: LimitType]>("vibectl_rate_limited_total", {
  description: "Calls that were refused by a limit",
  labels: ["sub", "limit_type"]
})

export const inFlight = upDown<[sub: string]>("vibectl_concurrent_in_flight", {
  description: "Calls to a model that run now, by subject",
  labels: ["sub"]
})

/** Of any kind; {@link inFlight} has those to a model. */
export const running = upDown<[method: string]>("vibectl_calls_running", {
  description: "Calls that run now, by method",
  labels: ["method"]
})

/**
 * Calls that ended; `outcome` is OK, CANCELLED, INTERNAL or a reason of the error algebra. A request that cannot be taken
 * off the wire may also be RESOURCE_EXHAUSTED or UNIMPLEMENTED.
 */
export const calls = counter<[method: string, outcome: string]>("vibectl_calls_total", {
  description: "Calls that ended, by their outcome",
  labels: ["method", "outcome"]
})

/** `result` is `accepted`, or why not, as in the audit log. */
export const authentications = counter<[result: string]>("vibectl_authentications_total", {
  description: "Callers that were accepted or refused",
  labels: ["result"]
})

/** Answers that were given to their end, which only for `stop` is that of a complete answer. */
export const answers = counter<[provider: string, tier: AnswerTier, finishReason: FinishReason]>(
  "vibectl_answers_total",
  {
    description: "Answers given to their end, by the provider that gave it, how its text was produced and why it ended",
    labels: ["provider", "tier", "finish_reason"]
  }
)

/** Attempts at a provider that failed, whether or not another one followed. */
export const failedAttempts = counter<[provider: string, tier: AnswerTier, reason: ProviderFailure["reason"]]>(
  "vibectl_attempts_failed_total",
  { description: "Attempts at a provider that failed", labels: ["provider", "tier", "reason"] }
)

/** Attempts that a provider refused because of this server's account there; each is one of {@link failedAttempts} too. */
export const accountFailures = counter<[provider: string, account: NonNullable<ProviderFailure["account"]>]>(
  "vibectl_account_failures_total",
  {
    description: "Attempts that a provider refused because of this server's account there: its key, credit or access",
    labels: ["provider", "account"]
  }
)

export const accountFailedAt = gauge<[provider: string, account: NonNullable<ProviderFailure["account"]>]>(
  "vibectl_account_failed_timestamp_seconds",
  {
    description: "When a provider last refused this server's account, in seconds since the epoch",
    labels: ["provider", "account"],
    across: "max"
  }
)

/** Attempts after the first of a call. */
export const retries = counter<[provider: string]>("vibectl_retries_total", {
  description: "Attempts after the first of a call, by the provider that was tried",
  labels: ["provider"]
})

/** Answers that were begun anew after text had been sent. */
export const restarts = counter<[reason: string]>("vibectl_restarts_total", {
  description: "Answers begun anew after text had been sent",
  labels: ["reason"]
})

export const cost = counter<[provider: string, model: string]>("vibectl_cost_usd_total", {
  description: "US dollars, by the prices of the configuration",
  labels: ["provider", "model"]
})

export const estimated = counter<[provider: string, model: string]>("vibectl_usage_estimated_total", {
  description: "Attempts whose tokens the provider did not report",
  labels: ["provider", "model"]
})

/** `choice` is what happened to the call: refused or allowed. */
export const storeUnavailable = counter<[choice: "refused" | "allowed"]>("vibectl_limits_unavailable_total", {
  description: "Calls while the store of limits could not be used",
  labels: ["choice"]
})

/** Of requests, from the moment that their length is known to the end of their calls. */
export const bytesInFlight = upDown<[]>("vibectl_bytes_in_flight", {
  description: "Bytes of requests that are held now",
  labels: []
})

export const refusedBusy = counter<[]>("vibectl_busy_total", {
  description: "Calls that were refused because there was no room for their bytes",
  labels: []
})

export const waiting = upDown<[]>("vibectl_limits_waiting", {
  description: "Calls that wait for a limit to let them pass",
  labels: []
})

const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]

/** `outcome` is that of {@link calls}. */
export const duration = histogram<[operation: "chat", provider: string, model: string, outcome: string]>(
  "gen_ai.server.request.duration",
  {
    description: "From the arrival of a request to the end of its answer",
    unit: "s",
    labels: ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"],
    boundaries: seconds
  }
)

export const firstToken = histogram<[operation: "chat", provider: string, model: string]>(
  "gen_ai.server.time_to_first_token",
  {
    description: "From the arrival of a request to its first text",
    unit: "s",
    labels: ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"],
    boundaries: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
  }
)

export const perToken = histogram<[operation: "chat", provider: string, model: string]>(
  "gen_ai.server.time_per_output_token",
  {
    description: "Between two tokens of output after the first",
    unit: "s",
    labels: ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"],
    boundaries: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5]
  }
)

/** `error` is empty for an attempt that succeeded. */
export const attempt = histogram<[operation: "chat", provider: string, model: string, error: string]>(
  "gen_ai.client.operation.duration",
  {
    description: "One attempt at a provider, from its request to its end",
    unit: "s",
    labels: ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"],
    boundaries: seconds
  }
)

export const tokens = histogram<[operation: "chat", provider: string, model: string, type: "input" | "output"]>(
  "gen_ai.client.token.usage",
  {
    description: "Tokens of one attempt at a provider",
    unit: "{token}",
    labels: ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"],
    boundaries: [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864]
  }
)

export const overhead = histogram<[]>("vibectl_overhead", {
  description:
    "What this server adds: from the arrival of a request to its first attempt at a provider, without waiting for a limit",
  unit: "s",
  labels: [],
  boundaries: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]
})

export const queued = histogram<[]>("vibectl_limits_wait", {
  description: "How long calls waited for a limit, those that were refused in the end too",
  unit: "s",
  labels: [],
  boundaries: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
})

export const buildInfo = gauge<[version: string, node: string]>("vibectl_build_info", {
  description: "Always 1; the labels say what runs",
  labels: ["version", "node_version"],
  across: "max"
})
