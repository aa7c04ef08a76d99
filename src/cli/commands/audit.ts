/**
 * `vibectl audit show|export|info`: what the assistant has sent and run.
 */
import { Command, Options } from "@effect/cli"
import { DateTime, Effect, Option } from "effect"
import { encode, type Line } from "../../assistant/AuditEntry.js"
import * as AuditLog from "../../assistant/AuditLog.js"
import * as AuditTrail from "../../assistant/AuditTrail.js"
import * as Values from "../../commandline/Values.js"
import { ClientConfig } from "../../config/ClientConfig.js"
import { isProfileName, type Profile, ProfileNotFound } from "../../config/ClientSettings.js"
import { Output } from "../../terminal/Output.js"
import * as Table from "../../terminal/Table.js"
import * as AuditTable from "../AuditTable.js"
import * as Target from "../Target.js"
import { output } from "./options.js"

const profile = Options.text("profile").pipe(
  Options.withPseudoName("PROFILE"),
  Options.withDescription("Whose log, instead of the active profile's"),
  Options.optional
)

const tail = Values.wholeNumber("tail", 1).pipe(
  Options.withPseudoName("N"),
  Options.withDescription("Only the last N entries"),
  Options.optional
)

const show = Command.make("show", { profile, tail, output }, (input) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const { file, lines } = yield* trailOf(input)
    if (input.output === "json") return yield* screen.line(`[${lines.map(encode).join(",\n ")}]`)
    if (lines.length === 0) return yield* screen.note(`Nothing is recorded in ${file}.`)
    yield* screen.line(AuditTable.render(lines, screen.columns))
  })).pipe(Command.withDescription("Show the entries, the newest last"))

const format = Options.choice("output", ["json", "csv"]).pipe(
  Options.withDescription("JSON, an object a line, or CSV without the texts"),
  Options.withDefault("json")
)

const exportLog = Command.make("export", { profile, tail, output: format }, (input) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const { lines } = yield* trailOf(input)
    if (input.output === "csv") return yield* screen.line(AuditTable.toCsv(lines))
    yield* Effect.forEach(lines, (line) => screen.line(encode(line)), { discard: true })
  })).pipe(Command.withDescription("Print the entries for other programs"))

const info = Command.make("info", { profile, output }, (input) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const { file, logging, name } = yield* logOf(Option.getOrUndefined(input.profile))
    const parts = yield* AuditTrail.parts(file)
    const { damaged, lines } = yield* AuditTrail.read(file)
    const facts = {
      profile: name,
      recording: logging,
      file,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      entries: lines.length,
      damaged,
      first: timeOf(lines.at(0)),
      last: timeOf(lines.at(-1)),
      rotated: parts.filter((part) => part.file !== file).map((part) => part.file)
    }
    if (input.output === "json") return yield* screen.line(JSON.stringify(facts, undefined, 2))
    yield* screen.line(Table.render(["Property", "Value"], [
      ["Profile", name],
      ["Recording", logging ? "on" : "off"],
      ["File", file],
      ["Size", `${facts.bytes} bytes`],
      ["Entries", String(facts.entries)],
      ["First", facts.first ?? "—"],
      ["Last", facts.last ?? "—"],
      ["Damaged lines", String(damaged)],
      ["Rotated files", facts.rotated.length === 0 ? "none" : facts.rotated.join(", ")]
    ], { width: screen.columns }))
  })).pipe(Command.withDescription("Show where the log is, how much it holds, and since when"))

export const audit = Command.make("audit").pipe(
  Command.withDescription("What was sent to the model, and which commands ran"),
  Command.withSubcommands([show, exportLog, info])
)

// -- internals ---------------------------------------------------------------

/** The log of the profile of this name or the active one; that of a profile that was removed stays readable. */
const logOf = (name: string | undefined) =>
  Effect.gen(function*() {
    const { value: settings } = yield* (yield* ClientConfig).load
    const own: { readonly [name: string]: Profile } = settings.proxy.profiles
    const chosen = name ?? (yield* Target.profile(undefined)).name
    const file = yield* AuditLog.fileOf(chosen, own[chosen])
    if (own[chosen] === undefined && !(isProfileName(chosen) && (yield* AuditTrail.parts(file)).length > 0)) {
      return yield* new ProfileNotFound({ name: chosen, profiles: Object.keys(own) })
    }
    return { name: chosen, file, logging: own[chosen]?.security.audit_logging ?? false }
  })

const trailOf = (input: { readonly profile: Option.Option<string>; readonly tail: Option.Option<number> }) =>
  Effect.gen(function*() {
    const { file } = yield* logOf(Option.getOrUndefined(input.profile))
    const trail = yield* AuditTrail.read(file, Option.getOrUndefined(input.tail))
    if (trail.damaged > 0) {
      const lines = trail.damaged === 1 ? "1 damaged line is" : `${trail.damaged} damaged lines are`
      yield* (yield* Output).note(`Warning: ${lines} left out.`)
    }
    return { file, lines: trail.lines }
  })

const timeOf = (line: Line | undefined): string | null => line === undefined ? null : DateTime.formatIso(line.time)
