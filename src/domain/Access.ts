/**
 * What a caller may do: the models it may call, and how much.
 *
 * Rules only ever take away: every list of patterns must let a model pass, and
 * of two limits the smaller one counts. So a token can never get more than the
 * server's configuration gives its subject.
 */
import type { Limits } from "./ServerInfo.js"

/** A model's full name or an alias; `*` stands for any run of characters, `/` included. */
export type ModelPattern = string

export interface Access {
  /** A model must match one pattern of each list. */
  readonly models: ReadonlyArray<ReadonlyArray<ModelPattern>>
  /** Counted together for everybody who speaks as this subject. */
  readonly limits: Limits
  /** Counted for this token alone; undefined when it sets none. */
  readonly tokenLimits: Limits | undefined
}

/** What a token says of itself that it may do; an empty one asks for all that its subject has. */
export interface Grants {
  /** Undefined is every model. */
  readonly models: ReadonlyArray<ModelPattern> | undefined
  readonly tenant: string | undefined
  readonly roles: ReadonlyArray<string>
  readonly limits: Limits
}

export const unlimited: Limits = {
  maxRequestsPerMinute: undefined,
  maxConcurrentRequests: undefined,
  maxInputLength: undefined,
  requestTimeoutSeconds: undefined
}

export const noGrants: Grants = { models: undefined, tenant: undefined, roles: [], limits: unlimited }

/** Everything. */
export const unrestricted: Access = { models: [], limits: unlimited, tokenLimits: undefined }

/** Whether a model that answers to these names may be called. */
export const allows = ({ models }: Access, names: ReadonlyArray<string>): boolean =>
  models.every((patterns) => patterns.some((pattern) => names.some((name) => matches(pattern, name))))

/** The smaller of each. */
export const stricter = (one: Limits, other: Limits): Limits => ({
  maxRequestsPerMinute: smaller(one.maxRequestsPerMinute, other.maxRequestsPerMinute),
  maxConcurrentRequests: smaller(one.maxConcurrentRequests, other.maxConcurrentRequests),
  maxInputLength: smaller(one.maxInputLength, other.maxInputLength),
  requestTimeoutSeconds: smaller(one.requestTimeoutSeconds, other.requestTimeoutSeconds)
})

/** The limits a caller feels. */
export const effective = ({ limits, tokenLimits }: Access): Limits =>
  tokenLimits === undefined ? limits : stricter(limits, tokenLimits)

/** No regular expression: a pattern from a token must not be able to make the match slow. */
export const matches = (pattern: ModelPattern, name: string): boolean => {
  const [first = "", ...rest] = pattern.split("*")
  const last = rest.pop()
  if (last === undefined) return pattern === name
  if (!name.startsWith(first)) return false
  let from = first.length
  for (const part of rest) {
    const at = name.indexOf(part, from)
    if (at < 0) return false
    from = at + part.length
  }
  return name.length - last.length >= from && name.endsWith(last)
}

// -- internals ---------------------------------------------------------------

const smaller = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined ? other : other === undefined ? one : Math.min(one, other)
