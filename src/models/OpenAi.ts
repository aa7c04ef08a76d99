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
import { isStrict } from "./ResponseSchema.js"
import { forFirstToken } from "./Timeouts.js"
import type * as VendorFailure from "./VendorFailure.js"
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

  const complete = (request: ProviderRequest): Effect.Effect<Completion, ProviderFailure> => {
    const timeouts = endpoint.timeouts(request.model)
    const body = toBody(endpoint, request)
    const text = HttpBody.whole(
      (abort) =>
        requests.send(
          { body, stream: false, timeouts, abort, trace: request.trace },
          (options) => client.chat.completions.create(body, options).asResponse()
        ),
      { millis: timeouts.total, limit: "total" }
    )
    return Effect.matchEffect(text, {
      onFailure: failed,
      onSuccess: (text) => EventPieces.whole(source, ChatReader.ofBody(text, request.onUsage))
    })
  }

  const stream = (
    request: ProviderRequest
  ): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported, Scope.Scope> => {
    const timeouts = endpoint.timeouts(request.model)
    const streamed = { stream: true as const, stream_options: { include_usage: true } }
    const body = Object.assign({}, toBody(endpoint, request), streamed)
    const opened = HttpBody.open(
      (abort) =>
        requests.send(
          { body, stream: true, timeouts, abort, trace: request.trace },
          (options) => client.chat.completions.create(body, options).asResponse()
        ),
      forFirstToken(timeouts)
    )
    return Effect.matchEffect(opened, {
      onFailure: (failure): Effect.Effect<never, ProviderFailure | StreamingUnsupported> =>
        refusesStreaming(failure.cause)
          ? new StreamingUnsupported({ provider: endpoint.name, answer: undefined })
          : failed(failure),
      onSuccess: (body): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported> =>
        EventPieces.open({ reader: ChatReader.make(request.onUsage), source }, body, timeouts)
    })
  }

  return { complete, stream }
}

// -- internals ---------------------------------------------------------------

const toBody = (endpoint: Endpoint, request: ProviderRequest): ChatCompletionCreateParamsNonStreaming => {
  const system: ReadonlyArray<ChatCompletionMessageParam> = request.system === ""
    ? []
    : [{ role: "system", content: request.system }]
  return {
    model: request.model,
    messages: [...system, { role: "user", content: request.user }],
    ...(request.schema && {
      response_format: {
        type: "json_schema",
        json_schema: {
          name: request.schema.name,
          schema: request.schema.json,
          strict: isStrict(request.schema.json)
        }
      }
    }),
    ...limitOf(endpoint)
  }
}

/** OpenAI's newer models refuse `max_tokens`; most others that speak its protocol know nothing else. */
const limitOf = ({ baseUrl, maxOutputTokens }: Endpoint) =>
  maxOutputTokens === undefined
    ? {}
    : baseUrl === undefined
    ? { max_completion_tokens: maxOutputTokens }
    : { max_tokens: maxOutputTokens }

/** No code is agreed on; some endpoints name the parameter, the others say it in a sentence. */
const refusesStreaming = (thrown: unknown): boolean =>
  thrown instanceof OpenAI.APIError && (thrown.status === 400 || thrown.status === 422) &&
  (thrown.param === "stream" || saysUnsupported.test(`${thrown.code ?? ""} ${thrown.message}`))

const saysUnsupported =
  /\bstream(ing)?\b.*(unsupported|not (be )?(supported|available|allowed))|(unsupported|n[o']t support).*\bstream(ing)?\b/i
