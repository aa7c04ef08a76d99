/**
 * How long one call took, phase by phase, for the metrics.
 */
import { Cause, Clock, Effect, Exit, Option } from "effect"
import type { Metrics as AnswerMetrics } from "../domain/Answer.js"
import type { ProxyError } from "../domain/Errors.js"
import type { Resolved } from "../models/Catalog.js"
import * as Metrics from "../telemetry/Metrics.js"

export interface CallTimes {
  /** Takes the time that the call waited for a limit, in milliseconds, off our own. */
  readonly waited: (millis: number) => void
  /** The first request to a provider goes out. */
  readonly firstAttempt: Effect.Effect<void>
  /** The first piece of a streamed answer came; again, of one that was begun anew. */
  readonly firstText: (by: Resolved) => Effect.Effect<void>
  readonly ended: (metrics: AnswerMetrics, by: Resolved) => Effect.Effect<void>
  /** `answered` says whether the caller got its whole answer. */
  readonly closed: (exit: Exit.Exit<unknown, unknown>, answered: boolean) => Effect.Effect<void>
}

/** `asked` is the model that was asked for; `arrivedAt` in milliseconds since the epoch. */
export const make = (asked: Resolved, arrivedAt: number): CallTimes => {
  let waitedMs = 0
  let firstTextAt: number | undefined
  let by = asked
  const labels = ({ fullName, provider }: Resolved): [operation: "chat", provider: string, model: string] => [
    "chat",
    provider.name,
    Metrics.models.of(fullName)
  ]
  return {
    waited: (millis) => {
      waitedMs += millis
    },
    firstAttempt: Effect.flatMap(now, (at) => Metrics.overhead([], Math.max(0, at - arrivedAt - waitedMs) / 1000)),
    firstText: (by) =>
      Effect.flatMap(now, (at) => {
        const again = firstTextAt !== undefined
        firstTextAt = at
        return again ? Effect.void : Metrics.firstToken(labels(by), (at - arrivedAt) / 1000)
      }),
    ended: ({ outputTokens }, by_) =>
      Effect.flatMap(now, (at) => {
        by = by_
        return firstTextAt === undefined || outputTokens < 2
          ? Effect.void
          : Metrics.perToken(labels(by), (at - firstTextAt) / 1000 / (outputTokens - 1))
      }),
    closed: (exit, answered) =>
      Effect.flatMap(
        now,
        (at) => Metrics.duration([...labels(by), answered ? "" : outcomeOf(exit)], (at - arrivedAt) / 1000)
      )
  }
}

/** Milliseconds since the epoch, with fractions. */
export const now: Effect.Effect<number> = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos) / 1e6)

// -- internals ---------------------------------------------------------------

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "CANCELLED"
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (isProxyError(failure)) return failure.reason
  return Cause.isInterruptedOnly(exit.cause) ? "CANCELLED" : "INTERNAL"
}

const isProxyError = (failure: unknown): failure is ProxyError =>
  typeof failure === "object" && failure !== null && "reason" in failure && typeof failure.reason === "string"
