/**
 * The kinds of providers that a configuration may name. A new kind is a file
 * beside this one and a line in {@link kinds}.
 *
 * A kind's file, and with it the vendor's SDK, is loaded when the first
 * provider of that kind is made.
 */
import { Effect, type Redacted, type Scope } from "effect"
import type { Calls, Endpoint, Omitted } from "./Endpoint.js"
import * as KnownModels from "./KnownModels.js"
import * as Listing from "./Listing.js"
import { limited } from "./Permits.js"
import type { ModelSpec, Provider } from "./Provider.js"
import type { MaxTokensField, SystemRole } from "./RequestShape.js"
import * as Timeouts from "./Timeouts.js"

/** A provider as it is configured. */
export interface ProviderOptions {
  readonly name: string
  readonly apiKey: Redacted.Redacted | undefined
  /** Undefined means the vendor's own. */
  readonly baseUrl: string | undefined
  /** The only models it serves; undefined means every model it has. */
  readonly models: ReadonlyArray<ConfiguredModel> | undefined
  /** Without the provider's name. */
  readonly defaultModel: string | undefined
  /** Tokens that one answer may have. */
  readonly maxOutputTokens: number | undefined
  /** Fields that are never sent to it. */
  readonly omit?: ReadonlyArray<Omitted> | undefined
  /** The name of the limit of an answer's tokens; undefined means the usual one of the endpoint. */
  readonly maxTokensField?: MaxTokensField | undefined
  /** Undefined means `system`. */
  readonly systemRole?: SystemRole | undefined
  /** What is undefined has the values of `Timeouts.defaults`. */
  readonly timeouts: Timeouts.TimeoutOptions
  /** By the model's name at the provider; what is undefined is as in `timeouts`. */
  readonly modelTimeouts: ReadonlyMap<string, Timeouts.TimeoutOptions>
  /** Calls at the same time; further ones wait. Undefined means any number. */
  readonly maxConcurrent: number | undefined
  /** How often a call that failed before its first text may be made again; undefined means twice. */
  readonly maxRetries: number | undefined
}

export interface ConfiguredModel {
  readonly name: string
  readonly streams?: boolean | undefined
  /** Tokens. */
  readonly contextLength?: number | undefined
}

type Make = (options: ProviderOptions) => Effect.Effect<Provider, never, Scope.Scope>

const kinds = {
  openai: vendor(() => import("./OpenAi.js"), KnownModels.openai, "gpt-4o", Listing.openai),
  anthropic: vendor(() => import("./Anthropic.js"), KnownModels.anthropic, "claude-sonnet-5-5", Listing.anthropic),
  demo: (options) => Effect.map(Effect.promise(() => import("./Demo.js")), ({ make }) => make(options.name))
} satisfies Record<string, Make>

export type Kind = keyof typeof kinds

export const kindNames: ReadonlyArray<string> = Object.keys(kinds)

export const isKind = (name: string): name is Kind => Object.hasOwn(kinds, name)

/**
 * The provider of a kind that {@link kindNames} lists; another name is a defect, as the configuration was checked.
 * Its idle connections are closed with the scope.
 */
export const make = (kind: string, options: ProviderOptions): Effect.Effect<Provider, never, Scope.Scope> =>
  isKind(kind)
    ? kinds[kind](options)
    : Effect.dieMessage(`there is no kind of provider called '${kind}'`)

// -- internals ---------------------------------------------------------------

interface Vendor {
  /** The vendor's own endpoint. */
  readonly home: string
  readonly make: (endpoint: Endpoint) => Calls
}

function vendor(
  load: () => Promise<Vendor>,
  known: KnownModels.Known,
  favourite: string,
  listing: Listing.Protocol
): Make {
  return Effect.fnUntraced(function*(options: ProviderOptions) {
    const { home, make } = yield* Effect.promise(load)
    const { modelTimeouts, timeouts } = options
    const transport = yield* Effect.flatMap(Effect.promise(() => import("./Transport.js")), ({ make }) => make)
    const own = options.baseUrl === undefined || new URL(options.baseUrl).host === new URL(home).host
    // What another endpoint serves under the same name may be another thing, and has another price.
    const { find, models: usual } = own ? known : KnownModels.none
    const models = options.models?.map((model) => specOf(model, find(model.name))) ?? usual
    const calls = make({
      ...options,
      transport,
      timeouts: (model) => Timeouts.make(modelTimeouts.get(model) ?? {}, timeouts)
    })
    return {
      name: options.name,
      models,
      open: options.models === undefined,
      unlisted: find,
      maxRetries: options.maxRetries ?? 2,
      list: own || options.baseUrl === undefined || options.models !== undefined ? undefined : Listing.read({
        url: `${options.baseUrl.replace(/\/+$/, "")}${listing.path}`,
        headers: listing.headers(options.apiKey),
        transport
      }),
      reportsSent: true,
      defaultModel: options.defaultModel ?? (own && options.models === undefined ? favourite : models[0]?.name),
      failoverAfter: (model) => modelTimeouts.get(model)?.failover ?? timeouts.failover,
      ...options.maxConcurrent === undefined ? calls : limited(options.maxConcurrent, calls)
    }
  })
}

/** What the configuration says of a model, and what is known of it otherwise. */
const specOf = (model: ConfiguredModel, fact: ModelSpec | undefined): ModelSpec => ({
  name: model.name,
  streams: model.streams ?? fact?.streams ?? true,
  contextLength: model.contextLength ?? fact?.contextLength,
  price: fact?.price
})
