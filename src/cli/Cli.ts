/**
 * The `vibectl` command line.
 */
import { CliConfig, Command } from "@effect/cli"
import { Effect } from "effect"
import { packageVersion } from "../domain/PackageVersion.js"
import { configure } from "./commands/configure.js"
import { disable, list, remove, url, use } from "./commands/profiles.js"
import { status } from "./commands/status.js"
import { test } from "./commands/test.js"
import { vibe } from "./commands/vibe.js"

const setupProxy = Command.make("setup-proxy").pipe(
  Command.withDescription("Which server to use, and how"),
  Command.withSubcommands([configure, test, status, list, use, remove, url, disable])
)

/** Runs a command line as Node gives it: the runtime, the script, then what the user typed. */
export const run = (argv: ReadonlyArray<string>) =>
  Command.run(
    Command.make("vibectl").pipe(
      Command.withDescription("Puts a language model to work, through a vibectl server"),
      Command.withSubcommands([setupProxy, vibe])
    ),
    { name: "vibectl", version: packageVersion }
  )(argv.length <= 2 ? [...argv, "--help"] : argv).pipe(
    Effect.provide(CliConfig.layer({ showBuiltIns: false, showTypes: false }))
  )
