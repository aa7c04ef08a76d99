/**
 * How long a provider may take, each phase of a call by itself.
 */
import { Data, Duration } from "effect"

/** As configured; what is undefined is left to the next one who says something. */
export interface TimeoutOptions {
  /** For a connection to stand, TLS included. */
  readonly connect?: Duration.Duration | undefined
  /** From the request to the first token of a stream. */
  readonly firstToken?: Duration.Duration | undefined
  /** From one token of a stream to the next; the time of a slow client does not count. */
  readonly betweenTokens?: Duration.Duration | undefined
  /** From the request to the end of its answer; the time of a slow client does not count. */
  readonly total?: Duration.Duration | undefined
  /** To the first text, while another model could be tried instead; undefined means no limit of its own. */
  readonly failover?: Duration.Duration | undefined
}

/** The same in milliseconds. */
export interface Timeouts {
  readonly connect: number
  readonly firstToken: number
  readonly betweenTokens: number
  readonly total: number
}

/** What ran out. */
export type Limit = keyof Timeouts

/** A provider that was given up. */
export class TooLate extends Data.TaggedError("TooLate")<{ readonly limit: Limit }> {}

/** Thinking takes minutes, and some vendors stream nothing of it. */
export const defaults: Timeouts = { connect: 10_000, firstToken: 300_000, betweenTokens: 60_000, total: 600_000 }

/** What `options` say, and the defaults for the rest. */
export const make = (...options: ReadonlyArray<TimeoutOptions>): Timeouts => ({
  connect: first(options, "connect") ?? defaults.connect,
  firstToken: first(options, "firstToken") ?? defaults.firstToken,
  betweenTokens: first(options, "betweenTokens") ?? defaults.betweenTokens,
  total: first(options, "total") ?? defaults.total
})

/** How long the head of a stream's response may take, in milliseconds, and by which limit. */
export const forFirstToken = ({ firstToken, total }: Timeouts): { readonly millis: number; readonly limit: Limit } =>
  total < firstToken ? { millis: total, limit: "total" } : { millis: firstToken, limit: "firstToken" }

// -- internals ---------------------------------------------------------------

const first = (options: ReadonlyArray<TimeoutOptions>, key: Limit): number | undefined => {
  const found = options.find((each) => each[key] !== undefined)?.[key]
  return found && Duration.toMillis(found)
}
