/**
 * What the proxy counts, named once: Effect metrics, which any reporter of the
 * process can read.
 *
 * Labels come from bounded sets only: providers as configured, tiers and
 * reasons as the domain lists them. Never a model, a subject or a token.
 */
import { type Effect, Metric } from "effect"
import type { Tier } from "../domain/Answer.js"
import type { ProviderFailure } from "../domain/Errors.js"

/** Counts one event with these labels. */
type Count<Labels extends ReadonlyArray<string>> = (...labels: Labels) => Effect.Effect<void>

/** One handle per combination of labels, made on its first use. */
const counter = <Labels extends ReadonlyArray<string>>(
  name: string,
  description: string,
  keys: { readonly [index in keyof Labels]: string }
): Count<Labels> => {
  const base = Metric.counter(name, { description, incremental: true })
  const handles = new Map<string, Effect.Effect<void>>()
  return (...labels) => {
    const id = labels.join(" ")
    let handle = handles.get(id)
    if (handle === undefined) {
      handle = Metric.increment(keys.reduce<Metric.Metric.Counter<number>>(
        (metric, key, index) => Metric.tagged(metric, key, labels[index] ?? ""),
        base
      ))
      handles.set(id, handle)
    }
    return handle
  }
}

/** Answers that were given whole; `unary` is the tier of an answer in one message. */
export const answers = counter<[provider: string, tier: Tier | "unary"]>(
  "vibectl_answers_total",
  "Answers given whole, by the provider that gave it and how its text was produced",
  ["provider", "tier"]
)

/** Attempts at a provider that failed, whether or not another one followed. */
export const failedAttempts = counter<[provider: string, tier: Tier | "unary", reason: ProviderFailure["reason"]]>(
  "vibectl_attempts_failed_total",
  "Attempts at a provider that failed",
  ["provider", "tier", "reason"]
)

/** Answers that were begun anew after text had been sent. */
export const restarts = counter<[reason: string]>(
  "vibectl_restarts_total",
  "Answers begun anew after text had been sent",
  ["reason"]
)

/**
 * Calls that ended; `outcome` is OK, CANCELLED, INTERNAL or a reason of the error algebra. A request that cannot be taken
 * off the wire may also be RESOURCE_EXHAUSTED or UNIMPLEMENTED.
 */
export const calls = counter<[method: string, outcome: string]>(
  "vibectl_calls_total",
  "Calls that ended, by their outcome",
  ["method", "outcome"]
)
