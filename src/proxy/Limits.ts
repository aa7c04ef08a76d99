/**
 * Requests per minute, requests at the same time and the length of one
 * request, per subject and per token, in this process.
 *
 * Check and take are one step that nothing comes between, so that of any
 * number of calls at once exactly as many pass as the limit says; a refused
 * call takes nothing.
 */
import { Duration, Effect, type Scope } from "effect"
import type { Caller } from "../domain/Answer.js"
import { InvalidRequest, LimitExceeded } from "../domain/Errors.js"
import type { Limits as Settings } from "../domain/Limits.js"

export interface Limits {
  /** Holds the caller's place until the scope closes; `length` is that of the input, in UTF-16 code units. */
  readonly take: (
    caller: Caller,
    length: number
  ) => Effect.Effect<void, InvalidRequest | LimitExceeded, Scope.Scope>
}

export const make = (): Limits => {
  const counters = new Map<string, Counter>()
  let sweptAt = 0
  const counterOf = (key: string, now: number): Counter => {
    const known = counters.get(key)
    if (known !== undefined) return known
    // Each sweep looks at all of them, so not for every new one while all are busy.
    if (counters.size >= many && now - sweptAt >= minute) {
      sweptAt = now
      sweep(counters, now)
    }
    const made = { running: 0, started: [] }
    counters.set(key, made)
    return made
  }

  return {
    take: (caller, length) =>
      Effect.clockWith((clock) =>
        Effect.asVoid(Effect.acquireRelease(
          // One operation, which no other fiber comes between.
          Effect.suspend((): Effect.Effect<Taken, InvalidRequest | LimitExceeded> => {
            const now = clock.unsafeCurrentTimeMillis()
            const bounds = boundsOf(caller)
            for (const { limits: { maxInputLength } } of bounds) {
              if (maxInputLength !== undefined && length > maxInputLength) return tooLong(length, maxInputLength)
            }
            const counted = bounds.map(({ key, limits }) => ({ limits, counter: counterOf(key, now) }))
            for (const { counter, limits } of counted) {
              const refusal = refusalOf(counter, limits, caller.subject, now)
              if (refusal !== undefined) return refusal
            }
            for (const { counter, limits } of counted) {
              counter.running++
              if (limits.maxRequestsPerMinute !== undefined) counter.started.push(now)
            }
            return Effect.succeed(counted)
          }),
          (counted) =>
            Effect.sync(() => {
              for (const { counter } of counted) counter.running--
            })
        ))
      )
  }
}

// -- internals ---------------------------------------------------------------

interface Counter {
  running: number
  /** When each request of the last minute began, in milliseconds since the epoch; oldest first. */
  readonly started: Array<number>
}

type Taken = ReadonlyArray<{ readonly counter: Counter; readonly limits: Settings }>

const minute = 60_000

/** From this number of subjects on, idle ones are forgotten once a minute. */
const many = 10_000

const sweep = (counters: Map<string, Counter>, now: number): void => {
  for (const [key, { running, started }] of counters) {
    if (running === 0 && (started.at(-1) ?? 0) <= now - minute) counters.delete(key)
  }
}

/** No subject can be written so that it is the key of a token. */
const boundsOf = ({ access: { limits, tokenLimits }, subject, tokenId }: Caller) => [
  ...counts(limits) ? [{ key: `subject ${subject}`, limits }] : [],
  ...tokenLimits !== undefined && counts(tokenLimits)
    ? [{ key: `token ${JSON.stringify([subject, tokenId])}`, limits: tokenLimits }]
    : []
]

const counts = ({ maxConcurrentRequests, maxInputLength, maxRequestsPerMinute }: Settings): boolean =>
  maxConcurrentRequests !== undefined || maxInputLength !== undefined || maxRequestsPerMinute !== undefined

const refusalOf = ({ running, started }: Counter, limits: Settings, subject: string, now: number) => {
  const { maxConcurrentRequests, maxRequestsPerMinute } = limits
  if (maxConcurrentRequests !== undefined && running >= maxConcurrentRequests) {
    return new LimitExceeded({
      reason: "CONCURRENCY_LIMITED",
      type: "concurrency",
      scope: "subject",
      name: subject,
      limit: `${maxConcurrentRequests} requests at the same time`,
      // Nobody knows when one of them ends.
      retryAfter: Duration.seconds(1)
    })
  }
  if (maxRequestsPerMinute === undefined) return undefined
  // A clock that was set back must not hold anybody up until it has caught up.
  for (let index = started.length - 1; (started[index] ?? 0) > now; index--) started[index] = now
  while (started[0] !== undefined && started[0] <= now - minute) started.shift()
  if (started.length < maxRequestsPerMinute) return undefined
  const free = started[started.length - maxRequestsPerMinute] ?? now
  return new LimitExceeded({
    reason: "RATE_LIMITED",
    type: "rpm",
    scope: "subject",
    name: subject,
    limit: `${maxRequestsPerMinute} requests per minute`,
    retryAfter: Duration.millis(free + minute - now)
  })
}

const tooLong = (length: number, most: number) =>
  new InvalidRequest({
    reason: "INPUT_TOO_LONG",
    field: "user_fragments",
    summary: `The request has ${length} characters; ${most} are allowed.`,
    remedy: "Send less text, or ask the operator of the server for a higher limit."
  })
