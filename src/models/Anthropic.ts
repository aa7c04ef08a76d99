/**
 * Anthropic through its own SDK.
 *
 * URLs, headers and typed errors are the SDK's own; its retries, its log, its
 * tracing and its view of the environment are off. Streams are decoded here, as
 * for OpenAI.
 * Source: Messages, https://docs.claude.com/en/api/messages and …/messages-streaming
 */
import Anthropic from "@anthropic-ai/sdk"
import { transformJSONSchema } from "@anthropic-ai/sdk/lib/transform-json-schema"
import type { MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages"
import { Effect, type Scope } from "effect"
import type { Completion } from "../domain/Answer.js"
import type { ProviderFailure } from "../domain/Errors.js"
import type { Abort } from "./Abort.js"
import { type Calls, type Endpoint, keyOf, silent } from "./Endpoint.js"
import * as EventPieces from "./EventPieces.js"
import * as HttpBody from "./HttpBody.js"
import * as Json from "./Json.js"
import type { Pieces, ProviderRequest } from "./Provider.js"
import * as Requests from "./Requests.js"
import type { ResponseSchema } from "./ResponseSchema.js"
import * as Sse from "./Sse.js"
import * as TextShape from "./TextShape.js"
import { forFirstToken, type Timeouts } from "./Timeouts.js"
import * as VendorFailure from "./VendorFailure.js"
import * as VendorUsage from "./VendorUsage.js"

/** The vendor's own endpoint. */
export const home = "https://api.anthropic.com"

export const make = (endpoint: Endpoint): Calls => {
  const requests = Requests.make(endpoint, {
    ofStatus: (status, body, message, headers) => Anthropic.APIError.generate(status, body, message, headers),
    ofConnection: (cause) => new Anthropic.APIConnectionError({ cause })
  })
  const client = new Anthropic({
    apiKey: keyOf(endpoint),
    baseURL: endpoint.baseUrl ?? home,
    maxRetries: 0,
    fetch: requests.fetch,
    logLevel: "off",
    logger: silent,
    // These, and with no key a chain of files too, are otherwise read from the environment.
    authToken: null,
    webhookKey: null,
    openTelemetry: false
  })
  const source: VendorFailure.Source = {
    provider: endpoint.name,
    apiKey: endpoint.apiKey,
    isTimeout: (thrown) => thrown instanceof Anthropic.APIConnectionTimeoutError
  }
  const failed = EventPieces.failed(source)

  // Not `client.messages.create`: for some models it writes a warning to the console, on every call.
  const post = (request: ProviderRequest, stream: boolean, timeouts: Timeouts) => {
    const body = Object.assign({}, toBody(endpoint, request), { stream })
    return (abort: Abort) =>
      requests.send(
        { body, stream, timeouts, abort, trace: request.trace },
        (options) => client.post<unknown>("/v1/messages", { body, stream, ...options }).asResponse()
      )
  }

  const complete = (request: ProviderRequest): Effect.Effect<Completion, ProviderFailure> => {
    const timeouts = endpoint.timeouts(request.model)
    const text = HttpBody.whole(post(request, false, timeouts), { millis: timeouts.total, limit: "total" })
    return Effect.matchEffect(text, {
      onFailure: failed,
      onSuccess: (text) => fromAnswer(source, Json.parse(text), request)
    })
  }

  const stream = (request: ProviderRequest): Effect.Effect<Pieces, ProviderFailure, Scope.Scope> => {
    const timeouts = endpoint.timeouts(request.model)
    return Effect.matchEffect(HttpBody.open(post(request, true, timeouts), forFirstToken(timeouts)), {
      onFailure: failed,
      onSuccess: (body) => Effect.succeed(EventPieces.make(source, body, reader(source, request), timeouts))
    })
  }

  return { complete, stream }
}

// -- internals ---------------------------------------------------------------

/** The API demands a limit. Every model since 3.5 allows this one. */
const defaultMaxTokens = 8192

const toBody = (endpoint: Endpoint, request: ProviderRequest): MessageCreateParamsNonStreaming => ({
  model: request.model,
  max_tokens: endpoint.maxOutputTokens ?? defaultMaxTokens,
  ...(request.system !== "" && { system: request.system }),
  messages: [{ role: "user", content: request.user }],
  ...(request.schema && structured(request.model, request.schema))
})

/**
 * An answer that satisfies a schema: `output_config.format`, or for the models
 * before 4.5, which do not have it, a tool that must be called.
 *
 * Neither works everywhere. A forced tool call is an error while the model
 * thinks, and the newest models always do.
 * Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs
 * (which models), https://platform.claude.com/docs/en/build-with-claude/thinking-tool-workflows
 * ("options that force tool use return an error while thinking is on").
 */
const structured = (model: string, { json, name }: ResponseSchema): Partial<MessageCreateParamsNonStreaming> =>
  isBefore45.test(model)
    ? {
      tools: [{
        name,
        description: "Gives the answer.",
        input_schema: Object.assign({}, json, { type: "object" as const })
      }],
      tool_choice: { type: "tool", name }
    }
    : { output_config: { format: { type: "json_schema", schema: supported(json) } } }

/** `claude-sonnet-4-20250514`, `claude-sonnet-4-0`, `claude-opus-4-1`, `claude-3-7-sonnet-latest`, `claude-2.1` … */
const isBefore45 = /^claude-(instant|[123](\D|$)|4-|(opus|sonnet)-4-([01](?!\d)|20\d{6}))/

/**
 * The API takes a subset of JSON Schema (no open objects, no numeric bounds);
 * the SDK's own transformation closes objects and turns the rest into
 * descriptions. What it cannot transform goes as it is, for the API to judge.
 */
const supported = (json: ResponseSchema["json"]): { readonly [key: string]: unknown } => {
  try {
    return transformJSONSchema({ ...json })
  } catch {
    return json
  }
}

const fromAnswer = (
  source: VendorFailure.Source,
  answer: unknown,
  { onUsage }: ProviderRequest
): Effect.Effect<Completion, ProviderFailure> => {
  const message = Json.object(answer)
  // Before anything else: also an answer that is of no use is paid for.
  const usage = VendorUsage.ofAnthropic(message?.["usage"])
  if (usage !== undefined) onUsage?.(usage)
  if (message?.["type"] === "error") return VendorFailure.fromEvent(source, message["error"])
  if (!Array.isArray(message?.["content"])) return VendorFailure.broken(source, "invalid answer")
  const text = Json.array(message["content"]).map((block) => {
    const { input, text, type } = Json.object(block) ?? {}
    return type === "text" ? Json.string(text) ?? "" : type === "tool_use" ? JSON.stringify(input) : ""
  }).join("")
  return Effect.succeed({ text, usage })
}

const reader = (source: VendorFailure.Source, { onUsage }: ProviderRequest): EventPieces.Reader => {
  let counts: Json.JsonObject = {}
  const count = (latest: unknown): void => {
    counts = VendorUsage.cumulative(counts, latest)
    const usage = VendorUsage.ofAnthropic(counts)
    if (usage !== undefined) onUsage?.(usage)
  }
  const shape = TextShape.make(onlyText)
  return {
    take: ({ event, raw }) => {
      const known = event === "content_block_delta" ? shape.read(raw) : undefined
      if (known !== undefined) return known
      const parsed = Json.parse(Sse.decode(raw))
      if (parsed === undefined) return VendorFailure.broken(source, "invalid event")
      const { delta, error, message, type, usage: latest } = Json.object(parsed) ?? {}
      switch (type ?? event) {
        case "content_block_delta": {
          const content = Json.object(delta) ?? {}
          if (content["type"] === "thinking_delta") return EventPieces.Thought
          const text = textOf(content)
          if (type === event) shape.learn(raw, text)
          return text
        }
        case "message_start":
          // All of the input; of the output only a beginning.
          count(Json.object(message)?.["usage"])
          return ""
        case "message_delta":
          count(latest)
          return ""
        case "message_stop":
          return { _tag: "End", usage: VendorUsage.ofAnthropic(counts) }
        case "error":
          return VendorFailure.fromEvent(source, error)
        default:
          // `ping`, the frames of blocks, and whatever comes to be: new event types are no error.
          return ""
      }
    },
    bodyEnded: () => VendorFailure.broken(source, "stream ended early")
  }
}

/** Of an event that means nothing else. */
const onlyText = (raw: Sse.Raw): string | undefined => {
  const { delta, type } = Json.object(Json.parse(Sse.decode(raw))) ?? {}
  return type === "content_block_delta" ? textOf(Json.object(delta) ?? {}) : undefined
}

/** Thinking, signatures and citations are not the answer; the input of a forced tool is. */
const textOf = ({ partial_json: json, text, type }: Json.JsonObject): string =>
  Json.string(type === "text_delta" ? text : type === "input_json_delta" ? json : undefined) ?? ""
