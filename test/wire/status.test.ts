import { assert, describe, it } from "@effect/vitest"
import * as Grpc from "@grpc/grpc-js"
import { Cause, Duration, FiberId } from "effect"
import * as Errors from "../../src/domain/Errors.js"
import * as Details from "../../src/grpc/Details.js"
import * as Status from "../../src/grpc/Status.js"
import * as Wire from "../../src/grpc/Wire.js"

const provider = (reason: Errors.ProviderFailure["reason"]) =>
  new Errors.ProviderFailure({
    provider: "openai",
    reason,
    detail: "HTTP 503",
    retryAfter: Duration.millis(1500),
    cause: new Error("secret-body")
  })
const limit = (reason: Errors.LimitExceeded["reason"], type: Errors.LimitType) =>
  new Errors.LimitExceeded({
    reason,
    type,
    scope: "subject",
    name: "ci",
    limit: "60 requests per minute",
    retryAfter: Duration.millis(2250)
  })
const invalid = (reason: Errors.InvalidRequest["reason"]) =>
  new Errors.InvalidRequest({ reason, field: "model_name", summary: "It is wrong.", remedy: "Mend it." })

/** One error per reason; a new reason that is missing here does not compile. */
const samples: Record<Errors.Reason, Errors.ProxyError> = {
  TOKEN_MISSING: new Errors.Unauthenticated({ reason: "TOKEN_MISSING", refusal: "bad_signature" }),
  TOKEN_MALFORMED: new Errors.Unauthenticated({ reason: "TOKEN_MALFORMED", refusal: "bad_signature" }),
  TOKEN_EXPIRED: new Errors.Unauthenticated({ reason: "TOKEN_EXPIRED", refusal: "bad_signature" }),
  TOKEN_UNTRUSTED: new Errors.Unauthenticated({ reason: "TOKEN_UNTRUSTED", refusal: "bad_signature" }),
  TOKEN_REVOKED: new Errors.Unauthenticated({ reason: "TOKEN_REVOKED", refusal: "bad_signature" }),
  MODEL_NOT_ALLOWED: new Errors.ModelNotAllowed({ model: "openai/gpt-4", subject: "ci" }),
  NO_MODEL: invalid("NO_MODEL"),
  INVALID_REQUEST: invalid("INVALID_REQUEST"),
  INPUT_TOO_LONG: invalid("INPUT_TOO_LONG"),
  MODEL_NOT_FOUND: new Errors.ModelNotFound({
    requested: "gtp-4",
    available: ["openai/gpt-4"],
    closest: ["gpt-4"],
    because: undefined
  }),
  RATE_LIMITED: limit("RATE_LIMITED", "rpm"),
  CONCURRENCY_LIMITED: limit("CONCURRENCY_LIMITED", "concurrency"),
  QUOTA_EXCEEDED: limit("QUOTA_EXCEEDED", "usd_per_day"),
  LIMITS_UNAVAILABLE: new Errors.LimitsUnavailable({ cause: "secret-body" }),
  SERVER_BUSY: new Errors.ServerBusy(),
  PROVIDER_RATE_LIMITED: provider("PROVIDER_RATE_LIMITED"),
  PROVIDER_UNAVAILABLE: provider("PROVIDER_UNAVAILABLE"),
  IDENTITY_UNAVAILABLE: new Errors.IdentityUnavailable({ issuer: "corp", cause: "secret-body" }),
  REQUEST_TIMEOUT: new Errors.RequestTimeout({ seconds: 30 }),
  PROVIDER_TIMEOUT: provider("PROVIDER_TIMEOUT"),
  PROVIDER_REJECTED: provider("PROVIDER_REJECTED"),
  PROVIDER_EMPTY: provider("PROVIDER_EMPTY"),
  STREAM_INTERRUPTED: new Errors.StreamInterrupted({ provider: "openai", cause: new Error("secret-body") }),
  SHUTTING_DOWN: new Errors.ShuttingDown(),
  VERSION_INCOMPATIBLE: new Errors.VersionIncompatible({ client: "2.0.0", server: "0.9.1", remedy: "Upgrade." })
}

const expected: Record<Errors.Reason, keyof typeof Grpc.status> = {
  TOKEN_MISSING: "UNAUTHENTICATED",
  TOKEN_MALFORMED: "UNAUTHENTICATED",
  TOKEN_EXPIRED: "UNAUTHENTICATED",
  TOKEN_UNTRUSTED: "UNAUTHENTICATED",
  TOKEN_REVOKED: "UNAUTHENTICATED",
  MODEL_NOT_ALLOWED: "PERMISSION_DENIED",
  NO_MODEL: "INVALID_ARGUMENT",
  INVALID_REQUEST: "INVALID_ARGUMENT",
  INPUT_TOO_LONG: "INVALID_ARGUMENT",
  MODEL_NOT_FOUND: "NOT_FOUND",
  RATE_LIMITED: "RESOURCE_EXHAUSTED",
  CONCURRENCY_LIMITED: "RESOURCE_EXHAUSTED",
  QUOTA_EXCEEDED: "RESOURCE_EXHAUSTED",
  LIMITS_UNAVAILABLE: "UNAVAILABLE",
  SERVER_BUSY: "RESOURCE_EXHAUSTED",
  PROVIDER_RATE_LIMITED: "RESOURCE_EXHAUSTED",
  PROVIDER_UNAVAILABLE: "UNAVAILABLE",
  STREAM_INTERRUPTED: "UNAVAILABLE",
  SHUTTING_DOWN: "UNAVAILABLE",
  IDENTITY_UNAVAILABLE: "UNAVAILABLE",
  REQUEST_TIMEOUT: "DEADLINE_EXCEEDED",
  PROVIDER_TIMEOUT: "DEADLINE_EXCEEDED",
  PROVIDER_REJECTED: "FAILED_PRECONDITION",
  PROVIDER_EMPTY: "ABORTED",
  VERSION_INCOMPATIBLE: "FAILED_PRECONDITION"
}

describe("Status", () => {
  for (const [reason, error] of Object.entries(samples)) {
    it(`${reason} keeps its code, words and waiting time across the wire`, () => {
      const status = Status.fromError(error)
      assert.strictEqual(Grpc.status[status.code], expected[error.reason])
      assert.strictEqual(error.reason, reason)
      assert.notInclude(JSON.stringify(status.metadata.getMap()), "secret-body")

      const failed = Status.toCallFailed(status)
      assert.strictEqual(failed.reason, reason)
      assert.strictEqual(failed.summary, error.summary)
      assert.strictEqual(failed.remedy, error.remedy)
      const wanted = "retryAfter" in error ? error.retryAfter : undefined
      assert.deepStrictEqual(
        failed.retryAfter && Duration.toMillis(failed.retryAfter),
        wanted && Duration.toMillis(wanted)
      )
    })
  }

  it("sends no half of a surrogate pair, which other languages refuse with the whole message", () => {
    const error = new Errors.ModelNotAllowed({ model: "openai/gpt-4", subject: "half \ud83d" })
    const status = Status.fromError(error)
    const [bytes] = status.metadata.get(Details.key)
    assert.instanceOf(bytes, Buffer)
    const chunk = Wire.errorChunk("r1", error)
    for (const text of [bytes.toString(), status.details, chunk.error?.error_message ?? ""]) {
      assert.include(text, "half \ufffd")
    }
    assert.doesNotThrow(() =>
      new TextDecoder("utf8", { fatal: true }).decode(Buffer.from(chunk.error?.error_message ?? ""))
    )
    assert.notInclude(bytes.toString("hex"), "eda0bd")
    assert.notMatch(chunk.error?.error_message ?? "", /\p{Surrogate}/u)
  })

  it("names the limit and the waiting time in the deployed clients' trailers", () => {
    const { metadata } = Status.fromError(samples.RATE_LIMITED)
    assert.deepStrictEqual(metadata.get("limit-type"), ["rpm"])
    assert.deepStrictEqual(metadata.get("retry-after-ms"), ["2250"])
  })

  it("hides a defect's cause", () => {
    const { error, status } = Status.fromCause(Cause.die(new Error("secret-body")))
    assert.isUndefined(error)
    assert.strictEqual(status.code, Grpc.status.INTERNAL)
    assert.notInclude(status.details, "secret-body")
  })

  it("reports a call that was interrupted by shutdown as SHUTTING_DOWN", () => {
    assert.strictEqual(Status.fromCause(Cause.interrupt(FiberId.none)).error?.reason, "SHUTTING_DOWN")
  })

  it("describes a status without details, and one with garbage in them, by its code", () => {
    for (const garbage of [undefined, Buffer.from([0xff, 0xff, 0xff]), Buffer.from("not protobuf")]) {
      const metadata = new Grpc.Metadata()
      if (garbage !== undefined) metadata.set("grpc-status-details-bin", garbage)
      const failed = Status.toCallFailed({
        code: Grpc.status.UNAUTHENTICATED,
        details: "Authentication required",
        metadata
      })
      assert.strictEqual(failed.reason, "UNAUTHENTICATED")
      assert.include(failed.summary, "Authentication required")
    }
  })
})
