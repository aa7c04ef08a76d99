/**
 * The bounds that a call must keep: those of its token, its subject, its
 * tenant and its model, as the configuration and the token say.
 */
import type { LimitsSection } from "../config/ServerSettings.js"
import { type Access, matches } from "../domain/Access.js"
import type { Caller } from "../domain/Answer.js"
import * as Limits from "../domain/Limits.js"
import type { Bound } from "./Store.js"

/** A pattern of models, and what all callers may use together of those that it names. */
export interface ModelLimits {
  readonly pattern: string
  readonly limits: Limits.Limits
}

export const modelLimits = (section: LimitsSection["models"]): ReadonlyArray<ModelLimits> =>
  Object.entries(section).map(([pattern, limits]) => ({ pattern, limits: Limits.fromKeys(limits) }))

/** Of the caller, most particular first; a subject and a tenant are always counted, also without limits. */
export const ofCaller = ({ access, subject, tokenId }: Caller): ReadonlyArray<Bound> => [
  ...access.tokenLimits === undefined
    ? []
    : [{
      scope: "token" as const,
      name: subject,
      key: `token ${JSON.stringify([subject, tokenId])}`,
      limits: access.tokenLimits
    }],
  { scope: "subject", name: subject, key: `subject ${subject}`, limits: access.limits },
  ...access.tenant === undefined
    ? []
    : [{
      scope: "tenant" as const,
      name: access.tenant,
      key: `tenant ${access.tenant}`,
      limits: access.tenantLimits ?? Limits.unlimited
    }]
]

/** Every pattern that names the model counts. */
export const ofModel = (models: ReadonlyArray<ModelLimits>, fullName: string): ReadonlyArray<Bound> =>
  models.filter(({ pattern }) => matches(pattern, fullName)).map(({ limits, pattern }) => ({
    scope: "model",
    name: pattern,
    key: `model ${pattern}`,
    limits
  }))

/** The strictest of all that one request must keep by itself, such as its length. */
export const ofRequest = (
  access: Access,
  models: ReadonlyArray<ModelLimits>,
  fullName: string,
  name: "maxInputLength" | "requestTimeoutSeconds"
): number | undefined => {
  const all = [
    access.limits,
    access.tokenLimits,
    access.tenantLimits,
    ...models.flatMap(({ limits, pattern }) => matches(pattern, fullName) ? [limits] : [])
  ]
  const set = all.flatMap((limits) => limits?.[name] ?? [])
  return set.length === 0 ? undefined : Math.min(...set)
}

/** Whether dollars are counted, so that every model needs a price. */
export const countsDollars = (bounds: ReadonlyArray<Bound>): Bound | undefined =>
  bounds.find(({ limits }) => limits.maxUsdPerDay !== undefined || limits.maxUsdPerMonth !== undefined)
