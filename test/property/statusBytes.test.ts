import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as fc from "fast-check"
import {
  InvalidRequest,
  ModelNotAllowed,
  ModelNotFound,
  ProviderFailure,
  type ProxyError,
  VersionIncompatible
} from "../../src/domain/Errors.js"
import * as Status from "../../src/grpc/Status.js"
import * as Property from "../support/Property.js"

/** As grpc-js writes them: the message in percent signs, binary values in base64. */
const bytesOf = (error: ProxyError): number => {
  const { details, metadata } = Status.fromError(error)
  const headers = { ...metadata.toHttp2Headers(), "grpc-message": encodeURI(details), "grpc-status": "13" }
  const fixed = {
    ":status": "200",
    "content-type": "application/grpc+proto",
    "grpc-accept-encoding": "identity,deflate,gzip"
  }
  return Object.entries({ ...headers, ...fixed })
    .reduce((sum, [name, value]) => sum + 32 + name.length + String(value).length, 0)
}

const text = fc.oneof(
  fc.string({ maxLength: 300 }),
  fc.string({ unit: "grapheme", maxLength: 3000 }),
  fc.string({ unit: "binary", maxLength: 3000 }),
  fc.integer({ min: 0, max: 20_000 }).map((length) => "ü".repeat(length)),
  fc.integer({ min: 0, max: 20_000 }).map((length) => "a b".repeat(length))
)
const names = fc.array(text, { maxLength: 60 })
const cause = "test"

const errors: fc.Arbitrary<ProxyError> = fc.oneof(
  fc.record({
    requested: text,
    available: names,
    closest: fc.array(text, { maxLength: 3 }),
    because: fc.option(text, { nil: undefined })
  })
    .map((fields) => new ModelNotFound(fields)),
  fc.record({ model: text, subject: text, because: text }).map((fields) => new ModelNotAllowed(fields)),
  fc.record({ field: text, summary: text, remedy: text })
    .map((fields) => new InvalidRequest({ reason: "INVALID_REQUEST", ...fields })),
  fc.record({ provider: text, detail: text }).map((fields) =>
    new ProviderFailure({ reason: "PROVIDER_UNAVAILABLE", retryAfter: Duration.seconds(1e9), cause, ...fields })
  ),
  fc.record({ client: text, server: text, remedy: text }).map((fields) => new VersionIncompatible(fields))
)

describe("the headers of a failure", () => {
  it("have at most 4 KiB, whatever names and texts are in it, and its message is that of its details", () =>
    Property.check(
      fc.property(errors, (error) => {
        assert.isAtMost(bytesOf(error), Status.maxHeaderBytes)
        const failed = Status.toCallFailed(Status.fromError(error))
        assert.strictEqual(failed.reason, error.reason)
      }),
      300
    ))

  const named = (count: number, length: number) =>
    new ModelNotFound({
      requested: "acme/nothing",
      available: Array.from({ length: count }, (_, index) => `acme/${"m".repeat(length - 7)}${index + 10}`),
      closest: [],
      because: undefined
    })

  for (const [count, length] of [[20, 54], [24, 100], [300, 30]] as const) {
    it(`have room for an unknown model among ${count} of ${length} characters, and say where the rest is`, () => {
      const error = named(count, length)
      assert.isAtMost(bytesOf(error), Status.maxHeaderBytes)
      const { details } = Status.fromError(error)
      assert.include(details, "'acme/nothing' is not served here")
      assert.match(details, /and \d+ more; GetServerInfo has all of them\.$/)
    })
  }

  it("are not cut where they fit", () => {
    const error = named(3, 20)
    assert.strictEqual(Status.fromError(error).details, error.message)
  })
})
