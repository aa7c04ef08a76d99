/**
 * `vibectl-server providers check [NAME]`: asks each configured provider for a token, and shows what it can do.
 */
import { Args, Command } from "@effect/cli"
import { Console, Data, Effect, Layer, Option } from "effect"
import * as ServerConfig from "../../config/ServerConfig.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as Logging from "../Logging.js"
import * as Models from "../Models.js"
import * as ProviderCheck from "../ProviderCheck.js"
import { config, output } from "./options.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("providers").pipe(
    Command.withDescription("What the configured providers can do"),
    Command.withSubcommands([check(kinds)])
  )

/** At least one provider does not answer as it should; the table says which, and what to do. */
export class ProvidersFailed extends Data.TaggedError("ProvidersFailed")<{ readonly names: ReadonlyArray<string> }> {
  get summary() {
    return `${this.names.join(", ")} ${this.names.length === 1 ? "does" : "do"} not answer.`
  }
  get remedy() {
    return "See the remedies above, and check again."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const check = (kinds: ReadonlyArray<string>) => {
  const name = Args.text({ name: "NAME" }).pipe(
    Args.withDescription("The provider to check, by its name in the configuration (default: all)"),
    Args.optional
  )
  return Command.make("check", { name, output, config }, (input) =>
    Effect.gen(function*() {
      const settings = yield* ServerConfig.ServerConfig
      const all = Object.keys(settings.providers)
      const wanted = Option.match(input.name, { onNone: () => all, onSome: (name) => [name] })
      const unknown = wanted.find((name) => !all.includes(name))
      if (unknown !== undefined) {
        return yield* new UsageInvalid({
          summary: `No provider is called '${unknown}'.`,
          remedy: `Name one of ${all.join(", ")}, or none to check all.`
        })
      }
      yield* Console.error(
        `Each of ${wanted.join(", ")} gets two requests for one token of output, which it may bill.`
      )
      const reports = yield* Effect.scoped(
        Effect.forEach(
          wanted,
          (name) => Effect.flatMap(Models.provider(settings, name, { maxOutputTokens: 1 }), ProviderCheck.check),
          { concurrency: 4 }
        )
      )
      yield* Console.log(input.output === "json" ? JSON.stringify(reports, undefined, 2) : table(reports))
      const failed = reports.filter(({ ok }) => !ok)
      if (input.output === "table") {
        for (const { problem, provider, remedy } of failed) {
          yield* Console.error(Table.visible(`${provider}: ${problem ?? ""} ${remedy ?? ""}`))
        }
      }
      if (failed.length > 0) return yield* new ProvidersFailed({ names: failed.map(({ provider }) => provider) })
    }).pipe(
      Effect.provide(Layer.merge(
        ServerConfig.ServerConfig.layer({ file: Option.getOrUndefined(input.config), kinds }),
        logging
      ))
    )).pipe(
      Command.withDescription(
        "Ask each provider for one token, which it may bill, and show what it can do; exit code 1 when one fails"
      )
    )
}

/** The table has what the log would say. */
const logging = Logging.layer({ level: "ERROR", format: "pretty" })

const table = (reports: ReadonlyArray<ProviderCheck.Report>): string =>
  Table.render(
    ["Provider", "Model", "Answers", "Streams", "Usage", "Schema", "Refused fields"],
    reports.map((report) => [
      report.provider,
      report.model ?? "-",
      report.ok ? "yes" : "no",
      word(report.streams),
      word(report.usage),
      word(report.structured_output),
      report.refused_fields.join(", ") || "-"
    ])
  )

const word = (value: boolean | null): string => value === null ? "-" : value ? "yes" : "no"
