/**
 * Anthropic through its own SDK.
 *
 * URLs, headers and typed errors are the SDK's own; its retries, its log, its
 * tracing and its view of the environment are off. Answers are read by
 * `vendors/MessagesReader`.
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
import type { Pieces, ProviderRequest, StreamingUnsupported } from "./Provider.js"
import * as Requests from "./Requests.js"
import type { ResponseSchema } from "./ResponseSchema.js"
import { forFirstToken, type Timeouts } from "./Timeouts.js"
import type * as VendorFailure from "./VendorFailure.js"
import * as MessagesReader from "./vendors/MessagesReader.js"

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
      onSuccess: (text) => EventPieces.whole(source, MessagesReader.ofBody(text, forcedTool(request), request.onUsage))
    })
  }

  const stream = (
    request: ProviderRequest
  ): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported, Scope.Scope> => {
    const timeouts = endpoint.timeouts(request.model)
    return Effect.matchEffect(HttpBody.open(post(request, true, timeouts), forFirstToken(timeouts)), {
      onFailure: failed,
      onSuccess: (body): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported> =>
        EventPieces.open({ reader: MessagesReader.make(forcedTool(request), request.onUsage), source }, body, timeouts)
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

/** The tool that the model must call, whose input is the answer. */
const forcedTool = ({ model, schema }: ProviderRequest): string | undefined =>
  schema !== undefined && isBefore45.test(model) ? schema.name : undefined

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
