/**
 * What all calls of a run took together.
 */
import type { FinishReason, Metrics } from "../domain/Answer.js"

export interface Totals {
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Whether some of the counts are the server's estimates. */
  readonly estimated: boolean
  /** US dollars; undefined when the price of a call is not known. */
  readonly costUsd: number | undefined
  /** Milliseconds from the request to the first piece of the first answer. */
  readonly firstTokenMs: number | undefined
  /** Milliseconds of all calls together. */
  readonly durationMs: number
  /** Of the last call; `provider/model`. */
  readonly model: string | undefined
  /** Of the last call: why its answer ended; undefined where the server did not say. */
  readonly finishReason: FinishReason | undefined
}

export const none: Totals = {
  calls: 0,
  inputTokens: 0,
  outputTokens: 0,
  estimated: false,
  costUsd: 0,
  firstTokenMs: undefined,
  durationMs: 0,
  model: undefined,
  finishReason: undefined
}

export interface Call {
  /** Undefined when the server sent none. */
  readonly metrics: Metrics | undefined
  readonly model: string | undefined
  readonly finishReason: FinishReason | undefined
  readonly firstTokenMs: number | undefined
  readonly durationMs: number
}

export const plus = (totals: Totals, { durationMs, finishReason, firstTokenMs, metrics, model }: Call): Totals => ({
  calls: totals.calls + 1,
  inputTokens: totals.inputTokens + (metrics?.inputTokens ?? 0),
  outputTokens: totals.outputTokens + (metrics?.outputTokens ?? 0),
  estimated: totals.estimated || metrics?.estimated === true,
  // A sum without one of its parts would be too small to be true.
  costUsd: totals.costUsd === undefined || metrics?.costUsd === undefined
    ? undefined
    : totals.costUsd + metrics.costUsd,
  firstTokenMs: totals.calls === 0 ? firstTokenMs : totals.firstTokenMs,
  durationMs: totals.durationMs + durationMs,
  model: model ?? totals.model,
  finishReason
})
