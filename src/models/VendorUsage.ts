/**
 * Tokens as vendors report them, in the one form that limits and prices count.
 *
 * Whatever a vendor sends: the counts are whole numbers, and no part is larger
 * than its whole. What nobody could believe is taken for not reported.
 */
import type { Usage } from "../domain/Answer.js"
import * as Json from "./Json.js"

/**
 * Of OpenAI's `usage`, and of those who speak its protocol; undefined when input or output is not known.
 *
 * DeepSeek has its own name for what the cache had; its `prompt_tokens` include it
 * (https://api-docs.deepseek.com/api/create-chat-completion). OpenRouter reports what was written to a cache in the
 * details (https://openrouter.ai/docs/use-cases/usage-accounting), and so does OpenAI for its newest models.
 */
export const ofOpenAi = (value: unknown): Usage | undefined => {
  const usage = Json.object(value)
  // As in nearly every event of a stream.
  if (usage === undefined) return undefined
  const input = Json.object(usage["prompt_tokens_details"])
  const reasoning = Json.object(usage["completion_tokens_details"])?.["reasoning_tokens"]
  return make({
    input: count(usage["prompt_tokens"]),
    output: outputOf(usage, count(reasoning)),
    cached: count(input?.["cached_tokens"]) ?? count(usage["prompt_cache_hit_tokens"]),
    cacheWrite: count(input?.["cache_write_tokens"]),
    reasoning: count(reasoning)
  })
}

/** Of Anthropic's `usage`, or the {@link cumulative} one of a stream. */
export const ofAnthropic = (value: unknown): Usage | undefined => {
  const usage = Json.object(value) ?? {}
  const input = count(usage["input_tokens"])
  const cached = count(usage["cache_read_input_tokens"])
  const cacheWrite = count(usage["cache_creation_input_tokens"])
  return make({
    // What was read from the cache or written to it is not in it.
    input: input === undefined ? undefined : count(input + (cached ?? 0) + (cacheWrite ?? 0)),
    output: count(usage["output_tokens"]),
    cached,
    cacheWrite,
    reasoning: count(Json.object(usage["output_tokens_details"])?.["thinking_tokens"])
  })
}

/** Anthropic's counts in a stream: later ones replace earlier ones, and null, or 0 after a number, is not counted again. */
export const cumulative = (earlier: Json.JsonObject, later: unknown): Json.JsonObject => {
  const counts = Object.entries(Json.object(later) ?? {})
  return {
    ...earlier,
    ...Object.fromEntries(
      // A count that was taken back to 0 was not counted again.
      counts.filter(([name, value]) => isCount(name, value) && !(value === 0 && typeof earlier[name] === "number"))
    )
  }
}

// -- internals ---------------------------------------------------------------

/** A thousand times what any model takes: sums of it, and its price in billionths of a dollar, stay exact. */
const most = 1_000_000_000

const count = (value: unknown): number | undefined => {
  const tokens = Json.count(value)
  return tokens === undefined || tokens > most ? undefined : tokens
}

/**
 * xAI counts reasoning beside `completion_tokens`, all others within; which it is, the total says.
 * Source: https://docs.x.ai/docs/key-information/consumption-and-rate-limits
 */
const outputOf = (usage: Json.JsonObject, reasoning = 0): number | undefined => {
  const input = count(usage["prompt_tokens"])
  const output = count(usage["completion_tokens"])
  return input !== undefined && output !== undefined && input + output + reasoning === usage["total_tokens"]
    ? count(output + reasoning)
    : output
}

const isCount = (name: string, value: unknown): boolean =>
  name === "output_tokens_details"
    ? Json.object(value) !== undefined
    : /^(cache_(read|creation)_input|input|output)_tokens$/.test(name) && count(value) !== undefined

interface Reported {
  readonly input: number | undefined
  readonly output: number | undefined
  readonly cached: number | undefined
  readonly cacheWrite: number | undefined
  readonly reasoning: number | undefined
}

/** A part that is not reported is left out. */
const make = ({ cacheWrite, cached, input, output, reasoning }: Reported): Usage | undefined => {
  if (input === undefined || output === undefined) return undefined
  const read = cached && Math.min(cached, input)
  const write = cacheWrite && Math.min(cacheWrite, input - (read ?? 0))
  const thought = reasoning && Math.min(reasoning, output)
  return {
    inputTokens: input,
    outputTokens: output,
    ...read !== undefined && { cachedInputTokens: read },
    ...write !== undefined && { cacheWriteTokens: write },
    ...thought !== undefined && { reasoningTokens: thought }
  }
}
