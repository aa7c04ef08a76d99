/**
 * What an answer costs.
 *
 * Counted in whole billionths of a US dollar, so that sums are exact; they are
 * safe integers up to nine million dollars.
 */
import type { Usage } from "./Answer.js"
import type { Price } from "./ModelInfo.js"

/** Billionths of a US dollar. */
export const ofUsage = (prices: Price, usage: Usage): number => {
  const { cacheWriteTokens = 0, cachedInputTokens = 0, inputTokens, outputTokens, reasoningTokens = 0 } = usage
  const price = prices.long !== undefined && inputTokens > prices.long.above ? prices.long.price : prices
  const plainInput = Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens)
  const plainOutput = Math.max(0, outputTokens - reasoningTokens)
  // A price per million tokens is a thousand times as many billionths per token.
  return Math.round(
    1000 * (
      plainInput * price.input +
      cachedInputTokens * (price.cacheRead ?? price.input) +
      cacheWriteTokens * (price.cacheWrite ?? price.input) +
      plainOutput * price.output +
      reasoningTokens * (price.reasoning ?? price.output)
    )
  )
}

export const toUsd = (billionths: number): number => billionths / 1e9

export const fromUsd = (usd: number): number => Math.round(usd * 1e9)
