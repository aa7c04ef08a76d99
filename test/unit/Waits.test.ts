import { assert, describe, it } from "@effect/vitest"
import * as ErrorBody from "../../src/models/ErrorBody.js"
import * as Waits from "../../src/models/Waits.js"

const now = Date.UTC(2026, 10, 30, 12)
const day = 86_400_000
const iso = (millis: number) => new Date(now + millis).toISOString()

describe("how long a provider asks to wait", () => {
  it("is read from a value in every unit and form, in milliseconds from now", () => {
    for (
      const [value, expected] of [
        ["20", 20_000],
        ["1.5", 1500],
        [40, 40_000],
        ["20s", 20_000],
        ["39.84s", 39_840],
        ["1m30s", 90_000],
        ["6m0s", 360_000],
        ["1m12.5s", 72_500],
        ["1h2m3s", 3_723_000],
        ["500ms", 500],
        ["2m59.56s", 179_560],
        ["20 seconds", 20_000],
        ["1 minute, 5 secs", 65_000],
        ["2 hours and 1 minute", 7_260_000],
        ["300us", 1],
        [new Date(now + 90_000).toUTCString(), 90_000],
        ["Monday, 30-Nov-26 12:01:00 GMT", 60_000],
        ["Mon Nov 30 12:01:00 2026", 60_000],
        [iso(45_000), 45_000],
        [String(now / 1000 + 30), 30_000],
        [now / 1000 + 30, 30_000],
        [String(now + 2500), 2500],
        [{ seconds: "34", nanos: 500_000_000 }, 34_500],
        // Longer than a day is a day.
        ["99999999", day],
        ["100d", day],
        [iso(400 * day), day],
        // Nothing that can be waited for.
        ["0", undefined],
        ["0s", undefined],
        ["-5", undefined],
        [-1, undefined],
        [NaN, undefined],
        [Infinity, day],
        ["NaN", undefined],
        ["soon", undefined],
        ["", undefined],
        ["20 bananas", undefined],
        [iso(-1000), undefined],
        [new Date(now - 90_000).toUTCString(), undefined],
        [null, undefined],
        [true, undefined],
        [{}, undefined],
        [[], undefined]
      ] as const
    ) assert.strictEqual(Waits.parse(value, "seconds", now), expected, JSON.stringify(value))
    assert.strictEqual(Waits.parse("1500", "milliseconds", now), 1500)
    assert.strictEqual(Waits.parse("2s", "milliseconds", now), 2000)
  })

  it("is read from headers; the resets of a rate limit count where the limit was met, of those that are used up", () => {
    const headers = (found: Record<string, string>) => Waits.ofHeaders(Object.entries(found), true, now)
    for (
      const [found, expected] of [
        [{ "retry-after": "7" }, 7000],
        [{ "retry-after-ms": "350", "retry-after": "1" }, 350],
        [{ "retry-after": "0", "x-ratelimit-reset-requests": "4s" }, 4000],
        [{ "x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6m0s" }, 360_000],
        [{
          "x-ratelimit-remaining-requests": "0",
          "x-ratelimit-reset-requests": "2m59.56s",
          "x-ratelimit-remaining-tokens": "17999",
          "x-ratelimit-reset-tokens": "7.66s"
        }, 179_560],
        [{
          "x-ratelimit-remaining-requests": "99",
          "x-ratelimit-reset-requests": "8.64s",
          "x-ratelimit-remaining-tokens": "12",
          "x-ratelimit-reset-tokens": "7.66s"
        }, 7660],
        [{ "anthropic-ratelimit-input-tokens-reset": iso(12_000) }, 12_000],
        [{
          "anthropic-ratelimit-requests-remaining": "4",
          "anthropic-ratelimit-requests-reset": iso(60_000),
          "anthropic-ratelimit-tokens-remaining": "0",
          "anthropic-ratelimit-tokens-reset": iso(20_000)
        }, 20_000],
        [{ "x-ratelimit-reset": String(now + 9000) }, 9000],
        [{ "x-ratelimit-reset-tokens-minute": "11.38", "x-ratelimit-remaining-tokens-minute": "0" }, 11_380],
        [{ "ratelimit": "limit=100, remaining=0, reset=30" }, 30_000],
        [{ "ratelimit": "\"default\";r=0;t=31" }, 31_000],
        [{ "ratelimit-reset": "32" }, 32_000],
        [{ "x-ratelimit-reset-tokens": "never" }, undefined],
        [{ "x-ratelimit-limit-requests": "60" }, undefined]
      ] as const
    ) assert.strictEqual(headers(found), expected, JSON.stringify(found))
    assert.isUndefined(Waits.ofHeaders([["x-ratelimit-reset-tokens", "6m0s"]], false, now))
  })

  it("is read from sentences, and never from numbers that are no wait", () => {
    for (
      const [text, expected] of [
        ["Rate limit reached. Please try again in 26.66s. Visit https://example.com/limits to learn more.", 26_660],
        ["Please try again in 6m0s.", 360_000],
        ["Try again in 350ms", 350],
        ["Please retry after 5 seconds.", 5000],
        ["Please retry in 1m12.5s", 72_500],
        ["You must wait 30 seconds before the next request", 30_000],
        ["Limit will reset in 2 hours", 7_200_000],
        ["slow down, retry_after=12", 12_000],
        ["请在 20s 后重试", 20_000],
        ["请求过于频繁,请 2 分钟后重试", 120_000],
        ["请稍后重试 20s", 20_000],
        ["Limit 30000, Used 29000, Requested 1500.", undefined],
        ["try again", undefined],
        ["Try again later; the model takes 20 messages", undefined],
        ["the answer took 30 seconds", undefined]
      ] as const
    ) assert.strictEqual(Waits.ofSentences([text]), expected, text)
  })

  it("is read from a body in which it stands anywhere", () => {
    const info = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34s" }
    for (
      const [body, expected] of [
        [{ error: { code: 429, details: [{ "@type": "x" }, info] } }, 34_000],
        [[{ error: { code: 429, details: [info] } }], 34_000],
        [{ error: { retry_after: 40 } }, 40_000],
        [{ retry_after_ms: 1200 }, 1200],
        [{ error: { retryAfter: "2m" } }, 120_000],
        [{ detail: { retry_after_seconds: 3 } }, 3000],
        [{ error: { metadata: { headers: { "X-RateLimit-Reset": String(now + 5000) } } } }, 5000],
        [{ error: { message: JSON.stringify({ error: { retryDelay: "8s" } }) } }, 8000],
        [{ error: { message: "no" } }, undefined]
      ] as const
    ) assert.strictEqual(ErrorBody.read(body, now).wait, expected, JSON.stringify(body))
  })

  it("costs no more than its length, whatever a provider writes", () => {
    const texts = [
      "retry in ".repeat(50_000),
      "wait 1".repeat(50_000),
      "1m".repeat(50_000),
      "try again in 1 s,".repeat(50_000)
    ]
    const began = performance.now()
    for (const text of texts) {
      Waits.ofSentences([text])
      Waits.parse(text, "seconds", now)
      ErrorBody.read({ error: { message: text, retry_after: text } }, now)
    }
    assert.isBelow(performance.now() - began, 2000)
  })
})
