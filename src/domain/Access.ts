/**
 * What a caller may do: the models it may call, and how much.
 *
 * Rules only ever take away: every list of patterns must let a model pass, and
 * of two limits the smaller one counts. So a token can never get more than the
 * server's configuration gives its subject.
 */
import { type Limits, stricter, unlimited } from "./Limits.js"

/** A model's full name or an alias; `*` stands for any run of characters, `/` included. */
export type ModelPattern = string

export interface Access {
  /** A model must match one pattern of each list. */
  readonly models: ReadonlyArray<ReadonlyArray<ModelPattern>>
  /** Counted together for everybody who speaks as this subject. */
  readonly limits: Limits
  /** Counted for this token alone; undefined when it sets none. */
  readonly tokenLimits: Limits | undefined
  /** Counted together for all of the caller's tenant; undefined when it has none, or one without limits. */
  readonly tenantLimits: Limits | undefined
  readonly tenant: string | undefined
}

/** What a token says of itself that it may do; an empty one asks for all that its subject has. */
export interface Grants {
  /** Undefined is every model. */
  readonly models: ReadonlyArray<ModelPattern> | undefined
  readonly tenant: string | undefined
  readonly roles: ReadonlyArray<string>
  readonly limits: Limits
}

export const noGrants: Grants = { models: undefined, tenant: undefined, roles: [], limits: unlimited }

/** Everything. */
export const unrestricted: Access = {
  models: [],
  limits: unlimited,
  tokenLimits: undefined,
  tenantLimits: undefined,
  tenant: undefined
}

/** Whether a model that answers to these names may be called. */
export const allows = ({ models }: Access, names: ReadonlyArray<string>): boolean =>
  models.every((patterns) => patterns.some((pattern) => names.some((name) => matches(pattern, name))))

/** The limits a caller feels. */
export const effective = ({ limits, tenantLimits, tokenLimits }: Access): Limits =>
  [tokenLimits, tenantLimits].reduce<Limits>((all, some) => some === undefined ? all : stricter(all, some), limits)

/** No regular expression: a pattern from a token must not be able to make the match slow. */
export const matches = (pattern: ModelPattern, name: string): boolean => {
  const star = pattern.indexOf("*")
  if (star < 0) return pattern === name
  if (star === pattern.length - 1) return name.startsWith(pattern.slice(0, star))
  const [first = "", ...rest] = pattern.split("*")
  const last = rest.pop() ?? ""
  if (!name.startsWith(first)) return false
  let from = first.length
  for (const part of rest) {
    const at = name.indexOf(part, from)
    if (at < 0) return false
    from = at + part.length
  }
  return name.length - last.length >= from && name.endsWith(last)
}

/** Whether the pattern matches any name that begins with `prefix` and goes on. */
export const matchesBelow = (pattern: ModelPattern, prefix: string): boolean => {
  const star = pattern.indexOf("*")
  const literal = star < 0 ? pattern : pattern.slice(0, star)
  if (literal.length >= prefix.length) return literal.startsWith(prefix) && pattern.length > prefix.length
  return star >= 0 && prefix.startsWith(literal)
}
