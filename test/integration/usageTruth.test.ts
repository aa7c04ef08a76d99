/**
 * What is booked and counted against quotas when a provider's counts cannot be true, over real sockets, streamed and whole.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Schema, Stream } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import { unrestricted } from "../../src/domain/Access.js"
import type { AnswerRequest, Caller } from "../../src/domain/Answer.js"
import { unlimited } from "../../src/domain/Limits.js"
import * as Embedded from "../../src/limits/Embedded.js"
import { Limits } from "../../src/limits/Limits.js"
import { Store } from "../../src/limits/Store.js"
import * as Catalog from "../../src/models/Catalog.js"
import * as Kinds from "../../src/models/Kinds.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as Estimate from "../../src/streaming/Estimate.js"

const Repeat = Schema.Struct({ repeat: Schema.Tuple(Schema.String, Schema.Number) })
const Case = Schema.Struct({
  name: Schema.String,
  request: Schema.optional(Schema.Struct({ user: Schema.Array(Repeat) })),
  events: Schema.Array(Schema.Union(Schema.String, Schema.Struct({ text: Repeat }))),
  whole: Schema.optional(Schema.Unknown),
  expect: Schema.Struct({
    usage: Schema.Struct({ in: Schema.Number, out: Schema.Number, estimated: Schema.optional(Schema.Boolean) })
  })
})
const Cases = Schema.parseJson(Schema.Struct({ provider: Schema.String, cases: Schema.Array(Case) }))
const read = (name: string) =>
  Schema.decodeSync(Cases)(Fs.readFileSync(new URL(`../cases/${name}.json`, import.meta.url), "utf8"))

const repeated = ({ repeat: [text, times] }: typeof Repeat.Type) => text.repeat(times)
const filled = (value: unknown): unknown =>
  Schema.is(Repeat)(value)
    ? repeated(value)
    : Array.isArray(value)
    ? value.map(filled)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, filled(inner)]))
    : value

/** A provider that gives this answer to every request, as a stream or whole. */
const serve = ({ events, whole }: Pick<typeof Case.Type, "events" | "whole">) =>
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((request, response) => {
        let body = ""
        request.on("data", (chunk) => void (body += String(chunk)))
        request.on("end", () => {
          if (body.includes("\"stream\":true")) {
            response.writeHead(200, { "content-type": "text/event-stream" })
            for (const event of events) {
              const text = typeof event === "string" ?
                event :
                `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: repeated(event.text) } }] })}`
              response.write(`${text}\n\n`)
            }
            response.end()
          } else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(filled(whole)))
        })
      }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close().closeAllConnections())
  )

const reserveOutputTokens = 100

const proxyOf = (kind: string, server: Http.Server, maxRetries = 0) => {
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return LlmProxy.layer.pipe(
    Layer.provide(
      Limits.layer({
        models: {},
        queue: { max_waiting: 0, max_wait_seconds: 1 },
        reserveOutputTokens,
        onUnavailable: "refuse"
      })
    ),
    Layer.provideMerge(Embedded.layerMemory),
    Layer.provide(Layer.unwrapScoped(Effect.map(
      Kinds.make(kind, {
        name: "p",
        apiKey: undefined,
        baseUrl: `http://127.0.0.1:${port}${kind === "openai" ? "/v1" : ""}`,
        models: undefined,
        defaultModel: "m",
        maxOutputTokens: undefined,
        maxRetries,
        maxConcurrent: undefined,
        timeouts: {},
        modelTimeouts: new Map()
      }),
      (provider) =>
        Catalog.Catalog.layer({ providers: [provider], aliases: new Map(), defaultModel: "p/m", fallbacks: new Map() })
    )))
  )
}

const caller: Caller = { subject: "ci", tokenId: "j", access: unrestricted, features: new Set(), deadline: Infinity }
const ask = (user: string): AnswerRequest => ({
  requestId: "r",
  model: "p/m",
  system: [],
  user: [user],
  responseSchema: undefined
})
const range = { from: "1970-01-01", to: "2999-12-31" }

for (const name of ["usage-zero", "usage-zero-anthropic"] as const) {
  const { cases, provider } = read(name)
  describe(name, () => {
    for (const { events, expect: { usage }, name, request, whole } of cases) {
      for (const how of whole === undefined ? ["streamed"] as const : ["streamed", "whole"] as const) {
        it.scopedLive(`${name}, ${how}: the caller and the record of usage get counts that can be true`, () =>
          Effect.gen(function*() {
            const server = yield* serve({ events, whole })
            const user = request === undefined ? "why?" : request.user.map(repeated).join("")
            yield* Effect.gen(function*() {
              const proxy = yield* LlmProxy
              const metrics = how === "whole"
                ? (yield* proxy.execute(ask(user), caller)).metrics
                : yield* Effect.map(
                  Stream.runLast(proxy.stream(ask(user), caller)),
                  (last) => last._tag === "Some" && last.value._tag === "Metrics" ? last.value : undefined
                )
              const [row] = yield* Effect.flatMap(Store, (store) => store.usage(range))
              const { estimated = false } = usage
              // Of the answers here, an estimate is 1,232 where four characters to a token would be 1,001.
              const output = usage.out === 1001 ? 1232 : usage.out
              assert.deepInclude(metrics, { inputTokens: usage.in, outputTokens: output, estimated })
              assert.deepInclude(row, { inputTokens: usage.in, outputTokens: output, estimated: estimated ? 1 : 0 })
            }).pipe(Effect.provide(proxyOf(provider, server)))
          }))

        it.scopedLive(`${name}, ${how}: a quota has no room for what these counts leave none for`, () =>
          Effect.gen(function*() {
            const server = yield* serve({ events, whole })
            const user = request === undefined ? "why?" : request.user.map(repeated).join("")
            const total = usage.in + (usage.out === 1001 ? 1232 : usage.out)
            const reserved = Estimate.ofText(user) + reserveOutputTokens
            const passed = (maxTokensPerDay: number) =>
              Effect.gen(function*() {
                const proxy = yield* LlmProxy
                const limited = { ...caller, access: { ...unrestricted, limits: { ...unlimited, maxTokensPerDay } } }
                const call = how === "whole"
                  ? Effect.asVoid(proxy.execute(ask(user), limited))
                  : Stream.runDrain(proxy.stream(ask(user), limited))
                return [Exit.isSuccess(yield* Effect.exit(call)), Exit.isSuccess(yield* Effect.exit(call))]
              }).pipe(Effect.provide(proxyOf(provider, server)))
            assert.deepStrictEqual(yield* passed(total + reserved), [true, true])
            assert.deepStrictEqual(yield* passed(total + reserved - 1), [true, false])
          }))
      }
    }
  })
}

it.scopedLive("twelve calls whose provider reports zeros do not pass a quota of 2,000 tokens", () =>
  Effect.gen(function*() {
    const [first] = read("usage-zero").cases
    const server = yield* serve(first ?? { events: [], whole: {} })
    yield* Effect.gen(function*() {
      const proxy = yield* LlmProxy
      const limited = {
        ...caller,
        access: { ...unrestricted, limits: { ...unlimited, maxTokensPerDay: 2000 } }
      }
      let passed = 0
      for (let call = 0; call < 12; call++) {
        const exit = yield* Effect.exit(Stream.runDrain(proxy.stream(ask("why ".repeat(200)), limited)))
        if (exit._tag === "Success") passed++
      }
      assert.strictEqual(passed, 2)
    }).pipe(Effect.provide(proxyOf("openai", server)))
  }))

/** Nothing to read, and what the provider bills for it. */
const emptyAnswers = [
  {
    name: "all in reasoning, asked once more",
    delta: { reasoning: "Four nodes." },
    finish: "stop",
    usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
    // Both attempts are billed.
    booked: { requests: 1, failures: 1, inputTokens: 22, outputTokens: 14, estimated: 0 }
  },
  {
    name: "only a tool call, which is not asked again",
    delta: { tool_calls: [{ index: 0, id: "c", function: { name: "plan", arguments: "{}" } }] },
    finish: "tool_calls",
    usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
    booked: { requests: 1, failures: 1, inputTokens: 11, outputTokens: 7, estimated: 0 }
  },
  {
    name: "nothing, and no counts",
    delta: { content: "" },
    finish: "stop",
    usage: undefined,
    booked: { requests: 1, failures: 1, estimated: 1 }
  }
] as const

describe("an answer without anything to read", () => {
  for (const { booked, delta, finish, name, usage } of emptyAnswers) {
    for (const how of ["streamed", "whole"] as const) {
      it.scopedLive(`${name}, ${how}: is a failure, and what was billed for it is booked`, () =>
        Effect.gen(function*() {
          const server = yield* serve({
            events: [
              `data: ${JSON.stringify({ choices: [{ index: 0, delta }] })}`,
              `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: finish }] })}`,
              ...usage === undefined ? [] : [`data: ${JSON.stringify({ choices: [], usage })}`],
              "data: [DONE]"
            ],
            whole: {
              choices: [{ index: 0, message: { role: "assistant", content: null, ...delta }, finish_reason: finish }],
              ...usage === undefined ? {} : { usage }
            }
          })
          yield* Effect.gen(function*() {
            const proxy = yield* LlmProxy
            const error = yield* Effect.flip(
              how === "whole" ? proxy.execute(ask("why?"), caller) : Stream.runDrain(proxy.stream(ask("why?"), caller))
            )
            assert.deepInclude(error, { reason: "PROVIDER_EMPTY" })
            const [row, ...others] = yield* Effect.flatMap(Store, (store) => store.usage(range))
            assert.isEmpty(others)
            assert.deepInclude(row, booked)
          }).pipe(Effect.provide(proxyOf("openai", server, 1)))
        }))
    }
  }
})
