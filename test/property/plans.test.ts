/**
 * Any plan in any wrapping of the kinds that models use is the same plan, however it comes in pieces.
 */
import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import fc from "fast-check"
import * as PlanReader from "../../src/assistant/PlanReader.js"
import * as Property from "../support/Property.js"

const word = fc.constantFrom("They want nodes.", "hm {", "a \"quote", "1 < 2", "[x]", "")
const name = fc.constantFrom("think", "thinking", "reasoning", "seed:think", "Thought", "scratchpad")

/** What may stand around a plan: each kind within the ones before it. */
const thought = fc.oneof(
  fc.constant(""),
  fc.tuple(name, word).map(([tag, text]) => `<${tag}>${text}</${tag}>\n`),
  fc.tuple(name, word).map(([tag, text]) => `${text}\n</${tag}>\n`),
  word.map((text) => `[THINK]${text}[/THINK]`),
  word.map((text) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant<|channel|>final<|message|>`)
)
const sentence = fc.constantFrom("", "Let me look.\n", "Here it is: ", "json\n", "\ufeff", "\n\n")
const fence = fc.constantFrom(
  ["", ""],
  ["```json\n", "\n```"],
  ["````\n", "\n````\n"],
  ["~~~JSON\n", "\n~~~"],
  ["```\n", ""],
  ["<tool_call>\n", "\n</tool_call>"],
  ["<function=plan>", "</function>"],
  ["", "<|im_end|>"],
  ["", "</s>\n"]
)
type Wrap = (json: string) => string
const envelope: fc.Arbitrary<Wrap> = fc.constantFrom<Wrap>(
  (json) => json,
  (json) => JSON.stringify(JSON.parse(json), undefined, 2),
  (json) => `{"plan":${json}}`,
  (json) => `{"response":{"plan":${json}}}`,
  (json) => `{"name":"plan","arguments":${JSON.stringify(json)}}`,
  (json) => `[${json}]`,
  (json) => `[${json},]`,
  (json) => `${json}\n${json}`,
  (json) => JSON.stringify(json),
  (json) => json.replace(/\}$/, ",}"),
  (json) => json.replace("\"action\"", "\"Action\"").replace("\"text\"", "\"TEXT\""),
  (json) => json.replace("\"stdin\":\"\"", "\"stdin\":null")
)
const text = fc.oneof(
  fc.string(),
  fc.constantFrom("</think>", "```json", "{\"action\":\"DONE\"}", "say \"no\"", "a\nb")
)
const plan = fc.oneof(
  fc.record({ action: fc.constant("COMMAND"), text, args: fc.array(text, { minLength: 1 }) }),
  fc.record({
    action: fc.constantFrom("DONE", "THOUGHT", "ERROR"),
    text: text.filter((said) => said.trim() !== ""),
    args: fc.constant([])
  })
).map((some) => ({ ...some, stdin: "", seconds: 0, memory: "" }))

type Read = (answer: string, size: number) => string | undefined

const reads: Read = (answer, size) => {
  const reader = PlanReader.make()
  for (let at = 0; at < answer.length; at += size) {
    reader.push(answer.slice(at, at + size))
    if (size % 2 === 0) reader.tick()
  }
  const { reading } = reader.end()
  return Either.isRight(reading) && !reading.right.isProse ? essence(reading.right.plan) : undefined
}

const essence = (plan: object): string => {
  const { action, args, text } = { args: [], ...plan } as { readonly [key: string]: unknown } // A plan, of which these are compared.
  return JSON.stringify([action, text, args])
}

const holdsFor = (read: Read) =>
  Property.check(
    fc.property(
      plan,
      thought,
      sentence,
      fence,
      envelope,
      fc.integer({ min: 1, max: 200 }),
      (plan, thought, sentence, [open, close], envelope, size) => {
        const answer = `${thought}${sentence}${open}${envelope(JSON.stringify(plan))}${close}`
        assert.strictEqual(read(answer, size), essence(plan), answer)
      }
    )
  )

describe("a plan in any wrapping", () => {
  it("is the same plan", () => holdsFor(reads))

  it.each<[string, Read]>([
    ["thoughts", (answer, size) => answer.includes("think") ? undefined : reads(answer, size)],
    ["envelopes", (answer, size) => /"(?:arguments|plan)":/.test(answer) ? undefined : reads(answer, size)],
    ["the last argument", (answer, size) => reads(answer, size)?.replace(/,"[^"]*"\]\]$/, "]]")],
    ["cuts", (answer, size) => size < 40 ? undefined : reads(answer, size)]
  ])("is missed by a reader that misses %s", async (_, read) => {
    const missed = await Promise.resolve(holdsFor(read)).then(() => false, () => true)
    assert.isTrue(missed)
  })
})
