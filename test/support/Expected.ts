/**
 * What the documentation promises of one call, told step by step without any
 * concurrency: the model that the real thing is compared with.
 *
 * Time plays no part in it: no deadline, no client that leaves, no hang.
 */
import type { Script } from "./Scripted.js"

export interface Expected {
  readonly attempts: ReadonlyArray<{ readonly provider: string; readonly real: boolean }>
  /** `OK` or an error code. */
  readonly outcome: string
}

type Plan = Script["calls"][number]
type Result = { readonly ended: true } | { readonly ended: false; readonly reason: string; readonly gaveText: boolean }

/** Undefined for a story in which something hangs. */
export const expected = (
  scripts: ReadonlyArray<Script>,
  client: { readonly restart: boolean; readonly unary: boolean }
): Expected | undefined => {
  const attempts: Array<{ provider: string; real: boolean }> = []
  let outcome = ""
  for (const [index, script] of scripts.entries()) {
    const provider = `p${index}`
    let calls = 0
    const next = (): Plan => script.calls[Math.min(calls++, script.calls.length - 1)]!
    let how: "real" | "simulated" | "fallback" = script.streams && !client.unary ? "real" : "simulated"
    let retries = 0
    for (;;) {
      const plan = next()
      if (how === "real" && plan.stream.kind === "unsupported") {
        how = "simulated"
        if (!plan.stream.answer) continue
        attempts.push({ provider, real: false })
        return { attempts, outcome: "OK" }
      }
      attempts.push({ provider, real: how === "real" })
      const result = how === "real" ? streamed(plan) : whole(plan)
      if (result === undefined) return undefined
      if (result.ended) return { attempts, outcome: "OK" }
      // Text that was sent can only be taken back.
      outcome = result.gaveText ? "STREAM_INTERRUPTED" : result.reason
      if (result.gaveText && !client.restart) return { attempts, outcome }
      // A refusal is final, for every provider.
      if (result.reason === "PROVIDER_REJECTED") return { attempts, outcome }
      // While another model is left, two requests and a second of waiting are all that one gets before its text.
      const hasOther = index < scripts.length - 1
      const waits = (script.retryAfter ?? 0) <= (hasOther ? 1000 : 20_000)
      const maxRetries = Math.min(script.maxRetries, hasOther ? 1 : Infinity)
      if (how !== "fallback" && !result.gaveText && retries < maxRetries && waits) {
        retries += 1
        continue
      }
      if (how !== "real" || result.reason === "PROVIDER_RATE_LIMITED") break
      if (hasOther && !result.gaveText) break
      how = "fallback"
    }
  }
  return { attempts, outcome }
}

// -- internals ---------------------------------------------------------------

const streamed = ({ stream }: Plan): Result | undefined => {
  if (stream.kind === "hang") return undefined
  if (stream.kind === "refused") return { ended: false, reason: stream.reason, gaveText: false }
  if (stream.kind === "unsupported" || stream.ending === "end") return { ended: true }
  return stream.ending === "hang" ? undefined : { ended: false, reason: stream.ending, gaveText: stream.pieces > 0 }
}

const whole = ({ whole: { ending } }: Plan): Result | undefined => {
  if (ending === "end") return { ended: true }
  return ending === "hang" ? undefined : { ended: false, reason: ending, gaveText: false }
}
