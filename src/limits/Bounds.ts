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
export const ofCaller = (caller: Caller): ReadonlyArray<Bound> => {
  // Calls with the same token have the same access.
  const known = ofAccess.get(caller.access)
  if (known?.subject === caller.subject && known.tokenId === caller.tokenId) return known.bounds
  const { subject, tokenId } = caller
  const bounds = boundsOf(caller)
  ofAccess.set(caller.access, { subject, tokenId, bounds })
  return bounds
}

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
  let least = Math.min(
    access.limits[name] ?? Infinity,
    access.tokenLimits?.[name] ?? Infinity,
    access.tenantLimits?.[name] ?? Infinity
  )
  for (const { limits, pattern } of models) {
    const limit = limits[name]
    if (limit !== undefined && limit < least && matches(pattern, fullName)) least = limit
  }
  return least === Infinity ? undefined : least
}

/** Whether dollars are counted, so that every model needs a price. */
export const countsDollars = (bounds: ReadonlyArray<Bound>): Bound | undefined =>
  bounds.find(({ limits }) => limits.maxUsdPerDay !== undefined || limits.maxUsdPerMonth !== undefined)

// -- internals ---------------------------------------------------------------

const ofAccess = new WeakMap<Access, Pick<Caller, "subject" | "tokenId"> & { readonly bounds: ReadonlyArray<Bound> }>()

const boundsOf = ({ access, subject, tokenId }: Caller): ReadonlyArray<Bound> => [
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
