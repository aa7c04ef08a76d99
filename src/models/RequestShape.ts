/**
 * What the server adds to a request by itself, and what of it an endpoint refuses.
 *
 * Endpoints that speak a vendor's wire differ in what they take: `stream_options`, `max_tokens` or
 * `max_completion_tokens`, a system message, a schema for the answer. The first request to a model finds out: a refusal
 * that names such a field is asked again without it, and what was learned holds for the model's next requests. What the
 * caller asked for itself is not touched.
 * Sources: https://docs.mistral.ai/api (`extra_forbidden`), https://platform.openai.com/docs/guides/reasoning
 * (`max_completion_tokens`, `developer`), https://ai.google.dev/gemma/docs/core/prompt-structure (no system role),
 * https://api-docs.deepseek.com/guides/json_mode (no `json_schema`).
 */
import { Effect } from "effect"
import * as ErrorBody from "./ErrorBody.js"
import type { BodyFailed } from "./HttpBody.js"
import type { ProviderRequest } from "./Provider.js"
import * as VendorFailure from "./VendorFailure.js"

/** How the requests to one model are made. */
export interface RequestShape {
  /** Whether a stream is asked to report its usage; only where the wire has a field for it. */
  readonly streamOptions: boolean
  readonly maxTokensField: MaxTokensField
  /** Undefined means that no limit is sent. */
  readonly maxTokens: number | undefined
  /** Whether the other name of the limit was refused before. */
  readonly maxTokensSettled: boolean
  /** `user` puts the system's text before the user's. */
  readonly systemRole: SystemRole
  /** How an answer that satisfies a schema is asked for. */
  readonly structured: Structured
}

export type MaxTokensField = "max_tokens" | "max_completion_tokens"
export type SystemRole = "system" | "developer" | "user"
/** By the wire's own field; by a tool that must be called; or by words in the prompt. */
export type Structured = "format" | "tool" | "prompt"

/** The shapes of one endpoint's requests, by model. */
export interface RequestShapes {
  /** `now` in milliseconds since the epoch. */
  readonly of: (model: string, now: number) => RequestShape
  /** Requests of this shape are taken. */
  readonly learn: (model: string, shape: RequestShape, fields: ReadonlyArray<string>, now: number) => void
  /** The fields that requests to the model are made without, because it refuses them. */
  readonly refused: (model: string) => ReadonlyArray<string>
}

/** `first` is the shape of a model of which nothing is known. */
export const make = (first: (model: string) => RequestShape): RequestShapes => {
  const learned = new Map<
    string,
    { readonly shape: RequestShape; readonly fields: ReadonlySet<string>; readonly until: number }
  >()
  const initial = new Map<string, RequestShape>()
  return {
    of: (model, now) => {
      const found = learned.get(model)
      if (found !== undefined && found.until > now) return found.shape
      const known = initial.get(model)
      if (known !== undefined) return known
      const shape = first(model)
      if (initial.size >= maxModels) initial.clear()
      initial.set(model, shape)
      return shape
    },
    refused: (model) => [...learned.get(model)?.fields ?? []],
    learn: (model, shape, fields, now) => {
      const known = learned.get(model)?.fields ?? []
      // Names come from callers: there may be any number of them.
      if (learned.size >= maxModels) learned.clear()
      learned.set(model, { shape, fields: new Set([...known, ...fields]), until: now + memoryMillis })
    }
  }
}

/** The request of one call. */
export interface Asking {
  readonly provider: string
  readonly wire: Wire
  readonly request: ProviderRequest
  readonly streamed: boolean
}

/** Asks in the shape that the model takes; where it refuses a field of ours, once more without it. */
export const ask = <A, R>(
  shapes: RequestShapes,
  { provider, request, streamed, wire }: Asking,
  attempt: (shape: RequestShape) => Effect.Effect<A, BodyFailed, R>
): Effect.Effect<A, BodyFailed, R> =>
  Effect.clockWith((clock) => {
    const { model } = request
    const go = (shape: RequestShape, without: ReadonlyArray<string>): Effect.Effect<A, BodyFailed, R> =>
      Effect.matchEffect(attempt(shape), {
        onFailure: (failure) => {
          const now = clock.unsafeCurrentTimeMillis()
          const status = VendorFailure.statusOf(failure.cause)
          const next = status === undefined
            ? undefined
            : change(wire, shape, request, streamed, status, VendorFailure.bodyOf(failure.cause, now))
          return next === undefined
            ? failure
            : Effect.zipRight(
              Effect.annotateLogs(Effect.logInfo("the provider refuses a field"), {
                provider,
                model,
                field: next.field
              }),
              go(next.shape, [...without, next.field])
            )
        },
        onSuccess: (result) => {
          if (without.length > 0) shapes.learn(model, shape, without, clock.unsafeCurrentTimeMillis())
          return Effect.succeed(result)
        }
      })
    return go(shapes.of(model, clock.unsafeCurrentTimeMillis()), [])
  })

/** A change of the shape, and the field that it is about. */
export interface Change {
  readonly field: string
  readonly shape: RequestShape
}

export type Wire = "openai" | "anthropic"

/**
 * What to do about a refusal with this status; undefined when it is about nothing that the server adds. Each change can
 * be made once, so that there is an end to it.
 */
export const change = (
  wire: Wire,
  shape: RequestShape,
  request: ProviderRequest,
  streamed: boolean,
  status: number,
  body: ErrorBody.ErrorBody
): Change | undefined => {
  if (!statuses.has(status)) return undefined
  const words = [...body.codes, ...body.messages].map((text) => text.slice(0, maxRead)).join("\n")
  const naming = (field: string) => ErrorBody.names(body, field)

  if (wire === "openai" && streamed && shape.streamOptions && (naming("stream_options") || naming("include_usage"))) {
    return { field: "stream_options", shape: { ...shape, streamOptions: false } }
  }
  if (shape.maxTokens !== undefined && (naming("max_tokens") || naming("max_completion_tokens"))) {
    const bound = boundIn(words, shape.maxTokens)
    if (bound !== undefined) return { field: shape.maxTokensField, shape: { ...shape, maxTokens: bound } }
    const isUnknown = !isAboutValue.test(words) || refuses.test(words) || otherName(shape, words)
    if (wire === "openai" && !shape.maxTokensSettled && isUnknown && naming(shape.maxTokensField)) {
      const other = shape.maxTokensField === "max_tokens" ? "max_completion_tokens" : "max_tokens"
      return { field: shape.maxTokensField, shape: { ...shape, maxTokensField: other, maxTokensSettled: true } }
    }
  }
  if (request.schema !== undefined && !isOfSchema.test(words)) {
    const isFormat = wire === "openai" ? naming("response_format") : naming("output_config") || naming("output_format")
    if (shape.structured === "format" && (isFormat || (structuredOutput.test(words) && refuses.test(words)))) {
      const structured = wire === "openai" ? "prompt" as const : "tool" as const
      return { field: wire === "openai" ? "response_format" : "output_config", shape: { ...shape, structured } }
    }
    if (shape.structured === "tool" && (naming("tool_choice") || naming("tools") || forcedTool.test(words))) {
      return { field: "tool_choice", shape: { ...shape, structured: "prompt" } }
    }
  }
  if (request.system !== "" && shape.systemRole !== "user" && refusesSystem(wire, body, words)) {
    const wantsDeveloper = wire === "openai" && shape.systemRole === "system" && /\bdeveloper\b/i.test(words) &&
      !/\bdeveloper\b[^.!?]{0,40}\b(not|n't|unsupported)/i.test(words)
    return {
      field: `the ${shape.systemRole} role`,
      shape: { ...shape, systemRole: wantsDeveloper ? "developer" : "user" }
    }
  }
  return undefined
}

/** The system's and the user's text of a request of this shape; the former may be empty. */
export const textsOf = (
  shape: RequestShape,
  request: ProviderRequest
): { readonly system: string; readonly user: string } => {
  const { schema, user } = request
  const parts = [
    request.system,
    ...schema !== undefined && shape.structured === "prompt"
      ? [
        `Answer with one JSON object that satisfies this JSON Schema, and with nothing else:\n${
          JSON.stringify(schema.json)
        }`
      ]
      : []
  ].filter((text) => text !== "")
  const system = parts.join("\n\n")
  return shape.systemRole === "user" && system !== "" ? { system: "", user: `${system}\n\n${user}` } : { system, user }
}

// -- internals ---------------------------------------------------------------

const maxModels = 1000
/** Endpoints learn, too: after a day, a model is tried with all fields again. */
const memoryMillis = 86_400_000
const maxRead = 1000

/** Of a bad request, and of servers that do not tell one from a fault of their own. */
const statuses: ReadonlySet<number> = new Set([400, 422, 500, 501])

const refuses =
  /\bunsupported|\bunknown\b|\bunrecogni[sz]ed|\bunexpected|\bextra\b|\bforbidden|\bnot[-_ ](?:be )?(?:supported|allowed|permitted|enabled|recogni[sz]ed|available|accepted|implemented|valid)|\b(?:does|do|is|are|can)(?:n'?t| not)\b|\bcannot\b|\bunavailable\b|\bnot_supported|_not_|\bdeprecated|\binvalid (?:parameter|argument|field|key)|\badditional propert|unsupported_|unknown_|extra_forbidden|\bno longer\b/i

const isAboutValue =
  /\btoo (?:large|big|high|long|small|low)\b|\bat (?:most|least)\b|\b(?:less|greater|more|lower|higher) than\b|\bexceed|\bmaximum\b|\bminimum\b|\brange\b|\bbetween\b|\binteger\b|\bpositive\b/i

const otherName = ({ maxTokensField }: RequestShape, words: string): boolean =>
  words.includes(maxTokensField === "max_tokens" ? "max_completion_tokens" : "'max_tokens'")

/** "9000 > 4096", "supports at most 16384 completion tokens": the model's own limit, below what was sent. */
const boundIn = (words: string, sent: number): number | undefined => {
  if (/\bcontext\b|\bprompt\b|\binput tokens?\b/i.test(words)) return undefined
  const found =
    /(?:\d+ ?>=? ?|\bat most |\bmaximum (?:value |allowed |of |is |number of [a-z ]{0,30})*|\b(?:less|lower) than or equal to |<=? ?|\bbetween \d+ and |\[\d+, ?)(\d{2,9})\b/i
      .exec(words)
  const bound = Number(found?.[1] ?? NaN)
  return bound > 0 && bound < sent ? bound : undefined
}

/** The caller's own schema is refused, and not that there is one. */
const isOfSchema = /invalid[-_ ](?:json[-_ ])?schema|schema (?:is )?(?:invalid|not valid|too)/i
const structuredOutput = /\bstructured[-_ ]?outputs?\b|\bjson[-_ ]?schema\b|\bjson mode\b|\bguided (?:json|decoding)\b/i
const forcedTool =
  /\btool(?:s|[-_ ]use|[-_ ]call(?:s|ing)?|[-_ ]choice)?\b[^.!?]{0,80}(?:not|n't|unsupported|may|only)/i

const refusesSystem = (wire: Wire, { fields }: ErrorBody.ErrorBody, words: string): boolean => {
  if (wire === "anthropic" && fields.some((field) => /(^|\.)system\b/.test(field))) return true
  if (fields.some((field) => /\bmessages(\[0\]|\.0|\.\d+\.\w+)?\.?(\w*system\w*\.)?role\b/i.test(field))) return true
  const isNamed = /\b(?:system|developer)\b/i.test(words) &&
    /\b(?:roles?|messages?|instructions?|prompts?)\b/i.test(words)
  return isNamed && (refuses.test(words) || /\bonly\b|\bmust\b|\bshould\b|\binvalid\b/i.test(words)) ||
    /\broles? must alternate\b|\bfirst message\b[^.!?]{0,40}\buser\b|\b(?:start|begin)s? with\b[^.!?]{0,20}\buser\b/i
      .test(words) ||
    /\bonly\b[^.!?]{0,30}\buser\b[^.!?]{0,30}\broles?\b|\broles?\b[^.!?]{0,40}\b(?:should|must) be\b[^.!?]{0,20}\buser\b/i
      .test(words)
}
