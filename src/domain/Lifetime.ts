/**
 * Token lifetimes as operators type them: `30`, `12h`, `30d`, `2w`, `6m`, `1y`.
 *
 * They are not calendar spans: a month is always 30 days, a year 365.
 */
import { Data, Duration, Either, ParseResult, Schema } from "effect"

/** A text that is no lifetime; `found` is the text as it was typed. */
export class LifetimeInvalid extends Data.TaggedError("LifetimeInvalid")<{
  readonly found: string
  readonly problem: "NOT_A_LIFETIME" | "ZERO" | "TOO_LONG"
}> {
  get summary() {
    return `The lifetime ${quoted(this.found)} ${problems[this.problem]}.`
  }
  get remedy() {
    return "Use a whole number and one of h, d, w, m (30 days) or y (365 days), at most 100y; "
      + "a bare number is days. Examples: 12h, 30d, 2w, 6m, 1y, 90."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** White space around the lifetime is ignored, and so is case. */
export const parse = (text: string): Either.Either<Duration.Duration, LifetimeInvalid> => {
  const [, count, unit = "d"] = /^([0-9]+)([hdwmy])?$/.exec(text.trim().toLowerCase()) ?? []
  if (count === undefined || !isUnit(unit)) return invalid(text, "NOT_A_LIFETIME")
  const total = Number(count) * hours[unit]
  if (total === 0) return invalid(text, "ZERO")
  return total > longest ? invalid(text, "TOO_LONG") : Either.right(Duration.hours(total))
}

/** Encodes to days where they are whole, else to hours. */
export const Lifetime = Schema.transformOrFail(Schema.String, Schema.DurationFromSelf, {
  strict: true,
  decode: (text, _, ast) => Either.mapLeft(parse(text), (error) => new ParseResult.Type(ast, text, error.message)),
  encode: (duration, _, ast) => {
    const total = Duration.toHours(duration)
    return Number.isInteger(total) && total > 0 && total <= longest
      ? ParseResult.succeed(total % hours.d === 0 ? `${total / hours.d}d` : `${total}h`)
      : ParseResult.fail(new ParseResult.Type(ast, duration, "Expected whole hours, from 1 hour to 100 years"))
  }
}).annotations({ identifier: "Lifetime" })

// -- internals ---------------------------------------------------------------

const hours = { h: 1, d: 24, w: 7 * 24, m: 30 * 24, y: 365 * 24 } as const

const isUnit = (unit: string): unit is keyof typeof hours => Object.hasOwn(hours, unit)

/** An expiry beyond this is a typing error; far beyond it (the year 275760) no date can hold it. */
const longest = 100 * hours.y

const problems: Record<LifetimeInvalid["problem"], string> = {
  NOT_A_LIFETIME: "is not a number with a unit",
  ZERO: "is zero",
  TOO_LONG: "is longer than 100 years"
}

const invalid = (found: string, problem: LifetimeInvalid["problem"]) =>
  Either.left(new LifetimeInvalid({ found, problem }))

/** On one line and not endless, whatever was typed. */
const quoted = (text: string) => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
