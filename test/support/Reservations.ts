/**
 * Asks and settlements for tests of a store, with what a test cares about.
 */
import type { Ask, Booking, Bound, Counted, Settlement } from "../../src/limits/Store.js"
import { noCounts } from "../../src/limits/Store.js"

const free: Counted = {
  maxRequestsPerMinute: undefined,
  maxConcurrentRequests: undefined,
  maxTokensPerMinute: undefined,
  maxTokensPerDay: undefined,
  maxTokensPerMonth: undefined,
  maxUsdPerDay: undefined,
  maxUsdPerMonth: undefined
}

export const bound = (limits: Partial<Counted>, key = "subject ann"): Bound => ({
  scope: "subject",
  name: key,
  key,
  limits: { ...free, ...limits }
})

export const account = { subject: "ann", tenant: "", model: "fake/one" }

/** 2026-11-26, noon UTC. */
export const noon = Date.UTC(2026, 10, 26, 12)

let count = 0

export const ask = (bounds: ReadonlyArray<Bound>, rest: Partial<Ask> = {}): Ask => ({
  id: `call-${process.pid}-${count++}`,
  at: noon,
  bounds,
  tokens: 10,
  // All of it, where a test does not care.
  inputTokens: rest.tokens ?? 10,
  cost: 1000,
  account,
  ...rest
})

export const row = (rest: Partial<Booking>): Booking => ({ ...noCounts, ...account, requests: 1, ...rest })

/** Every bound is charged what the row has. */
export const used = (ask: Ask, inputTokens: number, cost = 0): Settlement => ({
  charges: ask.bounds.map(() => ({ tokens: inputTokens, cost })),
  rows: [row({ ...ask.account, inputTokens, cost })]
})
