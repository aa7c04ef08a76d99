/**
 * Wire messages as domain values and back; the only place that knows field names.
 */
import { Effect, Option, Predicate, Schema } from "effect"
import {
  type Answer,
  type AnswerEvent,
  type AnswerRequest,
  type FinishReason,
  finishReasons,
  type Metrics,
  type Tier
} from "../domain/Answer.js"
import type { ProxyError } from "../domain/Errors.js"
import * as Limits from "../domain/Limits.js"
import type { ServerInfo } from "../domain/ServerInfo.js"
import * as Utf16 from "../domain/Utf16.js"

const Count = Schema.optional(Schema.Number)

export const ExecuteRequest = Schema.Struct({
  system_fragments: Schema.Array(Schema.String),
  user_fragments: Schema.Array(Schema.String),
  model_name: Schema.optional(Schema.String),
  response_model_schema: Schema.optional(Schema.String),
  request_id: Schema.String
})

/** The same as the Schema says, for the hot path. */
export const isExecuteRequest = (message: unknown): message is typeof ExecuteRequest.Type =>
  Predicate.isRecord(message) && isTexts(message["system_fragments"]) && isTexts(message["user_fragments"]) &&
  isText(message["request_id"]) && isOptional(message["model_name"]) && isOptional(message["response_model_schema"])

const ExecutionMetrics = Schema.Struct({
  duration_ms: Schema.Number,
  input_tokens: Count,
  output_tokens: Count,
  total_tokens: Count,
  cost_usd: Count,
  retry_count: Schema.Number,
  timestamp: Schema.Number,
  tokens_estimated: Schema.Boolean
})

const ExecuteError = Schema.Struct({
  error_code: Schema.String,
  error_message: Schema.String,
  error_details: Schema.optional(Schema.String)
})
export type ExecuteError = typeof ExecuteError.Type

const ExecuteSuccess = Schema.Struct({
  response_text: Schema.String,
  metrics: Schema.NullishOr(ExecutionMetrics),
  actual_model_used: Schema.String,
  finish_reason: Schema.optional(Schema.String)
})

export const ExecuteResponse = Schema.Struct({
  request_id: Schema.String,
  success: Schema.optional(ExecuteSuccess),
  error: Schema.optional(ExecuteError)
})

const StreamTier = Schema.Literal(
  "STREAM_TIER_UNSPECIFIED",
  "STREAM_TIER_REAL",
  "STREAM_TIER_SIMULATED",
  "STREAM_TIER_FALLBACK"
)

export const StreamChunk = Schema.Struct({
  request_id: Schema.String,
  text_chunk: Schema.optional(Schema.String),
  final_metrics: Schema.optional(ExecutionMetrics),
  error: Schema.optional(ExecuteError),
  complete: Schema.optional(
    Schema.Struct({ actual_model_used: Schema.String, finish_reason: Schema.optional(Schema.String) })
  ),
  start: Schema.optional(Schema.Struct({
    // A number is a tier of a newer peer.
    tier: Schema.Union(StreamTier, Schema.Number),
    attempt: Schema.Number,
    provider: Schema.String,
    model: Schema.String
  })),
  restart: Schema.optional(Schema.Struct({ reason: Schema.String })),
  heartbeat: Schema.optional(Schema.Struct({ elapsed_ms: Schema.Number }))
})

const ModelInfo = Schema.Struct({
  model_id: Schema.String,
  display_name: Schema.String,
  provider: Schema.String,
  supports_streaming: Schema.Boolean,
  max_context_length: Count,
  aliases: Schema.Array(Schema.String)
})

const ServerLimits = Schema.Struct({
  max_requests_per_minute: Count,
  max_concurrent_requests: Count,
  max_input_length: Count,
  request_timeout_seconds: Count,
  max_tokens_per_minute: Count,
  max_tokens_per_day: Count,
  max_tokens_per_month: Count,
  max_usd_per_day: Count,
  max_usd_per_month: Count
})

export const GetServerInfoResponse = Schema.Struct({
  available_models: Schema.Array(ModelInfo),
  default_model: Schema.String,
  limits: Schema.NullishOr(ServerLimits),
  server_version: Schema.String,
  model_aliases: Schema.Record({ key: Schema.String, value: Schema.String }),
  server_name: Schema.String,
  features: Schema.Array(Schema.String)
})

export const toAnswerRequest = (wire: typeof ExecuteRequest.Type, requestId: string): AnswerRequest => ({
  requestId,
  model: wire.model_name,
  system: wire.system_fragments,
  user: wire.user_fragments,
  responseSchema: wire.response_model_schema === "" ? undefined : wire.response_model_schema
})

export const fromAnswerRequest = (request: AnswerRequest): typeof ExecuteRequest.Type => ({
  system_fragments: request.system,
  user_fragments: request.user,
  ...(request.model === undefined ? {} : { model_name: request.model }),
  ...(request.responseSchema === undefined ? {} : { response_model_schema: request.responseSchema }),
  request_id: request.requestId
})

export const fromAnswer = (requestId: string, answer: Answer): typeof ExecuteResponse.Type => ({
  request_id: requestId,
  success: {
    response_text: answer.text,
    metrics: fromMetrics(answer.metrics),
    actual_model_used: answer.model,
    ...answer.finishReason !== undefined && { finish_reason: answer.finishReason }
  }
})

/** An `ExecuteSuccess` of any server; one that sent no metrics gives zeros. */
export const toAnswer = (success: typeof ExecuteSuccess.Type): Answer => ({
  text: success.response_text,
  model: success.actual_model_used,
  finishReason: toFinishReason(success.finish_reason),
  metrics: toMetrics(success.metrics ?? noMetrics)
})

export const fromEvent = (requestId: string, event: AnswerEvent): typeof StreamChunk.Type => {
  switch (event._tag) {
    case "Text":
      return { request_id: requestId, text_chunk: event.text }
    case "Done":
      return {
        request_id: requestId,
        complete: {
          actual_model_used: event.model,
          ...event.finishReason !== undefined && { finish_reason: event.finishReason }
        }
      }
    case "Metrics":
      return { request_id: requestId, final_metrics: fromMetrics(event) }
    case "Start": {
      const { attempt, model, provider, tier } = event
      return { request_id: requestId, start: { tier: toWireTier[tier], attempt, provider, model } }
    }
    case "Restart":
      return { request_id: requestId, restart: { reason: event.reason } }
    case "Heartbeat":
      return { request_id: requestId, heartbeat: { elapsed_ms: event.elapsedMs } }
  }
}

/** The event in a chunk; none for an error, an empty text, or a kind of chunk we do not know. */
export const toEvent = (chunk: typeof StreamChunk.Type): Option.Option<AnswerEvent> => {
  if (chunk.text_chunk !== undefined) {
    return chunk.text_chunk === "" ? Option.none() : Option.some({ _tag: "Text", text: chunk.text_chunk })
  }
  if (chunk.complete !== undefined) {
    const { actual_model_used: model, finish_reason: reason } = chunk.complete
    return Option.some({ _tag: "Done", model, finishReason: toFinishReason(reason) })
  }
  if (chunk.final_metrics !== undefined) return Option.some(toMetrics(chunk.final_metrics))
  if (chunk.restart !== undefined) return Option.some({ _tag: "Restart", reason: chunk.restart.reason })
  if (chunk.heartbeat !== undefined) {
    return Option.some({ _tag: "Heartbeat", elapsedMs: chunk.heartbeat.elapsed_ms })
  }
  if (chunk.start !== undefined) {
    const { tier, ...start } = chunk.start
    return Option.some({ _tag: "Start", tier: typeof tier === "string" ? fromWireTier[tier] : "simulated", ...start })
  }
  return Option.none()
}

/** The in-band face of a failure, for clients that only read messages. */
export const errorChunk = (requestId: string, error: ProxyError): typeof StreamChunk.Type => ({
  request_id: requestId,
  error: {
    error_code: error.reason,
    error_message: Utf16.wellFormed(error.summary),
    error_details: Utf16.wellFormed(error.remedy)
  }
})

export const fromServerInfo = (info: ServerInfo): typeof GetServerInfoResponse.Type => ({
  available_models: info.models.map((model) => ({
    model_id: model.id,
    display_name: model.displayName,
    provider: model.provider,
    supports_streaming: model.streams,
    max_context_length: model.contextLength,
    aliases: model.aliases
  })),
  default_model: info.defaultModel,
  limits: Limits.toKeys(info.limits),
  server_version: info.version,
  model_aliases: Object.fromEntries(info.aliases),
  server_name: info.name,
  features: info.features
})

export const toServerInfo = (wire: typeof GetServerInfoResponse.Type): ServerInfo => ({
  name: wire.server_name,
  version: wire.server_version,
  defaultModel: wire.default_model,
  models: wire.available_models.map((model) => ({
    id: model.model_id,
    displayName: model.display_name,
    provider: model.provider,
    streams: model.supports_streaming,
    contextLength: model.max_context_length,
    aliases: model.aliases
  })),
  aliases: new Map(Object.entries(wire.model_aliases)),
  limits: Limits.fromKeys(wire.limits ?? {}),
  features: wire.features
})

/** A message of a peer that the `.proto` could read but this Schema cannot is a defect of ours. */
export const decode = <A, I>(schema: Schema.Schema<A, I>): (message: unknown) => Effect.Effect<A> => {
  const decodeUnknown = Schema.decodeUnknown(schema)
  return (message) => Effect.orDie(decodeUnknown(message))
}

// -- internals ---------------------------------------------------------------

const isText = (value: unknown): value is string => typeof value === "string"
const isOptional = (value: unknown): boolean => value === undefined || isText(value)
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)

/** Undefined of a server of an older version; a word of a newer one is not claimed to be a good end. */
const toFinishReason = (reason: string | undefined): FinishReason | undefined =>
  reason === undefined || reason === "" ? undefined : finishReasons.find((known) => known === reason) ?? "unknown"

const toWireTier: Record<Tier, typeof StreamTier.Type> = {
  real: "STREAM_TIER_REAL",
  simulated: "STREAM_TIER_SIMULATED",
  fallback: "STREAM_TIER_FALLBACK"
}

/** A tier we do not know is not claimed to be real. */
const fromWireTier: Record<typeof StreamTier.Type, Tier> = {
  STREAM_TIER_UNSPECIFIED: "simulated",
  STREAM_TIER_REAL: "real",
  STREAM_TIER_SIMULATED: "simulated",
  STREAM_TIER_FALLBACK: "fallback"
}

const noMetrics: typeof ExecutionMetrics.Type = { duration_ms: 0, retry_count: 0, timestamp: 0, tokens_estimated: true }

const fromMetrics = (metrics: Metrics): typeof ExecutionMetrics.Type => ({
  duration_ms: metrics.durationMs,
  input_tokens: metrics.inputTokens,
  output_tokens: metrics.outputTokens,
  total_tokens: metrics.inputTokens + metrics.outputTokens,
  ...(metrics.costUsd === undefined ? {} : { cost_usd: metrics.costUsd }),
  retry_count: metrics.retryCount,
  timestamp: metrics.timestamp,
  tokens_estimated: metrics.estimated
})

/** Counts that a server did not send are unknown: zero, and flagged as an estimate. */
const toMetrics = (wire: typeof ExecutionMetrics.Type): Metrics => ({
  _tag: "Metrics",
  durationMs: wire.duration_ms,
  inputTokens: wire.input_tokens ?? 0,
  outputTokens: wire.output_tokens ?? 0,
  estimated: wire.tokens_estimated || wire.input_tokens === undefined || wire.output_tokens === undefined,
  costUsd: wire.cost_usd,
  retryCount: wire.retry_count,
  timestamp: wire.timestamp
})
