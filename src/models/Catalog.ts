/**
 * The models this process can reach, and every name they answer to.
 *
 * A name is an alias, `provider/model`, or a model's bare name that exactly one
 * provider lists; an alias wins over the others. No name is the default model.
 */
import { Context, Data, Deferred, Effect, Layer, type Scope } from "effect"
import { InvalidRequest, ModelNotFound } from "../domain/Errors.js"
import type { ModelInfo, Price } from "../domain/ModelInfo.js"
import { nearest } from "../domain/Nearest.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Listing from "./Listing.js"
import type { ModelSpec, Provider } from "./Provider.js"

/** Where a name leads. */
export interface Resolved {
  readonly provider: Provider
  /** The model's name at the provider. */
  readonly model: string
  /** `provider/model`. */
  readonly fullName: string
  /** What is known of the model; undefined for most that the provider takes but does not list. */
  readonly spec: ModelSpec | undefined
  /** Undefined where nobody knows it. */
  readonly price: Price | undefined
}

export class Catalog extends Context.Tag("vibectl/models/Catalog")<Catalog, {
  /** Undefined and `""` are the default model. */
  readonly resolve: (name: string | undefined) => Effect.Effect<Resolved, ModelNotFound | InvalidRequest>
  /** What to say of a model that its provider turned out not to know. */
  readonly unknown: (target: Resolved) => ModelNotFound
  /** The models to try, in this order, when the provider of a `provider/model` fails. */
  readonly fallbacks: (fullName: string) => ReadonlyArray<Resolved>
  /** Over once every endpoint that lists its own models has been asked for them, which is bounded. */
  readonly listed: Effect.Effect<void>
  /** What can be called now and is worth naming; the default model among them. */
  readonly models: ReadonlyArray<ModelInfo>
  /** Alias to `provider/model`, also for aliases whose provider is not configured. */
  readonly aliases: ReadonlyMap<string, string>
  /** `provider/model`; `""` when there is none. */
  readonly defaultModel: string
}>() {
  static readonly layer = (options: Options) => Layer.effect(this, make(options))
}

export interface Options {
  readonly providers: ReadonlyArray<Provider>
  /** Alias to `provider/model`. */
  readonly aliases: ReadonlyMap<string, string>
  /** Any name that resolves; undefined means the first provider's own default. */
  readonly defaultModel: string | undefined
  /** Any name that resolves to the names to try in its place. */
  readonly fallbacks?: ReadonlyMap<string, ReadonlyArray<string>>
  /** What a `provider/model` costs; what is known of the model itself when it is not given. */
  readonly prices?: (fullName: string, spec: ModelSpec | undefined) => Price | undefined
}

/** The models do not fit together; a server must not start with them. */
export class CatalogInvalid extends Data.TaggedError("CatalogInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/**
 * The same, which asks the endpoints that list their own models for them, in the background: until each has answered,
 * every half a minute. Who names no model waits for the first answers where there is no other default model.
 */
export const following = (
  options: Options
): Effect.Effect<Catalog["Type"], CatalogInvalid, Scope.Scope> =>
  Effect.gen(function*() {
    let providers = options.providers
    let current = yield* make(options)
    if (!providers.some(({ list }) => list !== undefined)) return current
    const asked = yield* Deferred.make<void>()

    const found = (name: string, models: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        const next = providers.map((provider) =>
          provider.name !== name ? provider : {
            ...provider,
            models: models.map((model) => provider.unlisted?.(model) ?? unknown(model)),
            defaultModel: provider.defaultModel ?? Listing.favourite(models)
          }
        )
        current = yield* make({ ...options, providers: next })
        providers = next
        for (const { id } of current.models) Metrics.models.add(id)
        const text = `the endpoint of ${name} lists ${models.length} models; any name after ${name}/ is passed on`
        yield* Effect.annotateLogs(Effect.logInfo(text), {
          provider: name,
          defaultModel: current.defaultModel || "none"
        })
      }).pipe(
        Effect.catchTag("CatalogInvalid", ({ message }) =>
          Effect.annotateLogs(Effect.logWarning(`the models that an endpoint lists are not used: ${message}`), {
            provider: name
          }))
      )
    const ask = ({ list = Effect.succeed([]), name }: Provider, isFirst: boolean) =>
      Effect.matchEffect(list, {
        onSuccess: (models) => Effect.as(found(name, models), true),
        onFailure: ({ problem }) =>
          (isFirst
            ? Effect.annotateLogs(
              Effect.logWarning(
                `the endpoint of ${name} lists no models (${problem}); any name after ${name}/ is passed on`
              ),
              { provider: name }
            )
            : Effect.void).pipe(Effect.as(false))
      })
    const waiting = providers.filter(({ list }) => list !== undefined)
    yield* Effect.forkScoped(Effect.gen(function*() {
      const answered = yield* Effect.forEach(waiting, (provider) => ask(provider, true), { concurrency: "unbounded" })
      yield* Deferred.succeed(asked, undefined)
      const silent = waiting.filter((_, index) => answered[index] !== true)
      yield* Effect.forEach(
        silent,
        (provider) => Effect.repeat(Effect.delay(ask(provider, false), "30 seconds"), { until: (done) => done }),
        { concurrency: "unbounded", discard: true }
      )
    }))
    const listed = Deferred.await(asked)
    return {
      resolve: (name) =>
        (name === undefined || name === "") && current.defaultModel === ""
          ? Effect.zipRight(listed, Effect.suspend(() => current.resolve(name)))
          : current.resolve(name),
      unknown: (target) => current.unknown(target),
      fallbacks: (fullName) => current.fallbacks(fullName),
      listed,
      get models() {
        return current.models
      },
      aliases: current.aliases,
      get defaultModel() {
        return current.defaultModel
      }
    }
  })

export const make = (options: Options): Effect.Effect<Catalog["Type"], CatalogInvalid> =>
  Effect.gen(function*() {
    const { aliases, providers } = options
    yield* check(options)
    const byName = new Map(providers.map((provider) => [provider.name, provider]))
    const bare = bareNames(providers)
    const listed = providers.flatMap((provider) => provider.models.map((spec) => ({ provider, spec })))
    const names = listed.map(({ provider, spec }) => `${provider.name}/${spec.name}`)

    const full = (name: string): Resolved | undefined => {
      const slash = name.indexOf("/")
      const provider = byName.get(name.slice(0, slash))
      const model = name.slice(slash + 1)
      if (slash < 0 || provider === undefined || model === "") return undefined
      const listed = provider.models.find((candidate) => candidate.name === model)
      if (listed === undefined && !provider.open) return undefined
      const spec = listed ?? provider.unlisted?.(model)
      const price = options.prices === undefined ? spec?.price : options.prices(name, spec)
      return { provider, model, fullName: name, spec, price }
    }

    const find = (name: string): Resolved | undefined => {
      const target = aliases.get(name)
      if (target !== undefined) return full(target)
      const owners = bare.get(name) ?? []
      return full(name) ?? (owners.length === 1 ? full(`${owners[0]}/${name}`) : undefined)
    }

    /** What nobody lists may be any name, and there may be any number of them. */
    const known = new Map<string, Resolved>()
    const remember = (name: string): Resolved | undefined => {
      const before = known.get(name)
      if (before !== undefined) return before
      const found = find(name)
      if (found !== undefined && known.size < mostKnown) known.set(name, found)
      return found
    }

    const unknownThere = ({ fullName, provider }: Resolved) => {
      const isOther = (name: string) => find(name)?.fullName !== fullName
      return new ModelNotFound({
        requested: fullName,
        available: callable().filter(isOther),
        closest: nearest(
          fullName,
          [...aliases.keys(), ...names].filter((name) => find(name) !== undefined && isOther(name))
        ),
        because: `the provider '${provider.name}' does not know it`
      })
    }

    const missing = (name: string) =>
      new ModelNotFound({
        requested: name,
        available: callable(),
        closest: nearest(
          name,
          [...aliases.keys(), ...bare.keys(), ...names].filter((other) => find(other) !== undefined)
        ),
        because: reason(name, aliases, byName, bare.get(name) ?? [])
      })

    /** What a caller may name: the default model, what is listed, and the aliases that lead somewhere. */
    const callable = () => [
      ...new Set([
        ...standard === undefined ? [] : [standard.fullName],
        ...names,
        ...[...aliases.keys()].filter((alias) => find(alias) !== undefined)
      ])
    ]
    const fallback = options.defaultModel ?? ownDefault(providers)
    const standard: Resolved | undefined = fallback === undefined ? undefined : find(fallback)
    if (fallback !== undefined && standard === undefined) {
      return yield* new CatalogInvalid({
        summary: `The default model cannot be used: ${missing(fallback).summary}`,
        remedy: `${missing(fallback).remedy} Set server.default_model (--model) to one of them.`
      })
    }

    const fallbacks = new Map<string, ReadonlyArray<Resolved>>()
    for (const [name, others] of options.fallbacks ?? []) {
      const [first, ...rest] = [name, ...others].map((name) => find(name) ?? name)
      const bad = [first, ...rest].find((found) => typeof found === "string")
      if (typeof bad === "string" || first === undefined || typeof first === "string") {
        return yield* new CatalogInvalid({
          summary: `The fallbacks of '${name}' cannot be used: ${missing(String(bad)).summary}`,
          remedy: `${missing(String(bad)).remedy} Correct fallbacks.`
        })
      }
      fallbacks.set(first.fullName, rest.filter((found) => typeof found !== "string"))
    }

    const advertised = standard === undefined || names.includes(standard.fullName)
      ? listed
      : [{ provider: standard.provider, spec: standard.spec ?? unknown(standard.model) }, ...listed]
    const models = advertised.map(({ provider, spec }): ModelInfo => {
      const id = `${provider.name}/${spec.name}`
      const own = [...aliases].filter(([, target]) => target === id).map(([alias]) => alias)
      const unique = find(spec.name)?.fullName === id && !own.includes(spec.name)
      return {
        id,
        displayName: spec.name,
        provider: provider.name,
        streams: spec.streams,
        contextLength: spec.contextLength,
        aliases: unique ? [...own, spec.name] : own
      }
    })

    return {
      resolve: (name) => {
        if (name === undefined || name === "") return standard === undefined ? noModel : Effect.succeed(standard)
        const found = remember(name)
        return found === undefined ? missing(name) : Effect.succeed(found)
      },
      unknown: unknownThere,
      fallbacks: (fullName) => fallbacks.get(fullName) ?? [],
      listed: Effect.void,
      models,
      aliases,
      defaultModel: standard?.fullName ?? ""
    }
  })

// -- internals ---------------------------------------------------------------

/** Names whose model is found but once. */
const mostKnown = 1000

const check = ({ aliases, providers }: Options): Effect.Effect<void, CatalogInvalid> => {
  const names = providers.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    return new CatalogInvalid({
      summary: `Two providers are called '${twice}'.`,
      remedy: "Give each provider a name of its own."
    })
  }
  const [alias, target] = [...aliases].find(([, target]) => !/^[^/]+\/./.test(target)) ?? []
  return alias === undefined ? Effect.void : new CatalogInvalid({
    summary: `The alias '${alias}' leads to '${target}', which is not of the form provider/model.`,
    remedy: "Write the provider's name and a slash before the model, e.g. openai/gpt-4o."
  })
}

/** Model names without a provider, and who lists them. */
const bareNames = (providers: ReadonlyArray<Provider>): ReadonlyMap<string, ReadonlyArray<string>> => {
  const owners = new Map<string, Array<string>>()
  for (const provider of providers) {
    for (const { name } of provider.models) owners.set(name, [...owners.get(name) ?? [], provider.name])
  }
  return owners
}

const ownDefault = (providers: ReadonlyArray<Provider>): string | undefined => {
  const first = providers.find(({ defaultModel }) => defaultModel !== undefined)
  return first && `${first.name}/${first.defaultModel}`
}

/** A model that a provider takes without listing it: assumed to stream until it says otherwise. */
const unknown = (name: string): ModelSpec => ({ name, streams: true, contextLength: undefined, price: undefined })

const noModel = new InvalidRequest({
  reason: "NO_MODEL",
  field: "model_name",
  summary: "The request names no model, and this server has no default model.",
  remedy: "Name a model, or ask the operator to set server.default_model."
})

const reason = (
  name: string,
  aliases: ReadonlyMap<string, string>,
  providers: ReadonlyMap<string, Provider>,
  owners: ReadonlyArray<string>
): string | undefined => {
  const target = aliases.get(name) ?? name
  const provider = target.includes("/") ? target.slice(0, target.indexOf("/")) : undefined
  const alias = target === name ? "" : `it is an alias of ${target}, and `
  if (owners.length > 1 && target === name) {
    return `several providers have it: ${owners.map((owner) => `${owner}/${name}`).join(", ")}`
  }
  if (provider === undefined) return undefined
  return providers.has(provider)
    ? `${alias}the provider '${provider}' does not serve it`
    : alias === "" && owners.length === 0
    ? `no provider is called '${provider}'`
    : `${alias}no provider '${provider}' is configured`
}
