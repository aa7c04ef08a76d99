/**
 * The `vibectl` command line.
 */
import { Command } from "@effect/cli"
import { Effect } from "effect"
import * as NodePath from "node:path"
import * as CommandTree from "../commandline/CommandTree.js"
import type { Overview, Screen } from "../commandline/Help.js"
import * as Run from "../commandline/Run.js"
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

const setupProxy = Command.make("setup-proxy").pipe(
  Command.withDescription("Which server to use, and how"),
  Command.withSubcommands([configure, test, status, list, use, remove, url, disable])
)

/** All of its commands. */
export const tree = (): CommandTree.Tree => CommandTree.ofProgram(vibectl)

/** The program with all of its commands. */
export const vibectl = Command.make("vibectl").pipe(
  Command.withDescription("Puts a language model to work, through a vibectl server"),
  Command.withSubcommands([vibe, setupProxy, models, config, memory, audit, Completions.make(tree)])
)

/** Runs a command line as Node gives it: the runtime, the script, then what the user typed. */
export const run = ([, script = "", ...words]: ReadonlyArray<string>) =>
  Run.run(vibectl, { ...calledBy(script), overview, print })(words)

// -- internals ---------------------------------------------------------------

const overview: Overview = {
  examples: [
    ["vibectl setup-proxy configure vibectl-server://TOKEN@HOST:50051", "Connect to a server"],
    ["vibectl vibe \"why does web-1 restart\"", "Ask about the cluster; what changes something is asked about first"],
    ["vibectl vibe --dry-run scale web to four", "Show the commands and run none"]
  ],
  groups: [
    ["ASK", ["vibe", "memory"]],
    ["CONNECT", ["setup-proxy", "models"]],
    ["CONFIGURE", ["config", "completions"]],
    ["LOOK BACK", ["audit"]]
  ]
}

/** `kubectl vibe …` runs the program `kubectl-vibe`, and is `vibectl vibe …`. */
const calledBy = (script: string) =>
  /^kubectl[-_]vibe(?:\.[a-z]+)?$/.test(NodePath.basename(script))
    ? { typed: ["kubectl", "vibe"], path: ["vibe"] }
    : {}

const print = (render: (screen: Screen) => string) =>
  Effect.flatMap(Output, ({ colour, columns = usualColumns, line }) => line(render({ columns, colour })))

/** Where there is no terminal. */
const usualColumns = 80
