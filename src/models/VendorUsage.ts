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

/**
 * Anthropic's counts in a stream: later ones replace earlier ones, but null is not counted again and a smaller number is no
 * correction: what was used stays used.
 */
export const cumulative = (earlier: Json.JsonObject, later: unknown): Json.JsonObject => {
  const counts = Object.entries(Json.object(later) ?? {}).filter(([name, value]) => isCount(name, value))
  const next = { ...earlier, ...Object.fromEntries(counts) }
  // The three parts of the input are compared as a whole: a later event may book the same tokens as another part.
  const input = inputOf(next) < inputOf(earlier) ? earlier : next
  const output = (count(next["output_tokens"]) ?? 0) < (count(earlier["output_tokens"]) ?? 0) ? earlier : next
  return Object.fromEntries(
    Object.keys(next).flatMap((name) => {
      const value = (name.startsWith("output_") ? output : input)[name]
      return value === undefined ? [] : [[name, value]]
    })
  )
}

/** What is known of a request and its answer without the vendor. */
export interface Known {
  /** Our estimates. */
  readonly inputTokens: number
  readonly outputTokens: number
  /** In UTF-16 code units. */
  readonly inputLength: number
  readonly outputLength: number
}

/**
 * The counts to book: as reported where that can be true, else our estimate, and whether one of them is an estimate.
 *
 * Too few are 0, or less than a hundredth of our estimate, beside text that is there. Too many are more than a token for each
 * byte of the text and {@link maxHiddenTokens} for what we do not see.
 */
export const judge = (
  reported: Usage | undefined,
  known: Known
): { readonly usage: Usage; readonly estimated: boolean } => {
  const { inputLength, inputTokens, outputLength, outputTokens } = known
  const input = reported !== undefined && isPossible(reported.inputTokens, inputTokens, inputLength)
  const output = reported !== undefined && isPossible(reported.outputTokens, outputTokens, outputLength)
  return {
    usage: join(
      input ? reported : { inputTokens, outputTokens: 0 },
      output ? reported : { inputTokens: 0, outputTokens }
    ),
    estimated: !input || !output
  }
}

/** Of two reports for one answer the larger counts that are possible; the later ones where they are equal. */
export const larger = (
  earlier: Usage | undefined,
  later: Usage,
  { inputLength, outputLength }: Pick<Known, "inputLength" | "outputLength">
): Usage => {
  if (earlier === undefined) return later
  const input = later.inputTokens < earlier.inputTokens || isTooMany(later.inputTokens, inputLength)
  const output = later.outputTokens < earlier.outputTokens || isTooMany(later.outputTokens, outputLength)
  return join(
    input && !isTooMany(earlier.inputTokens, inputLength) ? earlier : later,
    output && !isTooMany(earlier.outputTokens, outputLength) ? earlier : later
  )
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

/** What a model may have thought, or a vendor put around the prompt or searched for it: twice what any does today. */
const maxHiddenTokens = 262_144

/** Of UTF-8; no token of a byte-level encoding is shorter. */
const maxBytesPerUnit = 3

const isTooMany = (tokens: number, length: number): boolean => tokens > maxHiddenTokens + maxBytesPerUnit * length

const isPossible = (tokens: number, estimate: number, length: number): boolean =>
  !isTooMany(tokens, length) && (estimate === 0 || tokens >= Math.max(1, Math.floor(estimate / 100)))

const inputOf = (counts: Json.JsonObject): number =>
  (count(counts["input_tokens"]) ?? 0) + (count(counts["cache_read_input_tokens"]) ?? 0) +
  (count(counts["cache_creation_input_tokens"]) ?? 0)

/** The input of the one and the output of the other, with their parts. */
const join = (input: Usage, output: Usage): Usage => ({
  inputTokens: input.inputTokens,
  outputTokens: output.outputTokens,
  ...input.cachedInputTokens !== undefined && { cachedInputTokens: input.cachedInputTokens },
  ...input.cacheWriteTokens !== undefined && { cacheWriteTokens: input.cacheWriteTokens },
  ...output.reasoningTokens !== undefined && { reasoningTokens: output.reasoningTokens }
})

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
