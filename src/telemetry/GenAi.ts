/**
 * What a span says of one attempt at a model, in the words of OpenTelemetry.
 *
 * Text of prompts and answers is told only where a variable asks for it.
 * Source: https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
 */
import { Config, Effect, type Scope, type Tracer } from "effect"

/** `chat`, the one operation of this server. */
export const operation = "gen_ai.operation.name"
/** As the provider is called in the configuration; for the vendors themselves that is the name of the conventions. */
export const provider = "gen_ai.provider.name"
export const requestModel = "gen_ai.request.model"
/** Whether the answer is asked for as a stream. */
export const requestStream = "gen_ai.request.stream"
export const requestMaxTokens = "gen_ai.request.max_tokens"
/** `text` or `json`. */
export const outputType = "gen_ai.output.type"
/** The model that answered, in the provider's words. */
export const responseModel = "gen_ai.response.model"
export const responseId = "gen_ai.response.id"
/** An array of strings. */
export const finishReasons = "gen_ai.response.finish_reasons"
/** Seconds from the request to the first piece of a stream. */
export const timeToFirstChunk = "gen_ai.response.time_to_first_chunk"
/** All input tokens, those of the cache too. */
export const inputTokens = "gen_ai.usage.input_tokens"
export const cacheReadTokens = "gen_ai.usage.cache_read.input_tokens"
export const cacheCreationTokens = "gen_ai.usage.cache_creation.input_tokens"
/** All output tokens, those of reasoning too. */
export const outputTokens = "gen_ai.usage.output_tokens"
export const reasoningTokens = "gen_ai.usage.reasoning.output_tokens"
/** Of an attempt that failed: a reason of the error algebra. */
export const errorType = "error.type"

/** As an attribute of a span can be. */
export type Attributes = Readonly<Record<string, string | number | boolean | ReadonlyArray<string>>>

/** The span of an attempt, `chat MODEL` by the conventions; it ends when the scope closes, with how that is closed. */
export const attemptSpan = (
  name: string,
  attributes: Attributes
): Effect.Effect<Tracer.Span, never, Scope.Scope> =>
  Effect.makeSpanScoped(name, { kind: "client", attributes, captureStackTrace: false })

/** Adds to a span; costs nothing where it is not told. */
export const annotate = (span: Tracer.Span, attributes: Attributes): void => {
  if (!span.sampled) return
  for (const [key, value] of Object.entries(attributes)) span.attribute(key, value)
}

export const captureVariable = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

/** Whether prompts and answers may be told; asked once, at the start. */
export const captures: Effect.Effect<boolean> = Config.string(captureVariable).pipe(
  Effect.map((text) => captureOf(text) ?? false),
  Effect.orElseSucceed(() => false)
)

/** Undefined for a text that means nothing. */
export const captureOf = (text: string | undefined): boolean | undefined => meanings[text?.trim().toLowerCase() ?? ""]

/** What went to the model; an empty system prompt is none. */
export const input = (prompt: { readonly system: string; readonly user: string }): Attributes => ({
  ...prompt.system !== "" && { "gen_ai.system_instructions": JSON.stringify([part(prompt.system)]) },
  "gen_ai.input.messages": JSON.stringify([{ role: "user", parts: [part(prompt.user)] }])
})

/** What came from it. `finishReason` in the provider's words; `stop` where it said none. */
export const output = (text: string, finishReason = "stop"): Attributes => ({
  "gen_ai.output.messages": JSON.stringify([{
    role: "assistant",
    parts: [part(text)],
    finish_reason: finishReason
  }])
})

// -- internals ---------------------------------------------------------------

/** The later names are those of opentelemetry-util-genai; what is for events only is not told on spans. */
const meanings: { readonly [text: string]: boolean | undefined } = {
  "": false,
  true: true,
  false: false,
  span_only: true,
  span_and_event: true,
  event_only: false,
  no_content: false
}

const part = (content: string) => ({ type: "text", content })
