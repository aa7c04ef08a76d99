/**
 * The `vibectl-server` command line.
 */
import { Command } from "@effect/cli"
import { Console, type Effect } from "effect"
import type { Overview, Screen } from "../commandline/Help.js"
import * as Run from "../commandline/Run.js"
import { kindNames } from "../models/Kinds.js"
import * as Certs from "./commands/certs.js"
import * as Config from "./commands/config.js"
import * as GenerateToken from "./commands/generateToken.js"
import * as Info from "./commands/info.js"
import * as InspectToken from "./commands/inspectToken.js"
import * as Keys from "./commands/keys.js"
import * as LogLevel from "./commands/logLevel.js"
import * as Providers from "./commands/providers.js"
import * as Revoke from "./commands/revoke.js"
import * as Serve from "./commands/serve.js"
import * as Usage from "./commands/usage.js"
import * as State from "./State.js"

/** All of its commands. */
export const program = (terminal: Effect.Effect<boolean>) =>
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
      Usage.make(kindNames, State.toRead),
      Providers.make(kindNames)
    ])
  )

/** Runs a command line as Node gives it: the runtime, the script, then what the user typed; `serve` is the default command. */
export const run = (
  [, , ...words]: ReadonlyArray<string>,
  terminal: Effect.Effect<boolean>,
  screen: Screen = { columns: 80, colour: false }
) => Run.run(program(terminal), { alone: "serve", overview, print: (render) => Console.log(render(screen)) })(words)

// -- internals ---------------------------------------------------------------

const overview: Overview = {
  examples: [
    ["vibectl-server", "Serve on 127.0.0.1:50051, with tokens and TLS"],
    ["vibectl-server generate-token ada --output token.jwt", "Make a token for ada, good for 30 days"],
    ["vibectl-server config init", "Write a configuration file that explains every setting"],
    ["vibectl-server info", "Show what the running server is doing"]
  ],
  groups: [
    ["SERVE", ["serve", "config", "certs"]],
    ["LET PEOPLE IN", ["generate-token", "inspect-token", "revoke-token", "revocations", "keys"]],
    ["LOOK AFTER IT", ["info", "usage", "log-level"]]
  ]
}
