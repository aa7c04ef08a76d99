/**
 * One request to a provider, and what it used.
 */
import type { Usage } from "../domain/Answer.js"
import * as Cost from "../domain/Cost.js"
import type { ProviderFailure } from "../domain/Errors.js"
import type { Attempted } from "../limits/Spending.js"
import type { Resolved } from "../models/Catalog.js"
import type { ProviderRequest, StreamingUnsupported } from "../models/Provider.js"
import * as Estimate from "../streaming/Estimate.js"
import * as Metrics from "../telemetry/Metrics.js"

export interface Attempt {
  /** As it goes to the provider. */
  readonly request: ProviderRequest
  /** Some of the text came: `characters` in UTF-16 code units. */
  readonly text: (characters: number) => void
  /** The whole answer came; `usage` is undefined when the provider did not report it. */
  readonly completed: (usage: Usage | undefined, at: number) => void
  readonly failed: (failure: ProviderFailure | StreamingUnsupported, at: number) => void
  /** Why it failed; empty when it did not, undefined while nobody knows. */
  readonly error: () => string | undefined
  /** Undefined when the provider surely did nothing. */
  readonly spent: () => Attempted | undefined
  /** Nothing more comes of it: counts it, once. */
  readonly close: (at: number) => void
}

/** Moments in milliseconds since the epoch. */
export const make = ({ fullName, price, provider }: Resolved, request: ProviderRequest, startedAt: number): Attempt => {
  /** Whether a byte of it may have left this machine; nothing is charged before. */
  let sent = provider.reportsSent !== true
  let characters = 0
  /** What the provider has said so far; of a stream, it may not be all. */
  let reported: Usage | undefined
  let usage: Usage | undefined
  let endedAt: number | undefined
  let free = false
  let closed = false
  /** Empty for one that succeeded. */
  let error: string | undefined

  const estimate = (): Usage =>
    Object.assign({}, reported, {
      inputTokens: reported?.inputTokens ?? Estimate.tokens(request.system.length + request.user.length),
      outputTokens: Math.max(reported?.outputTokens ?? 0, Estimate.tokens(characters))
    })
  const spent = (): Attempted | undefined => {
    if (free || !sent) return undefined
    const counted = usage ?? estimate()
    return {
      model: fullName,
      usage: counted,
      estimated: usage === undefined,
      cost: price && Cost.ofUsage(price, counted)
    }
  }
  const failed = (failure: ProviderFailure | StreamingUnsupported, at: number) => {
    endedAt = at
    if (failure._tag === "StreamingUnsupported") {
      error = failure.answer === undefined ? "STREAMING_UNSUPPORTED" : ""
      if (failure.answer === undefined) free = true
      else completed(failure.answer.usage, at, failure.answer.text.length)
      return
    }
    error = failure.reason
    free = characters === 0 && reported === undefined && failure.maybeBilled !== true
  }
  const completed = (counted: Usage | undefined, at: number, length = characters) => {
    characters = length
    usage = counted
    endedAt = at
    error = ""
  }

  return {
    request: Object.assign({}, request, {
      onUsage: (counts: Usage) => {
        sent = true
        reported = counts
        request.onUsage?.(counts)
      },
      onSent: () => {
        sent = true
        request.onSent?.()
      }
    }),
    text: (length) => {
      characters += length
    },
    completed,
    failed,
    error: () => error,
    spent,
    close: (at) => {
      if (closed) return
      closed = true
      const model = Metrics.models.of(fullName)
      const { name } = provider
      const result = spent()
      const seconds = Math.max(0, (endedAt ?? at) - startedAt) / 1000
      // One that neither left this machine nor failed was given up, or could not be built: the provider has no part in it.
      if (!sent && error === undefined) return
      Metrics.attempt.unsafe(["chat", name, model, error ?? "CANCELLED"], seconds)
      if (result === undefined) return
      Metrics.tokens.unsafe(["chat", name, model, "input"], result.usage.inputTokens)
      Metrics.tokens.unsafe(["chat", name, model, "output"], result.usage.outputTokens)
      if (result.cost !== undefined) Metrics.cost.unsafe([name, model], Cost.toUsd(result.cost))
      if (result.estimated) Metrics.estimated.unsafe([name, model])
    }
  }
}
