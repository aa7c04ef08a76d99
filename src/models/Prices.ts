/**
 * What a model costs.
 *
 * The operator's prices win over what is known of the model; of several that
 * fit its name, that name itself and then the longest pattern.
 */
import type { PricesSection } from "../config/LimitsSettings.js"
import { matches, matchesBelow } from "../domain/Access.js"
import type { Price } from "../domain/ModelInfo.js"
import type { ModelSpec } from "./Provider.js"

/** Undefined when nobody knows. `fullName` is `provider/model`, and not an alias. */
export type PriceOf = (fullName: string, spec: ModelSpec | undefined) => Price | undefined

export const make = (overrides: PricesSection): PriceOf => {
  const own = Object.entries(overrides).map(([pattern, { cache_read, cache_write, input, output, reasoning }]) => ({
    pattern,
    price: {
      input,
      output,
      ...cache_read !== undefined && { cacheRead: cache_read },
      ...cache_write !== undefined && { cacheWrite: cache_write },
      ...reasoning !== undefined && { reasoning }
    }
  })).sort((one, other) => other.pattern.length - one.pattern.length)
  const exact = new Map(own.map(({ pattern, price }) => [pattern, price]))
  return (fullName, spec) =>
    exact.get(fullName) ?? own.find(({ pattern }) => matches(pattern, fullName))?.price ?? spec?.price
}

/** The keys of `overrides` that no model of these providers can have. */
export const unused = (overrides: PricesSection, providers: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.keys(overrides).filter((pattern) => !providers.some((provider) => matchesBelow(pattern, `${provider}/`)))
