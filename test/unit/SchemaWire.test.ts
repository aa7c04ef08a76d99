import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as Fs from "node:fs"
import * as SchemaWire from "../../src/models/SchemaWire.js"

/** Every keyword of JSON Schema 2020-12, and of older drafts where tools still write them, with a value that means something. */
const keywords: Record<string, Record<string, unknown>> = {
  $schema: { $schema: "https://json-schema.org/draft/2020-12/schema", type: "string" },
  $id: { $id: "https://example.com/x", type: "string" },
  $ref: { $ref: "#/$defs/name" },
  $anchor: { $anchor: "here", type: "string" },
  $dynamicRef: { $dynamicRef: "#node" },
  $dynamicAnchor: { $dynamicAnchor: "node", type: "string" },
  $vocabulary: { $vocabulary: {}, type: "string" },
  $comment: { $comment: "for people", type: "string" },
  $defs: { type: "string", $defs: { inner: { type: "string" } } },
  prefixItems: { type: "array", prefixItems: [{ type: "string" }] },
  items: { type: "array", items: { type: "string" } },
  contains: { type: "array", contains: { type: "string" } },
  properties: { type: "object", properties: { one: { type: "string" } } },
  patternProperties: { type: "object", patternProperties: { "^x": { type: "string" } } },
  additionalProperties: { type: "object", additionalProperties: { type: "string" } },
  propertyNames: { type: "object", properties: { a: { type: "string" } }, propertyNames: { maxLength: 3 } },
  unevaluatedItems: { type: "array", unevaluatedItems: false },
  unevaluatedProperties: { type: "object", properties: { a: { type: "string" } }, unevaluatedProperties: false },
  dependentSchemas: {
    type: "object",
    properties: { a: { type: "string" } },
    dependentSchemas: { a: { type: "object" } }
  },
  allOf: { allOf: [{ type: "string" }, { type: "string", format: "date" }] },
  anyOf: { anyOf: [{ type: "string" }, { type: "number" }] },
  oneOf: { oneOf: [{ type: "string" }, { type: "number" }] },
  not: { type: "string", not: { const: "x" } },
  if: { type: "string", if: { const: "x" } },
  then: { type: "string", then: { const: "x" } },
  else: { type: "string", else: { const: "x" } },
  type: { type: "integer" },
  enum: { enum: ["a", 1, true, null] },
  const: { const: "a" },
  multipleOf: { type: "number", multipleOf: 2 },
  maximum: { type: "number", maximum: 9 },
  exclusiveMaximum: { type: "number", exclusiveMaximum: 9 },
  minimum: { type: "number", minimum: 9 },
  exclusiveMinimum: { type: "number", exclusiveMinimum: 9 },
  maxLength: { type: "string", maxLength: 9 },
  minLength: { type: "string", minLength: 9 },
  pattern: { type: "string", pattern: "^a" },
  maxItems: { type: "array", items: { type: "string" }, maxItems: 9 },
  minItems: { type: "array", items: { type: "string" }, minItems: 1 },
  uniqueItems: { type: "array", items: { type: "string" }, uniqueItems: true },
  maxContains: { type: "array", items: { type: "string" }, maxContains: 9 },
  minContains: { type: "array", items: { type: "string" }, minContains: 9 },
  maxProperties: { type: "object", properties: { a: { type: "string" } }, maxProperties: 9 },
  minProperties: { type: "object", properties: { a: { type: "string" } }, minProperties: 1 },
  required: { type: "object", properties: { a: { type: "string" } }, required: ["a"] },
  dependentRequired: { type: "object", properties: { a: { type: "string" } }, dependentRequired: { a: ["b"] } },
  title: { type: "string", title: "a title" },
  description: { type: "string", description: "a description" },
  default: { type: "string", default: "x" },
  deprecated: { type: "string", deprecated: true },
  readOnly: { type: "string", readOnly: true },
  writeOnly: { type: "string", writeOnly: true },
  examples: { type: "string", examples: ["x"] },
  format: { type: "string", format: "date-time" },
  contentEncoding: { type: "string", contentEncoding: "base64" },
  contentMediaType: { type: "string", contentMediaType: "text/html" },
  contentSchema: { type: "string", contentSchema: { type: "string" } },
  definitions: { type: "string", definitions: { inner: { type: "string" } } },
  dependencies: { type: "object", properties: { a: { type: "string" } }, dependencies: { a: ["b"] } },
  additionalItems: { type: "array", items: { type: "string" }, additionalItems: false },
  $recursiveRef: { $recursiveRef: "#" },
  nullable: { type: "string", nullable: true },
  "x-order": { type: "string", "x-order": 1 }
}

const inside = (schema: unknown) => ({
  type: "object",
  properties: { it: schema },
  required: ["it"],
  additionalProperties: false,
  $defs: { name: { type: "string" } }
})
const sentOf = (schema: unknown) =>
  Either.map(
    SchemaWire.forAnthropic(inside(schema)),
    (sent) => (sent["properties"] as { readonly it: Record<string, unknown> }).it
  )

const fateOf = (keyword: string): SchemaWire.Fate =>
  Object.hasOwn(SchemaWire.anthropicKeywords, keyword) ? SchemaWire.anthropicKeywords[keyword]! : "described"

describe("a schema for Claude's structured outputs", () => {
  for (const [keyword, schema] of Object.entries(keywords)) {
    const fate = keyword === "additionalProperties" ? "refused" : fateOf(keyword)
    it(`${keyword}: ${fate}`, () => {
      const sent = sentOf(schema)
      if (fate === "refused") {
        assert.isTrue(Either.isLeft(sent))
        if (Either.isLeft(sent)) assert.strictEqual(sent.left.path, `/properties/it/${keyword}`)
        return
      }
      if (Either.isLeft(sent)) return assert.fail(JSON.stringify(sent.left))
      const { description, ...rest } = sent.right
      if (fate === "described") {
        assert.include(String(description), `${keyword}: ${JSON.stringify(schema[keyword])}`)
        assert.notInclude(JSON.stringify(rest), `"${keyword}"`)
      } else if (fate === "dropped") {
        assert.notInclude(JSON.stringify(sent.right), `"${keyword}"`)
      } else if (keyword === "oneOf") assert.property(rest, "anyOf")
      else if (keyword === "nullable") assert.deepStrictEqual(rest["anyOf"], [{ type: "string" }, { type: "null" }])
      else assert.deepInclude(sent.right, { [keyword]: schema[keyword] })
    })
  }

  it("has nullable objects and arrays, unions and definitions whole", () => {
    const pet = {
      type: ["object", "null"],
      properties: { name: { type: "string" } },
      required: ["name"],
      description: "a pet"
    }
    assert.deepStrictEqual(Either.getOrThrow(sentOf(pet)), {
      anyOf: [
        { type: "object", properties: { name: { type: "string" } }, additionalProperties: false, required: ["name"] },
        { type: "null" }
      ],
      description: "a pet"
    })
    assert.deepStrictEqual(Either.getOrThrow(sentOf({ type: ["array", "null"], items: { type: "integer" } })), {
      anyOf: [{ type: "array", items: { type: "integer" } }, { type: "null" }]
    })
    assert.deepStrictEqual(Either.getOrThrow(sentOf({ type: ["string", "null"], enum: ["a", null] })), {
      anyOf: [{ enum: ["a"] }, { enum: [null] }]
    })
    const root = {
      type: "object",
      properties: { pets: { type: "array", items: { $ref: "#/definitions/Pet" } } },
      definitions: { Pet: { type: "object", properties: { name: { type: "string", maxLength: 9 } } } }
    }
    assert.deepStrictEqual(Either.getOrThrow(SchemaWire.forAnthropic(root)), {
      definitions: {
        Pet: {
          type: "object",
          properties: { name: { type: "string", description: "{maxLength: 9}" } },
          additionalProperties: false
        }
      },
      type: "object",
      properties: { pets: { type: "array", items: { $ref: "#/definitions/Pet" } } },
      additionalProperties: false
    })
  })

  it("is refused by the path of what nothing would arrive of", () => {
    for (
      const [schema, path] of [
        [{ type: "object", additionalProperties: { type: "string" } }, "/properties/it/additionalProperties"],
        [{ type: "object", additionalProperties: true }, "/properties/it/additionalProperties"],
        [{ type: "object" }, "/properties/it"],
        [{}, "/properties/it"],
        [true, "/properties/it"],
        [{ type: "array", items: [{ type: "string" }] }, "/properties/it/items"],
        [
          { type: "array", items: { type: "object", additionalProperties: {} } },
          "/properties/it/items/additionalProperties"
        ],
        [{ enum: [{ a: 1 }] }, "/properties/it/enum"],
        [{ $ref: "https://example.com/schema.json" }, "/properties/it/$ref"],
        [{ $ref: "#/$defs/name", minLength: 1 }, "/properties/it/minLength"],
        [{ allOf: [{ $ref: "#/$defs/name" }, { type: "string" }] }, "/properties/it/allOf/0/$ref"],
        [
          { anyOf: [{ type: "string" }, { type: "object", properties: { "a/b~c": { not: {} } } }] },
          "/properties/it/anyOf/1/properties/a~1b~0c/not"
        ]
      ] as const
    ) {
      const sent = sentOf(schema)
      assert.strictEqual(Either.isLeft(sent) ? sent.left.path : "sent", path, JSON.stringify(schema))
    }
    const recursive = {
      type: "object",
      properties: { tree: { $ref: "#/$defs/node" } },
      $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } } } }
    }
    const sent = SchemaWire.forAnthropic(recursive)
    assert.strictEqual(Either.isLeft(sent) ? sent.left.path : "sent", "/properties/tree/$ref/properties/next/$ref")
  })

  it("costs no more than its size, with any number of definitions that refer to each other", () => {
    const names = Array.from({ length: 3000 }, (_, index) => index)
    const $defs = Object.fromEntries(names.map((index) => [
      `d${index}`,
      { type: "object", properties: { a: { $ref: `#/$defs/d${index + 1}` }, b: { $ref: `#/$defs/d${index + 1}` } } }
    ]))
    const began = performance.now()
    SchemaWire.forAnthropic({ type: "object", properties: { a: { $ref: "#/$defs/d0" } }, $defs })
    assert.isBelow(performance.now() - began, 2000)
  })
})

describe("a schema for OpenAI's strict mode", () => {
  it("has only its keywords; with any other the whole schema arrives as advice", () => {
    for (const [keyword, schema] of Object.entries(keywords)) {
      assert.strictEqual(
        SchemaWire.isStrictVocabulary(inside(schema)),
        SchemaWire.strictKeywords.has(keyword),
        keyword
      )
    }
    assert.isFalse(SchemaWire.isStrictVocabulary(inside({ type: "string", format: "uri" })))
    assert.isFalse(SchemaWire.isStrictVocabulary(inside({ anyOf: [{ type: "string" }, { not: {} }] })))
  })
})

describe("docs/providers.md", () => {
  it("says of every keyword what becomes of it", () => {
    const text = Fs.readFileSync(new URL("../../docs/providers.md", import.meta.url), "utf8")
    for (const keyword of Object.keys(keywords).filter((keyword) => keyword !== "x-order")) {
      const row = text.split("\n").find((line) => line.startsWith("|") && line.includes(`\`${keyword}\``))
      assert.isDefined(row, keyword)
      const [, , claude = "", strict = ""] = row.split("|").map((cell) => cell.trim())
      assert.isTrue(claude.startsWith(fateOf(keyword)), `${keyword}: ${claude}`)
      assert.strictEqual(strict === "strict", SchemaWire.strictKeywords.has(keyword), keyword)
    }
  })
})
