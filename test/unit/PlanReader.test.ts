import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import fc from "fast-check"
import * as Plan from "../../src/assistant/Plan.js"
import * as PlanReader from "../../src/assistant/PlanReader.js"
import * as Property from "../support/Property.js"

/** What is shown, piece by piece, and how it ends. */
const readAll = (pieces: ReadonlyArray<string>) => {
  const reader = PlanReader.make()
  const shown = pieces.map(reader.push)
  const { isVoid, reading, rest } = reader.end()
  return { shown, end: reading, isVoid, rest }
}
const plan = (over: object) =>
  JSON.stringify({ action: "DONE", text: "", args: [], stdin: "", seconds: 0, memory: "", ...over })

const pieces = (text: string, cuts: ReadonlyArray<number>): ReadonlyArray<string> => {
  const at = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, index) => text.slice(from, at[index] ?? text.length))
}

describe("PlanReader", () => {
  it("shows an answer while it is produced", () => {
    const { end, shown } = readAll([
      "{\"action\":\"DO",
      "NE\",\"te",
      "xt\":\"All pods",
      " run\\n",
      "well\",",
      "\"args\":[]}"
    ])
    assert.deepStrictEqual(shown, ["", "", "All pods", " run\n", "well", ""])
    assert.deepStrictEqual(
      end,
      Either.right({
        plan: { action: "DONE", text: "All pods run\nwell", args: [], stdin: "", seconds: 0, memory: "" },
        isCut: false,
        isProse: false,
        ignored: "",
        hasWordsAround: false
      })
    )
  })

  it("shows nothing of what is no answer", () => {
    for (const action of ["COMMAND", "THOUGHT", "WAIT", "ERROR"]) {
      const text = plan({ action, text: "why", args: action === "COMMAND" ? ["get", "pods"] : [], seconds: 5 })
      const { end, shown } = readAll(text.split(""))
      assert.strictEqual(shown.join(""), "", action)
      assert.isTrue(Either.isRight(end), action)
    }
  })

  it("shows a text that came before its action, once it is known", () => {
    const { shown } = readAll(["{\"text\":\"late\",", "\"action\":\"FEEDBACK\"", "}"])
    assert.deepStrictEqual(shown, ["", "late", ""])
  })

  it("is not led astray by what stands deeper or in other strings", () => {
    const text =
      "{\"memory\":\"\\\"action\\\":\\\"DONE\\\",\\\"text\\\":\\\"no\\\"\",\"args\":[\"text\",\"{\\\"action\\\":\\\"DONE\\\"}\"],"
      + "\"action\":\"COMMAND\",\"text\":\"look\"}"
    assert.strictEqual(readAll(text.split("")).shown.join(""), "")
    assert.strictEqual(
      readAll([`{"action":"COMMAND","args":["get"],"x":{"action":"DONE","text":"no"}}`]).shown.join(""),
      ""
    )
  })

  it("takes prose for an answer: a short one when it is whole, a longer one while it comes", () => {
    const { end, rest, shown } = readAll(["Pods ", "are {groups}"])
    assert.deepStrictEqual([...shown, rest], ["", "", "Pods are {groups}"])
    assert.deepStrictEqual(Either.map(end, (read) => read.plan.text), Either.right("Pods are {groups}"))
    const long = "Pods are groups. ".repeat(20)
    assert.deepStrictEqual(readAll([long.slice(0, 50), long.slice(50), "They ", "run."]).shown, [
      "",
      long,
      "They ",
      "run."
    ])
  })

  it("shows prose that waited from one tick to the next, and what follows at once", () => {
    const reader = PlanReader.make()
    assert.deepStrictEqual([reader.tick(), reader.push("A pod"), reader.tick()], ["", "", ""])
    assert.deepStrictEqual([reader.push(" is"), reader.tick(), reader.push(" a group")], ["", "A pod is", " a group"])
    assert.deepStrictEqual([reader.tick(), reader.end().rest], ["", ""])
  })

  it("shows nothing at a tick of what is no prose yet: a thought, a mark that may go on, a plan", () => {
    for (const begun of ["<think>They want", "<|chan", "```js", "  ", "{\"action\":", "[{\"action\"", "\"{"]) {
      const reader = PlanReader.make()
      assert.deepStrictEqual([reader.push(begun), reader.tick(), reader.tick(), reader.tick()], ["", "", "", ""], begun)
    }
    const reader = PlanReader.make()
    assert.deepStrictEqual([reader.push("<think>Hm</think> So"), reader.tick(), reader.tick()], ["", "", "So"])
  })

  it("voids prose that was shown when a plan follows it", () => {
    const { end, isVoid, shown } = readAll([
      "I look at the nodes now. ".repeat(20),
      `\n${plan({ action: "COMMAND", args: ["get", "nodes"] })}`
    ])
    assert.notStrictEqual(shown.join(""), "")
    assert.isTrue(isVoid)
    assert.deepStrictEqual(Either.map(end, ({ plan }) => `${plan.action}`), Either.right("COMMAND"))
  })

  it("ends an answer after some blanks behind its plan or within it, and never within a text", () => {
    const whole = plan({ text: "One node." })
    for (
      const [first, limit] of [
        [whole, 32],
        [`Look:\n\`\`\`json\n${whole}\n\`\`\``, 32],
        ["{\"action\":\"DONE\",\"text\":\"One node.\",", 96],
        ["", 1000]
      ] as const
    ) {
      const reader = PlanReader.make()
      let visible = reader.push(first)
      let blanks = 0
      while (!reader.hasEnded() && blanks < 5_000) {
        visible += reader.push(" \n")
        blanks += 2
      }
      assert.strictEqual(blanks, limit, first)
      const { reading, rest } = reader.end()
      assert.strictEqual(visible + rest, first === "" ? "" : "One node.", first)
      assert.strictEqual(Either.isRight(reading), first !== "")
    }
    const { end } = readAll([plan({ text: `a${" ".repeat(500)}b` })])
    assert.deepStrictEqual(Either.map(end, ({ plan }) => plan.text.length), Either.right(502))
  })

  it("reads a plan in a code fence, and a fence of something else as prose", () => {
    const fenced = readAll([...`\n\`\`\`json\n${plan({ text: "in it" })}\n\`\`\`\n`])
    assert.strictEqual(fenced.shown.join(""), "in it")
    assert.deepStrictEqual(Either.map(fenced.end, ({ plan }) => plan.text), Either.right("in it"))
    assert.strictEqual(readAll(["```", "sh\nkubectl get pods\n```"]).rest, "```sh\nkubectl get pods\n```")
  })

  it("keeps what was shown of an answer that breaks off, and says so", () => {
    const { end } = readAll(["{\"action\":\"DONE\",\"text\":\"All po"])
    assert.deepStrictEqual(
      Either.map(end, ({ isCut, plan }) => ({ isCut, text: plan.text })),
      Either.right({ isCut: true, text: "All po" })
    )
    const closed = readAll(["{\"action\":\"DONE\",\"text\":\"All pods\",\"ar"])
    assert.deepStrictEqual(Either.map(closed.end, ({ isCut }) => isCut), Either.right(false))
  })

  it("says what is wrong with what is no plan", () => {
    for (
      const [text, words] of [
        ["", "empty"],
        ["  \n", "empty"],
        ["{\"action\":\"COMMAND\",\"args\":[\"get\"", "breaks off"],
        [plan({ action: "DELETE", text: "x" }), "\"COMMAND\""],
        [plan({ action: "COMMAND", text: "x" }), "args"],
        [plan({ action: "COMMAND", text: "x", args: ["get", 1] }), "args"],
        [plan({ action: "THOUGHT", text: "x", args: ["get", "pods"] }), "args"],
        [plan({ action: "WAIT", text: "x", seconds: 301 }), "seconds"],
        [plan({ action: "WAIT", text: "x", seconds: 0 }), "seconds"],
        [plan({ action: "ERROR", text: " " }), "text"],
        [plan({ action: "COMMAND", text: "x", args: ["get"], shell: true }), "shell"]
      ] as const
    ) {
      const { end } = readAll([text])
      assert.isTrue(Either.isLeft(end), text)
      if (Either.isLeft(end)) assert.include(end.left.problem, words)
    }
  })

  it("reads and shows the same, however the answer is cut into pieces", async () => {
    await Property.check(
      fc.property(
        fc.string({ unit: "binary", minLength: 1 }),
        fc.array(fc.nat()),
        fc.boolean(),
        (text, cuts, isAscii) => {
          fc.pre(text.trim() !== "")
          const json = plan({ text })
          const written = isAscii
            ? json.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)
            : json
          const { end, shown } = readAll(pieces(written, cuts))
          assert.strictEqual(shown.join(""), text)
          assert.isTrue(shown.every((piece) => !/[\ud800-\udbff]$/.test(piece)), "no half of a surrogate pair")
          assert.deepStrictEqual(
            Either.map(end, ({ plan }) => plan.text),
            Either.right(text)
          )
        }
      )
    )
  })

  it("never shows a text of an answer that is not one, whatever the model writes", async () => {
    const value = fc.oneof(fc.string(), fc.array(fc.string()), fc.dictionary(fc.string(), fc.string()))
    await Property.check(
      fc.property(
        fc.dictionary(fc.constantFrom("text", "args", "memory", "stdin", "x"), value),
        fc.array(fc.nat()),
        (keys, cuts) => {
          const { shown } = readAll(pieces(JSON.stringify({ ...keys, action: "COMMAND" }), cuts))
          assert.strictEqual(shown.join(""), "")
        }
      )
    )
  })
})

describe("Plan.jsonSchema", () => {
  it("is strict: every key is required, no others are allowed, and there are no unions", () => {
    const schema = JSON.parse(Plan.jsonSchema) as {
      required: Array<string>
      properties: object
      additionalProperties: boolean
    }
    assert.deepStrictEqual(schema.required, Object.keys(schema.properties))
    assert.isFalse(schema.additionalProperties)
    assert.isBelow(Plan.jsonSchema.indexOf("\"action\":{"), Plan.jsonSchema.indexOf("\"text\":{"))
  })
})
