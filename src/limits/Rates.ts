/**
 * Requests per minute, tokens per minute and requests at the same time, in the
 * memory of this process.
 *
 * Nothing here waits, so that whoever asks and then takes without a pause has
 * nothing come between. Time is that of the caller, in milliseconds since the
 * epoch; a clock that was set back holds nobody up for longer than a minute.
 */
import type { LimitType } from "../domain/Errors.js"
import type { Ask, Bound, Charge, Refusal } from "./Store.js"
import * as Window from "./Window.js"

export interface Rates {
  /** What refuses the call now, if anything does. Takes nothing. */
  readonly refusal: (ask: Ask, now: number) => Refusal | undefined
  /** Takes what was not refused just now. */
  readonly take: (ask: Ask, now: number) => void
  /**
   * Gives back the places, and has the tokens that were used where those are that were set aside, unless they have
   * left the window. Nothing for what was not taken or was settled before.
   */
  readonly settle: (ask: Ask, charges: ReadonlyArray<Charge>, now: number) => void
}

export const make = (): Rates => {
  const counters = new Map<string, Counter>()
  const taken = new Map<string, ReadonlyArray<Taken>>()
  let sweptAt = 0

  const counterOf = (key: string, now: number): Counter => {
    const known = counters.get(key)
    if (known !== undefined) return known
    // Each sweep looks at all of them, so not for every new one while all are busy.
    if (counters.size >= many && Math.abs(now - sweptAt) >= Window.minute) {
      sweptAt = now
      sweep(counters, now)
    }
    const made = { running: 0, requests: Window.make(), tokens: Window.make() }
    counters.set(key, made)
    return made
  }

  return {
    refusal: (ask, now) => {
      for (const bound of ask.bounds) {
        const counter = counters.get(bound.key)
        const refusal = counter && refusalOf(counter, bound, ask.tokens, now)
        if (refusal !== undefined) return refusal
      }
      return undefined
    },
    take: (ask, now) => {
      const places = ask.bounds.flatMap(({ key, limits }, index): ReadonlyArray<Taken> => {
        const { maxConcurrentRequests, maxRequestsPerMinute, maxTokensPerMinute } = limits
        if ((maxConcurrentRequests ?? maxRequestsPerMinute ?? maxTokensPerMinute) === undefined) return []
        const counter = counterOf(key, now)
        counter.running++
        if (maxRequestsPerMinute !== undefined) counter.requests.add(1, now)
        if (maxTokensPerMinute === undefined) return [{ counter, index, tokens: undefined }]
        const amount = Math.min(ask.tokens, maxTokensPerMinute)
        return [{ counter, index, tokens: { amount, entry: counter.tokens.add(amount, now) } }]
      })
      if (places.length > 0) taken.set(ask.id, places)
    },
    settle: ({ id }, charges, now) => {
      for (const { counter, index, tokens } of taken.get(id) ?? []) {
        counter.running--
        const charge = charges[index]
        if (tokens !== undefined && charge !== undefined) {
          counter.tokens.correct(tokens.entry, charge.tokens - tokens.amount, now)
        }
      }
      taken.delete(id)
    }
  }
}

// -- internals ---------------------------------------------------------------

/** What all calls with the same key use. */
interface Counter {
  running: number
  readonly requests: Window.Window
  readonly tokens: Window.Window
}

/** What one call has of a counter. */
interface Taken {
  readonly counter: Counter
  /** Which of the bounds of the call. */
  readonly index: number
  /** Undefined where tokens are not limited. */
  readonly tokens: { readonly amount: number; readonly entry: Window.Entry } | undefined
}

/** From this number of keys on, idle ones are forgotten once a minute. */
const many = 10_000

const sweep = (counters: Map<string, Counter>, now: number): void => {
  for (const [key, { requests, running, tokens }] of counters) {
    if (running === 0 && requests.used(now) === 0 && tokens.used(now) === 0) counters.delete(key)
  }
}

const refusalOf = (counter: Counter, bound: Bound, tokens: number, now: number): Refusal | undefined => {
  const { maxConcurrentRequests, maxRequestsPerMinute, maxTokensPerMinute } = bound.limits
  const refusal = (type: LimitType, retryAfterMs: number): Refusal => ({ bound, type, retryAfterMs })
  if (maxConcurrentRequests !== undefined && counter.running >= maxConcurrentRequests) {
    return refusal("concurrency", 1000)
  }
  if (maxRequestsPerMinute !== undefined) {
    const excess = counter.requests.used(now) + 1 - maxRequestsPerMinute
    if (excess > 0) return refusal("rpm", counter.requests.untilLeft(excess, now))
  }
  if (maxTokensPerMinute !== undefined) {
    // More than the limit would never pass; so it passes when nothing else is in the window.
    const excess = counter.tokens.used(now) + Math.min(tokens, maxTokensPerMinute) - maxTokensPerMinute
    if (excess > 0) return refusal("tpm", counter.tokens.untilLeft(excess, now))
  }
  return undefined
}
