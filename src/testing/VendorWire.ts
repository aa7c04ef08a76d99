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
  /**
   * Where in a stream the usage is: on its own at the end, with the first event too, in every event with what was used
   * until then, where Groq has it, or nowhere. Anthropic has it with the first event and at the end, or nowhere.
   */
  readonly usage: "late" | "early" | "running" | "groq" | "absent"
  readonly tokens: Usage
}

/** The events of a stream: what comes before the text, each piece, and what ends it. */
export interface Events {
  readonly head: ReadonlyArray<string>
  readonly pieces: ReadonlyArray<string>
  readonly tail: ReadonlyArray<string>
  /** Which of them has the whole usage. */
  readonly report: string | undefined
  /** A piece without text. */
  readonly empty: string
  /** A piece of what the model thinks. */
  readonly thought: string
}

export const whole = (wire: Wire, answer: Answer): { readonly [name: string]: unknown } => {
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

/** What is used when this share of the output is there. */
export const soFar = (tokens: Usage, share: number): Usage => {
  const outputTokens = Math.round(tokens.outputTokens * share)
  const { reasoningTokens } = tokens
  return {
    ...tokens,
    outputTokens,
    ...reasoningTokens !== undefined && { reasoningTokens: Math.min(reasoningTokens, outputTokens) }
  }
}

// -- internals ---------------------------------------------------------------

const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const named = (event: string, value: unknown) => `event: ${event}\n${data(value)}`

const openaiUsage = (tokens: Usage) => {
  const { cacheWriteTokens, cachedInputTokens, inputTokens, outputTokens, reasoningTokens } = tokens
  const input = { cached_tokens: cachedInputTokens, cache_write_tokens: cacheWriteTokens }
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    ...(cachedInputTokens !== undefined || cacheWriteTokens !== undefined) && { prompt_tokens_details: input },
    ...reasoningTokens !== undefined && { completion_tokens_details: { reasoning_tokens: reasoningTokens } }
  }
}

const anthropicUsage = (tokens: Usage) => {
  const { cacheWriteTokens, cachedInputTokens, inputTokens } = tokens
  return {
    input_tokens: inputTokens - (cachedInputTokens ?? 0) - (cacheWriteTokens ?? 0),
    ...cachedInputTokens !== undefined && { cache_read_input_tokens: cachedInputTokens },
    ...cacheWriteTokens !== undefined && { cache_creation_input_tokens: cacheWriteTokens },
    ...anthropicOutput(tokens)
  }
}

const anthropicOutput = ({ outputTokens, reasoningTokens }: Usage) => ({
  output_tokens: outputTokens,
  ...reasoningTokens !== undefined && { output_tokens_details: { thinking_tokens: reasoningTokens } }
})

const openai = (answer: Answer): Events => {
  const chunk = (delta: object, rest: object = {}, outer: object = {}) =>
    data({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      model: answer.model,
      choices: [{ index: 0, delta, finish_reason: null, ...rest }],
      usage: null,
      ...outer
    })
  const counts = openaiUsage(answer.tokens)
  const apart = data({ id: "chatcmpl-1", choices: [], usage: counts })
  const running = (pieces: number) =>
    answer.usage === "running"
      ? { usage: openaiUsage(soFar(answer.tokens, pieces / Math.max(1, answer.pieces.length))) }
      : {}
  const groq = answer.usage === "groq" ? { x_groq: { id: "req_1", usage: counts } } : running(answer.pieces.length)
  const finish = chunk({}, { finish_reason: "stop" }, groq)
  const inFinish = answer.usage === "groq" || answer.usage === "running"
  return {
    head: [chunk({ role: "assistant", content: "" }, {}, running(0)), ...(answer.usage === "early" ? [apart] : [])],
    pieces: answer.pieces.map((content, index) => chunk({ content }, {}, running(index + 1))),
    tail: [finish, ...(answer.usage === "late" ? [apart] : []), "data: [DONE]\n\n"],
    report: answer.usage === "absent" ? undefined : inFinish ? finish : apart,
    empty: chunk({ content: "" }),
    thought: chunk({ reasoning_content: "hm" })
  }
}

const anthropic = (answer: Answer): Events => {
  const delta = (text: string) =>
    named("content_block_delta", { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })
  const usage = anthropicUsage({ ...answer.tokens, outputTokens: 1, reasoningTokens: undefined })
  const message = { id: "msg_1", type: "message", role: "assistant", model: answer.model, content: [] }
  const first = answer.usage === "absent" ? {} : { usage }
  const last = answer.usage === "absent" ? {} : { usage: anthropicOutput(answer.tokens) }
  const end = named("message_delta", { type: "message_delta", delta: { stop_reason: "end_turn" }, ...last })
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
      end,
      named("message_stop", { type: "message_stop" })
    ],
    report: answer.usage === "absent" ? undefined : end,
    empty: delta(""),
    thought: named("content_block_delta", {
      type: "content_block_delta",
      index: 0,
      delta: { type: "thinking_delta", thinking: "hm" }
    })
  }
}
