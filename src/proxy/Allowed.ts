/**
 * The models of the catalog as one caller may see and call them.
 */
import { type Effect, Exit } from "effect"
import { allows } from "../domain/Access.js"
import type { Caller } from "../domain/Answer.js"
import { type InvalidRequest, ModelNotAllowed, ModelNotFound } from "../domain/Errors.js"
import type { ServerInfo } from "../domain/ServerInfo.js"
import { matchEffectEager } from "../effect/Eager.js"
import type { Catalog, Resolved } from "../models/Catalog.js"

export interface Allowed {
  /** Undefined and `""` are the default model. */
  readonly resolve: (
    name: string | undefined,
    caller: Caller
  ) => Effect.Effect<Resolved, ModelNotAllowed | ModelNotFound | InvalidRequest>
  readonly fallbacks: (fullName: string, caller: Caller) => ReadonlyArray<Resolved>
  /** What to say of a model that its provider turned out not to know. */
  readonly unknown: (target: Resolved, caller: Caller) => ModelNotFound
  readonly listing: (caller: Caller) => Pick<ServerInfo, "models" | "aliases" | "defaultModel">
}

export const make = (catalog: Catalog["Type"]): Allowed => {
  let known = namesOf(catalog)
  /** Made again when an endpoint has listed its models. */
  const names = () => known.models === catalog.models ? known : known = namesOf(catalog)

  const may = (fullName: string, { access }: Caller): boolean =>
    access.models.length === 0 || allows(access, [fullName, ...names().byTarget.get(fullName) ?? []])
  const mayNamed = (name: string, caller: Caller) => may(names().targets.get(name) ?? name, caller)

  /** Names that the caller may not call are no help to it, and none of its business. */
  const forCaller = ({ available, because, closest, requested }: ModelNotFound, caller: Caller) =>
    new ModelNotFound({
      requested,
      because,
      available: available.filter((name) => mayNamed(name, caller)),
      closest: closest.filter((name) => mayNamed(name, caller))
    })

  return {
    resolve: (name, caller) =>
      matchEffectEager(catalog.resolve(name), {
        onSuccess: (found): Effect.Effect<Resolved, ModelNotAllowed> =>
          may(found.fullName, caller)
            ? Exit.succeed(found)
            : Exit.fail(new ModelNotAllowed({ model: found.fullName, subject: caller.subject })),
        onFailure: (failure): Effect.Effect<never, ModelNotFound | InvalidRequest> =>
          failure._tag === "ModelNotFound" ? forCaller(failure, caller) : failure
      }),
    fallbacks: (fullName, caller) => catalog.fallbacks(fullName).filter((other) => may(other.fullName, caller)),
    unknown: (target, caller) => forCaller(catalog.unknown(target), caller),
    listing: (caller) => {
      if (caller.access.models.length === 0) {
        const { aliases, defaultModel, models } = catalog
        return { aliases, defaultModel, models }
      }
      return {
        models: catalog.models.filter(({ id }) => may(id, caller)),
        aliases: new Map([...catalog.aliases].filter(([, target]) => may(target, caller))),
        defaultModel: may(catalog.defaultModel, caller) ? catalog.defaultModel : ""
      }
    }
  }
}

// -- internals ---------------------------------------------------------------

/** What other names lead where, and by which other names each model may be called. */
const namesOf = ({ aliases, models }: Catalog["Type"]) => {
  const targets = new Map([
    ...models.flatMap(({ aliases, id }) => aliases.map((alias) => [alias, id] as const)),
    ...aliases
  ])
  const byTarget = new Map<string, Array<string>>()
  for (const [alias, target] of targets) byTarget.set(target, [...byTarget.get(target) ?? [], alias])
  return { models, targets, byTarget }
}
