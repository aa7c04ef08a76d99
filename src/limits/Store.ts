/**
 * Where it is counted what callers use: one contract, two stores.
 *
 * Check and take are one atomic step over all bounds of a call: of any number
 * of calls at once exactly as many pass as every bound says, and a refused call
 * takes nothing. What is taken is a reservation; it is settled with what was
 * truly used in every ending, and one whose server died is booked as it was
 * estimated. So a reservation never stays behind.
 */
import { Context, Data, type Effect } from "effect"
import type { LimitType } from "../domain/Errors.js"
import type { Limits } from "../domain/Limits.js"
import type { Moment } from "../effect/Eager.js"

export class Store extends Context.Tag("vibectl/limits/Store")<Store, {
  /**
   * Undefined when all of it was taken, else what refused it. A failure has taken nothing, or gives it back itself. With a
   * moment, a store that need not wait takes it when this is called, and answers with an `Exit`.
   */
  readonly reserve: (ask: Ask, moment?: Moment) => Effect.Effect<Refusal | undefined, StoreUnavailable>
  /**
   * Gives back the places of a reservation, replaces what was set aside by what was used, and books the rows. Never
   * fails: what cannot be written now is kept and written when the store is back. Settling twice is settling once. With a
   * moment, it acts when it is called, as `reserve` does.
   */
  readonly settle: (ask: Ask, settlement: Settlement, moment?: Moment) => Effect.Effect<void>
  /** Replaces what is booked for reservations if this server dies; what is settled, or not reserved, is left alone. */
  readonly progress: (all: ReadonlyArray<Progress>) => Effect.Effect<void, StoreUnavailable>
  /** What was used on the days from `from` to `to`, both inclusive, as `2026-11-26`; one row for each key of {@link Account}. */
  readonly usage: (range: { readonly from: string; readonly to: string }) => Effect.Effect<
    ReadonlyArray<UsageRow>,
    StoreUnavailable
  >
  /** Reservations that are not settled yet. */
  readonly outstanding: Effect.Effect<number, StoreUnavailable>
  /** Succeeds while the store can be used. */
  readonly ready: Effect.Effect<void, StoreUnavailable>
}>() {}

/** The store does not answer, or not in time. */
export class StoreUnavailable extends Data.TaggedError("StoreUnavailable")<{
  /** What it is and where, without credentials. */
  readonly store: string
  readonly cause: unknown
}> {
  override get message() {
    return `The store of limits and usage cannot be used: ${this.store}.`
  }
}

/** The limits that a store counts. */
export type Counted = Pick<
  Limits,
  | "maxRequestsPerMinute"
  | "maxConcurrentRequests"
  | "maxTokensPerMinute"
  | "maxTokensPerDay"
  | "maxTokensPerMonth"
  | "maxUsdPerDay"
  | "maxUsdPerMonth"
>

/** One limit that a call must keep; all calls with the same key are counted together. */
export interface Bound {
  readonly scope: "subject" | "token" | "tenant" | "model"
  /** As it is told to the caller. */
  readonly name: string
  /** No two bounds of different scope or name have the same. */
  readonly key: string
  readonly limits: Counted
}

export interface Ask {
  /** Unique among all servers. */
  readonly id: string
  /** Milliseconds since the epoch: all that is used counts for the day and month of this moment, in UTC. */
  readonly at: number
  /** All of them must let the call pass; in order of importance. */
  readonly bounds: ReadonlyArray<Bound>
  /** Set aside until it is known what was used. Tokens of input and output together; a whole number. */
  readonly tokens: number
  /** Of these, the input. */
  readonly inputTokens: number
  /** Billionths of a US dollar; a whole number. */
  readonly cost: number
  /** Whose row it is if the server dies before it settles. */
  readonly account: Account
  /** Whether another reservation of the same call has that row. */
  readonly isFurther?: boolean
}

/** What a call that still runs has used so far. */
export interface Progress {
  readonly ask: Ask
  /** Of all its attempts; what each bound is charged if the server dies. */
  readonly spent: Charge
  /** What is booked then. */
  readonly rows: ReadonlyArray<Booking>
}

/** What a row of usage is about. */
export interface Account {
  readonly subject: string
  /** Empty for none. */
  readonly tenant: string
  /** `provider/model`. */
  readonly model: string
}

export interface Refusal {
  readonly bound: Bound
  readonly type: LimitType
  /** When it may pass: milliseconds from now, above 0. Nobody knows when a running call ends; then it is a second. */
  readonly retryAfterMs: number
}

export interface Settlement {
  /** What each bound is charged, in the order of `Ask.bounds`. */
  readonly charges: ReadonlyArray<Charge>
  /** Added to the usage of the day of `Ask.at`. */
  readonly rows: ReadonlyArray<Booking>
}

export interface Charge {
  readonly tokens: number
  /** Billionths of a US dollar. */
  readonly cost: number
}

/** Whole numbers that add up; `cost` in billionths of a US dollar. */
export interface Counts {
  readonly requests: number
  /** Of these, how many did not get their whole answer. */
  readonly failures: number
  /** Of these, how many have counts that are, in whole or in part, our estimate. */
  readonly estimated: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** Of the input, what was read from the provider's cache. */
  readonly cachedInputTokens: number
  /** Of the input, what was written to it. */
  readonly cacheWriteTokens: number
  /** Of the output. */
  readonly reasoningTokens: number
  readonly cost: number
  /** Tokens of models without a price, which `cost` does not have. */
  readonly unpricedTokens: number
  /** Of the requests, how many had an answer that ended at the model's limit. */
  readonly cutOff: number
  /** Of the requests, how many had an answer that the provider's content filter ended. */
  readonly filtered: number
  /** Of the requests, how many the model refused to answer. */
  readonly refused: number
}

export interface Booking extends Account, Counts {}

export interface UsageRow extends Booking {
  /** In UTC, as `2026-11-26`. */
  readonly day: string
}

export const noCounts: Counts = {
  requests: 0,
  failures: 0,
  estimated: 0,
  inputTokens: 0,
  outputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  cost: 0,
  unpricedTokens: 0,
  cutOff: 0,
  filtered: 0,
  refused: 0
}

/** What is booked for a call whose server died before it showed any progress: everything that was set aside, as an estimate. */
export const abandoned = (
  { account, cost, inputTokens, isFurther, tokens }: Pick<
    Ask,
    "account" | "cost" | "inputTokens" | "isFurther" | "tokens"
  >
): ReadonlyArray<Booking> =>
  isFurther === true ? [] : [{
    ...noCounts,
    ...account,
    requests: 1,
    failures: 1,
    estimated: 1,
    inputTokens,
    outputTokens: tokens - inputTokens,
    cost
  }]
