/**
 * What the client's audit log tells: one JSON object a line for every request,
 * response and command of the assistant.
 *
 * A text is written only when it was sanitized before it was sent; of all
 * others there is a digest, to compare, and the length.
 */
import { DateTime, Schema } from "effect"
import * as Crypto from "node:crypto"

export type Entry =
  | {
    readonly event: "request"
    readonly requestId: string
    readonly profile: string
    readonly server: string
    /** Undefined for the server's default. */
    readonly model: string | undefined
    readonly purpose: "plan" | "repair" | "summary"
    /** As it was sent. */
    readonly text: string
    /** Whether secrets were replaced in it; only then it is written. */
    readonly sanitized: boolean
    readonly redacted: ReadonlyArray<{ readonly kind: string; readonly placeholder: string; readonly length: number }>
  }
  | {
    readonly event: "response"
    readonly requestId: string
    readonly outcome: string
    readonly model: string | undefined
    /** Why the answer ended; undefined where the server did not say. */
    readonly finishReason: string | undefined
    readonly inputTokens: number | undefined
    readonly outputTokens: number | undefined
    readonly costUsd: number | undefined
    readonly durationMs: number
    /** The action of the plan in it, `prose`, or why it holds no plan; undefined when it broke off. */
    readonly readAs: string | undefined
    /** Characters of it that are words and no part of the plan. */
    readonly ignoredCharacters: number | undefined
    /** With placeholders in it, not restored. */
    readonly text: string
  }
  | {
    readonly event: "command"
    readonly requestId: string
    /** With placeholders in it; without the leading `kubectl`. */
    readonly command: ReadonlyArray<string>
    readonly verdict: string
    readonly decision: "unasked" | "approved" | "declined" | "refused" | "dry-run"
    /** Undefined when it did not run. */
    readonly exitCode: number | undefined
  }

const { optional } = Schema
/** Of a text: SHA-256 of its UTF-8, in hexadecimal, and its length in characters. */
const digested = { sha256: Schema.String, characters: Schema.Number }

const line = <const Name extends string, Fields extends Schema.Struct.Fields>(event: Name, fields: Fields) =>
  Schema.Struct({ time: Schema.DateTimeUtc, event: Schema.Literal(event), request_id: Schema.String, ...fields })

export const Line = Schema.Union(
  line("request", {
    profile: Schema.String,
    server: Schema.String,
    model: optional(Schema.String),
    purpose: Schema.String,
    sanitized: Schema.Boolean,
    redacted: Schema.Array(
      Schema.Struct({ kind: Schema.String, placeholder: Schema.String, length: Schema.Number })
    ),
    ...digested,
    text: optional(Schema.String)
  }),
  line("response", {
    outcome: Schema.String,
    model: optional(Schema.String),
    finish_reason: optional(Schema.String),
    input_tokens: optional(Schema.Number),
    output_tokens: optional(Schema.Number),
    cost_usd: optional(Schema.Number),
    duration_ms: Schema.Number,
    read_as: optional(Schema.String),
    ignored_characters: optional(Schema.Number),
    ...digested
  }),
  line("command", {
    command: Schema.Array(Schema.String),
    verdict: Schema.String,
    decision: Schema.String,
    exit_code: optional(Schema.Number)
  })
)
/** An entry as a reader of the log has it. */
export type Line = typeof Line.Type

/** A line as it stands in the file; what is wrong with another is of no use to anybody. */
export const decode = Schema.decodeUnknownOption(Schema.parseJson(Line))

/** As {@link toLine}, of a line that was read. */
export const encode = (line: Line): string => json(Schema.encodeSync(Line)(line))

/** With its line end; `millis` since the epoch is when it happened. */
export const toLine = (entry: Entry, millis: number): string =>
  `${encode(lineOf(entry, DateTime.unsafeMake(millis)))}\n`

// -- internals ---------------------------------------------------------------

const lineOf = (entry: Entry, time: DateTime.Utc): Line => {
  const common = { time, request_id: entry.requestId }
  switch (entry.event) {
    case "request":
      return {
        ...common,
        event: "request",
        profile: entry.profile,
        server: entry.server,
        model: entry.model,
        purpose: entry.purpose,
        sanitized: entry.sanitized,
        redacted: entry.redacted.map(({ kind, length, placeholder }) => ({ kind, placeholder, length })),
        ...digest(entry.text),
        ...(entry.sanitized ? { text: entry.text } : {})
      }
    case "response":
      return {
        ...common,
        event: "response",
        outcome: entry.outcome,
        model: entry.model,
        finish_reason: entry.finishReason,
        input_tokens: entry.inputTokens,
        output_tokens: entry.outputTokens,
        cost_usd: entry.costUsd,
        duration_ms: entry.durationMs,
        read_as: entry.readAs,
        ignored_characters: entry.ignoredCharacters,
        ...digest(entry.text)
      }
    case "command":
      return {
        ...common,
        event: "command",
        command: entry.command,
        verdict: entry.verdict,
        decision: entry.decision,
        exit_code: entry.exitCode
      }
  }
}

const digest = (text: string) => ({
  sha256: Crypto.createHash("sha256").update(text).digest("hex"),
  characters: [...text].length
})

/** Without anything that ends a line, drives a terminal, or reorders or hides text. */
const json = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
  )
