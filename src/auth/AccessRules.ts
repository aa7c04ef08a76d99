/**
 * What each caller may do, from the configuration and from its token.
 *
 * The configuration gives a subject its models and limits, by its name or by
 * the roles that the operator put into its token; its tenant and what else the
 * token says can only take away.
 */
import type { AccessSection, LimitsSection } from "../config/ServerSettings.js"
import { type Access, type Grants, noGrants } from "../domain/Access.js"
import * as Limits from "../domain/Limits.js"

/** Who asks: the subject, and what its token says. */
export interface Holder {
  readonly subject: string
  readonly grants: Grants
}

export type AccessRules = (holder: Holder) => Access

/** The same holder, by identity, is answered from memory: claims live as long as their token is known. */
export const make = (settings: { readonly access: AccessSection; readonly limits: LimitsSection }): AccessRules => {
  const known = new WeakMap<Holder, Access>()
  return (holder) => {
    const found = known.get(holder)
    if (found !== undefined) return found
    const access = accessOf(settings.access, settings.limits, holder)
    known.set(holder, access)
    return access
  }
}

/** A caller without a token, e.g. `anonymous`. */
export const holderOf = (subject: string): Holder => ({ subject, grants: noGrants })

// -- internals ---------------------------------------------------------------

const accessOf = (access: AccessSection, limits: LimitsSection, { grants, subject }: Holder): Access => {
  const lists = [
    modelsOf(access, subject, grants.roles),
    modelsOfTenant(access, grants.tenant),
    grants.models
  ]
  return {
    models: lists.filter((list) => list !== undefined),
    limits: limitsOf(limits, subject),
    tokenLimits: Limits.isUnlimited(grants.limits) ? undefined : grants.limits,
    tenantLimits: limitsOfTenant(limits, grants.tenant),
    tenant: grants.tenant
  }
}

/** What is said of the subject itself, else of its roles together, else of everybody; undefined is every model. */
const modelsOf = (
  { default: everybody, roles, subjects }: AccessSection,
  subject: string,
  held: ReadonlyArray<string>
) => {
  const named = own(subjects, subject)
  if (named !== undefined) return named.models
  const known = held.flatMap((role) => own(roles, role) ?? [])
  return known.length > 0 ? known.flatMap(({ models }) => models) : everybody?.models
}

/** A tenant that is not there while others are is a slip, and must not lift the bound it was to be. */
const modelsOfTenant = ({ tenants }: AccessSection, tenant: string | undefined) =>
  tenant === undefined || Object.keys(tenants).length === 0 ? undefined : own(tenants, tenant)?.models ?? []

const limitsOf = ({ global, per_token }: LimitsSection, subject: string): Limits.Limits => {
  const special = own(per_token, subject)
  // null is unlimited, and a key that is not there is what everybody has.
  return Limits.make((key) => {
    const value = special?.[key]
    return value === null ? undefined : value ?? global[key]
  })
}

const limitsOfTenant = ({ tenants }: LimitsSection, tenant: string | undefined): Limits.Limits | undefined => {
  const found = tenant === undefined ? undefined : own(tenants, tenant)
  return found && Limits.fromKeys(found)
}

/** A subject may be called `constructor`. */
const own = <A>(record: { readonly [key: string]: A }, key: string): A | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined
