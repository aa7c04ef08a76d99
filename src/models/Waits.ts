/**
 * How long a provider asks to be left alone: in a header, in a field of a body, or in a sentence.
 *
 * All in milliseconds from now. Zero or a moment in the past says nothing, and so does what cannot be understood: the
 * server's own backoff applies. What is longer than a day counts as a day.
 * Sources: RFC 9110, 10.2.3 (`Retry-After`); https://platform.openai.com/docs/guides/rate-limits and
 * https://console.groq.com/docs/rate-limits (`x-ratelimit-reset-*`: `1s`, `6m0s`, `7.66s`);
 * https://docs.claude.com/en/api/rate-limits (`anthropic-ratelimit-*-reset`: RFC 3339); https://google.aip.dev/193
 * (`RetryInfo.retryDelay`: `39.84s`); https://openrouter.ai/docs/api-reference/limits (`X-RateLimit-Reset`:
 * milliseconds since the epoch); https://huggingface.co/docs/api-inference (`estimated_time` while a model is loaded); https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-07.html.
 */

/** What a bare number counts. */
export type Unit = "seconds" | "milliseconds"

/** A day, in milliseconds: the longest wait that is passed on. */
export const longest = 86_400_000

/** The fields of a body that hold a wait. */
export const fields: ReadonlyArray<readonly [string, Unit]> = [
  ["retry_after_ms", "milliseconds"],
  ["retryAfterMs", "milliseconds"],
  ["retry_after_millis", "milliseconds"],
  ["retry_after", "seconds"],
  ["retryAfter", "seconds"],
  ["retry-after", "seconds"],
  ["retry_after_seconds", "seconds"],
  ["retryAfterSeconds", "seconds"],
  ["retryDelay", "seconds"],
  ["retry_delay", "seconds"],
  ["retry_in", "seconds"],
  ["reset_at", "seconds"],
  ["resets_at", "seconds"],
  ["resets_in_seconds", "seconds"],
  ["estimated_time", "seconds"]
]

/** Undefined when `value` says nothing that can be understood. `now` in milliseconds since the epoch. */
export const parse = (value: unknown, unit: Unit, now: number): number | undefined => {
  if (typeof value === "number") return bounded(ofNumber(value, unit, now))
  if (typeof value === "object" && value !== null) return bounded(ofProtobuf(value))
  if (typeof value !== "string" || value.length > maxLength) return undefined
  const text = value.trim()
  if (/^[+-]?\d*\.?\d+$/.test(text)) return bounded(ofNumber(Number(text), unit, now))
  const duration = wholly(text)
  if (duration !== undefined) return bounded(duration)
  return isDate.test(text) ? bounded(Date.parse(hasZone.test(text) ? text : `${text} GMT`) - now) : undefined
}

/** Of headers with names in lower case. The resets of a rate limit count only where the limit is what was met. */
export const ofHeaders = (
  headers: Iterable<readonly [string, string]>,
  isLimited: boolean,
  now: number
): number | undefined => {
  const found = new Map(headers)
  const asked = parse(found.get("retry-after-ms"), "milliseconds", now) ??
    parse(found.get("x-ms-retry-after-ms"), "milliseconds", now) ??
    parse(found.get("retry-after"), "seconds", now)
  return asked ?? (isLimited ? ofResets(found, now) : undefined)
}

/** `Please try again in 6m0s`, `retry after 5 seconds`, `Wait 30 seconds before`; of several, the longest. */
export const ofSentences = (texts: Iterable<string>): number | undefined => {
  let found: number | undefined
  for (const text of texts) {
    const read = text.slice(0, maxSentence)
    const waits = [
      ...[...read.matchAll(sentence)].map(([, amounts = ""]) => sum(amounts)),
      ...[...read.matchAll(assigned)].map(([, seconds]) => Number(seconds) * 1000),
      ...[...read.matchAll(chinese)].map(([, count, unit]) => Number(count) * (unit === "分钟" ? 60_000 : 1000))
    ]
    for (const wait of waits) {
      const millis = bounded(wait)
      if (millis !== undefined) found = Math.max(found ?? 0, millis)
    }
  }
  return found
}

// -- internals ---------------------------------------------------------------

const maxLength = 100
const maxSentence = 2000

const bounded = (millis: number | undefined): number | undefined =>
  millis === undefined || !(millis > 0) ? undefined : Math.min(longest, Math.ceil(millis))

/** A number of this size is a moment: in seconds since 2001, or in milliseconds since then. */
const ofNumber = (value: number, unit: Unit, now: number): number =>
  value >= 1e12 ? value - now : value >= 1e9 ? value * 1000 - now : unit === "seconds" ? value * 1000 : value

/** `google.protobuf.Duration` as some gateways write it. */
const ofProtobuf = (value: object): number | undefined => {
  const { nanos, seconds } = value as { readonly [key: string]: unknown }
  const whole = Number(seconds ?? 0)
  const rest = Number(nanos ?? 0)
  return seconds === undefined && nanos === undefined ? undefined : whole * 1000 + rest / 1e6
}

const units: { readonly [unit: string]: number } = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

const unitOf = (word: string): number => {
  const lower = word.toLowerCase()
  if (lower.startsWith("milli") || lower.startsWith("msec")) return 1
  return units[lower] ?? units[lower.charAt(0)] ?? NaN
}

const amount = String
  .raw`\d{1,12}(?:\.\d{1,9})?\s{0,2}(?:milli(?:second)?s?|msecs?|ms|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|ns|us|µs|s|m|h|d)`
const amounts = String.raw`${amount}(?:(?:\s{0,2}(?:,|and)?\s{0,2})${amount}){0,5}`

const durations = new RegExp(`^${amounts}$`, "i")
const each = /(\d+(?:\.\d+)?)\s*([a-zµ]+)/gi
const sentence = new RegExp(
  String
    .raw`(?:\b(?:again|retry|retrying|wait|waiting|back off|resets?|available|until)\b|重试|再试|稍后)[^\d.;!?]{0,40}?(${amounts})(?![a-z])`,
  "gi"
)
/** `retry_after=30`, as programs write it into a sentence. */
const assigned = /\bretry[-_ ]?after["']?\s{0,2}[:=]\s{0,2}(\d{1,12}(?:\.\d{1,9})?)(?![\d.]*\s{0,2}[a-z])/gi
/** "In 20 seconds", "in 2 minutes". */
const chinese = /(\d{1,9}(?:\.\d{1,9})?)\s{0,2}(秒|s|分钟)\s{0,2}[后後]/g
/** HTTP's and RFC 3339's dates; anything shorter is not one, whatever the parser makes of it. */
const isDate = /^([A-Za-z]{3,9},? |\d{4}-\d\d-\d\d[T ]\d\d:\d\d)/
const hasZone = /(GMT|UTC?|Z|[+-]\d\d:?\d\d)$/i

const sum = (text: string): number => {
  let millis = 0
  for (const [, count = "", unit = ""] of text.replace(/\band\b|,/gi, " ").matchAll(each)) {
    millis += Number(count) * unitOf(unit)
  }
  return millis
}

const wholly = (text: string): number | undefined => durations.test(text) ? sum(text) : undefined

/**
 * The longest of the limits that are used up, or may be; where each has something left, the shortest of all: one request
 * was too large for what is left.
 */
const ofResets = (headers: ReadonlyMap<string, string>, now: number): number | undefined => {
  const spent: Array<number> = []
  const left: Array<number> = []
  for (const [name, value] of headers) {
    // `RateLimit: limit=100, remaining=0, reset=30`, or `"default";r=0;t=30`.
    if (name === "ratelimit" || name === "x-ratelimit") {
      const reset = parse(/\b(?:reset|t)=(\d{1,10})/.exec(value)?.[1], "seconds", now)
      if (reset !== undefined) (/\b(?:remaining|r)=0\b/.test(value) ? spent : left).push(reset)
      continue
    }
    if (!/^(?:x-|anthropic-)?rate-?limit\w*-(?:.*-)?reset/.test(name)) continue
    const reset = parse(value, "seconds", now)
    if (reset === undefined) continue
    const remaining = headers.get(name.replace("reset", "remaining"))
    ;(remaining === undefined || !(Number(remaining) > 0) ? spent : left).push(reset)
  }
  return spent.length > 0 ? Math.max(...spent) : left.length > 0 ? Math.min(...left) : undefined
}
