/**
 * The JSON Schema a caller wants its answer to satisfy.
 */
import { Effect, Schema } from "effect"
import { InvalidRequest } from "../domain/Errors.js"

export interface ResponseSchema {
  /** A name providers accept: letters, digits, `_` and `-`, at most 64. */
  readonly name: string
  readonly json: { readonly [key: string]: unknown }
}

/** Reads `response_model_schema`: the text of a JSON Schema whose root is an object. */
export const parse = (text: string): Effect.Effect<ResponseSchema, InvalidRequest> =>
  decode(text).pipe(
    Effect.filterOrFail((json) => json["type"] === undefined || json["type"] === "object"),
    Effect.mapBoth({
      onSuccess: (json) => ({ name: nameOf(json["title"]), json }),
      onFailure: () =>
        new InvalidRequest({
          reason: "INVALID_REQUEST",
          field: "response_model_schema",
          summary: "response_model_schema is not a JSON Schema for an object.",
          remedy: "Send JSON text such as {\"type\":\"object\",\"properties\":{…}}."
        })
    })
  )

/**
 * Whether OpenAI's strict mode takes the schema: every object lists all its
 * properties as required and allows no others.
 * Source: https://platform.openai.com/docs/guides/structured-outputs
 */
export const isStrict = (json: unknown): boolean => {
  if (Array.isArray(json)) return json.every(isStrict)
  if (!isRecord(json)) return true
  const properties = json["properties"]
  if (json["type"] === "object" || properties !== undefined) {
    const required = json["required"]
    const names = isRecord(properties) ? Object.keys(properties) : []
    const listed = Array.isArray(required) ? required : []
    if (json["additionalProperties"] !== false || !names.every((name) => listed.includes(name))) return false
  }
  return Object.values(json).every(isStrict)
}

// -- internals ---------------------------------------------------------------

const decode = Schema.decodeUnknown(Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown })))

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const nameOf = (title: unknown): string => {
  const name = typeof title === "string" ? title.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, 64) : ""
  return name === "" ? "response" : name
}
