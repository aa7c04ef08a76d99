/**
 * Options that several commands share.
 */
import { Options } from "@effect/cli"
import { Option } from "effect"

export const output = Options.choice("output", ["table", "json"]).pipe(
  Options.withDescription("How to print the result"),
  Options.withDefault("table")
)

export const proxy = Options.text("proxy").pipe(
  Options.withPseudoName("PROFILE"),
  Options.withDescription("The profile to use, instead of the active one"),
  Options.optional
)

/** `--NAME` or `--no-NAME`; without either, none. The framework's own `negationNames` take a missing flag for false. */
export const toggle = (name: string, description: string): Options.Options<Option.Option<boolean>> =>
  Options.all([
    Options.boolean(name).pipe(Options.withDescription(description)),
    Options.boolean(`no-${name}`).pipe(Options.withDescription(`The opposite of --${name}`))
  ]).pipe(Options.filterMap(
    ([on, off]) => on && off ? Option.none() : Option.some(on || off ? Option.some(on) : Option.none()),
    `--${name} and --no-${name} exclude each other`
  ))
