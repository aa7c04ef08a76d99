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
import * as GenAi from "../telemetry/GenAi.js"
import * as Traceparent from "../telemetry/Traceparent.js"
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
  /** Whether the spans of attempts have the text of prompts and answers. */
  readonly captures: boolean
}

export const make = ({ admit, captures, onFirst }: Options): Attempts => {
  const attempts: Array<Attempt.Attempt> = []
  const admitted = new Set<string>()

  const begin = (target: Resolved, request: ProviderRequest, streamed: boolean): Effect.Effect<
    Begun,
    ProviderFailure,
    Scope.Scope
  > =>
    Effect.gen(function*() {
      if (attempts.length === 0) yield* onFirst
      else if (!admitted.has(target.fullName)) {
        yield* Effect.mapError(admit(target), (refused) => notNow(target, refused))
      }
      admitted.add(target.fullName)
      const span = yield* GenAi.attemptSpan(`chat ${target.model}`, {
        [GenAi.operation]: "chat",
        [GenAi.provider]: target.provider.name,
        [GenAi.requestModel]: target.model,
        [GenAi.requestStream]: streamed,
        ...captures && GenAi.input(request)
      })
      const trace = yield* Traceparent.of(span)
      const attempt = Attempt.make(target, trace === undefined ? request : { ...request, trace }, yield* now)
      attempts.push(attempt)
      yield* Effect.addFinalizer(() => {
        GenAi.annotate(span, attributesOf(attempt))
        return Effect.flatMap(now, attempt.close)
      })
      return { attempt, tell: captures ? (text: string) => GenAi.annotate(span, GenAi.output(text)) : undefined }
    })

  const of = (target: Resolved): Provider => {
    const { provider } = target
    const complete: Provider["complete"] = (request) =>
      Effect.scoped(
        Effect.flatMap(begin(target, request, false), ({ attempt, tell }) =>
          Effect.onExit(provider.complete(attempt.request), (exit) =>
            Effect.map(now, (at) => {
              if (Exit.isFailure(exit)) {
                return attempt.failedWith(exit.cause, at)
              }
              tell?.(exit.value.text)
              attempt.text(exit.value.text.length)
              attempt.completed(exit.value.usage, at)
            })))
      )
    const stream: Provider["stream"] = (request) =>
      Effect.flatMap(begin(target, request, true), ({ attempt, tell }) => {
        let text = ""
        const failed = (failure: ProviderFailure | StreamingUnsupported) =>
          Effect.map(now, (at) => attempt.failed(failure, at))
        return Effect.map(
          Effect.tapError(provider.stream(attempt.request), failed),
          (pieces) =>
            Effect.tapBoth(pieces, {
              onSuccess: (piece) => {
                if (piece._tag === "End") {
                  tell?.(text)
                  return Effect.map(now, (at) => attempt.completed(piece.usage, at))
                }
                if (tell !== undefined) text += piece.text
                attempt.text(piece.text.length)
                return Effect.void
              },
              onFailure: failed
            })
        )
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

interface Begun {
  readonly attempt: Attempt.Attempt
  /** Told the whole text of the answer; only where it is asked for. */
  readonly tell: ((text: string) => void) | undefined
}

const attributesOf = (attempt: Attempt.Attempt): GenAi.Attributes => {
  const error = attempt.error() ?? "CANCELLED"
  const { usage } = attempt.spent() ?? {}
  return {
    ...error !== "" && { [GenAi.errorType]: error },
    ...usage !== undefined && {
      [GenAi.inputTokens]: usage.inputTokens,
      [GenAi.outputTokens]: usage.outputTokens,
      ...usage.cachedInputTokens !== undefined && { [GenAi.cacheReadTokens]: usage.cachedInputTokens },
      ...usage.cacheWriteTokens !== undefined && { [GenAi.cacheCreationTokens]: usage.cacheWriteTokens },
      ...usage.reasoningTokens !== undefined && { [GenAi.reasoningTokens]: usage.reasoningTokens }
    }
  }
}

/** To the tiers, a model that its limit does not let pass is as one whose provider is limiting us. */
const notNow = ({ fullName, provider }: Resolved, refused: Refused) =>
  new ProviderFailure({
    provider: provider.name,
    reason: refused._tag === "LimitExceeded" ? "PROVIDER_RATE_LIMITED" : "PROVIDER_UNAVAILABLE",
    detail: `the limit of '${fullName}' on this server`,
    retryAfter: refused._tag === "LimitExceeded" ? Duration.max(refused.retryAfter, Duration.zero) : undefined,
    cause: refused
  })
