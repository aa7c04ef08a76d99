/**
 * The models of the server, as the configuration says.
 */
import { Duration, Effect, Layer, type Scope } from "effect"
import { ServerConfig } from "../config/ServerConfig.js"
import type { ProviderSettings, Settings } from "../config/ServerSettings.js"
import * as Catalog from "../models/Catalog.js"
import * as Kinds from "../models/Kinds.js"
import * as Prices from "../models/Prices.js"
import type { Provider } from "../models/Provider.js"
import * as Egress from "../network/Egress.js"

/** The models that the configuration names. The idle connections of their providers are closed with the scope. */
export const make = (
  settings: Settings
): Effect.Effect<Catalog.Catalog["Type"], Catalog.CatalogInvalid, Scope.Scope> =>
  Effect.flatMap(optionsOf(settings), Catalog.make)

/** The same for a server that runs: with what the endpoints list themselves. */
export const catalog: Layer.Layer<
  Catalog.Catalog,
  Catalog.CatalogInvalid | Egress.EgressInvalid,
  ServerConfig
> = Layer.scoped(
  Catalog.Catalog,
  Effect.flatMap(
    Effect.zipRight(Egress.load, ServerConfig),
    (settings) => Effect.flatMap(optionsOf(settings), Catalog.following)
  )
)

/** The provider of that name, which the configuration has; `more` is beside what it says. */
export const provider = (
  { providers }: Pick<Settings, "providers">,
  name: string,
  more: Partial<Kinds.ProviderOptions>
): Effect.Effect<Provider, Egress.EgressInvalid, Scope.Scope> => {
  const settings = providers[name]
  return settings === undefined
    ? Effect.dieMessage(`there is no provider called '${name}'`)
    : Effect.zipRight(Egress.load, Kinds.make(settings.kind, { ...options(name, settings), ...more }))
}

// -- internals ---------------------------------------------------------------

const optionsOf = (
  { fallbacks, model_aliases, prices, providers, server }: Settings
): Effect.Effect<Catalog.Options, never, Scope.Scope> =>
  Effect.map(
    Effect.forEach(Object.entries(providers), ([name, settings]) => Kinds.make(settings.kind, options(name, settings))),
    (providers) => ({
      providers,
      aliases: new Map(Object.entries(model_aliases)),
      fallbacks: new Map(Object.entries(fallbacks)),
      defaultModel: server.default_model,
      prices: Prices.make(prices)
    })
  )

const seconds = (count: number | undefined) => count === undefined ? undefined : Duration.seconds(count)

const options = (name: string, settings: ProviderSettings): Kinds.ProviderOptions => ({
  name,
  apiKey: settings.api_key,
  baseUrl: settings.base_url,
  models: settings.models?.map((model) =>
    typeof model === "string"
      ? { name: model }
      : { name: model.name, streams: model.streaming, contextLength: model.context_length }
  ),
  defaultModel: settings.default_model,
  maxOutputTokens: settings.max_output_tokens,
  omit: settings.omit,
  maxTokensField: settings.max_tokens_field,
  systemRole: settings.system_role,
  maxRetries: settings.max_retries,
  maxConcurrent: settings.max_concurrent_requests,
  timeouts: timeouts(settings),
  modelTimeouts: new Map(
    Object.entries(settings.model_timeouts ?? {}).map(([model, settings]) => [model, timeouts(settings)])
  )
})

const timeouts = (settings: TimeoutSettings) => ({
  connect: seconds(settings.connect_seconds),
  firstToken: seconds(settings.first_token_seconds),
  betweenTokens: seconds(settings.between_tokens_seconds),
  total: seconds(settings.total_seconds),
  failover: seconds(settings.failover_seconds)
})

type TimeoutSettings = NonNullable<ProviderSettings["model_timeouts"]>[string]
