/**
 * What a token says that it may do: the private claim `vibectl`.
 *
 * One claim holds all of it, so that tokens of an identity provider can carry
 * it beside claims of other meaning (RFC 7519, section 4.3). A claim that is not
 * understood to the last key is refused: what is not understood may be a
 * restriction.
 */
import { Either, Schema } from "effect"
import { type Grants, noGrants } from "../domain/Access.js"
import * as Limits from "../domain/Limits.js"

export const name = "vibectl"

/** Undefined when the claim cannot be understood; a token without it restricts nothing. */
export const decode = (claim: unknown): Grants | undefined => {
  if (claim === undefined) return noGrants
  const read = Schema.decodeUnknownEither(GrantsClaim)(claim, { onExcessProperty: "error" })
  if (Either.isLeft(read)) return undefined
  const { limits, models, roles, tenant } = read.right
  return {
    models,
    tenant,
    roles: roles ?? [],
    limits: Limits.fromKeys(limits ?? {})
  }
}

/** Undefined when there is nothing to say. */
export const encode = ({ limits, models, roles, tenant }: Grants): typeof GrantsClaim.Type | undefined => {
  const given = defined(Limits.toKeys(limits))
  const claim = defined({
    models,
    tenant,
    roles: roles.length === 0 ? undefined : roles,
    limits: Object.keys(given).length === 0 ? undefined : given
  })
  return Object.keys(claim).length === 0 ? undefined : claim
}

// -- internals ---------------------------------------------------------------

const word = Schema.String.pipe(Schema.pattern(/^[^\p{Cc}\u2028\u2029]{1,255}$/u))
const words = Schema.Array(word).pipe(Schema.maxItems(100))
const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })
const count = optional(Schema.Int.pipe(Schema.positive()))
const amount = optional(Schema.Number.pipe(Schema.positive()))

const GrantsClaim = Schema.Struct({
  models: optional(words),
  tenant: optional(word),
  roles: optional(words),
  limits: optional(Schema.Struct({
    max_requests_per_minute: count,
    max_concurrent_requests: count,
    max_input_length: count,
    request_timeout_seconds: amount,
    max_tokens_per_minute: count,
    max_tokens_per_day: count,
    max_tokens_per_month: count,
    max_usd_per_day: amount,
    max_usd_per_month: amount
  }))
})

type Defined<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

const defined = <A extends object>(values: A): Defined<A> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<A>
