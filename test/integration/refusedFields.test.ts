import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Kinds from "../../src/models/Kinds.js"
import type { Provider, ProviderRequest } from "../../src/models/Provider.js"
import * as RawVendor from "../support/RawVendor.js"

type Body = RawVendor.Asked["body"]

const request: ProviderRequest = { model: "m", system: "", user: "hi", schema: undefined }
const schema = {
  name: "plan",
  json: { type: "object", properties: { verb: { type: "string" } }, additionalProperties: false }
}

const chat = [
  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"fine\"}}]}",
  "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
  "data: [DONE]"
]
const wholeChat = { choices: [{ index: 0, message: { role: "assistant", content: "fine" }, finish_reason: "stop" }] }
const message = { type: "message", content: [{ type: "text", text: "fine" }], stop_reason: "end_turn" }
const messages = [
  "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"fine\"}}",
  "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}",
  "event: message_stop\ndata: {\"type\":\"message_stop\"}"
]

/** A provider that refuses a request with what `refuse` gives for it, and answers others. */
const stage = (
  kind: "openai" | "anthropic",
  refuse: (body: Body) => RawVendor.Reply | undefined,
  options: Partial<Kinds.ProviderOptions> = {}
) =>
  Effect.gen(function*() {
    const vendor = yield* RawVendor.make(({ body }) =>
      refuse(body) ?? (body["stream"] === true
        ? { events: kind === "openai" ? chat : messages }
        : { body: kind === "openai" ? wholeChat : message })
    )
    const provider = yield* Kinds.make(kind, {
      name: "p",
      apiKey: Redacted.make("k"),
      baseUrl: vendor[kind],
      models: undefined,
      defaultModel: undefined,
      maxOutputTokens: undefined,
      maxRetries: undefined,
      maxConcurrent: undefined,
      timeouts: {},
      modelTimeouts: new Map(),
      ...options
    })
    return { vendor, provider }
  })

const streamed = (provider: Provider, ask: ProviderRequest) =>
  Effect.scoped(Effect.gen(function*() {
    const pieces = yield* provider.stream(ask)
    let text = ""
    for (;;) {
      const piece = yield* pieces
      if (piece._tag === "End") return text
      text += piece.text
    }
  }))

const roles = ({ messages }: Body) => (messages as ReadonlyArray<{ readonly role: string }>).map(({ role }) => role)

interface Case {
  readonly name: string
  readonly settings?: { readonly max_output_tokens?: number }
  readonly request?: { readonly system?: ReadonlyArray<string> }
  readonly refuse: { readonly when: string; readonly status: number; readonly body: unknown }
}
const cases = (file: string): ReadonlyArray<Case> =>
  (JSON.parse(Fs.readFileSync(new URL(`../cases/${file}.json`, import.meta.url), "utf8")) as {
    readonly cases: ReadonlyArray<Case>
  }).cases

describe("a field that the server adds and an endpoint refuses", () => {
  for (const { name, refuse, request: given, settings } of [...cases("stream-options"), ...cases("refused-fields")]) {
    it.scopedLive(`is left out in one more request, and from then on: ${name}`, () =>
      Effect.gen(function*() {
        const isRefused = (body: Body) =>
          refuse.when === "system role" ? roles(body).includes("system") : refuse.when.slice("body.".length) in body
        const { provider, vendor } = yield* stage(
          "openai",
          (body) => isRefused(body) ? refuse : undefined,
          { maxOutputTokens: settings?.max_output_tokens }
        )
        const ask = { ...request, system: given?.system?.join("\n\n") ?? "" }
        assert.strictEqual(yield* streamed(provider, ask), "fine")
        assert.lengthOf(vendor.requests, 2)
        assert.strictEqual(yield* streamed(provider, ask), "fine")
        assert.lengthOf(vendor.requests, 3)
        assert.strictEqual((yield* provider.complete(ask)).text, "fine")
        assert.lengthOf(vendor.requests, 4)
      }))
  }

  /** Each of the words that endpoints have for it. */
  const refusals: ReadonlyArray<readonly [status: number, body: (field: string) => unknown]> = [
    [
      400,
      (field) => ({
        error: { message: `Unrecognized request argument supplied: ${field}`, type: "invalid_request_error" }
      })
    ],
    [400, (field) => ({ error: { message: `${field}: Extra inputs are not permitted`, code: null } })],
    [400, (field) => ({ error: { message: "Unknown parameter.", param: field, code: "unknown_parameter" } })],
    [400, (field) => ({ error: { message: `Unsupported parameter: '${field}' is not supported with this model.` } })],
    [400, (field) => ({ message: `property '${field}' is unsupported` })],
    [
      400,
      (field) => ({
        error: {
          code: 400,
          message: `Invalid JSON payload received. Unknown name "${field}": Cannot find field.`,
          status: "INVALID_ARGUMENT",
          details: [{ fieldViolations: [{ field, description: "Cannot find field." }] }]
        }
      })
    ],
    [400, (field) => [{ error: { code: 400, message: `Unknown name "${field}"` } }]],
    [400, (field) => `unknown field "${field}"`],
    [
      422,
      (field) => ({
        detail: [{ type: "extra_forbidden", loc: ["body", field], msg: "Extra inputs are not permitted", input: "x" }]
      })
    ],
    [
      422,
      (field) => ({
        error: { message: JSON.stringify({ detail: [{ loc: ["body", field], type: "extra_forbidden" }] }) }
      })
    ],
    [422, (field) => ({ errors: [{ param: field, message: "is not allowed" }] })],
    [500, (field) => ({ error: { message: `create() got an unexpected keyword argument '${field}'` } })]
  ]
  for (
    const [field, ask, options] of [
      ["stream_options", request, {}],
      ["max_tokens", request, { maxOutputTokens: 800 }],
      ["response_format", { ...request, schema }, {}]
    ] as const
  ) {
    it.scopedLive(`is understood in every form of words: ${field}`, () =>
      Effect.gen(function*() {
        for (const [status, body] of refusals) {
          const { provider, vendor } = yield* stage("openai", (sent) =>
            field in sent ? { status, body: body(field) } : undefined, options)
          assert.strictEqual(yield* streamed(provider, ask), "fine", JSON.stringify(body(field)))
          assert.lengthOf(vendor.requests, 2)
          assert.notProperty(vendor.requests[1]!.body, field)
        }
      }))
  }

  it.scopedLive("max_tokens becomes max_completion_tokens and the other way round, but an operator's limit never gets lost", () =>
    Effect.gen(function*() {
      const unknown = (field: string) => ({
        status: 400,
        body: { error: { message: `Unsupported parameter: '${field}'` } }
      })
      const one = yield* stage("openai", (body) => "max_tokens" in body ? unknown("max_tokens") : undefined, {
        maxOutputTokens: 9
      })
      yield* one.provider.complete(request)
      assert.strictEqual(one.vendor.requests[1]!.body["max_completion_tokens"], 9)
      const other = yield* stage(
        "openai",
        (body) => "max_completion_tokens" in body ? unknown("max_completion_tokens") : undefined,
        { maxOutputTokens: 9, maxTokensField: "max_completion_tokens" }
      )
      assert.isTrue(
        Either.isLeft(yield* Effect.either(other.provider.complete(request))),
        "a setting is not second-guessed"
      )
      const both = yield* stage(
        "openai",
        (body) => unknown("max_tokens" in body ? "max_tokens" : "max_completion_tokens"),
        { maxOutputTokens: 9 }
      )
      const failure = yield* Effect.flip(both.provider.complete(request))
      assert.strictEqual(failure.reason, "PROVIDER_REJECTED")
      assert.lengthOf(both.vendor.requests, 2)
    }))

  it.scopedLive("a limit above the model's own is lowered to it", () =>
    Effect.gen(function*() {
      for (
        const [kind, text, options] of [
          [
            "anthropic",
            "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for claude-3-haiku",
            {}
          ],
          ["openai", "max_tokens is too large: 100000. This model supports at most 4096 completion tokens.", {
            maxOutputTokens: 100_000
          }]
        ] as const
      ) {
        const { provider, vendor } = yield* stage(
          kind,
          (body) => Number(body["max_tokens"]) > 4096 ? { status: 400, body: { error: { message: text } } } : undefined,
          options
        )
        assert.strictEqual((yield* provider.complete(request)).text, "fine")
        assert.deepStrictEqual(vendor.requests.map(({ body }) => body["max_tokens"]), [
          options.maxOutputTokens ?? 8192,
          4096
        ])
      }
    }))

  it.scopedLive("a refused system role becomes developer where the endpoint names it, else text before the user's", () =>
    Effect.gen(function*() {
      for (
        const [message, expected] of [
          ["System role not supported", ["user"]],
          ["Developer instruction is not enabled for models/gemma-3-27b-it", ["user"]],
          ["'messages[0].role' does not support 'system' with this model.", ["user"]],
          ["Unsupported role 'system'; use 'developer' instead", ["developer", "user"]],
          ["Conversation roles must alternate user/assistant/user/assistant/...", ["user"]],
          ["Only user and assistant roles are supported!", ["user"]],
          ["First message must be from user", ["user"]],
          ["invalid role: system", ["user"]]
        ] as const
      ) {
        const { provider, vendor } = yield* stage(
          "openai",
          (body) => roles(body).includes("system") ? { status: 400, body: { error: { message } } } : undefined
        )
        const ask = { ...request, system: "be brief" }
        assert.strictEqual(yield* streamed(provider, ask), "fine", message)
        assert.lengthOf(vendor.requests, 2)
        assert.deepStrictEqual(roles(vendor.requests[1]!.body), [...expected], message)
        if (expected.length === 1) {
          assert.deepStrictEqual(vendor.requests[1]!.body["messages"], [{ role: "user", content: "be brief\n\nhi" }])
        }
      }
    }))

  it.scopedLive("several of them are left out one by one, and what is learned holds for that model alone", () =>
    Effect.gen(function*() {
      const { provider, vendor } = yield* stage(
        "openai",
        (body) =>
          body["model"] === "other"
            ? undefined
            : "stream_options" in body
            ? { status: 400, body: { error: { message: "unknown field stream_options" } } }
            : roles(body).includes("system")
            ? { status: 400, body: { error: { message: "System role not supported" } } }
            : undefined
      )
      const ask = { ...request, system: "be brief" }
      yield* streamed(provider, ask)
      assert.lengthOf(vendor.requests, 3)
      yield* streamed(provider, ask)
      assert.lengthOf(vendor.requests, 4)
      yield* streamed(provider, { ...ask, model: "other" })
      assert.property(vendor.requests[4]!.body, "stream_options")
    }))

  it.scopedLive("a schema that Claude's own field is refused for goes as a tool, and then as words", () =>
    Effect.gen(function*() {
      const { provider, vendor } = yield* stage("anthropic", (body) =>
        "output_config" in body
          ? {
            status: 400,
            body: {
              type: "error",
              error: { type: "invalid_request_error", message: "output_config: Extra inputs are not permitted" }
            }
          }
          : "tools" in body
          ? {
            status: 400,
            body: {
              type: "error",
              error: {
                type: "invalid_request_error",
                message: "tool_choice may not force tool use when thinking is enabled"
              }
            }
          }
          : undefined)
      assert.strictEqual((yield* provider.complete({ ...request, schema })).text, "fine")
      assert.lengthOf(vendor.requests, 3)
      assert.include(JSON.stringify(vendor.requests[2]!.body["system"]), "additionalProperties")
    }))
})

describe("what is not the server's to leave out", () => {
  for (
    const [name, ask, message, code] of [
      [
        "the caller's own schema",
        { ...request, schema },
        "Invalid schema for response_format 'plan': 'default' is not permitted.",
        "invalid_json_schema"
      ],
      ["the model", request, "The model `m` does not exist", "model_not_found"],
      ["the prompt", { ...request, user: "stream_options" }, "messages.0.content is too long", "x"],
      [
        "the context",
        { ...request, system: "s" },
        "This model's maximum context length is 4096 tokens; your messages are longer",
        "context_length_exceeded"
      ]
    ] as const
  ) {
    it.scopedLive(`ends the call after one request: ${name}`, () =>
      Effect.gen(function*() {
        const { provider, vendor } = yield* stage("openai", () => ({ status: 400, body: { error: { message, code } } }))
        const failure = yield* Effect.flip(streamed(provider, ask))
        assert.deepInclude(failure, { _tag: "ProviderFailure", reason: "PROVIDER_REJECTED" })
        assert.lengthOf(vendor.requests, 1)
      }))
  }
})

describe("the settings of a provider", () => {
  it.scopedLive("say beforehand what it does not take", () =>
    Effect.gen(function*() {
      const { provider, vendor } = yield* stage("openai", () => undefined, {
        omit: ["stream_options", "response_format"],
        maxTokensField: "max_completion_tokens",
        maxOutputTokens: 5,
        systemRole: "developer"
      })
      yield* streamed(provider, { ...request, system: "be brief", schema })
      const { body } = vendor.requests[0]!
      assert.deepStrictEqual(Object.keys(body).sort(), ["max_completion_tokens", "messages", "model", "stream"])
      assert.deepStrictEqual(roles(body), ["developer", "user"])
      assert.include(JSON.stringify(body["messages"]), "JSON Schema")
      const claude = yield* stage("anthropic", () => undefined, { omit: ["output_config"], systemRole: "user" })
      yield* claude.provider.complete({ ...request, system: "be brief", schema })
      assert.notProperty(claude.vendor.requests[0]!.body, "system")
      assert.property(claude.vendor.requests[0]!.body, "tools")
    }))
})
