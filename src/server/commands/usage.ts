/**
 * `vibectl-server usage`: what was used and what it cost, as the store of limits has recorded it. Only reads.
 */
import { Command, Options } from "@effect/cli"
import { Clock, Console, Data, Effect, Layer, Option } from "effect"
import * as ServerConfig from "../../config/ServerConfig.js"
import type { Settings } from "../../config/ServerSettings.js"
import { dayOf } from "../../limits/Periods.js"
import { Store, type StoreUnavailable } from "../../limits/Store.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as Logging from "../Logging.js"
import { config } from "./options.js"
import * as Report from "./UsageReport.js"

/** `kinds` are the kinds of providers that the server knows; `storeLayer` is the store that a configuration names. */
export const make = <E, R>(
  kinds: ReadonlyArray<string>,
  storeLayer: (settings: Settings) => Layer.Layer<Store, E, R>
) =>
  Command.make("usage", options, (input) =>
    Effect.gen(function*() {
      const by = yield* keysOf(input.by)
      const range = yield* rangeOf(Option.getOrUndefined(input.from), Option.getOrUndefined(input.to))
      const { value: settings } = yield* ServerConfig.load({ file: Option.getOrUndefined(input.config), kinds })
      const rows = yield* Effect.flatMap(Store, (store) => Effect.mapError(store.usage(range), unreadable)).pipe(
        Effect.provide(Layer.provideMerge(storeLayer(settings), logging))
      )
      const groups = Report.group(rows, by)
      if (groups.length === 0) yield* Console.error(`Nothing was used from ${range.from} to ${range.to} (UTC).`)
      yield* Console.log(renderers[input.output](groups, by, yield* Table.Columns))
    })).pipe(Command.withDescription("Show what was used and what it cost"))

/** The store is there, and what was used cannot be read. */
export class UsageUnreadable extends Data.TaggedError("UsageUnreadable")<{
  readonly store: string
  readonly cause: unknown
}> {
  get summary() {
    return `What was used cannot be read: ${this.store} does not answer.`
  }
  get remedy() {
    return "Check that it runs, that this machine reaches it, and the settings of `state`."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const options = {
  by: Options.text("by").pipe(
    Options.withPseudoName("KEYS"),
    Options.withDescription(
      `What to add up by: ${Report.keys.join(", ")}, or several with commas between (tenant,model)`
    ),
    Options.withDefault("subject")
  ),
  from: Options.text("from").pipe(
    Options.withPseudoName("DAY"),
    Options.withDescription("The first day, in UTC, as 2026-11-26 (default: the first of the month)"),
    Options.optional
  ),
  to: Options.text("to").pipe(
    Options.withPseudoName("DAY"),
    Options.withDescription("The last day, in UTC (default: today)"),
    Options.optional
  ),
  output: Options.choice("output", ["table", "json", "csv"]).pipe(
    Options.withDescription("How to print it"),
    Options.withDefault("table" as const)
  ),
  config
}

/** A store tells of its troubles; stdout is for what was used. */
const logging = Logging.layer({ level: "ERROR", format: "pretty" })

const renderers = { table: Report.toTable, json: Report.toJson, csv: Report.toCsv }

const keysOf = (typed: string): Effect.Effect<ReadonlyArray<Report.Key>, UsageInvalid> => {
  const names = [...new Set(typed.split(",").map((name) => name.trim()))]
  const found = names.flatMap((name) => Report.keys.filter((key) => key === name))
  return found.length === names.length ? Effect.succeed(found) : new UsageInvalid({
    summary: `--by ${typed} is not what usage can be added up by.`,
    remedy: `Write one or several of ${Report.keys.join(", ")}, with commas between them.`
  })
}

/** The month until now, or until its last day that was named. */
const rangeOf = (from: string | undefined, to: string | undefined) =>
  Effect.gen(function*() {
    const last = to === undefined ? dayOf(yield* Clock.currentTimeMillis) : yield* day("--to", to)
    const first = from === undefined ? `${last.slice(0, -2)}01` : yield* day("--from", from)
    if (first > last) {
      return yield* new UsageInvalid({
        summary: `--from ${first} is after ${to === undefined ? "today, " : "--to "}${last}.`,
        remedy: "Name the earlier day with --from, and the later one with --to."
      })
    }
    return { from: first, to: last }
  })

const day = (option: string, typed: string): Effect.Effect<string, UsageInvalid> => {
  const at = /^\d{4}-\d\d-\d\d$/.test(typed) ? Date.parse(`${typed}T00:00:00Z`) : NaN
  return !Number.isNaN(at) && dayOf(at) === typed ? Effect.succeed(typed) : new UsageInvalid({
    summary: `${option} ${typed} is not a day.`,
    remedy: "Write the year, the month and the day, e.g. 2026-11-26."
  })
}

const unreadable = ({ cause, store }: StoreUnavailable) => new UsageUnreadable({ store, cause })
