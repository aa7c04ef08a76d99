/**
 * `vibectl-server config init|show|validate|path`
 *
 * Data goes to stdout, all else to stderr; failures are left to the program.
 */
import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Console, Data, Effect, Option } from "effect"
import * as Issuers from "../../auth/Issuers.js"
import * as SigningKey from "../../auth/SigningKey.js"
import * as Files from "../../config/Files.js"
import { ConfigNotWritten } from "../../config/Problem.js"
import { doubtfulKeys, resolveSecrets } from "../../config/Secrets.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import { defaults, description, type Settings } from "../../config/ServerSettings.js"
import * as Shape from "../../config/Shape.js"
import * as Show from "../../config/Show.js"
import * as Template from "../../config/Template.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as StartChecks from "../StartChecks.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("config").pipe(
    Command.withDescription("Write, show and check the server's configuration"),
    Command.withSubcommands([init(kinds), show(kinds), validate(kinds), path])
  )

/** `config init` never replaces a file unasked. */
export class FileExists extends Data.TaggedError("FileExists")<{ readonly file: string }> {
  get summary() {
    return `The file ${this.file} exists already.`
  }
  get remedy() {
    return "Replace it with --force, or write another one with --config FILE."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const file = Options.text("config").pipe(
  Options.withPseudoName("FILE"),
  Options.withDescription("The configuration file, instead of the one that `config path` prints"),
  Options.optional
)

const force = Options.boolean("force").pipe(Options.withDescription("Replace an existing file"))

const output = Options.choice("output", ["table", "json"]).pipe(
  Options.withDescription("How to print the settings"),
  Options.withDefault("table")
)

const init = (kinds: ReadonlyArray<string>) =>
  Command.make("init", { file, force }, (input) =>
    Effect.gen(function*() {
      const target = yield* ServerConfig.fileOf(Option.getOrUndefined(input.file))
      const template = Template.render(Shape.of(description(kinds).schema), defaults, header)
      const write = input.force ? Files.writePrivate(target, template) : create(target, template)
      yield* Effect.catchTags(write, {
        BadArgument: (error) => notWritten(target, error.message),
        SystemError: (error) => notWritten(target, error.message)
      })
      yield* Console.error(`Wrote ${target}.`)
    })).pipe(Command.withDescription("Write a configuration file that explains every setting"))

const show = (kinds: ReadonlyArray<string>) =>
  Command.make("show", { file, output }, (input) =>
    Effect.gen(function*() {
      const options = description(kinds)
      const loaded = yield* ServerConfig.load({ file: Option.getOrUndefined(input.file), kinds })
      const rows = Show.rows(Shape.of(options.schema), loaded)
      if (input.output === "json") {
        const settings = rows.map(({ key, source, value }) => ({ key, value: value ?? null, source }))
        return yield* Console.log(JSON.stringify({ file: loaded.file, settings }, undefined, 2))
      }
      const cells = rows.map(({ key, source, unset, value }) => [key, cell(value, unset), source])
      yield* Table.print(["Setting", "Value", "Source"], cells)
    })).pipe(Command.withDescription("Show every setting in effect and where it comes from"))

const validate = (kinds: ReadonlyArray<string>) => {
  const positional = Args.text({ name: "FILE" }).pipe(
    Args.withDescription("The file to check, instead of the one that `config path` prints"),
    Args.optional
  )
  return Command.make("validate", { positional, file }, (input) =>
    Effect.gen(function*() {
      if (Option.isSome(input.positional) && Option.isSome(input.file)) {
        return yield* new UsageInvalid({
          summary: "FILE and --config name a file each.",
          remedy: "Leave one of them out."
        })
      }
      const named = Option.getOrUndefined(Option.orElse(input.positional, () => input.file))
      const loaded = yield* ServerConfig.load({ file: named, kinds })
      const settings = yield* resolveSecrets(loaded)
      const catalog = yield* startable(settings)
      const found = [...yield* StartChecks.warnings(loaded, kinds, catalog), ...doubtfulKeys(settings)]
      yield* Effect.forEach(found, (text) => Console.error(`Warning: ${text}.`), { discard: true })
      yield* Console.log(`OK: the configuration ${loaded.file} is valid.`)
    })).pipe(Command.withDescription("Check the configuration, with the environment, and report every problem"))
}

/** What a start checks before it makes a file or opens a port; fails as the start would. */
const startable = (settings: Settings) =>
  Effect.scoped(Effect.gen(function*() {
    const signing = SigningKey.optionsOf(settings.server)
    yield* SigningKey.configured(signing)
    yield* SigningKey.previous(signing)
    yield* StartChecks.noOpenAccess(settings)
    const withFiles = Object.entries(settings.auth.issuers).filter(([, { jwks_url }]) => jwks_url === undefined)
    yield* Issuers.make(Object.fromEntries(withFiles))
    const ServerTls = yield* Effect.promise(() => import("../ServerTls.js"))
    yield* ServerTls.check(settings)
    const Models = yield* Effect.promise(() => import("../Models.js"))
    return yield* Models.make(settings)
  }))

const path = Command.make(
  "path",
  { file },
  (input) => Effect.flatMap(ServerConfig.fileOf(Option.getOrUndefined(input.file)), Console.log)
).pipe(
  Command.withDescription("Print the path of the configuration file")
)

const header = [
  "Configuration of vibectl-server.",
  "",
  "Every setting is commented out and shows its default or an example: take away its `# ` to set it.",
  "`${NAME}` and `${NAME:-default}` stand for variables of the environment; `$${` is a literal `${`.",
  "VIBECTL_SERVER__PORT and the like override this file; flags override both.",
  "Check with `vibectl-server config validate`, see the result with `vibectl-server config show`."
]

const create = (target: string, template: string) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const exists = yield* files.exists(target)
    // Another process may create it between the check and the write: then its content is not ours.
    if (exists || (yield* Files.createPrivate(target, template)) !== template) {
      return yield* new FileExists({ file: target })
    }
  })

const notWritten = (target: string, reason: string) =>
  new ConfigNotWritten({
    summary: `The file ${target} could not be written (${reason}).`,
    remedy: "Check that you may write to its directory, or choose another one with --config FILE."
  })

/** What is in effect: a setting that is not set has its default in words. */
const cell = (value: unknown, unset: string | undefined): string =>
  value === undefined
    ? (unset === undefined ? "-" : `(${unset})`)
    : typeof value === "string"
    ? value
    : JSON.stringify(value)
