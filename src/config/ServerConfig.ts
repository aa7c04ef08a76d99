/**
 * The configuration a server runs with: complete, checked, secrets read.
 */
import type { FileSystem } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import type { Env } from "./Environment.js"
import * as Load from "./Load.js"
import { paths } from "./Paths.js"
import type { ConfigInvalid } from "./Problem.js"
import { resolveSecrets } from "./Secrets.js"
import { defaults, description, type Settings } from "./ServerSettings.js"
import * as YamlFile from "./YamlFile.js"

export interface Options {
  /** `--config`; must exist. Undefined means the user's own file, which need not. */
  readonly file?: string | undefined
  readonly flags?: Load.Flags
  /** What the file holds, where it was read before. */
  readonly text?: string
  /** The kinds of providers that this server knows. */
  readonly kinds: ReadonlyArray<string>
}

export class ServerConfig extends Context.Tag("vibectl/config/ServerConfig")<ServerConfig, Settings>() {
  /** `secrets`: all of them, or only the one that signs tokens. */
  static readonly layer = (options: Options & { readonly secrets?: "all" | "signing" }) =>
    Layer.effect(
      this,
      Effect.flatMap(load(options), (loaded) => resolveSecrets(loaded, { providers: options.secrets !== "signing" }))
    )

  /** The defaults on a free port, without TLS or a file of usage and with the demo provider, and what `overrides` says per section. */
  static readonly layerTest = (overrides: Overrides = {}) =>
    Layer.succeed(this, {
      server: {
        ...defaults.server,
        log_level: "INFO",
        port: 0,
        metrics_port: 0,
        drain_seconds: 0,
        ...overrides.server
      },
      tls: { enabled: false, min_version: "1.3", client_identity: "none", ...overrides.tls },
      auth: overrides.auth ?? defaults.auth,
      access: overrides.access ?? defaults.access,
      audit: { ...defaults.audit, destination: "off", ...overrides.audit },
      state: { ...defaults.state, on_unavailable: "refuse", file: ":memory:", ...overrides.state },
      prices: overrides.prices ?? defaults.prices,
      providers: overrides.providers ?? { demo: { kind: "demo" } },
      model_aliases: overrides.model_aliases ?? defaults.model_aliases,
      fallbacks: overrides.fallbacks ?? {}
    })
}

export interface Overrides {
  readonly server?: Partial<Settings["server"]>
  readonly tls?: Partial<Settings["tls"]>
  readonly auth?: Settings["auth"]
  readonly access?: Settings["access"]
  readonly audit?: Partial<Settings["audit"]>
  readonly state?: Partial<Settings["state"]>
  readonly prices?: Settings["prices"]
  readonly providers?: Settings["providers"]
  readonly model_aliases?: Settings["model_aliases"]
  readonly fallbacks?: Settings["fallbacks"]
}

/** The configuration with the source of every value; secrets in files are not read yet. */
export const load = (
  options: Options
): Effect.Effect<Load.Loaded<Settings>, ConfigInvalid, Env | FileSystem.FileSystem> =>
  Effect.flatMap(fileOf(options.file), (file) => {
    const given = { file, named: options.file !== undefined, ...options.flags && { flags: options.flags } }
    const described = description(options.kinds)
    return options.text === undefined
      ? Load.load(described, given)
      : Load.loadText(described, options.text, given)
  })

/** What the file that is meant holds. */
export const read = (options: Options): Effect.Effect<string, ConfigInvalid, FileSystem.FileSystem> =>
  Effect.flatMap(fileOf(options.file), (file) => YamlFile.read(file, options.file !== undefined))

/** The file that is meant: the one named, else the user's own. */
export const fileOf = (named: string | undefined): Effect.Effect<string> =>
  named === undefined ? Effect.map(paths, (found) => found.serverConfig) : Effect.succeed(named)
