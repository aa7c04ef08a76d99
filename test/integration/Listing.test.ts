import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Kinds from "../../src/models/Kinds.js"

/** What the endpoint answers at each path, and what it was asked. */
const endpoint = (answer: (request: Http.IncomingMessage, response: Http.ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; readonly asked: Array<string>; readonly close: () => void }>((resume) => {
      const asked: Array<string> = []
      const server = Http.createServer((request, response) => {
        const { authorization = "", "x-api-key": key = "" } = request.headers
        asked.push(`${request.method} ${request.url} ${authorization}${String(key)}`)
        answer(request, response)
      })
      const close = () => {
        server.close()
        server.closeAllConnections()
      }
      server.listen(
        0,
        "127.0.0.1",
        () => resume(Effect.succeed({ port: (server.address() as Net.AddressInfo).port, asked, close }))
      )
    }),
    ({ close }) => Effect.sync(close)
  )

const provider = (kind: string, baseUrl: string, models?: ReadonlyArray<{ readonly name: string }>) =>
  Kinds.make(kind, {
    name: "local",
    apiKey: Redacted.make("sk-of-the-server"),
    baseUrl,
    models,
    defaultModel: undefined,
    maxOutputTokens: undefined,
    timeouts: {},
    modelTimeouts: new Map(),
    maxConcurrent: undefined,
    maxRetries: undefined
  })

describe("the models that an endpoint lists", () => {
  const shapes: ReadonlyArray<readonly [string, string, ReadonlyArray<string> | string]> = [
    ["OpenAI's list", "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"object\":\"model\"},{\"id\":\"org/b\"}]}", [
      "a",
      "org/b"
    ]],
    ["a bare list", "[{\"id\":\"a\"},{\"id\":\"b\",\"type\":\"chat\"}]", ["a", "b"]],
    ["`models` with names", "{\"models\":[{\"name\":\"llama3.1:8b\",\"model\":\"llama3.1:8b\"}]}", ["llama3.1:8b"]],
    ["names alone, one twice, one that no call could use", "[\"a\",\"a\",\"b c\",\"b\",7,null]", ["a", "b"]],
    ["nothing", "{\"data\":[]}", []],
    ["a page", "<html>", "the answer is no list of models"],
    ["an error with status 200", "{\"error\":\"no\"}", "the answer is no list of models"],
    ["more than is read", `["${"x".repeat(5_000_000)}"]`, "the list is too long"]
  ]
  for (const [what, body, expected] of shapes) {
    it.scoped(`are read from ${what}`, () =>
      Effect.gen(function*() {
        const { asked, port } = yield* endpoint((_, response) => response.end(body))
        const { list } = yield* provider("openai", `http://127.0.0.1:${port}/v1/`)
        const found = yield* Effect.merge(Effect.mapError(list!, ({ problem }) => problem))
        assert.deepStrictEqual(found, expected)
        assert.deepStrictEqual(asked, ["GET /v1/models Bearer sk-of-the-server"])
      }))
  }

  it.scoped("are not there when the endpoint refuses; its answer is not repeated", () =>
    Effect.gen(function*() {
      const { port } = yield* endpoint((_, response) => response.writeHead(401).end("sk-of-the-server is wrong"))
      const { list } = yield* provider("openai", `http://127.0.0.1:${port}/v1`)
      assert.deepStrictEqual(yield* Effect.flip(list!), { _tag: "NotListed", problem: "HTTP 401" })
    }))

  it.scoped("are asked for as Anthropic wants it, too", () =>
    Effect.gen(function*() {
      const { asked, port } = yield* endpoint((_, response) => response.end("{\"data\":[{\"id\":\"claude-x\"}]}"))
      const { list } = yield* provider("anthropic", `http://127.0.0.1:${port}`)
      assert.deepStrictEqual(yield* list!, ["claude-x"])
      assert.deepStrictEqual(asked, ["GET /v1/models sk-of-the-server"])
    }))

  it.scoped("are not asked for where the configuration names them, or at the vendor's own endpoint", () =>
    Effect.gen(function*() {
      assert.isUndefined((yield* provider("openai", "http://127.0.0.1:9/v1", [{ name: "a" }])).list)
      assert.isUndefined((yield* provider("openai", "https://api.openai.com/v1")).list)
    }))
})
