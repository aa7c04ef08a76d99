/**
 * How long one call took, phase by phase, for the metrics.
 */
import { Cause, type Clock, Exit, Option } from "effect"
import type { Metrics as AnswerMetrics } from "../domain/Answer.js"
import type { ProxyError } from "../domain/Errors.js"
import type { Resolved } from "../models/Catalog.js"
import * as Metrics from "../telemetry/Metrics.js"

export interface CallTimes {
  /** Takes the time that the call waited for a limit, in milliseconds, off our own. */
  readonly waited: (millis: number) => void
  /** The first request to a provider goes out. */
  readonly firstAttempt: () => void
  /** The first piece of a streamed answer came; again, of one that was begun anew. */
  readonly firstText: (by: Resolved) => void
  readonly ended: (metrics: AnswerMetrics, by: Resolved) => void
  /** `answered` says whether the caller got its whole answer. */
  readonly closed: (exit: Exit.Exit<unknown, unknown>, answered: boolean) => void
}

/** `asked` is the model that was asked for; `arrivedAt` in milliseconds since the epoch. */
export const make = (asked: Resolved, arrivedAt: number, clock: Clock.Clock): CallTimes => {
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
    firstAttempt: () => Metrics.overhead.unsafe([], Math.max(0, now(clock) - arrivedAt - waitedMs) / 1000),
    firstText: (by) => {
      const again = firstTextAt !== undefined
      firstTextAt = now(clock)
      if (!again) Metrics.firstToken.unsafe(labels(by), (firstTextAt - arrivedAt) / 1000)
    },
    ended: ({ outputTokens }, by_) => {
      by = by_
      if (firstTextAt === undefined || outputTokens < 2) return
      Metrics.perToken.unsafe(labels(by), (now(clock) - firstTextAt) / 1000 / (outputTokens - 1))
    },
    closed: (exit, answered) =>
      Metrics.duration.unsafe([...labels(by), answered ? "" : outcomeOf(exit)], (now(clock) - arrivedAt) / 1000)
  }
}

/** Milliseconds since the epoch, with fractions. */
export const now = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e6

// -- internals ---------------------------------------------------------------

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "CANCELLED"
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause))
  if (isProxyError(failure)) return failure.reason
  return Cause.isInterruptedOnly(exit.cause) ? "CANCELLED" : "INTERNAL"
}

const isProxyError = (failure: unknown): failure is ProxyError =>
  typeof failure === "object" && failure !== null && "reason" in failure && typeof failure.reason === "string"
