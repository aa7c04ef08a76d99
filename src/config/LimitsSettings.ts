/**
 * Settings of how much may be used, at what price, and where that is counted.
 */
import { Schema } from "effect"
import * as Fields from "./Fields.js"
import { isRedisUrl } from "./RedisUrl.js"
import * as Shape from "./Shape.js"

export type LimitsSection = typeof limits.Type
export type StateSection = typeof state.Type
export type PricesSection = typeof prices.Type

const note = Shape.note

const count = Fields.wholeNumber(1)
const dollars = Schema.Number.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(1_000_000)).annotations(
  Shape.expects("a number of US dollars above 0, at most 1000000")
)
const unset = "no limit"

/** What each key holds; a subject's own may be null too, which is unlimited. */
const of = {
  max_requests_per_minute: [count, note("Requests in any 60 seconds.", { example: "60", unset })],
  max_concurrent_requests: [count, note("Requests at the same time.", { example: "10", unset })],
  max_input_length: [count, note("Characters of one request.", { example: "1000000", unset })],
  request_timeout_seconds: [Fields.timeout, note("Seconds that one answer may take.", { example: "600", unset })],
  max_tokens_per_minute: [count, note("Tokens, in and out, in any 60 seconds.", { example: "100000", unset })],
  max_tokens_per_day: [count, note("Tokens, in and out, from midnight UTC on.", { example: "1000000", unset })],
  max_tokens_per_month: [count, note("Tokens, in and out, of a month in UTC.", { example: "20000000", unset })],
  max_usd_per_day: [dollars, note("US dollars, from midnight UTC on.", { example: "5", unset })],
  max_usd_per_month: [dollars, note("US dollars of a month in UTC.", { example: "100", unset })]
} as const

type Key = keyof typeof of

const given = (key: Key) => {
  const [field, about] = of[key]
  return Fields.optional((field as Schema.Schema<number>).annotations(about))
}

/** Undefined is what all have, null is unlimited. */
const orUnlimited = (key: Key) => {
  const [field, about] = of[key]
  return Fields.optional(
    Schema.NullOr(field as Schema.Schema<number>).annotations({
      ...Shape.expects(`${words(field)}, or null for no limit`),
      ...about
    })
  )
}

/** A subject's key counts for all of its tokens, a tenant's for all of its subjects, a model's for everybody. */
const each = <A>(field: (key: Key) => A) => ({
  max_requests_per_minute: field("max_requests_per_minute"),
  max_concurrent_requests: field("max_concurrent_requests"),
  max_input_length: field("max_input_length"),
  request_timeout_seconds: field("request_timeout_seconds"),
  max_tokens_per_minute: field("max_tokens_per_minute"),
  max_tokens_per_day: field("max_tokens_per_day"),
  max_tokens_per_month: field("max_tokens_per_month"),
  max_usd_per_day: field("max_usd_per_day"),
  max_usd_per_month: field("max_usd_per_month")
})

const bounds = Schema.Struct(each(given))

export const limits = Schema.Struct({
  global: bounds.annotations(note("What each subject may use.")),
  per_token: Schema.Record({ key: Fields.name, value: Schema.Struct(each(orUnlimited)) }).annotations(
    note("Other limits for single subjects, key by key; null is unlimited.", {
      example: "ci-bot",
      names: "a subject is not empty and has no spaces"
    })
  ),
  tenants: Schema.Record({ key: Fields.name, value: bounds }).annotations(
    note("What all subjects of a tenant may use together.", {
      example: "acme",
      names: "a tenant is not empty and has no spaces"
    })
  ),
  models: Schema.Record({ key: Fields.name, value: bounds }).annotations(
    note("What all callers may use together of a model: provider/model, * stands for anything.", {
      example: "openai/gpt-4o",
      names: "a model is not empty and has no spaces"
    })
  ),
  reserve_output_tokens: Fields.wholeNumber(0, 1_000_000).annotations(
    note("Tokens of output that are set aside for a call until it is known how many it used.")
  ),
  queue: Schema.Struct({
    max_waiting: Fields.wholeNumber(0, 100_000).annotations(
      note("Calls that may wait for a rate or for others to end, instead of being refused; 0 refuses all.")
    ),
    max_wait_seconds: Fields.timeout.annotations(note("Seconds that one of them waits at most."))
  }).annotations(note("Waiting instead of refusal; subjects take turns."))
}).annotations(note("How much a subject may use; a token can lower it, and never raise it."))

export const state = Schema.Struct({
  kind: Fields.optional(
    Fields.oneOf("embedded", "redis").annotations(
      Shape.expects("embedded or redis", {
        about: "embedded: in this process and a file, for one server; redis: shared by several servers.",
        example: "redis",
        unset: "redis if url or url_file is set, else embedded"
      })
    )
  ),
  file: Fields.optional(Fields.path.annotations(
    note("Where `embedded` keeps what was used (SQLite), readable by the server's user only.", {
      path: true,
      example: "/var/lib/vibectl/usage.db",
      unset: "usage.db, beside this file"
    })
  )),
  url: Fields.optional(
    Schema.Redacted(Schema.NonEmptyString.pipe(Schema.filter(isRedisUrl))).annotations(
      Shape.expects("a URL like redis://host:6379 or rediss://host:6379/0", {
        about: "Where `redis` is.",
        secret: true,
        example: "\"${REDIS_URL}\""
      })
    )
  ),
  url_file: Fields.optional(Fields.path.annotations(
    note("A file that holds the URL, instead of url.", { path: true, example: "/run/secrets/redis-url" })
  )),
  ca_file: Fields.optional(Fields.path.annotations(
    note("PEM file of the CAs that signed the certificate of Redis (rediss://), instead of the well-known ones.", {
      path: true,
      example: "/etc/vibectl/redis-ca.pem",
      unset: "the CAs of Node.js"
    })
  )),
  prefix: Fields.text.pipe(Schema.pattern(/^[^\s{}]+$/)).annotations(
    Shape.expects("text without spaces and braces", { about: "What its keys in Redis begin with." })
  ),
  on_unavailable: Fields.oneOf("refuse", "allow").annotations(
    Shape.expects("refuse or allow", {
      about: "What happens to calls while Redis cannot be reached: refuse them, or allow them without limits."
    })
  ),
  timeout_seconds: Fields.timeout.annotations(note("Seconds that Redis may take to answer.")),
  keep_days: Fields.wholeNumber(32, 3660).annotations(note("Days that the record of usage is kept."))
}).annotations(note("Where it is counted what callers use."))

const price = Schema.NonNegative.annotations(Shape.expects("a number of US dollars, at least 0"))

export const prices = Schema.Record({
  key: Fields.name,
  value: Schema.Struct({
    input: price.annotations(note("Of input.", { example: "2.5" })),
    output: price.annotations(note("Of output.", { example: "10" })),
    cache_read: Fields.optional(
      price.annotations(note("Of input read from the provider's cache.", { example: "1.25", unset: "as input" }))
    ),
    cache_write: Fields.optional(
      price.annotations(note("Of input written to the provider's cache.", { example: "2.5", unset: "as input" }))
    ),
    reasoning: Fields.optional(
      price.annotations(note("Of output that the model only thinks.", { example: "10", unset: "as output" }))
    )
  })
}).annotations(note(
  "US dollars per million tokens, by provider/model, where * stands for anything; these win over the "
    + "prices that are built in, and the longest name that fits counts.",
  {
    example: "openai/gpt-4o",
    names: "a model is not empty and has no spaces"
  }
))

// -- internals ---------------------------------------------------------------

function words(field: typeof count | typeof dollars): string {
  if (field === dollars) return "a number of US dollars above 0, at most 1000000"
  return field === count ? "a whole number, at least 1" : "a number of seconds above 0, at most 86400"
}
