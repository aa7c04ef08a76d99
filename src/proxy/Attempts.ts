/**
 * The attempts of one call: each request to a provider is counted, whatever
 * becomes of it.
 *
 * What the provider reports is taken as it is. Where it reports nothing, or
 * not all, because the attempt was cut off, the rest is our estimate and is
 * marked as one. An attempt that the provider surely did no work for is free.
 */
import { Clock, Duration, Effect, Exit, type Scope } from "effect"
import { ProviderFailure } from "../domain/Errors.js"
import type { Refused } from "../limits/Limits.js"
import type { Attempted } from "../limits/Spending.js"
import type { Resolved } from "../models/Catalog.js"
import type { Provider, ProviderRequest, StreamingUnsupported } from "../models/Provider.js"
import * as Attempt from "./Attempt.js"

export interface Attempts {
  /** The provider of this model, every request to which is an attempt of this call. */
  readonly of: (target: Resolved) => Provider
  /** What was used so far, running attempts included. */
  readonly spent: () => ReadonlyArray<Attempted>
}

export interface Options {
  /** Lets the call try a model that it was not admitted for in the beginning, until the call ends. */
  readonly admit: (target: Resolved) => Effect.Effect<void, Refused>
  /** When the first attempt begins. */
  readonly onFirst: Effect.Effect<void>
}

export const make = ({ admit, onFirst }: Options): Attempts => {
  const attempts: Array<Attempt.Attempt> = []
  const admitted = new Set<string>()

  const begin = (target: Resolved, request: ProviderRequest): Effect.Effect<
    Attempt.Attempt,
    ProviderFailure,
    Scope.Scope
  > =>
    Effect.gen(function*() {
      if (attempts.length === 0) yield* onFirst
      else if (!admitted.has(target.fullName)) {
        yield* Effect.mapError(admit(target), (refused) => notNow(target, refused))
      }
      admitted.add(target.fullName)
      const attempt = Attempt.make(target, request, yield* now)
      attempts.push(attempt)
      yield* Effect.addFinalizer(() => Effect.flatMap(now, attempt.close))
      return attempt
    })

  const of = (target: Resolved): Provider => {
    const { provider } = target
    const complete: Provider["complete"] = (request) =>
      Effect.scoped(
        Effect.flatMap(begin(target, request), (attempt) =>
          Effect.onExit(provider.complete(attempt.request), (exit) =>
            Effect.map(now, (at) => {
              if (Exit.isFailure(exit)) {
                return attempt.failedWith(exit.cause, at)
              }
              attempt.text(exit.value.text.length)
              attempt.completed(exit.value.usage, at)
            })))
      )
    const stream: Provider["stream"] = (request) =>
      Effect.flatMap(begin(target, request), (attempt) => {
        const failed = (failure: ProviderFailure | StreamingUnsupported) =>
          Effect.map(now, (at) => attempt.failed(failure, at))
        return Effect.map(Effect.tapError(provider.stream(attempt.request), failed), (pieces) =>
          Effect.tapBoth(pieces, {
            onSuccess: (piece) => {
              if (piece._tag === "End") return Effect.map(now, (at) => attempt.completed(piece.usage, at))
              attempt.text(piece.text.length)
              return Effect.void
            },
            onFailure: failed
          }))
      })
    const { defaultModel, maxRetries, models, name, open } = provider
    return {
      name,
      models,
      open,
      defaultModel,
      maxRetries,
      failoverAfter: (model) => provider.failoverAfter?.(model),
      complete,
      stream
    }
  }

  return { of, spent: () => attempts.flatMap((attempt) => attempt.spent() ?? []) }
}

// -- internals ---------------------------------------------------------------

const now = Clock.currentTimeMillis

/** To the tiers, a model that its limit does not let pass is as one whose provider is limiting us. */
const notNow = ({ fullName, provider }: Resolved, refused: Refused) =>
  new ProviderFailure({
    provider: provider.name,
    reason: refused._tag === "LimitExceeded" ? "PROVIDER_RATE_LIMITED" : "PROVIDER_UNAVAILABLE",
    detail: `the limit of '${fullName}' on this server`,
    retryAfter: refused._tag === "LimitExceeded" ? Duration.max(refused.retryAfter, Duration.zero) : undefined,
    cause: refused
  })
