/**
 * What a call used, as the store books it.
 *
 * Every attempt counts, also those that failed: the provider bills them all.
 */
import { matches } from "../domain/Access.js"
import type { FinishReason, Usage } from "../domain/Answer.js"
import { type Account, type Ask, type Booking, type Charge, type Settlement } from "./Store.js"

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
  /** How that answer ended; undefined without one. */
  readonly finishReason?: FinishReason | undefined
}

/** What a call for a model that nobody lists is booked for when nothing came of it: callers may make up any name. */
export const unlisted = (model: string): string => `${model.slice(0, model.indexOf("/"))}/*`

export const nothing: Spending = { attempts: [], succeeded: false }

/** The bounds of a model are charged its own attempts, all others every attempt. */
export const charges = (bounds: Ask["bounds"], { attempts }: Spending): ReadonlyArray<Charge> =>
  bounds.map(({ name, scope }) => {
    let [tokens, total] = [0, 0]
    for (const { cost, model, usage } of attempts) {
      if (scope === "model" && !matches(name, model)) continue
      tokens += usage.inputTokens + usage.outputTokens
      total += cost ?? 0
    }
    return { tokens, cost: total }
  })

/** The request itself counts for the model that was tried last. */
export const rows = (account: Account, { attempts, finishReason, succeeded }: Spending): ReadonlyArray<Booking> => {
  const asked = attempts.at(-1)?.model ?? account.model
  const estimated = attempts.some(({ estimated }) => estimated)
  const row = (model: string): Booking => {
    const counted = model === asked ? 1 : 0
    // One for each call, and so written out instead of put together from copies.
    const sum: Sum = {
      subject: account.subject,
      tenant: account.tenant,
      model,
      requests: counted,
      failures: succeeded ? 0 : counted,
      estimated: estimated ? counted : 0,
      inputTokens: 0,
      outputTokens: 0,
      cachedInputTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
      cost: 0,
      unpricedTokens: 0,
      cutOff: finishReason === "length" ? counted : 0,
      filtered: finishReason === "content_filter" ? counted : 0,
      refused: finishReason === "refusal" ? counted : 0
    }
    for (const attempt of attempts) if (attempt.model === model) add(sum, attempt)
    return sum
  }
  if (attempts.every(({ model }) => model === asked)) return [row(asked)]
  return [...new Set([asked, ...attempts.map(({ model }) => model)])].map(row)
}

export const settlement = (ask: Ask, account: Account | undefined, spending: Spending): Settlement => ({
  charges: charges(ask.bounds, spending),
  rows: account === undefined ? [] : rows(account, spending)
})

// -- internals ---------------------------------------------------------------

type Sum = { -readonly [name in keyof Booking]: Booking[name] }

const add = (sum: Sum, { cost, usage }: Attempted): void => {
  sum.inputTokens += usage.inputTokens
  sum.outputTokens += usage.outputTokens
  sum.cachedInputTokens += usage.cachedInputTokens ?? 0
  sum.cacheWriteTokens += usage.cacheWriteTokens ?? 0
  sum.reasoningTokens += usage.reasoningTokens ?? 0
  if (cost === undefined) sum.unpricedTokens += usage.inputTokens + usage.outputTokens
  else sum.cost += cost
}
