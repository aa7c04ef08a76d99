/**
 * Well-known models of the vendors' own endpoints, for clients to choose from, and what they cost.
 *
 * Advertised, not enforced: a provider without a `models` list takes any
 * name. Names are those of the vendors' SDKs (`ChatModel` of openai, `Model`
 * of @anthropic-ai/sdk), and those that the default aliases lead to. What is
 * not known for sure is left undefined.
 *
 * Prices are the vendors' standard ones, for their default tier, as they were
 * known in November 2026; neither batch nor priority, nor regions that cost more.
 * Sources: https://developers.openai.com/api/docs/pricing and …/models/<name>,
 * https://platform.claude.com/docs/en/about-claude/pricing and …/models
 */
import type { Price } from "../domain/ModelInfo.js"
import type { ModelSpec } from "./Provider.js"

export interface Known {
  /** To advertise: the default first, then the newest. */
  readonly models: ReadonlyArray<ModelSpec>
  /** By its name, also a dated version of one of them. */
  readonly find: (name: string) => ModelSpec | undefined
}

export const none: Known = { models: [], find: () => undefined }

/** To write to the cache costs nothing on top with these models, and the oldest have none. */
export const openai: Known = known([
  model("gpt-4o", 128_000, openaiPrice(2.5, 10, 1.25), ["2024-11-20", "2024-08-06"]),
  model("gpt-4o-mini", 128_000, openaiPrice(0.15, 0.6, 0.075), ["2024-07-18"]),
  model("gpt-5.4", undefined, {
    ...openaiPrice(2.5, 15, 0.25),
    long: { above: 272_000, price: openaiPrice(5, 22.5, 0.5) }
  }, ["2026-03-05"]),
  model("gpt-5.4-mini", undefined, openaiPrice(0.75, 4.5, 0.075), ["2026-03-17"]),
  model("gpt-5.4-nano", undefined, openaiPrice(0.2, 1.25, 0.02), ["2026-03-17"]),
  model("gpt-5.2", undefined, openaiPrice(1.75, 14, 0.175), ["2025-12-11"]),
  model("gpt-5.1", 400_000, openaiPrice(1.25, 10, 0.125), ["2025-11-13"]),
  model("gpt-5", 400_000, openaiPrice(1.25, 10, 0.125), ["2025-08-07"]),
  model("gpt-5-mini", 400_000, openaiPrice(0.25, 2, 0.025), ["2025-08-07"]),
  model("gpt-5-nano", 400_000, openaiPrice(0.05, 0.4, 0.005), ["2025-08-07"]),
  model("gpt-4.1", 1_047_576, openaiPrice(2, 8, 0.5), ["2025-04-14"]),
  model("gpt-4.1-mini", 1_047_576, openaiPrice(0.4, 1.6, 0.1), ["2025-04-14"]),
  model("gpt-4.1-nano", 1_047_576, openaiPrice(0.1, 0.4, 0.025), ["2025-04-14"]),
  model("o4-mini", 200_000, openaiPrice(1.1, 4.4, 0.275), ["2025-04-16"]),
  model("o3", 200_000, openaiPrice(2, 8, 0.5), ["2025-04-16"]),
  model("o3-mini", 200_000, openaiPrice(1.1, 4.4, 0.55), ["2025-01-31"]),
  model("gpt-4-turbo", 128_000, { input: 10, output: 30 }, ["2024-04-09"]),
  model("gpt-4", 8_192, { input: 30, output: 60 }, ["0613"]),
  model("gpt-3.5-turbo", 16_385, { input: 0.5, output: 1.5 }, ["0125"])
], [
  // The only version that costs more than its family.
  model("gpt-4o-2024-05-13", 128_000, { input: 5, output: 15 })
])

export const anthropic: Known = known([
  model("claude-sonnet-5-5", undefined, anthropicPrice(2, 10, 0.05)),
  model("claude-sonnet-5", undefined, anthropicPrice(2, 10)),
  model("claude-opus-5-5", undefined, anthropicPrice(4, 20, 0.05)),
  model("claude-opus-5", undefined, anthropicPrice(5, 25)),
  model("claude-haiku-5-5", undefined, {
    ...anthropicPrice(0.1, 0.5),
    long: { above: 100_000, price: anthropicPrice(0.5, 2.5) }
  }),
  model("claude-opus-4-8", undefined, anthropicPrice(5, 25)),
  model("claude-opus-4-7", undefined, anthropicPrice(5, 25)),
  model("claude-opus-4-6", undefined, anthropicPrice(5, 25)),
  model("claude-sonnet-4-6", undefined, anthropicPrice(3, 15)),
  model("claude-haiku-4-5", 200_000, anthropicPrice(1, 5), ["20251001"]),
  model("claude-opus-4-5", 200_000, anthropicPrice(5, 25), ["20251101"]),
  model("claude-sonnet-4-5", 200_000, anthropicPrice(3, 15), ["20250929"]),
  model("claude-sonnet-4-0", 200_000, anthropicPrice(3, 15))
], [
  model("claude-sonnet-4-20250514", 200_000, anthropicPrice(3, 15))
])

// -- internals ---------------------------------------------------------------

interface Family {
  readonly spec: ModelSpec
  readonly versions: ReadonlyArray<string>
}

/** `versions` of the model cost what it costs itself; each is named by it and what follows the dash. */
function model(name: string, contextLength?: number, price?: Price, versions: ReadonlyArray<string> = []): Family {
  return { spec: { name, streams: true, contextLength, price }, versions }
}

/** `others` are not advertised. */
function known(families: ReadonlyArray<Family>, others: ReadonlyArray<Family>): Known {
  const dated = families.flatMap(({ spec, versions }) =>
    versions.map((version) => ({ ...spec, name: `${spec.name}-${version}` }))
  )
  const models = families.map(({ spec }) => spec)
  const all = new Map([...models, ...dated, ...others.map(({ spec }) => spec)].map((spec) => [spec.name, spec]))
  return { models, find: (name) => all.get(name) }
}

function openaiPrice(input: number, output: number, cacheRead: number): Price {
  return { input, output, cacheRead }
}

/** What is read from the cache costs a tenth of other input, or less; a write, as long as it lives for five minutes, 1.25 of it. */
function anthropicPrice(input: number, output: number, cacheRead = 0.1): Price {
  // Exactly, not 0.30000000000000004.
  const of = (share: number) => Number((input * share).toPrecision(12))
  return { input, output, cacheRead: of(cacheRead), cacheWrite: of(1.25) }
}
