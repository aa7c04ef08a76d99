/**
 * Answers as OpenAI and Anthropic write them, whole and as server-sent events.
 *
 * Sources: https://platform.openai.com/docs/api-reference/chat-streaming,
 * https://docs.claude.com/en/docs/build-with-claude/streaming
 */
import type { Usage } from "../domain/Answer.js"

export type Wire = "openai" | "anthropic"

/** The wire of a request's path; undefined for a path of neither. */
export const ofPath = (path: string): Wire | undefined => {
  if (path.endsWith("/chat/completions")) return "openai"
  return path.endsWith("/messages") ? "anthropic" : undefined
}

export interface Answer {
  readonly model: string
  readonly pieces: ReadonlyArray<string>
  /** Where in a stream the usage is: on its own at the end, with the first event too, or nowhere. */
  readonly usage: "late" | "early" | "absent"
  readonly tokens: Usage
}

/** The events of a stream: what comes before the text, each piece, and what ends it. */
export interface Events {
  readonly head: ReadonlyArray<string>
  readonly pieces: ReadonlyArray<string>
  readonly tail: ReadonlyArray<string>
  /** A piece without text. */
  readonly empty: string
  /** A piece of what the model thinks. */
  readonly thought: string
}

export const whole = (wire: Wire, answer: Answer): unknown => {
  const text = answer.pieces.join("")
  return wire === "openai"
    ? {
      id: "chatcmpl-1",
      object: "chat.completion",
      model: answer.model,
      choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }],
      ...(answer.usage === "absent" ? {} : { usage: openaiUsage(answer.tokens) })
    }
    : {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: answer.model,
      content: [{ type: "text", text }],
      stop_reason: "end_turn",
      ...(answer.usage === "absent" ? {} : { usage: anthropicUsage(answer.tokens) })
    }
}

export const events = (wire: Wire, answer: Answer): Events => wire === "openai" ? openai(answer) : anthropic(answer)

/** An event inside a stream that says that the answer failed. */
export const errorEvent = (wire: Wire, type: string): string =>
  wire === "openai"
    ? data({ error: { message: "the answer failed", type, code: null } })
    : named("error", { type: "error", error: { type, message: "the answer failed" } })

/** The body of a refused request. */
export const errorBody = (wire: Wire, error: { readonly type: string; readonly param?: string }): unknown => {
  const body = { message: `refused: ${error.type}`, type: error.type, code: error.type, param: error.param ?? null }
  return wire === "openai" ? { error: body } : { type: "error", error: body }
}

// -- internals ---------------------------------------------------------------

const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const named = (event: string, value: unknown) => `event: ${event}\n${data(value)}`

const openaiUsage = ({ inputTokens, outputTokens }: Usage) => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens
})

const anthropicUsage = ({ inputTokens, outputTokens }: Usage) => ({
  input_tokens: inputTokens,
  output_tokens: outputTokens
})

const openai = (answer: Answer): Events => {
  const chunk = (delta: object, rest: object = {}) =>
    data({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      model: answer.model,
      choices: [{ index: 0, delta, finish_reason: null, ...rest }],
      usage: null
    })
  const usage = answer.usage === "absent"
    ? []
    : [data({ id: "chatcmpl-1", choices: [], usage: openaiUsage(answer.tokens) })]
  return {
    head: [chunk({ role: "assistant", content: "" }), ...(answer.usage === "early" ? usage : [])],
    pieces: answer.pieces.map((content) => chunk({ content })),
    tail: [chunk({}, { finish_reason: "stop" }), ...(answer.usage === "late" ? usage : []), "data: [DONE]\n\n"],
    empty: chunk({ content: "" }),
    thought: chunk({ reasoning_content: "hm" })
  }
}

const anthropic = (answer: Answer): Events => {
  const delta = (text: string) =>
    named("content_block_delta", { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })
  const usage = anthropicUsage(answer.tokens)
  const message = { id: "msg_1", type: "message", role: "assistant", model: answer.model, content: [] }
  const first = answer.usage === "absent" ? {} : { usage: { ...usage, output_tokens: 1 } }
  const last = answer.usage === "absent" ? {} : { usage: { output_tokens: answer.tokens.outputTokens } }
  return {
    head: [
      named("message_start", { type: "message_start", message: { ...message, ...first } }),
      named("content_block_start", {
        type: "content_block_start",
        index: 0,
        content_block: { type: "text", text: "" }
      }),
      named("ping", { type: "ping" })
    ],
    pieces: answer.pieces.map(delta),
    tail: [
      named("content_block_stop", { type: "content_block_stop", index: 0 }),
      named("message_delta", { type: "message_delta", delta: { stop_reason: "end_turn" }, ...last }),
      named("message_stop", { type: "message_stop" })
    ],
    empty: delta(""),
    thought: named("content_block_delta", {
      type: "content_block_delta",
      index: 0,
      delta: { type: "thinking_delta", thinking: "hm" }
    })
  }
}
