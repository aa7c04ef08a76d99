/**
 * Where a vendor's report of tokens stands in an event or a body, under the names of one of the two wires.
 *
 * Sources: https://platform.openai.com/docs/api-reference/chat/streaming (`usage`), https://console.groq.com/docs (`x_groq`),
 * https://platform.moonshot.ai/docs/api/chat (in the choice), https://docs.claude.com/en/api/messages,
 * https://github.com/ollama/ollama/blob/main/docs/api.md (`prompt_eval_count`).
 */
import * as Json from "../Json.js"

/** The first object of these that holds a report, if any. */
export const find = (...places: ReadonlyArray<unknown>): Json.JsonObject | undefined => {
  for (const place of places) {
    if (place === undefined || place === null) continue
    const report = Json.object(place)
    if (report !== undefined && Object.keys(report).length > 0) return report
  }
  return undefined
}

/** The same counts under the names of OpenAI's wire. */
export const asChat = (report: Json.JsonObject): Json.JsonObject =>
  report["prompt_tokens"] !== undefined && report["completion_tokens"] !== undefined
    ? report
    : { ...report, ...named(report, "prompt_tokens", "completion_tokens") }

/** The same counts under the names of Anthropic's wire. */
export const asMessages = (report: Json.JsonObject): Json.JsonObject =>
  report["input_tokens"] !== undefined || report["output_tokens"] !== undefined
    ? report
    : { ...report, ...named(report, "input_tokens", "output_tokens") }

/** `later` over `earlier`: a count that was taken back to 0, or to null, was not counted again. */
export const merge = (earlier: Json.JsonObject | undefined, later: Json.JsonObject): Json.JsonObject => {
  if (earlier === undefined) return later
  const merged: Record<string, unknown> = { ...earlier }
  for (const [name, value] of Object.entries(later)) {
    const isTakenBack = value === null || value === 0 && typeof earlier[name] === "number"
    if (!isTakenBack) merged[name] = value
  }
  return merged
}

// -- internals ---------------------------------------------------------------

const inputs = ["prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "promptTokenCount", "prompt_eval_count"]
const outputs = [
  "completion_tokens",
  "output_tokens",
  "completionTokens",
  "outputTokens",
  "candidatesTokenCount",
  "generated_tokens",
  "eval_count"
]

const named = (report: Json.JsonObject, input: string, output: string): Json.JsonObject => {
  const [read, written] = [first(report, inputs), first(report, outputs)]
  return { ...read !== undefined && { [input]: read }, ...written !== undefined && { [output]: written } }
}

const first = (report: Json.JsonObject, names: ReadonlyArray<string>): unknown => {
  const name = names.find((name) => report[name] !== undefined && report[name] !== null)
  return name === undefined ? undefined : report[name]
}
