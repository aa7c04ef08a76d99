/**
 * Well-known models of the vendors' own endpoints, for clients to choose from.
 *
 * Advertised, not enforced: a provider without a `models` list takes any
 * name. Names are those of the vendors' SDKs (`ChatModel` of openai, `Model`
 * of @anthropic-ai/sdk), without dated snapshots, and those that the default
 * aliases lead to. What is not known for sure is left undefined.
 * Sources: https://platform.openai.com/docs/models, https://docs.claude.com/en/docs/about-claude/models
 */
import type { ModelSpec } from "./Provider.js"

/** The default first, then the newest. */
export const openai: ReadonlyArray<ModelSpec> = [
  model("gpt-4o", 128_000, 2.5, 10),
  model("gpt-4o-mini", 128_000, 0.15, 0.6),
  model("gpt-5.4"),
  model("gpt-5.4-mini"),
  model("gpt-5.4-nano"),
  model("gpt-5.2"),
  model("gpt-5.1", 400_000, 1.25, 10),
  model("gpt-5", 400_000, 1.25, 10),
  model("gpt-5-mini", 400_000, 0.25, 2),
  model("gpt-5-nano", 400_000, 0.05, 0.4),
  model("gpt-4.1", 1_047_576, 2, 8),
  model("gpt-4.1-mini", 1_047_576, 0.4, 1.6),
  model("gpt-4.1-nano", 1_047_576, 0.1, 0.4),
  model("o4-mini", 200_000, 1.1, 4.4),
  model("o3", 200_000, 2, 8),
  model("o3-mini", 200_000, 1.1, 4.4),
  model("gpt-4-turbo", 128_000, 10, 30),
  model("gpt-4", 8_192, 30, 60),
  model("gpt-3.5-turbo", 16_385, 0.5, 1.5)
]

export const anthropic: ReadonlyArray<ModelSpec> = [
  model("claude-sonnet-5-5"),
  model("claude-sonnet-5"),
  model("claude-opus-5-5"),
  model("claude-opus-5"),
  model("claude-haiku-5-5"),
  model("claude-opus-4-8"),
  model("claude-opus-4-7"),
  model("claude-opus-4-6"),
  model("claude-sonnet-4-6"),
  model("claude-haiku-4-5", 200_000, 1, 5),
  model("claude-opus-4-5", 200_000, 5, 25),
  model("claude-sonnet-4-5", 200_000, 3, 15),
  model("claude-sonnet-4-0", 200_000, 3, 15)
]

// -- internals ---------------------------------------------------------------

/** Tokens of context, and US dollars per million tokens in and out. */
function model(name: string, contextLength?: number, input?: number, output?: number): ModelSpec {
  return {
    name,
    streams: true,
    contextLength,
    price: input === undefined || output === undefined ? undefined : { input, output }
  }
}
