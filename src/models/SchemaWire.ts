/**
 * What becomes of each keyword of a JSON Schema on a vendor's wire.
 *
 * - `arrives`: the vendor holds the answer to it.
 * - `described`: the vendor has no such keyword, so it stands in the description, which the model reads.
 * - `dropped`: it constrains no answer, or is met anyway.
 * - `refused`: it would change which answers are right, and nothing of it would arrive.
 *
 * {@link anthropicKeywords} and {@link strictKeywords} are the tables; docs/providers.md has them for readers, and a test
 * compares both with all keywords of JSON Schema 2020-12.
 * Sources: https://json-schema.org/draft/2020-12/schema,
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations,
 * https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
import { Either } from "effect"
import * as Json from "./Json.js"

export type Fate = "arrives" | "described" | "dropped" | "refused"

/** Claude's `output_config.format`; what is not here is `described`. Values that narrow a keyword are in the code below. */
export const anthropicKeywords: { readonly [keyword: string]: Fate } = {
  type: "arrives",
  enum: "arrives",
  const: "arrives",
  properties: "arrives",
  required: "arrives",
  additionalProperties: "arrives",
  items: "arrives",
  minItems: "arrives",
  anyOf: "arrives",
  oneOf: "arrives",
  allOf: "arrives",
  $ref: "arrives",
  $defs: "arrives",
  definitions: "arrives",
  format: "arrives",
  title: "arrives",
  description: "arrives",
  nullable: "arrives",
  $schema: "dropped",
  $id: "dropped",
  $comment: "dropped",
  $vocabulary: "dropped",
  unevaluatedProperties: "dropped",
  $anchor: "refused",
  $dynamicRef: "refused",
  $dynamicAnchor: "refused",
  $recursiveRef: "refused",
  prefixItems: "refused",
  additionalItems: "refused",
  contains: "refused",
  unevaluatedItems: "refused",
  patternProperties: "refused",
  dependentSchemas: "refused",
  dependencies: "refused",
  if: "refused",
  then: "refused",
  else: "refused",
  not: "refused"
}

/** What OpenAI's strict mode takes. A schema with anything else goes whole, too, with `strict: false`: as advice. */
export const strictKeywords: ReadonlySet<string> = new Set([
  "type",
  "enum",
  "const",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "anyOf",
  "$ref",
  "$defs",
  "definitions",
  "title",
  "description",
  "pattern",
  "format",
  "multipleOf",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minItems",
  "maxItems",
  "$schema",
  "$id",
  "$comment"
])

/** Why a schema cannot be sent. */
export interface Refused {
  /** JSON Pointer of the keyword at fault. */
  readonly path: string
  /** A sentence without its stop. */
  readonly why: string
}

/** A schema as Claude's `output_config.format` takes it; `root` is the schema of an object. */
export const forAnthropic = (root: Json.JsonObject): Either.Either<Json.JsonObject, Refused> => {
  const cycle = cycleOf(root)
  if (cycle !== undefined) {
    return Either.left({
      path: cycle,
      why: "a schema that refers to itself, or by more than 500 steps, is not supported"
    })
  }
  return subschema(root, "")
}

/** Whether all keywords of the schema are known to OpenAI's strict mode; its rules for objects are another matter. */
export const isStrictVocabulary = (json: unknown): boolean => {
  if (!Json.isRecord(json)) return typeof json !== "boolean"
  if (Array.isArray(json["items"])) return false
  if (typeof json["format"] === "string" && !strictFormats.has(json["format"])) return false
  return Object.entries(json).every(([keyword, value]) =>
    strictKeywords.has(keyword) && subschemasOf(keyword, value).every(([, inner]) => isStrictVocabulary(inner))
  )
}

// -- internals ---------------------------------------------------------------

type Result = Either.Either<Json.JsonObject, Refused>

const formats = new Set(["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"])
const strictFormats = new Set(["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"])

const refused = (path: string, why: string): Either.Either<never, Refused> => Either.left({ path, why })

const subschema = (schema: unknown, path: string): Result => {
  if (!Json.isRecord(schema)) return refused(path, "a schema that allows anything, or nothing, is not supported")
  const types = typesOf(schema)
  if (types.length < 2) return ofOneType(schema, types[0], path)
  // Claude takes one type at a time, so that each of several is an alternative of its own, with the keywords that are its.
  const shared = new Set(["$defs", "definitions", "description", "title"])
  const variants: Array<Json.JsonObject> = []
  for (const type of types) {
    const own = Object.fromEntries(
      Object.entries(schema).filter(([keyword]) => !shared.has(keyword) && (type !== "null" || !isOfOthers(keyword)))
    )
    const values = schema["enum"]
    if (Array.isArray(values)) {
      const fitting = values.filter((value) => typeOf(value, type))
      if (fitting.length === 0) continue
      Object.assign(own, { enum: fitting })
    }
    const variant = ofOneType(Object.assign(own, { type, nullable: undefined }), type, path)
    if (Either.isLeft(variant)) return variant
    variants.push(variant.right)
  }
  const defs = definitionsOf(schema, path)
  return Either.map(defs, (found) => ({
    ...found,
    anyOf: variants,
    ...typeof schema["title"] === "string" && { title: schema["title"] },
    ...typeof schema["description"] === "string" && { description: schema["description"] }
  }))
}

/** Of a value of null, only these keywords say something. */
const isOfOthers = (keyword: string): boolean => keyword !== "enum" && keyword !== "const" && keyword !== "type"

const typeOf = (value: unknown, type: string): boolean =>
  type === "null"
    ? value === null
    : type === "integer" || type === "number"
    ? typeof value === "number"
    : type === "string" || type === "boolean"
    ? typeof value === type
    : false

const typesOf = (schema: Json.JsonObject): ReadonlyArray<string> => {
  const { nullable, type } = schema
  const given = Array.isArray(type)
    ? type.filter((each) => typeof each === "string")
    : typeof type === "string"
    ? [type]
    : inferred(schema)
  return nullable === true && given.length > 0 && !given.includes("null") ? [...given, "null"] : given
}

/** The only type that the keywords of a schema without one say something of. */
const inferred = (schema: Json.JsonObject): ReadonlyArray<string> => {
  const has = (...keywords: ReadonlyArray<string>) => keywords.some((keyword) => schema[keyword] !== undefined)
  if (has("$ref", "enum", "const", "anyOf", "oneOf", "allOf")) return []
  if (has("properties", "required", "additionalProperties", "patternProperties")) return ["object"]
  if (has("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains")) return ["array"]
  if (has("pattern", "minLength", "maxLength", "format")) return ["string"]
  return has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf") ? ["number"] : []
}

const ofOneType = (schema: Json.JsonObject, type: string | undefined, path: string): Result => {
  for (const keyword of Object.keys(schema)) {
    if (schema[keyword] !== undefined && anthropicKeywords[keyword] === "refused") {
      return refused(`${path}/${keyword}`, `Claude's structured outputs have no ${keyword}`)
    }
  }
  const sent: { [keyword: string]: unknown } = {}
  const described: Array<string> = []
  const describe = (keyword: string) => described.push(`${keyword}: ${JSON.stringify(schema[keyword])}`)

  const defs = definitionsOf(schema, path)
  if (Either.isLeft(defs)) return defs
  Object.assign(sent, defs.right)

  const ref = schema["$ref"]
  if (ref !== undefined) {
    if (typeof ref !== "string" || !/^#\/(\$defs|definitions)\//.test(ref)) {
      return refused(`${path}/$ref`, "a reference must be to $defs or definitions of the same schema")
    }
    const beside = Object.keys(schema).find((keyword) => !besideRef.has(keyword) && schema[keyword] !== undefined)
    return beside === undefined
      ? Either.right({ ...sent, $ref: ref })
      : refused(`${path}/${beside}`, "a $ref must stand alone, but for its title and description")
  }

  for (const keyword of ["enum", "const"] as const) {
    const value = schema[keyword]
    if (value === undefined) continue
    const values = keyword === "enum" ? Json.array(value) : [value]
    const isSimple = values.length > 0 && values.every((each) => each === null || typeof each !== "object")
    if (!isSimple) return refused(`${path}/${keyword}`, "only text, numbers, booleans and null can be listed")
    sent[keyword] = value
  }
  const hasLiterals = sent["enum"] !== undefined || sent["const"] !== undefined

  for (const keyword of ["anyOf", "oneOf", "allOf"] as const) {
    const value = schema[keyword]
    if (value === undefined) continue
    const name = keyword === "oneOf" ? "anyOf" : keyword
    if (!Array.isArray(value) || value.length === 0) {
      return refused(`${path}/${keyword}`, "it must be a list of schemas")
    }
    if (sent[name] !== undefined) return refused(`${path}/${keyword}`, "anyOf and oneOf cannot stand side by side")
    const inner: Array<Json.JsonObject> = []
    for (const [index, each] of value.entries()) {
      const at = `${path}/${keyword}/${index}`
      if (keyword === "allOf" && Json.object(each)?.["$ref"] !== undefined && value.length > 1) {
        return refused(`${at}/$ref`, "a $ref inside of an allOf is not supported")
      }
      const found = subschema(each, at)
      if (Either.isLeft(found)) return found
      inner.push(found.right)
    }
    // Of one, the whole is that one.
    if (keyword === "allOf" && inner.length === 1) Object.assign(sent, inner[0])
    else sent[name] = inner
  }
  const isComposed = sent["anyOf"] !== undefined || schema["allOf"] !== undefined
  if (type === undefined && !hasLiterals && !isComposed) {
    return refused(path, "it names no type, so that any value would do")
  }
  if (type !== undefined && !hasLiterals && !(isComposed && type === "object" && schema["properties"] === undefined)) {
    sent["type"] = type
  }
  for (const keyword of ["title", "description"] as const) {
    if (typeof schema[keyword] === "string") sent[keyword] = schema[keyword]
  }

  if (sent["type"] === "object") {
    const members = Json.object(schema["properties"])
    const extra = schema["additionalProperties"] ?? schema["unevaluatedProperties"]
    if (Json.isRecord(extra) || (extra === true && members === undefined)) {
      return refused(
        `${path}/${schema["additionalProperties"] === undefined ? "unevaluatedProperties" : "additionalProperties"}`,
        "an object with keys of the model's choice is not supported; ask for a list of { key, value } objects"
      )
    }
    if (members === undefined && extra !== false) {
      return refused(path, "an object without properties would always be empty; name its properties")
    }
    const properties: { [name: string]: unknown } = {}
    for (const [name, member] of Object.entries(members ?? {})) {
      const found = subschema(member, `${path}/properties/${escaped(name)}`)
      if (Either.isLeft(found)) return found
      Object.defineProperty(properties, name, { value: found.right, enumerable: true })
    }
    sent["properties"] = properties
    sent["additionalProperties"] = false
    if (schema["required"] !== undefined) sent["required"] = schema["required"]
  } else if (sent["type"] === "array") {
    if (Array.isArray(schema["items"])) {
      return refused(`${path}/items`, "a list of schemas for single items is not supported")
    }
    if (schema["items"] !== undefined) {
      const found = subschema(schema["items"], `${path}/items`)
      if (Either.isLeft(found)) return found
      sent["items"] = found.right
    }
    if (schema["minItems"] === 0 || schema["minItems"] === 1) sent["minItems"] = schema["minItems"]
    else if (schema["minItems"] !== undefined) describe("minItems")
  } else if (!hasLiterals && typeof schema["format"] === "string" && formats.has(schema["format"])) {
    sent["format"] = schema["format"]
  } else if (schema["format"] !== undefined) describe("format")

  for (const keyword of Object.keys(schema)) {
    if (schema[keyword] !== undefined && !Object.hasOwn(anthropicKeywords, keyword)) describe(keyword)
  }
  if (described.length > 0) {
    const before = typeof sent["description"] === "string" ? `${sent["description"]}\n\n` : ""
    sent["description"] = `${before}{${described.join(", ")}}`
  }
  return Either.right(sent)
}

const besideRef = new Set([
  "$ref",
  "$defs",
  "definitions",
  "title",
  "description",
  "$comment",
  "$id",
  "$schema",
  "type",
  "nullable",
  "default",
  "deprecated",
  "examples",
  "readOnly",
  "writeOnly"
])

const definitionsOf = (schema: Json.JsonObject, path: string): Result => {
  const sent: { [keyword: string]: unknown } = {}
  for (const keyword of ["$defs", "definitions"] as const) {
    const definitions = Json.object(schema[keyword])
    if (definitions === undefined) continue
    const found: { [name: string]: unknown } = {}
    for (const [name, inner] of Object.entries(definitions)) {
      const result = subschema(inner, `${path}/${keyword}/${escaped(name)}`)
      if (Either.isLeft(result)) return result
      Object.defineProperty(found, name, { value: result.right, enumerable: true })
    }
    sent[keyword] = found
  }
  return Either.right(sent)
}

/** The schemas that a keyword holds, each with the path to it from there. */
const subschemasOf = (keyword: string, value: unknown): ReadonlyArray<readonly [path: string, schema: unknown]> => {
  if (byName.has(keyword)) {
    return Object.entries(Json.object(value) ?? {}).map(([name, inner]) => [`/${escaped(name)}`, inner])
  }
  if (inList.has(keyword) && Array.isArray(value)) return value.map((inner, index) => [`/${index}`, inner])
  return single.has(keyword) && Json.isRecord(value) ? [["", value]] : []
}

const byName = new Set(["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"])
const inList = new Set(["anyOf", "oneOf", "allOf", "prefixItems", "items"])
const single = new Set(["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"])

/** The path of a reference that leads back to a schema that it stands in. */
const cycleOf = (root: Json.JsonObject): string | undefined => {
  const state = new Map<unknown, "open" | "done">()
  const visit = (schema: unknown, path: string, depth = 0): string | undefined => {
    if (!Json.isRecord(schema) || state.get(schema) === "done") return undefined
    // References that lead from one to the next for so long are as good as endless.
    if (state.get(schema) === "open" || depth > 500) return path
    state.set(schema, "open")
    const ref = schema["$ref"]
    if (typeof ref === "string" && ref.startsWith("#")) {
      const found = visit(targetOf(root, ref), `${path}/$ref`, depth + 1)
      if (found !== undefined) return found
    }
    for (const [keyword, value] of Object.entries(schema)) {
      for (const [inner, sub] of subschemasOf(keyword, value)) {
        const found = visit(sub, `${path}/${keyword}${inner}`, depth + 1)
        if (found !== undefined) return found
      }
    }
    state.set(schema, "done")
    return undefined
  }
  return visit(root, "")
}

const targetOf = (root: Json.JsonObject, ref: string): unknown => {
  let at: unknown = root
  for (const part of ref.slice(1).split("/").slice(1)) {
    const name = decoded(part).replaceAll("~1", "/").replaceAll("~0", "~")
    at = Array.isArray(at) ? at[Number(name)] : Json.object(at)?.[name]
  }
  return at
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** RFC 6901. */
const escaped = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1")
