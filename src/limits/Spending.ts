/**
 * What a call used, as the store books it.
 *
 * Every attempt counts, also those that failed: the provider bills them all.
 */
import { matches } from "../domain/Access.js"
import type { Usage } from "../domain/Answer.js"
import { type Account, type Ask, type Booking, type Charge, noCounts, type Settlement } from "./Store.js"

/** One request to a provider. */
export interface Attempted {
  /** `provider/model`. */
  readonly model: string
  readonly usage: Usage
  /** Whether the provider did not report the usage, or not all of it. */
  readonly estimated: boolean
  /** Billionths of a US dollar; undefined for a model without a price. */
  readonly cost: number | undefined
}

export interface Spending {
  readonly attempts: ReadonlyArray<Attempted>
  /** Whether the caller got its whole answer. */
  readonly succeeded: boolean
}

/** What a call for a model that nobody lists is booked for when nothing came of it: callers may make up any name. */
export const unlisted = (model: string): string => `${model.slice(0, model.indexOf("/"))}/*`

export const nothing: Spending = { attempts: [], succeeded: false }

/** The bounds of a model are charged its own attempts, all others every attempt. */
export const charges = (bounds: Ask["bounds"], { attempts }: Spending): ReadonlyArray<Charge> =>
  bounds.map(({ name, scope }) =>
    attempts
      .filter(({ model }) => scope !== "model" || matches(name, model))
      .reduce<Charge>((sum, { cost, usage }) => ({
        tokens: sum.tokens + usage.inputTokens + usage.outputTokens,
        cost: sum.cost + (cost ?? 0)
      }), { tokens: 0, cost: 0 })
  )

/** The request itself counts for the model that was tried last. */
export const rows = (account: Account, { attempts, succeeded }: Spending): ReadonlyArray<Booking> => {
  const asked = attempts.at(-1)?.model ?? account.model
  const models = new Set([asked, ...attempts.map(({ model }) => model)])
  return [...models].map((model) => {
    const own = attempts.filter((attempt) => attempt.model === model)
    const sum = (of: (usage: Usage) => number | undefined) =>
      own.reduce((total, { usage }) => total + (of(usage) ?? 0), 0)
    const counted = model === asked ? 1 : 0
    return {
      ...noCounts,
      ...account,
      model,
      requests: counted,
      failures: succeeded ? 0 : counted,
      estimated: attempts.some(({ estimated }) => estimated) ? counted : 0,
      inputTokens: sum((usage) => usage.inputTokens),
      outputTokens: sum((usage) => usage.outputTokens),
      cachedInputTokens: sum((usage) => usage.cachedInputTokens),
      cacheWriteTokens: sum((usage) => usage.cacheWriteTokens),
      reasoningTokens: sum((usage) => usage.reasoningTokens),
      cost: own.reduce((total, { cost }) => total + (cost ?? 0), 0),
      unpricedTokens: own.reduce(
        (total, { cost, usage }) => total + (cost === undefined ? usage.inputTokens + usage.outputTokens : 0),
        0
      )
    }
  })
}

export const settlement = (ask: Ask, account: Account | undefined, spending: Spending): Settlement => ({
  charges: charges(ask.bounds, spending),
  rows: account === undefined ? [] : rows(account, spending)
})
