/**
 * OpenAI, and every endpoint that speaks its protocol (Ollama, vLLM, Groq …).
 *
 * URLs, headers and typed errors are the SDK's own; its retries, its log and
 * its view of the environment are off. Streams are decoded here, because the
 * SDK's decoder is three times as expensive.
 * Source: Chat Completions, https://platform.openai.com/docs/api-reference/chat
 */
import { Effect, type Scope } from "effect"
import OpenAI from "openai"
import type {
  ChatCompletionCreateParamsNonStreaming,
  ChatCompletionMessageParam
} from "openai/resources/chat/completions"
import type { Completion, Usage } from "../domain/Answer.js"
import type { ProviderFailure } from "../domain/Errors.js"
import { type Calls, type Endpoint, keyOf, silent } from "./Endpoint.js"
import * as EventPieces from "./EventPieces.js"
import * as HttpBody from "./HttpBody.js"
import * as Json from "./Json.js"
import { type Pieces, type ProviderRequest, StreamingUnsupported } from "./Provider.js"
import type { Reply } from "./Reply.js"
import * as Requests from "./Requests.js"
import { isStrict } from "./ResponseSchema.js"
import * as Sse from "./Sse.js"
import * as TextShape from "./TextShape.js"
import { forFirstToken, type Timeouts } from "./Timeouts.js"
import * as VendorFailure from "./VendorFailure.js"
import * as VendorUsage from "./VendorUsage.js"

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
      onSuccess: (text) => fromAnswer(source, Json.parse(text), request)
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
        isJson(body.reply)
          ? Effect.flatMap(wholeAnswer(source, body, timeouts, request), (answer) =>
            new StreamingUnsupported({ provider: endpoint.name, answer }))
          : Effect.succeed(EventPieces.make(source, body, reader(source, request), timeouts))
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

const fromAnswer = (
  source: VendorFailure.Source,
  answer: unknown,
  { onUsage }: ProviderRequest
): Effect.Effect<Completion, ProviderFailure> => {
  const root = Json.object(answer)
  // Before anything else: also an answer that is of no use is paid for.
  const usage = VendorUsage.ofOpenAi(root?.["usage"])
  if (usage !== undefined) onUsage?.(usage)
  // Some gateways report a failure with status 200.
  if (root?.["error"] !== undefined && root["error"] !== null) return VendorFailure.fromEvent(source, root["error"])
  const message = Json.object(Json.object(Json.array(root?.["choices"])[0])?.["message"])
  return message === undefined
    ? VendorFailure.broken(source, "invalid answer")
    : Effect.succeed({ text: textOf(message), usage })
}

const wholeAnswer = (
  source: VendorFailure.Source,
  body: HttpBody.HttpBody,
  { total }: Timeouts,
  request: ProviderRequest
): Effect.Effect<Completion, ProviderFailure> =>
  body.text(total).pipe(
    Effect.catchAll(EventPieces.failed(source)),
    Effect.flatMap((text) => fromAnswer(source, Json.parse(text), request))
  )

const isJson = (reply: Reply): boolean => /^application\/json\b/i.test(reply.header("content-type"))

const reader = (source: VendorFailure.Source, { onUsage }: ProviderRequest): EventPieces.Reader => {
  let usage: Usage | undefined
  let finished = false
  const shape = TextShape.make(onlyText)
  return {
    take: ({ event, raw }) => {
      const known = event === "message" ? shape.read(raw) : undefined
      if (known !== undefined) return known
      if (raw === "[DONE]") return { _tag: "End", usage }
      const parsed = Json.parse(Sse.decode(raw))
      if (parsed === undefined) return VendorFailure.broken(source, "invalid event")
      const chunk = Json.object(parsed)
      if (chunk === undefined) return ""
      const reported = VendorUsage.ofOpenAi(chunk["usage"]) ??
        VendorUsage.ofOpenAi(Json.object(chunk["x_groq"])?.["usage"])
      if (reported !== undefined) {
        usage = reported
        onUsage?.(reported)
      }
      if (event === "error" || chunk["error"] !== undefined && chunk["error"] !== null) {
        return VendorFailure.fromEvent(source, chunk["error"] ?? chunk)
      }
      const choice = Json.object(Json.array(chunk["choices"])[0])
      if (choice === undefined) return ""
      if (Json.string(choice["finish_reason"]) !== undefined) finished = true
      const delta = Json.object(choice["delta"])
      if (delta === undefined) return ""
      const text = textOf(delta)
      if (text === "") return thinks(delta) ? EventPieces.Thought : ""
      if (event === "message" && isOnlyText(chunk, choice)) shape.learn(raw, text)
      return text
    },
    bodyEnded: () => finished ? { _tag: "End", usage } : VendorFailure.broken(source, "stream ended early")
  }
}

/** Of an event that means nothing else. */
const onlyText = (raw: Sse.Raw): string | undefined => {
  const chunk = Json.object(Json.parse(Sse.decode(raw)))
  const choice = Json.object(Json.array(chunk?.["choices"])[0])
  const delta = Json.object(choice?.["delta"])
  return chunk !== undefined && choice !== undefined && delta !== undefined && isOnlyText(chunk, choice)
    ? textOf(delta)
    : undefined
}

const isOnlyText = (chunk: Json.JsonObject, choice: Json.JsonObject): boolean =>
  isNothing(chunk["error"]) && isNothing(chunk["usage"]) && isNothing(chunk["x_groq"]) &&
  isNothing(choice["finish_reason"])

const isNothing = (value: unknown): boolean => value === undefined || value === null

/** A refusal is the model's answer. */
const textOf = (message: Json.JsonObject): string =>
  Json.string(message["content"]) ?? Json.string(message["refusal"]) ?? ""

/** Not OpenAI's, but of endpoints that speak its protocol: DeepSeek and vLLM say the one, Groq and OpenRouter the other. */
const thinks = (delta: Json.JsonObject): boolean =>
  Json.string(delta["reasoning_content"]) !== undefined || Json.string(delta["reasoning"]) !== undefined

/** No code is agreed on; some endpoints name the parameter, the others say it in a sentence. */
const refusesStreaming = (thrown: unknown): boolean =>
  thrown instanceof OpenAI.APIError && (thrown.status === 400 || thrown.status === 422) &&
  (thrown.param === "stream" || saysUnsupported.test(`${thrown.code ?? ""} ${thrown.message}`))

const saysUnsupported =
  /\bstream(ing)?\b.*(unsupported|not (be )?(supported|available|allowed))|(unsupported|n[o']t support).*\bstream(ing)?\b/i
