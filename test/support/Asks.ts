/** What tests ask of a store of limits. */
import { Clock, Effect } from "effect"
import {
  type Account,
  type Ask,
  type Booking,
  type Bound,
  type Charge,
  type Counted,
  noCounts,
  type Settlement
} from "../../src/limits/Store.js"

/** 2026-11-26, at noon. */
export const noon = Date.UTC(2026, 10, 26, 12)

export const account: Account = { subject: "alice", tenant: "acme", model: "demo/echo" }

export const bound = (limits: Partial<Counted>, name = "alice", scope: Bound["scope"] = "subject"): Bound => ({
  scope,
  name,
  key: `${scope} ${name}`,
  limits: {
    maxRequestsPerMinute: undefined,
    maxConcurrentRequests: undefined,
    maxTokensPerMinute: undefined,
    maxTokensPerDay: undefined,
    maxTokensPerMonth: undefined,
    maxUsdPerDay: undefined,
    maxUsdPerMonth: undefined,
    ...limits
  }
})

let asks = 0

/** With an id of its own. */
export const ask = (bounds: ReadonlyArray<Bound>, given: Partial<Ask> = {}): Ask => ({
  id: `ask-${++asks}`,
  at: noon,
  bounds,
  tokens: 10,
  // All of it, where a test does not care.
  inputTokens: given.tokens ?? 10,
  cost: 1000,
  account,
  ...given
})

/** The same for all bounds, and one row. */
export const used = (ask: Ask, { cost, tokens }: Charge): Settlement => ({
  charges: ask.bounds.map(() => ({ cost, tokens })),
  rows: [row(ask.account, { cost, tokens })]
})

export const row = (account: Account, { cost, tokens }: Charge): Booking => ({
  ...noCounts,
  ...account,
  requests: 1,
  inputTokens: tokens,
  cost
})

/** A clock that shows what it is set to, and on which nobody wakes up: months cost nothing. */
export const settable = (start: number) => {
  let now = start
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: () => Effect.never
  }
  return {
    clock,
    now: () => now,
    pass: (millis: number) => {
      now += millis
    }
  }
}
