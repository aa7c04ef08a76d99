/**
 * A request to a model and the events of its answer.
 *
 * An answer is `Start (Text | Restart Start)* Done Metrics`: the text is what
 * follows the last `Restart`, and `Done` and `Metrics` come exactly once, on
 * success only. On a connection, a `Heartbeat` may come anywhere before `Done`.
 */

import type { Access } from "./Access.js"

/** What a client asks, as it came from the wire. */
export interface AnswerRequest {
  /** Never empty. */
  readonly requestId: string
  /** `provider/model`, an alias or a bare name; undefined means the default model. */
  readonly model: string | undefined
  readonly system: ReadonlyArray<string>
  readonly user: ReadonlyArray<string>
  /** JSON Schema text. */
  readonly responseSchema: string | undefined
}

/** Who asks. */
export interface Caller {
  /** `sub` of the verified token; `anonymous` when authentication is off. */
  readonly subject: string
  /** `jti` of the verified token. */
  readonly tokenId: string | undefined
  /** The models it may call, and how much. */
  readonly access: Access
  /** Wire extensions the client understands. */
  readonly features: ReadonlySet<Feature>
  /** Until when the client waits for its answer, in milliseconds since the epoch; Infinity when it did not say. */
  readonly deadline: number
  /** When its request arrived, in milliseconds since the epoch, with fractions; undefined means when it is handled. */
  readonly arrivedAt?: number
}

export const features = ["start", "restart", "heartbeat"] as const
export type Feature = (typeof features)[number]

/** How the text of an answer is produced; only `real` comes straight from the provider's own stream. */
export type Tier = "real" | "simulated" | "fallback"

/** Tokens as the provider counts them. */
export interface Usage {
  /** All of the input, from the provider's cache or not. */
  readonly inputTokens: number
  /** All of the output, reasoning included. */
  readonly outputTokens: number
  /** Of the input, what was read from the provider's prompt cache; undefined where it is not reported. */
  readonly cachedInputTokens?: number | undefined
  /** Of the input, what was written to the provider's prompt cache. */
  readonly cacheWriteTokens?: number | undefined
  /** Of the output, what the model only thought. */
  readonly reasoningTokens?: number | undefined
}

/**
 * Why an answer ended, whatever its provider calls it; only `stop` is an answer that is complete.
 *
 * `length` is the model's limit, or the provider's; `unknown` is a provider that gave no reason, or one nobody knows.
 */
export const finishReasons = [
  "stop",
  "length",
  "content_filter",
  "refusal",
  "tool_calls",
  "error",
  "unknown"
] as const
export type FinishReason = (typeof finishReasons)[number]

/** A whole answer. `usage` is undefined when the provider did not report it. */
export interface Completion {
  readonly text: string
  readonly usage: Usage | undefined
  /** Undefined means `unknown`. */
  readonly finishReason?: FinishReason | undefined
}

export interface Start {
  readonly _tag: "Start"
  readonly tier: Tier
  /** 1 for the first attempt of the call. */
  readonly attempt: number
  readonly provider: string
  readonly model: string
}

/** All text so far is void; a new attempt follows. */
export interface Restart {
  readonly _tag: "Restart"
  /** The error code of the attempt that ended. */
  readonly reason: string
}

/** A non-empty piece of text. */
export interface Text {
  readonly _tag: "Text"
  readonly text: string
}

export interface Done {
  readonly _tag: "Done"
  /** `provider/model`. */
  readonly model: string
  /** Undefined from a server of an older version. */
  readonly finishReason?: FinishReason | undefined
}

export interface Metrics {
  readonly _tag: "Metrics"
  /** Milliseconds from the arrival of the request to the end of its answer. */
  readonly durationMs: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** True when the provider did not report usage and the counts are ours. */
  readonly estimated: boolean
  /** US dollars; undefined when the model's price is not known. */
  readonly costUsd: number | undefined
  readonly retryCount: number
  /** Whole seconds since the Unix epoch. */
  readonly timestamp: number
}

/** Nothing was sent for a while, and the call goes on; only for a client that asked for it. */
export interface Heartbeat {
  readonly _tag: "Heartbeat"
  /** Milliseconds since the call began. */
  readonly elapsedMs: number
}

export type AnswerEvent = Start | Restart | Text | Heartbeat | Done | Metrics

/** A unary answer. */
export interface Answer {
  readonly text: string
  /** `provider/model`. */
  readonly model: string
  readonly metrics: Metrics
  /** Undefined from a server of an older version. */
  readonly finishReason?: FinishReason | undefined
}
