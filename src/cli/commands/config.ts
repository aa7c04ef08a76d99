/**
 * `vibectl config show|get|set|unset|validate|path`: the settings of this user.
 *
 * Nothing here prints a token; one that was pasted into a file or a command line is not repeated either.
 */
import { Args, Command } from "@effect/cli"
import { Data, Effect, Either } from "effect"
import { ClientConfig } from "../../config/ClientConfig.js"
import * as ClientKey from "../../config/ClientKey.js"
import { activeProfile, type ClientSettings, description } from "../../config/ClientSettings.js"
import type { Loaded } from "../../config/Load.js"
import { ConfigInvalid, keyOf, make } from "../../config/Problem.js"
import * as Shape from "../../config/Shape.js"
import * as Show from "../../config/Show.js"
import * as ProxyUrl from "../../domain/ProxyUrl.js"
import { Output } from "../../terminal/Output.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import { output } from "./options.js"

/** A setting that has no value, and no default. */
export class SettingUnset extends Data.TaggedError("SettingUnset")<{ readonly key: string }> {
  get summary() {
    return `${this.key} is not set.`
  }
  get remedy() {
    return `Set it with \`vibectl config set ${this.key} VALUE\`; \`vibectl config show\` lists every key.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

const key = Args.text({ name: "KEY" }).pipe(
  Args.withDescription("As `config show` lists it, e.g. assistant.mode or proxy.profiles.work.security.audit_logging")
)

const show = Command.make("show", { output }, (input) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const loaded = yield* (yield* ClientConfig).load
    const rows = Show.rows(shape, loaded)
    if (input.output === "json") {
      const settings = rows.map(({ key, source, value }) => ({ key, value: value ?? null, source }))
      return yield* screen.line(JSON.stringify({ file: loaded.file, settings }, undefined, 2))
    }
    const cells = rows.map(({ key, source, value }) => [key, cell(value), source])
    yield* screen.line(Table.render(["Setting", "Value", "Source"], cells, { width: screen.columns }))
  })).pipe(Command.withDescription("Show every setting in effect and where it comes from"))

const get = Command.make("get", { key, output }, (input) =>
  Effect.gen(function*() {
    const loaded = yield* (yield* ClientConfig).load
    const name = keyOf((yield* settingOf(input.key, loaded)).path)
    const value = Show.rows(shape, loaded).find((row) => row.key === name)?.value
    if (value === undefined) return yield* new SettingUnset({ key: name })
    yield* (yield* Output).line(input.output === "json" ? JSON.stringify(value) : ClientKey.write(value))
  })).pipe(Command.withDescription("Print the value of one setting"))

const set = Command.make("set", {
  key,
  value: Args.text({ name: "VALUE" }).pipe(
    Args.withDescription("As YAML; a list as a,b or [a, b]; null unsets")
  )
}, (input) =>
  Effect.gen(function*() {
    const config = yield* ClientConfig
    const loaded = yield* config.load
    const { path, shape } = yield* settingOf(input.key, loaded)
    const name = keyOf(path)
    const value = yield* Either.mapLeft(
      ClientKey.read(shape, input.value),
      (problem) => new UsageInvalid({ summary: `${name}: ${problem}`, remedy: nothingChanged })
    )
    if (path.at(-1) === "server_url") yield* keepsItsToken(path, input.value, loaded.value)
    // The one setting whose value must name something that is there.
    if (name === "proxy.active" && typeof value === "string") yield* config.use(value)
    else yield* Effect.catchTag(config.set(path, value), "SettingInvalid", usage)
    yield* (yield* Output).note(`✓ ${name} is set in ${config.file}.`)
    yield* overridden(name, yield* config.load)
  })).pipe(Command.withDescription("Change one setting in the file; comments stay"))

const unset = Command.make("unset", { key }, (input) =>
  Effect.gen(function*() {
    const config = yield* ClientConfig
    const { path } = yield* settingOf(input.key, yield* config.load)
    const name = keyOf(path)
    const done = yield* Effect.catchTag(config.unset(path), "SettingInvalid", usage)
    yield* (yield* Output).note(
      done ? `✓ ${name} is not set in ${config.file} any more.` : `${name} is not set in ${config.file}.`
    )
    yield* overridden(name, yield* config.load)
  })).pipe(Command.withDescription("Take one setting out of the file, so that its default applies"))

const validate = Command.make("validate", {}, () =>
  Effect.gen(function*() {
    const { file, places, value } = yield* (yield* ClientConfig).load
    const problems = Object.entries(value.proxy.profiles).flatMap(([name, profile]) => {
      const path = ["proxy", "profiles", name, "server_url"]
      const place = places.get(keyOf(path)) ?? file
      return Either.match(ProxyUrl.parse(profile.server_url), {
        onLeft: ({ summary }) => [make(place, path, summary)],
        onRight: () => []
      })
    })
    if (problems.length > 0) return yield* new ConfigInvalid({ problems })
    yield* activeProfile(value)
    yield* (yield* Output).line(`OK: the configuration ${file} is valid.`)
  })).pipe(Command.withDescription("Check the configuration, with the environment, and report every problem"))

const path = Command.make("path", {}, () =>
  Effect.gen(function*() {
    yield* (yield* Output).line((yield* ClientConfig).file)
  })).pipe(Command.withDescription("Print the path of the configuration file"))

export const config = Command.make("config").pipe(
  Command.withDescription("Show, change and check the settings"),
  Command.withSubcommands([show, get, set, unset, validate, path])
)

// -- internals ---------------------------------------------------------------

const shape = Shape.of(description.schema)

const cell = (value: unknown): string =>
  value === undefined ? "-" : Array.isArray(value) && value.length === 0 ? "[]" : ClientKey.write(value)

const nothingChanged = "Nothing was changed; give a value that is allowed."

const usage = ({ remedy, summary }: { readonly summary: string; readonly remedy: string }) =>
  new UsageInvalid({ summary, remedy })

const settingOf = (key: string, { value }: Loaded<ClientSettings>) => Either.mapLeft(ClientKey.find(key, value), usage)

/** A token belongs into a private file, and to the server it was given for. */
const keepsItsToken = (
  [, , name = ""]: ReadonlyArray<string>,
  text: string,
  { proxy }: ClientSettings
): Effect.Effect<void, UsageInvalid | ProxyUrl.ProxyUrlInvalid> =>
  Effect.gen(function*() {
    const configure = `vibectl setup-proxy configure ${name} vibectl-server://TOKEN@HOST:PORT`
    if (text.includes("@")) {
      return yield* new UsageInvalid({
        summary: "The URL holds a token, which does not belong into this file.",
        remedy: `\`${configure}\` keeps it in a file that only you can read.`
      })
    }
    const url = yield* ProxyUrl.parse(text)
    const profile = proxy.profiles[name]
    const isElsewhere = profile !== undefined && Show.address(profile.server_url) !== ProxyUrl.format(url)
    if (isElsewhere && (profile.jwt_path ?? profile.client_key_path) !== undefined) {
      return yield* new UsageInvalid({
        summary: `What profile '${name}' shows to its server is for that server only, and would go to another one.`,
        remedy: `Configure it for the new one: \`${configure}\`.`
      })
    }
  })

/** A variable goes before the file, so that the change would seem to do nothing. */
const overridden = (name: string, { sources }: Loaded<ClientSettings>) =>
  Effect.gen(function*() {
    const source = sources.get(name) ?? ""
    if (!source.startsWith("VIBECTL_")) return
    yield* (yield* Output).note(`Warning: ${source} is set and goes before the file.`)
  })
