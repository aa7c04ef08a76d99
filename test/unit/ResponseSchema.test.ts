import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as Json from "../../src/models/Json.js"
import * as ResponseSchema from "../../src/models/ResponseSchema.js"
import * as Patience from "../support/Patience.js"

const names = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`)

/** An object with these properties, which are required in the opposite order. */
const reversed = (count: number) => ({
  type: "object",
  properties: Object.fromEntries(names(count).map((name) => [name, {}])),
  required: names(count).reverse(),
  additionalProperties: false
})

const nested = (depth: number) => `${"{\"a\":".repeat(depth - 1)}{}${"}".repeat(depth - 1)}`

describe("response_model_schema", () => {
  const refused = [
    ["200,000 names that are required in the opposite order", JSON.stringify(reversed(100_000))],
    ["two million brackets", `{"a":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`],
    ["two million brackets that are not closed", "[".repeat(2_000_000)],
    ["65 levels", nested(65)],
    ["20,001 values", `{"a":[${Array.from({ length: 20_001 }, () => "1").join(",")}]}`],
    ["a long title", JSON.stringify({ title: "x".repeat(300_000) })]
  ] as const
  for (const [what, text] of refused) {
    it.effect(`is refused with its bounds, before it is parsed, when it has ${what}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(ResponseSchema.parse(text))
        assert.strictEqual(error.reason, "INVALID_REQUEST")
        assert.match(
          error.summary,
          /longer than 262144 characters, has more than 20000 values .* deeper than 64 levels/
        )
      }))
  }

  const taken = [
    ["64 levels", nested(64)],
    ["brackets in strings only", JSON.stringify({ description: "[{\"\\".repeat(1000) })],
    ["5,000 properties", JSON.stringify(reversed(5000))]
  ] as const
  for (const [what, text] of taken) {
    it(`is taken as it is when it has ${what}`, () => {
      const exit = Effect.runSyncExit(ResponseSchema.parse(text))
      assert.deepStrictEqual(Exit.map(exit, ({ json }) => JSON.stringify(json)), Exit.succeed(text))
    })
  }

  it("is compared with its required names in one pass", () => {
    const schema = reversed(200_000)
    const tenth = reversed(20_000)
    const ofTenth = Patience.spent(() => assert.isTrue(ResponseSchema.isStrict(tenth)))
    // With a search for each name this takes a hundred times as long, which is minutes.
    assert.isBelow(Patience.spent(() => assert.isTrue(ResponseSchema.isStrict(schema))), 30 * ofTenth + 500)
    assert.isFalse(ResponseSchema.isStrict({ ...schema, required: schema.required.slice(1) }))
  })
})

describe("JSON of a provider", () => {
  it("is not parsed when it nests millions of levels or holds millions of values", () => {
    assert.isUndefined(Json.parse(`{"choices":${"[".repeat(1_500_000)}${"]".repeat(1_500_000)}}`))
    assert.isUndefined(Json.parse(`{"choices":[${"{},".repeat(1_000_000)}{}]}`))
    assert.deepStrictEqual(Json.parse(JSON.stringify({ text: "[{,\"\\".repeat(500_000) })), {
      text: "[{,\"\\".repeat(500_000)
    })
  })

  it("is scanned to the end whatever its strings hold", () => {
    const within = (text: string) => Json.isWithin(text, { depth: 2, values: 3 })
    assert.isTrue(within("{\"a\":[1]}"))
    assert.isTrue(within("[\"\\\\\",\"]]\\\"[[[,,,\"]"))
    assert.isFalse(within("[[[]]]"))
    assert.isFalse(within("[1,2,3]"))
    assert.isTrue(within("\"never closed [[[[,,,,"))
  })
})
