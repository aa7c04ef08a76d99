/**
 * What a server must not start with, and what it should not be left with.
 *
 * The list is that of `docs/security.md`.
 */
import { type FileSystem } from "@effect/platform"
import { Data, Effect } from "effect"
import * as Files from "../config/Files.js"
import type { Loaded } from "../config/Load.js"
import { type Paths, paths } from "../config/Paths.js"
import * as ReadFile from "../config/ReadFile.js"
import { defaults, description, isExposed, type Settings } from "../config/ServerSettings.js"
import * as Shape from "../config/Shape.js"
import * as Show from "../config/Show.js"
import { matches, matchesBelow } from "../domain/Access.js"
import type { Catalog } from "../models/Catalog.js"
import * as Prices from "../models/Prices.js"

/** Without authentication, on an address that other machines reach. */
export class OpenAccessRefused extends Data.TaggedError("OpenAccessRefused")<{ readonly host: string }> {
  get summary() {
    return `Authentication is off, and ${this.host} can be reached from other machines: anybody there could use `
      + "the provider keys of this server."
  }
  get remedy() {
    return "Leave out --no-enable-auth, listen on 127.0.0.1, or, if everybody in that network may call, "
      + "set server.allow_open_access to true."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export const noOpenAccess = ({ server, tls }: Settings): Effect.Effect<void, OpenAccessRefused> =>
  server.enable_auth || server.allow_open_access || !isExposed(server.host) || tls.client_ca_file !== undefined
    ? Effect.void
    : new OpenAccessRefused({ host: server.host })

/** A sentence for each that should be put right, with the command that does it where there is one. */
export const warnings = (
  loaded: Loaded<Settings>,
  kinds: ReadonlyArray<string>,
  catalog: Pick<Catalog["Type"], "models">
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { auth, server, tls } = loaded.value
    const config = (yield* holdsSecret(loaded, kinds)) ? [loaded.file] : []
    const readable = yield* Effect.filter([...config, ...secretFiles(loaded.value, yield* paths)], Files.readableByAll)
    return [
      ...server.enable_auth || tls.client_ca_file !== undefined
        ? []
        : [`authentication is off: anybody who reaches ${server.host} can use the provider keys of this server`],
      ...tls.enabled || !isExposed(server.host)
        ? []
        : [`plaintext on ${server.host}: tokens and answers can be read on the network`],
      ...Object.entries(auth.issuers).filter(([, { subject_prefix }]) => subject_prefix === "").map(([name]) =>
        `auth.issuers.${name}.subject_prefix is empty: whoever it calls ci-bot is the ci-bot of this server's own tokens`
      ),
      ...uselessPrices(loaded.value),
      ...uselessAliases(loaded.value),
      ...uselessPatterns(loaded.value, catalog),
      ...readable.map(Files.exposed)
    ]
  })

// -- internals ---------------------------------------------------------------

/** A sentence for each price that no model can have. */
const uselessPrices = ({ prices, providers }: Settings): ReadonlyArray<string> => {
  const names = Object.keys(providers)
  return Prices.unused(prices, names).map((key) =>
    `prices.${key} is the price of no model: it must begin with the name of a provider and a slash, and there ${
      names.length === 1 ? "is only" : "are"
    } ${names.join(", ")}`
  )
}

/** A sentence for each alias of the operator whose provider is not configured. */
const uselessAliases = ({ model_aliases, providers }: Settings): ReadonlyArray<string> =>
  Object.entries(model_aliases).flatMap(([alias, target]) => {
    const provider = target.slice(0, target.indexOf("/"))
    if (Object.hasOwn(providers, provider) || defaults.model_aliases[alias as never] === target) return []
    return [`model_aliases.${alias} is ${target}, and no provider is called '${provider}'`]
  })

/** A sentence for each pattern of `access` that lets no model pass. */
const uselessPatterns = (
  { access, model_aliases, providers }: Settings,
  { models }: Pick<Catalog["Type"], "models">
): ReadonlyArray<string> => {
  const names = [...Object.keys(model_aliases), ...models.flatMap(({ aliases, id }) => [id, ...aliases])]
  const open = Object.entries(providers).filter(([, { models }]) => models === undefined).map(([name]) => `${name}/`)
  const isUseless = (pattern: string) =>
    !names.some((name) => matches(pattern, name)) && !open.some((prefix) => matchesBelow(pattern, prefix))
  const rules = [
    ...access.default === undefined ? [] : [["default", access.default] as const],
    ...(["subjects", "roles", "tenants"] as const).flatMap((section) =>
      Object.entries(access[section]).map(([name, rule]) => [`${section}.${name}`, rule] as const)
    )
  ]
  return rules.flatMap(([place, rule]) =>
    rule.models.filter(isUseless).map((pattern) => `access.${place}: the pattern '${pattern}' matches no model`)
  )
}

const secretFiles = ({ providers, server, state, tls }: Settings, { jwtSecret, keyring, tlsDir }: Paths) => {
  const own = tls.enabled && tls.key_file === undefined ? [`${tlsDir}/server.pem`] : []
  const named = [
    server.jwt_secret_file,
    ...server.jwt_previous_secret_files ?? [],
    tls.key_file,
    state.url_file,
    ...Object.values(providers).map((provider) => provider.api_key_file)
  ]
  return [jwtSecret, keyring, ...own, ...named.filter((file) => file !== undefined)]
}

/** Whether a secret stands in the configuration file itself, and not only the name of a variable. */
const holdsSecret = (loaded: Loaded<Settings>, kinds: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const lines = (yield* Effect.orElseSucceed(ReadFile.text(loaded.file, ReadFile.maxBytes.config), () => "")).split(
      "\n"
    )
    return Show.rows(Shape.of(description(kinds).schema), loaded).some(({ source, value }) => {
      const line = source.startsWith(`${loaded.file}:`) ? lines[Number(source.slice(loaded.file.length + 1)) - 1] : ""
      return value === Show.redacted && line !== undefined && line !== "" && !line.includes("${")
    })
  })
