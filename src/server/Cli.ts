/**
 * The `vibectl-server` command line.
 */
import { CliConfig, Command } from "@effect/cli"
import { Effect, Layer } from "effect"
import { ServerConfig } from "../config/ServerConfig.js"
import type { Settings } from "../config/ServerSettings.js"
import { packageVersion } from "../domain/PackageVersion.js"
import { kindNames } from "../models/Kinds.js"
import * as Certs from "./commands/certs.js"
import * as Config from "./commands/config.js"
import * as GenerateToken from "./commands/generateToken.js"
import * as Info from "./commands/info.js"
import * as InspectToken from "./commands/inspectToken.js"
import * as Keys from "./commands/keys.js"
import * as LogLevel from "./commands/logLevel.js"
import * as Revoke from "./commands/revoke.js"
import * as Serve from "./commands/serve.js"
import * as Usage from "./commands/usage.js"
import * as State from "./State.js"

/** Runs a command line as Node gives it: the runtime, the script, then what the user typed. */
export const run = (argv: ReadonlyArray<string>, terminal: Effect.Effect<boolean>) =>
  Command.run(
    Command.make("vibectl-server").pipe(
      Command.withDescription("LLM proxy server; `vibectl-server` alone serves, with the options of `serve`"),
      Command.withSubcommands([
        Serve.make(kindNames, terminal),
        GenerateToken.make(kindNames),
        InspectToken.make(kindNames),
        Revoke.revokeToken(kindNames),
        Revoke.revocations,
        Keys.make(kindNames),
        Info.make(kindNames),
        LogLevel.make(kindNames),
        Config.make(kindNames),
        Certs.make(kindNames),
        Usage.make(kindNames, storeOf)
      ])
    ),
    { name: "vibectl-server", version: packageVersion }
  )(normalize(argv)).pipe(Effect.provide(CliConfig.layer({ showBuiltIns: false, showTypes: false })))

/**
 * `serve` is the default command, and `--log-level` takes any case.
 *
 * The framework has a `--log-level` of its own that takes lower-case names and keeps them from the command,
 * so ours is always handed over in upper case.
 */
export const normalize = (argv: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [runtime = "", script = "", ...words] = argv
  const [first] = words
  const serves = first === undefined || (first.startsWith("-") && !["--help", "-h", "--version"].includes(first))
  const typed = serves ? ["serve", ...words] : words
  return [
    runtime,
    script,
    ...typed.map((word, index) => {
      if (typed[index - 1] === "--log-level") return word.toUpperCase()
      return word.startsWith("--log-level=") ? `--log-level=${word.slice("--log-level=".length).toUpperCase()}` : word
    })
  ]
}

// -- internals ---------------------------------------------------------------

const storeOf = (settings: Settings) => Layer.provide(State.store, Layer.succeed(ServerConfig, settings))
