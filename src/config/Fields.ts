/**
 * The types of values that settings have, each with the words that say what it
 * allows.
 */
import { Schema } from "effect"
import * as Shape from "./Shape.js"

/** A key that may be left out. */
export const optional = <A, I>(field: Schema.Schema<A, I>) => Schema.optionalWith(field, { exact: true })

/** The key of a mapping that users name; `__proto__` cannot be the key of a plain object. */
export const name = Schema.String.pipe(Schema.pattern(/^(?!__proto__$)\S+$/))

export const text = Schema.NonEmptyString.annotations(Shape.expects("text (in quotes if it looks like a number)"))

/** A file; made absolute while loading. */
export const path = Schema.NonEmptyString.annotations(Shape.expects("the path of a file", { path: true }))

export const secret = Schema.Redacted(Schema.NonEmptyString).annotations(
  Shape.expects("text that is not empty (in quotes if it looks like a number)", { secret: true })
)

export const boolean = Schema.Boolean.annotations(Shape.expects("true or false"))

export const wholeNumber = (least: number, most: number = Number.MAX_SAFE_INTEGER) =>
  Schema.Int.pipe(Schema.between(least, most)).annotations(Shape.expects(
    most === Number.MAX_SAFE_INTEGER
      ? `a whole number, at least ${least}`
      : `a whole number from ${least} to ${most}`
  ))

/** Seconds, fractions allowed. */
export const seconds = (most: number) =>
  Schema.Number.pipe(Schema.between(0, most)).annotations(Shape.expects(`a number of seconds from 0 to ${most}`))

/** Seconds, fractions allowed, but more than none: at most a day. */
export const timeout = Schema.Number.pipe(Schema.greaterThan(0), Schema.lessThanOrEqualTo(86_400)).annotations(
  Shape.expects("a number of seconds above 0, at most 86400")
)

/** Text that looks like a number, such as a version, with or without quotes. */
export const numberAsText = Schema.transform(Schema.Union(Schema.String, Schema.Number), Schema.String, {
  strict: true,
  decode: String,
  encode: (text) => text
})

export const oneOf = <const Choices extends readonly [string, ...ReadonlyArray<string>]>(...choices: Choices) =>
  Schema.Literal(...choices).annotations(Shape.expects(listed(choices)))

/** As {@link oneOf}, for a list that is known only at run time. */
export const oneOfNames = (choices: ReadonlyArray<string>) =>
  Schema.Union(...choices.map((choice) => Schema.Literal(choice))).annotations(Shape.expects(listed(choices)))

/** Credentials do not belong into it, and a query would end up in the middle of the URLs made from it. */
export const baseUrl = Schema.NonEmptyString.pipe(Schema.filter(isBaseUrl)).annotations(
  Shape.expects("an http or https URL without user name, password, query and fragment", { private: true })
)

// -- internals ---------------------------------------------------------------

const listed = (choices: ReadonlyArray<string>): string =>
  choices.length < 2 ? choices.join("") : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`

function isBaseUrl(value: string): boolean {
  if (!URL.canParse(value)) return false
  const url = new URL(value)
  return ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "" &&
    !/[?#\s]/.test(value)
}
