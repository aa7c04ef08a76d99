/**
 * Anthropic through its own SDK.
 *
 * URLs, headers and typed errors are the SDK's own; its retries, its log, its
 * tracing and its view of the environment are off. Answers are read by
 * `vendors/MessagesReader`.
 * Source: Messages, https://docs.claude.com/en/api/messages and …/messages-streaming
 */
import Anthropic from "@anthropic-ai/sdk"
import type { MessageCreateParamsNonStreaming } from "@anthropic-ai/sdk/resources/messages"
import { Effect, Either, type Scope } from "effect"
import type { Completion } from "../domain/Answer.js"
import { InvalidRequest, type ProviderFailure } from "../domain/Errors.js"
import type { Abort } from "./Abort.js"
import { type Calls, type Endpoint, keyOf, silent } from "./Endpoint.js"
import * as EventPieces from "./EventPieces.js"
import * as HttpBody from "./HttpBody.js"
import type { Pieces, ProviderRequest, StreamingUnsupported } from "./Provider.js"
import * as Requests from "./Requests.js"
import * as RequestShape from "./RequestShape.js"
import type { ResponseSchema } from "./ResponseSchema.js"
import * as SchemaWire from "./SchemaWire.js"
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

  const shapes = RequestShape.make((model) => firstShape(endpoint, model))
  const asking = (request: ProviderRequest, streamed: boolean): RequestShape.Asking => ({
    provider: endpoint.name,
    wire: "anthropic",
    request,
    streamed
  })

  // Not `client.messages.create`: for some models it writes a warning to the console, on every call.
  const post = (shape: RequestShape.RequestShape, request: ProviderRequest, stream: boolean, timeouts: Timeouts) => {
    const body = Object.assign({}, toBody(shape, request), { stream })
    return (abort: Abort) =>
      requests.send(
        { body, stream, timeouts, abort, hooks: request },
        (options) => client.post<unknown>("/v1/messages", { body, stream, ...options }).asResponse()
      )
  }

  const complete = (request: ProviderRequest): Effect.Effect<Completion, ProviderFailure> => {
    const timeouts = endpoint.timeouts(request.model)
    const answered = RequestShape.ask(
      shapes,
      asking(request, false),
      (shape) => {
        const tool = forcedTool(shape, request)
        const body = HttpBody.whole(
          post(shape, request, false, timeouts),
          { millis: timeouts.total, limit: "total" },
          (text) => EventPieces.isComplete(MessagesReader.ofBody(text, tool, undefined))
        )
        return Effect.map(body, (text) => ({ text, tool }))
      }
    )
    return Effect.matchEffect(answered, {
      onFailure: failed,
      onSuccess: ({ text, tool }) => EventPieces.whole(source, MessagesReader.ofBody(text, tool, request.onUsage))
    })
  }

  const stream = (
    request: ProviderRequest
  ): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported, Scope.Scope> => {
    const timeouts = endpoint.timeouts(request.model)
    const opened = RequestShape.ask(
      shapes,
      asking(request, true),
      (shape) =>
        Effect.map(
          HttpBody.open(post(shape, request, true, timeouts), forFirstToken(timeouts)),
          (body) => ({ body, tool: forcedTool(shape, request) })
        )
    )
    return Effect.matchEffect(opened, {
      onFailure: failed,
      onSuccess: ({ body, tool }): Effect.Effect<Pieces, ProviderFailure | StreamingUnsupported> =>
        EventPieces.open({ reader: MessagesReader.make(tool, request.onUsage), source }, body, timeouts)
    })
  }

  /** What a model's own field for schemas cannot hold an answer to is refused here, where the caller learns which keyword it is. */
  const accepts = ({ model, schema }: ProviderRequest): InvalidRequest | undefined => {
    if (schema === undefined || firstShape(endpoint, model).structured !== "format") return undefined
    const sent = SchemaWire.forAnthropic(schema.json)
    return Either.isRight(sent) ? undefined : notSupported(sent.left, `${endpoint.name}/${model}`)
  }

  return { accepts, refused: shapes.refused, complete, stream }
}

// -- internals ---------------------------------------------------------------

/** The API demands a limit. Every model since 3.5 allows this one. */
const defaultMaxTokens = 8192

const firstShape = (endpoint: Endpoint, model: string): RequestShape.RequestShape => ({
  streamOptions: false,
  maxTokensField: "max_tokens",
  maxTokens: endpoint.maxOutputTokens ?? defaultMaxTokens,
  maxTokensSettled: true,
  systemRole: endpoint.systemRole ?? "system",
  structured: isBefore45.test(model) || endpoint.omit?.includes("output_config") === true ? "tool" : "format"
})

const toBody = (shape: RequestShape.RequestShape, request: ProviderRequest): MessageCreateParamsNonStreaming => {
  const { system, user } = RequestShape.textsOf(shape, request)
  return {
    model: request.model,
    max_tokens: shape.maxTokens ?? defaultMaxTokens,
    ...(system !== "" && { system }),
    messages: [{ role: "user", content: user }],
    ...(request.schema && structured(shape, request.schema))
  }
}

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
const structured = (
  shape: RequestShape.RequestShape,
  { json, name }: ResponseSchema
): Partial<MessageCreateParamsNonStreaming> => {
  switch (shape.structured) {
    case "tool":
      return {
        tools: [{
          name,
          description: "Gives the answer.",
          input_schema: Object.assign({}, json, { type: "object" as const })
        }],
        tool_choice: { type: "tool", name }
      }
    case "format":
      // What `accepts` refuses does not come here but by a program of its own, and is then for the API to judge.
      return {
        output_config: {
          format: { type: "json_schema", schema: { ...Either.getOrElse(SchemaWire.forAnthropic(json), () => json) } }
        }
      }
    case "prompt":
      return {}
  }
}

/** The tool that the model must call, whose input is the answer. */
const forcedTool = (shape: RequestShape.RequestShape, { schema }: ProviderRequest): string | undefined =>
  schema !== undefined && shape.structured === "tool" ? schema.name : undefined

const notSupported = ({ path, why }: SchemaWire.Refused, model: string) =>
  new InvalidRequest({
    reason: "INVALID_REQUEST",
    field: "response_model_schema",
    summary: `response_model_schema cannot be sent to '${model}': at '${
      path === "" ? "/" : path.slice(0, 200)
    }', ${why}.`,
    remedy: "Change the schema there, or use a model of another provider."
  })

/** `claude-sonnet-4-20250514`, `claude-sonnet-4-0`, `claude-opus-4-1`, `claude-3-7-sonnet-latest`, `claude-2.1` … */
const isBefore45 = /^claude-(instant|[123](\D|$)|4-|(opus|sonnet)-4-([01](?!\d)|20\d{6}))/
