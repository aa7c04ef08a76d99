/**
 * How much somebody may use.
 */

/** Undefined means unlimited. */
export interface Limits {
  /** In any 60 seconds. */
  readonly maxRequestsPerMinute: number | undefined
  readonly maxConcurrentRequests: number | undefined
  /** Characters of all fragments together. */
  readonly maxInputLength: number | undefined
  readonly requestTimeoutSeconds: number | undefined
  /** Input and output, in any 60 seconds. */
  readonly maxTokensPerMinute: number | undefined
  /** Input and output. A day and a month begin at midnight UTC. */
  readonly maxTokensPerDay: number | undefined
  readonly maxTokensPerMonth: number | undefined
  readonly maxUsdPerDay: number | undefined
  readonly maxUsdPerMonth: number | undefined
}

export type Name = keyof Limits

/** What each is called in the configuration, in tokens and on the wire. */
export const keys = {
  maxRequestsPerMinute: "max_requests_per_minute",
  maxConcurrentRequests: "max_concurrent_requests",
  maxInputLength: "max_input_length",
  requestTimeoutSeconds: "request_timeout_seconds",
  maxTokensPerMinute: "max_tokens_per_minute",
  maxTokensPerDay: "max_tokens_per_day",
  maxTokensPerMonth: "max_tokens_per_month",
  maxUsdPerDay: "max_usd_per_day",
  maxUsdPerMonth: "max_usd_per_month"
} as const satisfies Record<Name, string>

export type Key = typeof keys[Name]

/** By their keys, as a peer or a file gives them. */
export type ByKey = { readonly [key in Key]?: number | null | undefined }

/** Each limit as `of` says. */
export const make = (of: (key: Key, name: Name) => number | undefined): Limits => ({
  maxRequestsPerMinute: of(keys.maxRequestsPerMinute, "maxRequestsPerMinute"),
  maxConcurrentRequests: of(keys.maxConcurrentRequests, "maxConcurrentRequests"),
  maxInputLength: of(keys.maxInputLength, "maxInputLength"),
  requestTimeoutSeconds: of(keys.requestTimeoutSeconds, "requestTimeoutSeconds"),
  maxTokensPerMinute: of(keys.maxTokensPerMinute, "maxTokensPerMinute"),
  maxTokensPerDay: of(keys.maxTokensPerDay, "maxTokensPerDay"),
  maxTokensPerMonth: of(keys.maxTokensPerMonth, "maxTokensPerMonth"),
  maxUsdPerDay: of(keys.maxUsdPerDay, "maxUsdPerDay"),
  maxUsdPerMonth: of(keys.maxUsdPerMonth, "maxUsdPerMonth")
})

/** What is not there, or null, is unlimited. */
export const fromKeys = (values: ByKey): Limits => make((key) => values[key] ?? undefined)

/** With every key, also of what is unlimited. */
export const toKeys = (limits: Limits): { readonly [key in Key]: number | undefined } => ({
  [keys.maxRequestsPerMinute]: limits.maxRequestsPerMinute,
  [keys.maxConcurrentRequests]: limits.maxConcurrentRequests,
  [keys.maxInputLength]: limits.maxInputLength,
  [keys.requestTimeoutSeconds]: limits.requestTimeoutSeconds,
  [keys.maxTokensPerMinute]: limits.maxTokensPerMinute,
  [keys.maxTokensPerDay]: limits.maxTokensPerDay,
  [keys.maxTokensPerMonth]: limits.maxTokensPerMonth,
  [keys.maxUsdPerDay]: limits.maxUsdPerDay,
  [keys.maxUsdPerMonth]: limits.maxUsdPerMonth
})

export const unlimited: Limits = fromKeys({})

export const isUnlimited = (limits: Limits): boolean => Object.values(limits).every((limit) => limit === undefined)

/** The smaller of each. */
export const stricter = (one: Limits, other: Limits): Limits => make((_, name) => smaller(one[name], other[name]))

// -- internals ---------------------------------------------------------------

const smaller = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined ? other : other === undefined ? one : Math.min(one, other)
