/**
 * The JSON Schema a caller wants its answer to satisfy.
 */
import { Effect } from "effect"
import { InvalidRequest } from "../domain/Errors.js"
import * as Json from "./Json.js"

export interface ResponseSchema {
  /** A name providers accept: letters, digits, `_` and `-`, at most 64. */
  readonly name: string
  readonly json: { readonly [key: string]: unknown }
}

/** Reads `response_model_schema`: the text of a JSON Schema whose root is an object. */
export const parse = (text: string): Effect.Effect<ResponseSchema, InvalidRequest> => {
  if (text.length > maxLength || !Json.isWithin(text, bounds)) return tooLarge
  const json = Json.parse(text)
  return Json.isRecord(json) && (json["type"] === undefined || json["type"] === "object")
    ? Effect.succeed({ name: nameOf(json["title"]), json })
    : notAnObject
}

/**
 * Whether OpenAI's strict mode takes the schema: every object lists all its
 * properties as required and allows no others.
 * Source: https://platform.openai.com/docs/guides/structured-outputs
 */
export const isStrict = (json: unknown): boolean => {
  if (Array.isArray(json)) return json.every(isStrict)
  if (!Json.isRecord(json)) return true
  const properties = json["properties"]
  if (json["type"] === "object" || properties !== undefined) {
    const required = json["required"]
    const names = Json.isRecord(properties) ? Object.keys(properties) : []
    const listed = new Set<unknown>(Array.isArray(required) ? required : [])
    if (json["additionalProperties"] !== false || !names.every((name) => listed.has(name))) return false
  }
  return Object.values(json).every(isStrict)
}

// -- internals ---------------------------------------------------------------

/** UTF-16 code units. Twice what OpenAI takes. */
const maxLength = 262_144

/** All that is done with a schema is recursive, and is done again for each attempt. OpenAI takes 10 levels and 5,000 properties. */
const bounds: Json.Bounds = { depth: 64, values: 20_000 }

const notAnObject = new InvalidRequest({
  reason: "INVALID_REQUEST",
  field: "response_model_schema",
  summary: "response_model_schema is not a JSON Schema for an object.",
  remedy: "Send JSON text such as {\"type\":\"object\",\"properties\":{…}}."
})

const tooLarge = new InvalidRequest({
  reason: "INVALID_REQUEST",
  field: "response_model_schema",
  summary:
    `response_model_schema is longer than ${maxLength} characters, has more than ${bounds.values} values or nests `
    + `deeper than ${bounds.depth} levels.`,
  remedy: "Send a smaller schema; definitions that are used more than once belong under $defs."
})

const nameOf = (title: unknown): string => {
  const name = typeof title === "string" ? title.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, 64) : ""
  return name === "" ? "response" : name
}
