/**
 * One request to a provider, and what it used.
 */
import type { Usage } from "../domain/Answer.js"
import * as Cost from "../domain/Cost.js"
import type { ProviderFailure } from "../domain/Errors.js"
import type { Attempted } from "../limits/Spending.js"
import type { Resolved } from "../models/Catalog.js"
import type { ProviderRequest, StreamingUnsupported } from "../models/Provider.js"
import * as VendorUsage from "../models/VendorUsage.js"
import * as Estimate from "../streaming/Estimate.js"
import * as Metrics from "../telemetry/Metrics.js"

export interface Attempt {
  /** As it goes to the provider. */
  readonly request: ProviderRequest
  /** Some of the text came. */
  readonly text: (text: string) => void
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

/** `startedAt` in milliseconds since the epoch; `inputTokens` is our estimate. */
export const make = (
  { fullName, price, provider }: Resolved,
  request: ProviderRequest,
  inputTokens: number,
  startedAt: number
): Attempt => {
  /** Whether a byte of it may have left this machine; nothing is charged before. */
  let sent = provider.reportsSent !== true
  const answer = Estimate.counter()
  /** The largest counts that the provider has reported so far; of a stream, they may not be all. */
  let reported: Usage | undefined
  /** Whether `reported` is all of it. */
  let isReported = false
  let endedAt: number | undefined
  let free = false
  let closed = false
  /** Empty for one that succeeded. */
  let error: string | undefined

  const known = (): VendorUsage.Known => ({
    inputTokens,
    inputLength: request.system.length + request.user.length,
    outputTokens: answer.tokens(),
    outputLength: answer.length()
  })
  const report = (counts: Usage) => {
    reported = VendorUsage.larger(reported, counts, known())
  }
  /** Of an answer that broke off, more may have come than was reported. */
  const counted = () => {
    const text = known()
    if (isReported || reported === undefined) return VendorUsage.judge(reported, text)
    const outputTokens = Math.max(reported.outputTokens, text.outputTokens)
    return { usage: VendorUsage.judge(Object.assign({}, reported, { outputTokens }), text).usage, estimated: true }
  }
  const spent = (): Attempted | undefined => {
    if (free || !sent) return undefined
    const { estimated, usage } = counted()
    return { model: fullName, usage, estimated, cost: price && Cost.ofUsage(price, usage) }
  }
  const failed = (failure: ProviderFailure | StreamingUnsupported, at: number) => {
    endedAt = at
    if (failure._tag === "StreamingUnsupported") {
      error = failure.answer === undefined ? "STREAMING_UNSUPPORTED" : ""
      if (failure.answer === undefined) free = true
      else {
        text(failure.answer.text)
        completed(failure.answer.usage, at)
      }
      return
    }
    error = failure.reason
    // An empty answer came to its end, and so did its counts.
    if (failure.reason === "PROVIDER_EMPTY") isReported = reported !== undefined
    free = answer.length() === 0 && reported === undefined && failure.maybeBilled !== true
  }
  const text = (text: string) => {
    sent = true
    answer.add(text)
  }
  const completed = (usage: Usage | undefined, at: number) => {
    sent = true
    isReported = usage !== undefined
    if (usage !== undefined) report(usage)
    endedAt = at
    error = ""
  }

  return {
    request: Object.assign({}, request, {
      onUsage: (counts: Usage) => {
        sent = true
        report(counts)
        request.onUsage?.(counts)
      },
      onSent: () => {
        sent = true
        request.onSent?.()
      }
    }),
    text,
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
