/**
 * The attempts of one call: each request to a provider is counted, whatever
 * becomes of it.
 *
 * What the provider reports is taken where it can be true. Where it cannot, or
 * nothing is reported, or not all because the attempt was cut off, the rest is
 * our estimate and is marked as one. An attempt that the provider surely did no work for is free,
 * and so is one of which no byte has left this machine.
 */
import { Duration, Effect, Exit, Scope } from "effect"
import type { Call } from "../call/Call.js"
import type { FinishReason } from "../domain/Answer.js"
import { ProviderFailure } from "../domain/Errors.js"
import { flatMapEager, mapBothEager } from "../effect/Eager.js"
import type { Refused } from "../limits/Limits.js"
import type { Attempted } from "../limits/Spending.js"
import type { Resolved } from "../models/Catalog.js"
import type { Piece, Provider, ProviderRequest, StreamingUnsupported } from "../models/Provider.js"
import * as GenAi from "../telemetry/GenAi.js"
import * as Traceparent from "../telemetry/Traceparent.js"
import * as Attempt from "./Attempt.js"
import * as AttemptLog from "./AttemptLog.js"

export interface Attempts {
  /** The provider of this model, every request to which is an attempt of this call. */
  readonly of: (target: Resolved) => Provider
  /** What was used so far, running attempts included. */
  readonly spent: () => ReadonlyArray<Attempted>
  /** What the last of them used: of a call that is answered, the one that answered. */
  readonly last: () => Attempted | undefined
  /** Nothing more comes of any of them. */
  readonly close: () => void
}

export interface Options {
  readonly call: Call
  /** Lets the call try a model that it was not admitted for in the beginning, until the call ends. */
  readonly admit: (target: Resolved) => Effect.Effect<void, Refused>
  /** When the first attempt begins. */
  readonly onFirst: () => void
  /** Our estimate of the tokens of the prompt. */
  readonly inputTokens: number
  /** Whether the spans of attempts have the text of prompts and answers. */
  readonly captures: boolean
}

export const make = ({ admit, call, captures, inputTokens, onFirst }: Options): Attempts => {
  const attempts: Array<Attempt.Attempt> = []
  const admitted = new Set<string>()
  const now = () => call.now()

  const letIn = (target: Resolved): Effect.Effect<void, ProviderFailure> => {
    // The one before was given up, if it has not ended.
    attempts.at(-1)?.close(now())
    const first = attempts.length === 0
    if (first) onFirst()
    if (first || admitted.has(target.fullName)) {
      admitted.add(target.fullName)
      return Exit.void
    }
    return mapBothEager(admit(target), {
      onSuccess: () => void admitted.add(target.fullName),
      onFailure: (refused) => notNow(target, refused)
    })
  }
  const add = (
    target: Resolved,
    request: ProviderRequest,
    streamed: boolean,
    trace: Traceparent.Trace | undefined,
    write: AttemptLog.Write | undefined
  ): Attempt.Attempt => {
    const traced = trace === undefined ? request : Object.assign({}, request, { trace })
    const startedAt = now()
    const made = Attempt.make(target, traced, inputTokens, startedAt)
    const attempt = write === undefined ? made : AttemptLog.observed(made, {
      number: attempts.length + 1,
      model: target.fullName,
      streamed,
      startedAt,
      now
    }, write)
    attempts.push(attempt)
    return attempt
  }

  const { isDebugging, isTracing, span } = call.face
  const begin = (
    target: Resolved,
    request: ProviderRequest,
    streamed: boolean
  ): Effect.Effect<Begun, ProviderFailure> =>
    flatMapEager(letIn(target), (): Effect.Effect<Begun> => {
      if (isTracing) return beginSpan(target, request, streamed)
      const trace = span && Traceparent.format(span, false)
      const begun = (write: AttemptLog.Write | undefined): Begun => ({
        attempt: add(target, request, streamed, trace, write),
        finished: undefined,
        tell: undefined,
        end: undefined
      })
      return isDebugging ? Effect.map(AttemptLog.writer, begun) : Exit.succeed(begun(undefined))
    })

  const beginSpan = (target: Resolved, request: ProviderRequest, streamed: boolean): Effect.Effect<Begun> =>
    Effect.gen(function*() {
      const scope = yield* call.scope
      const span = yield* Scope.extend(
        GenAi.attemptSpan(`chat ${target.model}`, {
          [GenAi.operation]: "chat",
          [GenAi.provider]: target.provider.name,
          [GenAi.requestModel]: target.model,
          [GenAi.requestStream]: streamed,
          ...captures && GenAi.input(request)
        }),
        scope
      )
      const attempt = add(target, request, streamed, Traceparent.format(span, true), yield* AttemptLog.writer)
      const close = Effect.sync(() => {
        GenAi.annotate(span, attributesOf(attempt))
        attempt.close(now())
      })
      yield* Scope.addFinalizer(scope, close)
      return {
        attempt,
        finished: (reason) => GenAi.annotate(span, { [GenAi.finishReasons]: [reason ?? "unknown"] }),
        tell: captures ? (text: string) => GenAi.annotate(span, GenAi.output(text)) : undefined,
        end: (exit) => Scope.close(scope, exit)
      }
    })

  const of = (target: Resolved): Provider => {
    const { provider } = target
    const complete: Provider["complete"] = (request) =>
      flatMapEager(begin(target, request, false), ({ attempt, end, finished, tell }) => {
        const completed = mapBothEager(provider.complete(attempt.request), {
          onSuccess: (completion) => {
            tell?.(completion.text)
            attempt.text(completion.text)
            attempt.completed(completion.usage, now())
            finished?.(completion.finishReason)
            return completion
          },
          onFailure: (failure) => {
            attempt.failed(failure, now())
            return failure
          }
        })
        return end === undefined ? completed : Effect.onExit(completed, end)
      })
    const stream: Provider["stream"] = (request) =>
      flatMapEager(begin(target, request, true), ({ attempt, end, finished, tell }) => {
        let text = ""
        const failed = <Failure extends ProviderFailure | StreamingUnsupported>(failure: Failure) => {
          attempt.failed(failure, now())
          return failure
        }
        const taken = (piece: Piece) => {
          if (piece._tag === "End") {
            tell?.(text)
            attempt.completed(piece.usage, now())
            finished?.(piece.finishReason)
          } else {
            if (tell !== undefined) text += piece.text
            attempt.text(piece.text)
          }
          return piece
        }
        const opened = mapBothEager(provider.stream(attempt.request), {
          onSuccess: (pieces) => Effect.mapBoth(pieces, { onSuccess: taken, onFailure: failed }),
          onFailure: failed
        })
        return end === undefined ? opened : Effect.zipRight(Effect.addFinalizer(end), opened)
      })
    const { defaultModel, maxRetries, models, name, open, reportsSent = false } = provider
    return {
      name,
      models,
      open,
      defaultModel,
      maxRetries,
      reportsSent,
      failoverAfter: (model) => provider.failoverAfter?.(model),
      complete,
      stream
    }
  }

  return {
    of,
    spent: () => attempts.flatMap((attempt) => attempt.spent() ?? []),
    last: () => attempts.at(-1)?.spent(),
    close: () => attempts.at(-1)?.close(now())
  }
}

// -- internals ---------------------------------------------------------------

interface Begun {
  readonly attempt: Attempt.Attempt
  /** Takes why the answer ended; only where the attempt has a span. */
  readonly finished: ((reason: FinishReason | undefined) => void) | undefined
  /** Told the whole text of the answer; only where it is asked for. */
  readonly tell: ((text: string) => void) | undefined
  /** Ends the span of the attempt; only where it has one. */
  readonly end: ((exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>) | undefined
}

const attributesOf = (attempt: Attempt.Attempt): GenAi.Attributes => {
  const error = attempt.error() ?? "CANCELLED"
  const { usage } = attempt.spent() ?? {}
  const counts = usage && {
    [GenAi.inputTokens]: usage.inputTokens,
    [GenAi.outputTokens]: usage.outputTokens,
    ...usage.cachedInputTokens !== undefined && { [GenAi.cacheReadTokens]: usage.cachedInputTokens },
    ...usage.cacheWriteTokens !== undefined && { [GenAi.cacheCreationTokens]: usage.cacheWriteTokens },
    ...usage.reasoningTokens !== undefined && { [GenAi.reasoningTokens]: usage.reasoningTokens }
  }
  return Object.assign({}, error === "" ? undefined : { [GenAi.errorType]: error }, counts)
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
