/**
 * OpenAI, and every endpoint that speaks its protocol (Ollama, vLLM, Groq …).
 *
 * URLs, headers and typed errors are the SDK's own; its retries, its log and
 * its view of the environment are off. Answers are read by `vendors/ChatReader`,
 * because the SDK's decoder is three times as expensive, and understands OpenAI only.
 * Source: Chat Completions, https://platform.openai.com/docs/api-reference/chat
 */
import { Effect, type Scope } from "effect"
import OpenAI from "openai"
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam
} from "openai/resources/chat/completions"
import type { Completion } from "../domain/Answer.js"
import type { ProviderFailure } from "../domain/Errors.js"
import { type Calls, type Endpoint, keyOf, silent } from "./Endpoint.js"
import * as EventPieces from "./EventPieces.js"
import * as HttpBody from "./HttpBody.js"
import { type Pieces, type ProviderRequest, StreamingUnsupported } from "./Provider.js"
import * as Requests from "./Requests.js"
import * as RequestShape from "./RequestShape.js"
import { isStrict } from "./ResponseSchema.js"
import * as SchemaWire from "./SchemaWire.js"
import { forFirstToken } from "./Timeouts.js"
import * as VendorFailure from "./VendorFailure.js"
import * as ChatReader from "./vendors/ChatReader.js"

/** The vendor's own endpoint. */
export const home = "https://api.openai.com/v1"

export const make = (endpoint: Endpoint): Calls => {
  const requests = Requests.make(endpoint, {
    ofStatus: (status, body, message, headers) => OpenAI.APIError.generate(status, body, message, headers),
    ofConnection: (cause) => new OpenAI.APIConnectionError({ cause })
  })
  const client = new OpenAI({
    apiKey: keyOf(endpoint),
    baseURL: endpoint.baseUrl ?? home,
    maxRetries: 0,
    fetch: requests.fetch,
    logLevel: "off",
    logger: silent,
    // Each of these is otherwise read from the environment.
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null
  })
  const source: VendorFailure.Source = {
    provider: endpoint.name,
    apiKey: endpoint.apiKey,
    isTimeout: (thrown) => thrown instanceof OpenAI.APIConnectionTimeoutError
  }
  const failed = EventPieces.failed(source)

  const shapes = RequestShape.make(() => firstShape(endpoint))
  const asking = (request: ProviderRequest, streamed: boolean): RequestShape.Asking => ({
    provider: endpoint.name,
    wire: "openai",
    request,
    streamed
  })

  const complete = (request: ProviderRequest): Effect.Effect<Completion, ProviderFailure> => {
    const timeouts = endpoint.timeouts(request.model)
    const text = RequestShape.ask(shapes, asking(request, false), (shape) => {
      const body = toBody(shape, request)
      return HttpBody.whole(
        (abort) =>
          requests.send(
            { body, stream: false, timeouts, abort, hooks: request },
            (options) => client.chat.completions.create(body, options).asResponse()
          ),
        { millis: timeouts.total, limit: "total" },
        (text) => EventPieces.isComplete(ChatReader.ofBody(text, undefined))
      )
    })
    return Effect.matchEffect(text, {
      onFailure: failed,
      onSuccess: (text) => EventPieces.whole(source, ChatReader.ofBody(text, request.onUsage))
    })
  }

  const stream = (
    request: ProviderRequest
  ): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported, Scope.Scope> => {
    const timeouts = endpoint.timeouts(request.model)
    const opened = RequestShape.ask(shapes, asking(request, true), (shape) => {
      const body = Object.assign({}, toBody(shape, request), streaming, shape.streamOptions ? withUsage : undefined)
      return HttpBody.open(
        (abort) =>
          requests.send(
            { body, stream: true, timeouts, abort, hooks: request },
            (options) => client.chat.completions.create(body, options).asResponse()
          ),
        forFirstToken(timeouts)
      )
    })
    return Effect.matchEffect(opened, {
      onFailure: (failure): Effect.Effect<never, ProviderFailure | StreamingUnsupported> =>
        refusesStreaming(failure.cause)
          ? new StreamingUnsupported({ provider: endpoint.name, answer: undefined })
          : failed(failure),
      onSuccess: (body): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported> =>
        EventPieces.open({ reader: ChatReader.make(request.onUsage), source }, body, timeouts)
    })
  }

  return { refused: shapes.refused, complete, stream }
}

// -- internals ---------------------------------------------------------------

const streaming = { stream: true as const }
const withUsage = { stream_options: { include_usage: true } }

/** OpenAI's newer models refuse `max_tokens`; most others that speak its protocol know nothing else. */
const firstShape = (endpoint: Endpoint): RequestShape.RequestShape => ({
  streamOptions: endpoint.omit?.includes("stream_options") !== true,
  maxTokensField: endpoint.maxTokensField ?? (endpoint.baseUrl === undefined ? "max_completion_tokens" : "max_tokens"),
  maxTokens: endpoint.maxOutputTokens,
  maxTokensSettled: endpoint.maxTokensField !== undefined,
  systemRole: endpoint.systemRole ?? "system",
  structured: endpoint.omit?.includes("response_format") === true ? "prompt" : "format"
})

const toBody = (
  shape: RequestShape.RequestShape,
  request: ProviderRequest
): ChatCompletionCreateParamsNonStreaming => {
  const { system, user } = RequestShape.textsOf(shape, request)
  const first: ReadonlyArray<ChatCompletionMessageParam> = system === ""
    ? []
    : [{ role: shape.systemRole === "developer" ? "developer" : "system", content: system }]
  return {
    model: request.model,
    messages: [...first, { role: "user", content: user }],
    ...(request.schema && shape.structured === "format" && {
      response_format: {
        type: "json_schema",
        json_schema: {
          name: request.schema.name,
          schema: request.schema.json,
          strict: isStrict(request.schema.json) && SchemaWire.isStrictVocabulary(request.schema.json)
        }
      }
    }),
    ...(shape.maxTokens !== undefined && { [shape.maxTokensField]: shape.maxTokens })
  }
}

/** No code is agreed on; some endpoints name the parameter, the others say it in a sentence. */
const refusesStreaming = (thrown: unknown): boolean => {
  const status = VendorFailure.statusOf(thrown)
  if (status !== 400 && status !== 422) return false
  const { codes, fields, messages } = VendorFailure.bodyOf(thrown, NaN)
  return fields.some((field) => field === "stream" || field.endsWith(".stream")) ||
    saysUnsupported.test([...codes, ...messages].join(" "))
}

const saysUnsupported =
  /\bstream(ing)?\b.*(unsupported|not (be )?(supported|available|allowed))|(unsupported|n[o']t support).*\bstream(ing)?\b/i
