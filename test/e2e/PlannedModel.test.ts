import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import * as FakeCluster from "../support/FakeCluster.js"
import * as PlannedModel from "../support/PlannedModel.js"

let model: PlannedModel.PlannedModel
beforeAll(async () => {
  model = await PlannedModel.make()
})
afterEach(() => model.forget())
afterAll(() => model.close())

const ask = async (body: object = {}) => {
  const response = await fetch(`${model.url}/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "planned", messages: [{ role: "user", content: "why?" }], stream: true, ...body })
  })
  return { status: response.status, text: await response.text() }
}
const pieces = (stream: string) =>
  [...stream.matchAll(/^data: (\{.*\})$/gm)].flatMap(([, event = ""]) => {
    const { choices } = JSON.parse(event) as { choices: Array<{ delta: { content?: string } }> }
    return choices.flatMap(({ delta }) => delta.content || [])
  })

describe("a planned model", () => {
  it("streams what was planned in pieces, one plan per request, and refuses what was not", async () => {
    const plan = { action: "run", args: ["get", "pods"], why: "✨ ünï" }
    model.says({ text: plan }, { text: "abcdefg", sizes: [2, 3] })
    const first = pieces((await ask()).text)
    assert.deepStrictEqual(JSON.parse(first.join("")), plan)
    assert.strictEqual(first[0], "{")
    assert.deepStrictEqual(pieces((await ask()).text), ["ab", "cde", "fg"])
    assert.strictEqual((await ask()).status, 400)
    model.says({ text: "a🚀b", sizes: [1] }, "forgotten")
    assert.deepStrictEqual(pieces((await ask()).text), ["a", "🚀", "b"])
    assert.deepInclude(model.requests()[0], { model: "planned", user: "why?", system: "", format: undefined })
    assert.lengthOf(model.requests(), 4)
    model.forget()
    assert.lengthOf(model.requests(), 0)
    assert.strictEqual((await ask()).status, 400)
  })

  it("refuses schemas without using a plan up", async () => {
    model.refusesSchemas(true)
    model.says("planned")
    const format = { type: "json_schema", json_schema: { name: "plan" } }
    const refused = await ask({ response_format: format })
    assert.strictEqual(refused.status, 400)
    assert.include(refused.text, "\"param\":\"response_format\"")
    assert.strictEqual(pieces((await ask()).text).join(""), "planned")
    model.refusesSchemas(false)
    model.says("with a schema")
    assert.strictEqual(pieces((await ask({ response_format: format })).text).join(""), "with a schema")
    assert.deepStrictEqual(model.requests().map(({ format }) => format), [format, undefined, format])
  })
})

describe("a home whose vibectl uses it", () => {
  it("asks it through a built server", async () => {
    model.says("A pod is a group of containers.")
    const home = await PlannedModel.assistantHome(model)
    try {
      const asked = await home.sh("vibectl vibe \"explain pods\"")
      assert.deepStrictEqual(asked, { code: 0, stdout: "A pod is a group of containers.\n", stderr: "" })
      assert.strictEqual(model.requests()[0]?.user, "explain pods")
      for (const secret of FakeCluster.Objects.plantedForms()) assert.notInclude(model.requests()[0]?.body, secret)
    } finally {
      await home.close()
    }
  })
})
