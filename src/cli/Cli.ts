/**
 * The `vibectl` command line.
 */
import { CliConfig, Command } from "@effect/cli"
import { Effect } from "effect"
import { packageVersion } from "../domain/PackageVersion.js"
import { Output } from "../terminal/Output.js"
import { audit } from "./commands/audit.js"
import * as Completions from "./commands/completions.js"
import { config } from "./commands/config.js"
import { configure } from "./commands/configure.js"
import { memory } from "./commands/memory.js"
import { models } from "./commands/models.js"
import { disable, list, remove, url, use } from "./commands/profiles.js"
import { status } from "./commands/status.js"
import { test } from "./commands/test.js"
import { vibe } from "./commands/vibe.js"
import * as CommandTree from "./CommandTree.js"
import * as Help from "./Help.js"
import * as Typed from "./Typed.js"

const setupProxy = Command.make("setup-proxy").pipe(
  Command.withDescription("Which server to use, and how"),
  Command.withSubcommands([configure, test, status, list, use, remove, url, disable])
)

/** All of its commands. */
export const tree = (): CommandTree.Tree => CommandTree.of(vibectl)

const vibectl = Command.make("vibectl").pipe(
  Command.withDescription("Puts a language model to work, through a vibectl server"),
  Command.withSubcommands([vibe, setupProxy, models, config, memory, audit, Completions.make(tree)])
)

/** Runs a command line as Node gives it: the runtime, the script, then what the user typed. */
export const run = (argv: ReadonlyArray<string>) => {
  const { argv: words, help, program } = Typed.of(argv, tree())
  return help === undefined
    ? Command.run(vibectl, { name: program, version: packageVersion })(words).pipe(
      Effect.provide(CliConfig.layer({ showBuiltIns: false, showTypes: false }))
    )
    : Effect.flatMap(
      Output,
      ({ colour, columns = usualColumns, line }) => line(Help.render(help.tree, { typed: help.typed, columns, colour }))
    )
}

// -- internals ---------------------------------------------------------------

/** Where there is no terminal. */
const usualColumns = 80
