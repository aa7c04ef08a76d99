/**
 * Options that several commands share.
 */
import { Options } from "@effect/cli"

export const output = Options.choice("output", ["table", "json"]).pipe(
  Options.withDescription("How to print the result"),
  Options.withDefault("table")
)

export const proxy = Options.text("proxy").pipe(
  Options.withPseudoName("PROFILE"),
  Options.withDescription("The profile to use, instead of the active one"),
  Options.optional
)
