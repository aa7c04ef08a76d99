import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted } from "effect"
import OpenAI from "openai"
import type { ProviderFailure } from "../../src/domain/Errors.js"
import * as VendorFailure from "../../src/models/VendorFailure.js"

const source: VendorFailure.Source = {
  provider: "p",
  apiKey: Redacted.make("sk-canary-1234567890"),
  isTimeout: () => false
}
const now = Date.UTC(2026, 10, 30, 12)

const refused = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  VendorFailure.fromThrown(
    source,
    OpenAI.APIError.generate(status, { error: body }, undefined, new Headers(headers)),
    now
  )
const event = (body: unknown) => VendorFailure.fromEvent(source, body, now)
const openai = (message: string, code: string | null = null, type: string | null = null) => ({
  error: { message, type, param: null, code }
})
const anthropic = (type: string, message: string) => ({ type: "error", error: { type, message } })

type Row = readonly [
  status: number,
  body: unknown,
  account: ProviderFailure["account"],
  reason?: ProviderFailure["reason"]
]

/** What the account cannot do. Sources are beside the rules in src/models/AccountFaults.ts. */
const ofAccount: ReadonlyArray<Row> = [
  [401, {}, "key"],
  [401, "<html>401 Authorization Required</html>", "key"],
  [402, openai("Insufficient Balance", "invalid_request_error"), "credit"],
  [403, {}, "access"],
  [403, openai("not in this country", "unsupported_country_region_territory"), "access"],
  [407, {}, "access"],
  [412, { error: "Account acme is suspended, possibly due to reaching the monthly spending limit" }, "credit"],
  [451, {}, "access"],
  [498, {}, "key"],
  // Under the status of a bad request.
  [400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), "credit"],
  [400, anthropic("invalid_request_error", "credit balance is too low"), "credit"],
  [
    400,
    anthropic(
      "invalid_request_error",
      "You have reached your specified API usage limits. You will regain access on 2026-12-01."
    ),
    "credit"
  ],
  [400, anthropic("invalid_request_error", "This organization has been disabled."), "access"],
  [400, { code: "Arrearage", message: "Access denied, please make sure your account is in good standing." }, "credit"],
  [400, {
    error: {
      code: 400,
      message: "API key not valid. Please pass a valid API key.",
      status: "INVALID_ARGUMENT",
      details: [{ reason: "API_KEY_INVALID" }]
    }
  }, "key"],
  [
    400,
    { error: { code: 400, message: "API key expired. Please renew the API key.", status: "INVALID_ARGUMENT" } },
    "key"
  ],
  [400, {
    error: { code: 400, message: "User location is not supported for the API use.", status: "FAILED_PRECONDITION" }
  }, "access"],
  [400, {
    code: "Client specified an invalid argument",
    error: "Incorrect API key provided: xai-***. You can obtain an API key from https://console.x.ai."
  }, "key"],
  [400, openai("Budget has been exceeded! Current cost: 10.1, Max budget: 10.0", "400", "budget_exceeded"), "credit"],
  [400, { __type: "ExpiredTokenException", message: "The security token included in the request is expired" }, "key"],
  [400, openai("Billing hard limit has been reached", "billing_hard_limit_reached"), "credit"],
  [403, { code: 30_001, message: "Sorry, your account balance is insufficient", data: null }, "credit"],
  [403, {
    error: { code: "AccountOverdueError", message: "The request failed because your account has an overdue balance." }
  }, "credit"],
  [
    403,
    { error: { message: "用户额度不足, 剩余额度: 0", type: "new_api_error", code: "insufficient_user_quota" } },
    "credit",
    "PROVIDER_REJECTED"
  ],
  [404, openai("The account associated with this key has been deactivated", "account_deactivated"), "access"],
  // Under that of a limit of pace.
  [
    429,
    openai(
      "You exceeded your current quota, please check your plan and billing details.",
      "insufficient_quota",
      "insufficient_quota"
    ),
    "credit",
    "PROVIDER_RATE_LIMITED"
  ],
  [
    429,
    openai(
      "Your account org-1 <ak-1> is suspended, please check your plan and billing details",
      null,
      "exceeded_current_quota_error"
    ),
    "credit",
    "PROVIDER_RATE_LIMITED"
  ],
  [429, { error: { code: "1113", message: "余额不足或无可用资源包,请充值。" } }, "credit", "PROVIDER_RATE_LIMITED"],
  [
    429,
    {
      code: "Some resource has been exhausted",
      error: "Your team has either used all available credits or reached its monthly spending limit."
    },
    "credit",
    "PROVIDER_RATE_LIMITED"
  ],
  // Under that of an outage.
  [500, openai("Insufficient balance"), "credit"],
  [502, { error: { code: 401, message: "upstream: unauthorized" } }, "key"],
  [503, openai("The API key has been revoked"), "key"]
]

/** What is about one request, or the pace, or the provider's own trouble. */
const ofRequest: ReadonlyArray<Row> = [
  [400, openai("'messages[0].role' does not support 'system' with this model.", "unsupported_value"), undefined],
  [400, openai("Only user and assistant roles are supported; system is not allowed for this user"), undefined],
  [400, openai("This model's maximum context length is 8192 tokens.", "context_length_exceeded"), undefined],
  [
    400,
    openai(
      "Invalid schema for response_format 'x': In context=('properties', 'account', 'disabled'), 'default' is not permitted."
    ),
    undefined
  ],
  [
    400,
    anthropic("invalid_request_error", "max_tokens: 9000 > 4096, which is the maximum allowed number of output tokens"),
    undefined
  ],
  [400, openai("Thinking is disabled for this model", "invalid_parameter"), undefined],
  [404, openai("The model `x` does not exist or you do not have access to it.", "model_not_found"), undefined],
  [404, {}, undefined],
  [413, "Request Entity Too Large", undefined],
  [422, {
    detail: [{
      type: "missing",
      loc: ["body", "x"],
      msg: "Field required",
      input: "insufficient balance, invalid api key"
    }]
  }, undefined],
  [
    422,
    { detail: [{ type: "value_error", msg: "Input should be valid", ctx: { error: "account is disabled" } }] },
    undefined
  ],
  [403, { error: { code: 403, message: "Your input was flagged", metadata: { reasons: ["violence"] } } }, undefined],
  [400, openai("The response was filtered", "content_filter"), undefined],
  [408, {}, undefined, "PROVIDER_TIMEOUT"],
  [409, {}, undefined, "PROVIDER_UNAVAILABLE"],
  [425, {}, undefined, "PROVIDER_UNAVAILABLE"],
  [429, {}, undefined, "PROVIDER_RATE_LIMITED"],
  [
    429,
    openai(
      "Rate limit reached for gpt-4o in organization org-1 on tokens per min (TPM): Limit 10000, Used 9000. You can increase your rate limit by adding a payment method to your account at https://platform.openai.com/account/billing.",
      "rate_limit_exceeded",
      "tokens"
    ),
    undefined,
    "PROVIDER_RATE_LIMITED"
  ],
  [
    429,
    {
      error: {
        code: 429,
        status: "RESOURCE_EXHAUSTED",
        message: "You exceeded your current quota, please check your plan and billing details. Please retry in 39.84s."
      }
    },
    undefined,
    "PROVIDER_RATE_LIMITED"
  ],
  [
    429,
    {
      error: {
        code: 429,
        status: "RESOURCE_EXHAUSTED",
        message: "Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model"
      }
    },
    undefined,
    "PROVIDER_RATE_LIMITED"
  ],
  [
    429,
    { error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Resource has been exhausted (e.g. check quota)." } },
    undefined,
    "PROVIDER_RATE_LIMITED"
  ],
  [
    400,
    { __type: "ThrottlingException", message: "Too many requests, please wait before trying again." },
    undefined,
    "PROVIDER_RATE_LIMITED"
  ],
  [500, {}, undefined, "PROVIDER_UNAVAILABLE"],
  [503, openai("The engine is currently overloaded, please try again later"), undefined, "PROVIDER_UNAVAILABLE"],
  [529, anthropic("overloaded_error", "Overloaded"), undefined, "PROVIDER_UNAVAILABLE"]
]

describe("a refusal of a provider", () => {
  it("is the account's fault when its status, code or sentence means key, credit or access, and else the request's", () => {
    for (const [status, body, account, reason = "PROVIDER_REJECTED"] of [...ofAccount, ...ofRequest]) {
      const failure = refused(status, body)
      const seen = `${status} ${JSON.stringify(body)}`
      assert.deepStrictEqual([failure.account, failure.reason], [account, reason], seen)
      assert.isFalse(failure.maybeBilled)
      if (account !== undefined) assert.isUndefined(failure.retryAfter, seen)
    }
  })

  it("inside an answer or in place of one is judged by its code and its words", () => {
    for (
      const [body, reason, account] of [
        [
          { object: "error", message: "context is full", type: "BadRequestError", param: null, code: 400 },
          "PROVIDER_REJECTED"
        ],
        [{ code: 401, msg: "the key has ended", success: false }, "PROVIDER_REJECTED", "key"],
        [{ code: "401", msg: "the key has ended" }, "PROVIDER_REJECTED", "key"],
        [{ text: "too much traffic", error_code: 50_004 }, "PROVIDER_UNAVAILABLE"],
        [{ base_resp: { status_code: 1008, status_msg: "insufficient balance" } }, "PROVIDER_REJECTED", "credit"],
        [{ base_resp: { status_code: 2049, status_msg: "invalid api key" } }, "PROVIDER_REJECTED", "key"],
        [{ base_resp: { status_code: 1002, status_msg: "rate limit" } }, "PROVIDER_RATE_LIMITED"],
        [{ error: "You exceeded your current quota" }, "PROVIDER_REJECTED", "credit"],
        [{ error: ["model is loading"] }, "PROVIDER_UNAVAILABLE"],
        [{ errors: [{ code: "model_not_found", message: "no such model" }] }, "PROVIDER_REJECTED"],
        [{ code: "insufficient_quota", message: "no" }, "PROVIDER_RATE_LIMITED", "credit"],
        [{ code: 429, message: "slow down" }, "PROVIDER_RATE_LIMITED"],
        [{ code: 504, message: "upstream" }, "PROVIDER_UNAVAILABLE"],
        [{ type: "timeout_error", message: "no" }, "PROVIDER_TIMEOUT"],
        [{ type: "authentication_error", message: "no" }, "PROVIDER_REJECTED", "key"],
        [{ type: "permission_error", message: "no" }, "PROVIDER_REJECTED", "access"],
        [{ type: "billing_error", message: "no" }, "PROVIDER_REJECTED", "credit"],
        [{ type: "overloaded_error", message: "no" }, "PROVIDER_UNAVAILABLE"],
        ["upstream went away", "PROVIDER_UNAVAILABLE"],
        [null, "PROVIDER_UNAVAILABLE"]
      ] as const
    ) {
      const failure = event(body)
      assert.deepStrictEqual([failure.reason, failure.account], [reason, account], JSON.stringify(body))
    }
  })

  it("says how long to wait, as a limit and as an outage; not when the account is at fault, and not by the headers of a limit that was not met", () => {
    const millis = ({ retryAfter }: ProviderFailure) => retryAfter && Duration.toMillis(retryAfter)
    assert.strictEqual(millis(refused(429, openai("Please try again in 26.66s."))), 26_660)
    assert.strictEqual(millis(refused(429, {}, { "retry-after": "40s" })), 40_000)
    assert.strictEqual(millis(refused(429, {}, { "x-ratelimit-reset-tokens": "6m0s" })), 360_000)
    assert.strictEqual(millis(refused(503, openai("try again in 3s"))), 3000)
    assert.strictEqual(millis(event({ error: { retry_after: 4 } })), 4000)
    assert.isUndefined(millis(refused(500, {}, { "x-ratelimit-reset-tokens": "6m0s" })))
    assert.isUndefined(millis(refused(429, openai("x", "insufficient_quota"), { "x-ratelimit-reset-tokens": "6m0s" })))
    for (const header of ["0", "-1", "NaN", "Mon, 01 Jan 2001 00:00:00 GMT"]) {
      assert.isUndefined(millis(refused(429, {}, { "retry-after": header })))
    }
  })

  it("obeys x-should-retry, but for a fault of the account", () => {
    assert.isTrue(refused(400, {}, { "x-should-retry": "true" }).again)
    assert.isFalse(refused(500, {}, { "x-should-retry": "false" }).again)
    assert.isUndefined(refused(500, {}).again)
    assert.isUndefined(refused(401, {}, { "x-should-retry": "true" }).again)
  })

  it("repeats neither our key nor a sentence to the caller", () => {
    for (const body of [openai("wrong: sk-canary-1234567890", "sk-canary-1234567890"), "sk-canary-1234567890"]) {
      const failure = refused(401, body)
      assert.notInclude(JSON.stringify(failure) + failure.message, "canary")
      assert.strictEqual(failure.detail, "HTTP 401")
      assert.include(failure.summary, "API key")
    }
  })
})
