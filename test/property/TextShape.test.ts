import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as Json from "../../src/models/Json.js"
import * as Sse from "../../src/models/Sse.js"
import * as TextShape from "../../src/models/TextShape.js"

/** The text of an event that has one, and neither an end nor an error. */
const parse = (raw: Sse.Raw): string | undefined => {
  const event = Json.object(Json.parse(Sse.decode(raw)))
  const choice = Json.object(Json.array(event?.["choices"])[0])
  const content = Json.object(choice?.["delta"])?.["content"]
  return choice?.["end"] === null && event?.["error"] === undefined && typeof content === "string"
    ? content
    : undefined
}

const text = FastCheck.oneof(
  FastCheck.constantFrom("a", "id", "content", " the", "", "\"", "\\", "\n", "…", "a\"b", "obfuscation"),
  FastCheck.string({ unit: "grapheme", maxLength: 6 })
)
const maybe = <A>(value: FastCheck.Arbitrary<A>) => FastCheck.option(value, { nil: undefined })
const event = FastCheck.record({
  id: FastCheck.constantFrom("a", "id", "chat-1"),
  error: maybe(FastCheck.constant({ content: "a" })),
  choices: FastCheck.tuple(FastCheck.record({
    delta: FastCheck.record({ role: maybe(FastCheck.constantFrom("a", "assistant")), content: text }),
    end: FastCheck.constantFrom(null, null, null, "stop")
  })),
  content: maybe(text),
  obfuscation: maybe(text)
})
const space = FastCheck.constantFrom(undefined, undefined, undefined, 1)
const data = FastCheck.tuple(event, space).map(([value, indent]) => JSON.stringify(value, undefined, indent))
/** With one character less, or another one. */
const broken = FastCheck.tuple(data, FastCheck.nat(), FastCheck.constantFrom("", "\"", "\\", "\t", "x")).map(
  ([text, at, other]) => text.slice(0, at % text.length) + other + text.slice(at % text.length + 1)
)
const events = FastCheck.array(
  FastCheck.oneof({ arbitrary: data, weight: 4 }, { arbitrary: broken, weight: 1 }),
  { maxLength: 12 }
)

const read = (shape: TextShape.TextShape, data: string): string | undefined => {
  const raw = Sse.encode(data)
  const known = shape.read(raw)
  const parsed = parse(raw)
  if (known === undefined && parsed !== undefined) shape.learn(raw, parsed)
  else assert.strictEqual(known, parsed, data)
  return known
}

describe("TextShape", () => {
  it("reads an event as the parser does, or leaves it to it", () => {
    FastCheck.assert(
      FastCheck.property(events, (all) => {
        const shape = TextShape.make(parse)
        for (const one of all) read(shape, one)
      }),
      { numRuns: 3000 }
    )
  })

  it("reads all that differ in their text only, with a text of any length to fill them up", () => {
    const texts = FastCheck.array(FastCheck.string({ unit: "grapheme", minLength: 1 }), { minLength: 2, maxLength: 9 })
    const isPlain = (text: string) => JSON.stringify(text) === `"${text}"`
    FastCheck.assert(
      FastCheck.property(event, texts, texts, FastCheck.boolean(), (base, contents, fillings, filled) => {
        const shape = TextShape.make(parse)
        const found = contents.map((content, index) => {
          const choices = [{ end: null, delta: { role: "assistant", content } }]
          const obfuscation = filled ? fillings[index % fillings.length] : undefined
          return read(shape, JSON.stringify({ ...base, error: undefined, choices, obfuscation }))
        })
        // It learns only from a text that is written as it is.
        const first = contents.findIndex(isPlain)
        const expected = contents.map((content, index) => first >= 0 && index > first ? content : undefined)
        assert.deepStrictEqual(found, expected)
      })
    )
  })

  it("stops learning where all events differ", () => {
    let parsed = 0
    const shape = TextShape.make((data) => {
      parsed++
      return parse(data)
    })
    for (let index = 0; index < 100; index++) {
      read(shape, JSON.stringify({ id: `${index}`, choices: [{ end: null, delta: { content: `text ${index}` } }] }))
    }
    assert.isBelow(parsed, 10)
  })
})
