/**
 * Options whose values have bounds, which their errors name.
 */
import { HelpDoc, Options, ValidationError } from "@effect/cli"
import { Effect } from "effect"

/** A whole number within the bounds, both included. */
export const wholeNumber = (
  name: string,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER
): Options.Options<number> =>
  bounded(
    Options.integer(name),
    (value) => value >= least && value <= most,
    (value) =>
      `--${name} ${value} is out of range: it is a whole number ${
        most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
      }`
  )

/** A number above 0, fractions allowed. */
export const amount = (name: string, most: number): Options.Options<number> =>
  bounded(
    Options.float(name),
    (value) => value > 0 && value <= most,
    (value) => `--${name} ${value} is out of range: it is a number above 0, at most ${most}`
  )

/** One of some names in upper case, which may be typed in any. */
export const caseless = <const Name extends string>(
  name: string,
  choices: ReadonlyArray<Name>
): Options.Options<Name> =>
  Options.mapEffect(Options.text(name), (typed) => {
    const found = choices.find((choice) => choice === typed.toUpperCase())
    return found === undefined
      ? Effect.fail(ValidationError.invalidValue(HelpDoc.p(
        `--${name} cannot be ${JSON.stringify(typed.slice(0, 20))}: it is one of ${choices.join(", ")}`
      )))
      : Effect.succeed(found)
  })

/** A flag that can also be set to false, as `--name=false`, which is not the same as to leave it out. */
export const flag = (name: string): Options.Options<boolean> =>
  Options.choiceWithValue(name, [["true", true], ["false", false]])

// -- internals ---------------------------------------------------------------

const bounded = (
  option: Options.Options<number>,
  fits: (value: number) => boolean,
  problem: (value: number) => string
): Options.Options<number> =>
  Options.mapEffect(
    option,
    (value) =>
      fits(value) ? Effect.succeed(value) : Effect.fail(ValidationError.invalidValue(HelpDoc.p(problem(value))))
  )
