/**
 * What several commands have: options, and what an option stands for.
 */
import { Options } from "@effect/cli"
import { Layer, Option } from "effect"
import { Audit } from "../../audit/Audit.js"
import { ServerConfig } from "../../config/ServerConfig.js"

export const config = Options.text("config").pipe(
  Options.withPseudoName("FILE"),
  Options.withDescription("The server's configuration file"),
  Options.optional
)

export const output = Options.choice("output", ["table", "json"]).pipe(
  Options.withDescription("How to print it"),
  Options.withDefault("table" as const)
)

/** The settings that concern tokens, and the audit log that they name. */
export const settings = (kinds: ReadonlyArray<string>, file: Option.Option<string>) =>
  Layer.provideMerge(
    Audit.layerCommand,
    ServerConfig.layer({ file: Option.getOrUndefined(file), kinds, secrets: "signing" })
  )
