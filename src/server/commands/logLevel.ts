/**
 * `vibectl-server log-level`: shows or changes the log level of the server that runs.
 */
import { Args, Command } from "@effect/cli"
import { Console, Effect, Option } from "effect"
import * as OpsClient from "../../ops/OpsClient.js"
import * as LogLevel from "../../telemetry/LogLevel.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as OpsAddress from "./opsAddress.js"
import { config } from "./options.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("log-level", {
    level: Args.text({ name: "LEVEL" }).pipe(
      Args.withDescription("DEBUG, INFO, WARNING or ERROR; without it, the present one is shown"),
      Args.optional
    ),
    config
  }, (input) =>
    Effect.gen(function*() {
      const typed = Option.getOrUndefined(input.level)
      const level = typed?.toUpperCase()
      if (level !== undefined && !LogLevel.isName(level)) {
        return yield* new UsageInvalid({
          summary: `${Table.visible(typed ?? "")} is not a log level.`,
          remedy: `Choose one of ${LogLevel.names.join(", ")}.`
        })
      }
      const url = yield* OpsAddress.ofConfig(kinds, input.config)
      if (level === undefined) return yield* Effect.flatMap(OpsClient.logLevel(url), Console.log)
      yield* Console.error(`The log level is ${yield* OpsClient.setLogLevel(url, level)} until the server stops.`)
    })).pipe(Command.withDescription("Show or change the log level of the running server"))
