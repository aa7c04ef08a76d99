/**
 * Random answers in the dialects of providers: the bytes of a body, and what a person reads in them.
 */
import { FastCheck as fc } from "effect"
import type { FinishReason } from "../../src/domain/Answer.js"

export type Wire = "openai" | "anthropic"

/** Something that is said, in the order in which it is said. */
type Item =
  | { readonly is: "text"; readonly text: string; readonly shape: number }
  | { readonly is: "noise"; readonly noise: number }
  | { readonly is: "bad"; readonly bad: number }
  | { readonly is: "finish"; readonly word: string; readonly shape: number }
  | { readonly is: "done"; readonly done: number }

export interface Story {
  readonly wire: Wire
  readonly items: ReadonlyArray<Item>
  /** How each item is framed. */
  readonly frames: ReadonlyArray<number>
  readonly newlines: ReadonlyArray<"\n" | "\r\n" | "\r">
  readonly hasMark: boolean
  /** How much of the body comes: from 0 to 1. */
  readonly share: number
  readonly sizes: ReadonlyArray<number>
}

export type Expected =
  | { readonly _tag: "Complete"; readonly text: string; readonly finishReason: FinishReason }
  | { readonly _tag: "Failure"; readonly text: string }

const words: Record<string, FinishReason> = {
  stop: "stop",
  STOP: "stop",
  end_turn: "stop",
  stop_sequence: "stop",
  eos_token: "stop",
  COMPLETE: "stop",
  length: "length",
  max_tokens: "length",
  MAX_TOKENS: "length",
  model_context_window_exceeded: "length",
  content_filter: "content_filter",
  SAFETY: "content_filter",
  sensitive: "content_filter",
  refusal: "refusal",
  tool_calls: "tool_calls",
  function_call: "tool_calls",
  some_new_word: "unknown"
}

// -- what is said ----------------------------------------------------------------

const chatTexts: ReadonlyArray<(text: string) => unknown> = [
  (content) => ({ choices: [{ index: 0, delta: { content } }] }),
  (content) => ({
    id: "c",
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }],
    usage: null
  }),
  (content) => ({ choices: [{ delta: { content, reasoning_content: null } }] }),
  (content) => ({ choices: [{ index: "0", delta: { content }, finish_reason: "" }] }),
  (content) => ({ error: null, choices: [{ index: 0, delta: { content } }] }),
  (content) => ({ error: "", choices: [{ index: 0, delta: { content } }] }),
  (content) => ({ error: {}, choices: [{ index: 0, delta: { content } }] }),
  (content) => ({ error: false, code: 0, choices: [{ index: 0, delta: { content } }] }),
  (text) => ({ choices: [{ index: 0, delta: { content: [{ type: "text", text }] } }] }),
  (text) => ({ choices: [{ index: 0, delta: { content: [{ type: "output_text", text }] } }] }),
  (text) => ({ choices: [{ index: 0, delta: { content: { type: "text", text } } }] }),
  (text) => ({ choices: [{ index: 0, delta: { content: [text] } }] }),
  (text) => ({ choices: [{ index: 0, delta: { content: [{ text }] } }] }),
  (text) => ({
    choices: [{ index: 0, delta: { content: [{ type: "thinking", thinking: "no" }, { type: "text", text }] } }]
  }),
  (refusal) => ({ choices: [{ index: 0, delta: { refusal } }] }),
  (refusal) => ({ choices: [{ index: 0, delta: { content: [{ type: "refusal", refusal }] } }] }),
  (text) => ({ choices: [{ index: 0, delta: text }] }),
  (text) => ({ choices: [{ index: 0, text, finish_reason: null }] }),
  (content) => ({ choices: [{ index: 0, message: { role: "assistant", content } }] }),
  (content) => ({ choices: [{ index: 1, delta: { content: "another" } }, { index: 0, delta: { content } }] }),
  (content) => ({
    choices: [{
      index: 0,
      delta: { content, reasoning: "no", reasoning_details: [{ type: "reasoning.text", text: "no" }] }
    }]
  }),
  (content) => ({ data: { choices: [{ index: 0, delta: { content } }] } }),
  (content) => ({
    choices: [{ index: 0, delta: { content } }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
  }),
  (content) => ({ base_resp: { status_code: 0, status_msg: "" }, choices: [{ index: 0, delta: { content } }] })
]

const messagesTexts: ReadonlyArray<(text: string) => unknown> = [
  (text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }),
  (text) => ({ type: "content_block_delta", index: 0, delta: { text } }),
  (text) => ({ type: "content_block_delta", delta: text }),
  (text) => ({ type: "content_block_start", index: 0, content_block: { type: "text", text } }),
  (text) => ({ type: "content_block_start", index: 0, content_block: { type: "output_text", text } }),
  (text) => ({
    type: "message_start",
    message: {
      type: "message",
      role: "assistant",
      content: [{ type: "text", text }],
      usage: { input_tokens: 3, output_tokens: 1 }
    }
  }),
  (text) => ({ type: "content_block_delta", index: 1, delta: { type: "text_delta", text }, error: null })
]

const chatNoise: ReadonlyArray<string> = [
  ...[
    { choices: [] },
    { choices: null },
    { choices: [{ index: 0, delta: {} }] },
    { choices: [{ index: 0, delta: { role: "assistant", content: "" } }] },
    { choices: [{ index: 0, delta: { content: null, reasoning_content: "no" } }] },
    { choices: [{ index: 0, delta: { reasoning_content: [{ type: "text", text: "no" }] } }] },
    { choices: [{ index: 0, delta: { thinking: "no" } }] },
    { choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: "{\"no\":" } }] } }] },
    { choices: [{ index: 0, delta: { content: [{ type: "thinking", thinking: [{ type: "text", text: "no" }] }] } }] },
    { choices: [{ index: 1, delta: { content: "another" } }] },
    { choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }
  ].map((value) => `data: ${JSON.stringify(value)}`)
]

const messagesNoise: ReadonlyArray<string> = [
  "event: ping\ndata: {\"type\": \"ping\"}",
  "event: ping\ndata:",
  ...[
    {
      type: "message_start",
      message: { type: "message", role: "assistant", content: [], usage: { input_tokens: 3, output_tokens: 1 } }
    },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "no" } },
    { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "no" } },
    { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "no" } },
    { type: "content_block_delta", index: 0, delta: { type: "input_json_delta", partial_json: "{\"no\":" } },
    { type: "content_block_stop", index: 0 },
    { type: "something_new", text_of: "no" }
  ].map((value) => `event: ${value.type}\ndata: ${JSON.stringify(value)}`)
]

const noises: ReadonlyArray<string> = [
  "data:",
  "data: ",
  "data:    ",
  ": comment",
  ":",
  "data: : keepalive",
  "data: :",
  "data: ping",
  "data: [PING]",
  "data: [HEARTBEAT 17]",
  "data: 2026-11-30T12:00:00Z",
  "data: 17",
  "data: null",
  "data: true",
  "data: \"ping\"",
  "data: {}",
  "data: []",
  "data: {\"type\":\"heartbeat\",\"at\":\"2026-11-30\"}",
  "event: keepalive\ndata: : hb",
  "id: 7",
  "retry: 100",
  "keepalive",
  " "
]

const bads: ReadonlyArray<string> = [
  ...[
    { error: { message: "no", type: "server_error", code: 500 } },
    { error: "no" },
    { error: ["no"] },
    { object: "error", message: "no", code: 400 },
    { code: 401, msg: "no", success: false },
    { detail: "limit reached" },
    { errors: [{ message: "no" }] },
    { base_resp: { status_code: 1004, status_msg: "no" } },
    { error_code: 50_004, text: "too much traffic" },
    { type: "error", error: { type: "overloaded_error", message: "no" } },
    { status: "error", message: "no" }
  ].map((value) => `data: ${JSON.stringify(value)}`),
  "event: error\ndata: {\"message\":\"no\"}",
  "event: error\ndata: no",
  "data: [ERROR] no",
  "data: Error: no",
  "data: {bad",
  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lost",
  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":lost}}]}"
]

const chatBads: ReadonlyArray<string> = [
  { choices: [{ index: 0, delta: {}, error: { code: 502, message: "no" } }] },
  { choices: [{ index: 0, delta: {}, finish_reason: "error" }] },
  { choices: [{ index: 0, delta: {}, finish_reason: "stop", native_finish_reason: "MALFORMED_FUNCTION_CALL" }] }
].map((value) => `data: ${JSON.stringify(value)}`)

const chatFinishes: ReadonlyArray<(word: string) => unknown> = [
  (finish_reason) => ({ choices: [{ index: 0, delta: {}, finish_reason }] }),
  (finish_reason) => ({ choices: [{ finish_reason }] }),
  (finish_reason) => ({
    choices: [{ index: 0, delta: null, finish_reason, logprobs: null }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
  }),
  (native_finish_reason) => ({ choices: [{ index: 0, delta: {}, finish_reason: null, native_finish_reason }] }),
  (finishReason) => ({ choices: [{ index: 0, delta: { content: "" }, finishReason }] })
]

const messagesFinishes: ReadonlyArray<(word: string) => unknown> = [
  (stop_reason) => ({ type: "message_delta", delta: { stop_reason }, usage: { output_tokens: 9 } }),
  (stop_reason) => ({ type: "message_delta", delta: { stop_reason, stop_sequence: null } }),
  (stop_reason) => ({ type: "message_delta", stop_reason, delta: {} })
]

const chatDones = ["data: [DONE]", "data:[DONE]", "data: [DONE] ", "data: [done]", "data: DONE", "data: data: [DONE]"]
const messagesDones = [
  "event: message_stop\ndata: {\"type\":\"message_stop\"}",
  "data: [DONE]",
  "event: done\ndata: [DONE]"
]

// -- how it is written -----------------------------------------------------------

/** Each ends all that it has to. */
const framings: ReadonlyArray<(json: string, type: string | undefined) => string> = [
  (json) => `data: ${json}\n\n`,
  (json) => `data:${json}\n\n`,
  (json) => `data: ${json}\n`,
  (json) => `  data : ${json}  \n \n`,
  (json) => `DATA: ${json}\n\n`,
  (json) => `data: data: ${json}\n\n`,
  (json) => `data:\n ${json}\n\n`,
  (json) => `${json}\n`,
  (json) => `\ufeffdata: ${json}\n\n`,
  (json) => `${JSON.stringify(JSON.parse(json), undefined, 1).split("\n").map((line) => `data: ${line}\n`).join("")}\n`,
  (json) => `id: 1\nretry: 5\ndata: ${json}\n\n`,
  (json, type) => `event: ${type ?? "message"}\ndata: ${json}\n\n`,
  (json) => `data: ${json}\r\n\r\n`,
  (json) => `data: ${json.slice(0, -1)},"logprobs":NaN}\n\n`
]

const unframed: ReadonlySet<unknown> = new Set([framings[6], framings[7]])

const pick = <A>(all: ReadonlyArray<A>, index: number): A => all[index % all.length]!

export const toBody = (story: Story): { readonly body: Buffer; readonly expected: Expected } => {
  const isChat = story.wire === "openai"
  /** What is known after so many bytes. */
  let [text, said] = ["", story.hasMark ? "\ufeff" : ""]
  let finish: FinishReason | undefined
  let [isOver, isBad, turn] = [false, false, 0]
  const steps: Array<{ readonly at: number; readonly apply: () => void }> = []
  const write = (lines: string, apply: () => void): void => {
    said += lines.replace(/\n/g, () => pick(story.newlines, turn++))
    // The last byte of an event's JSON is enough, whatever ends its line.
    steps.push({ at: Buffer.byteLength(said.trimEnd()), apply })
  }
  story.items.forEach((item, index) => {
    const frame = (value: unknown): string => {
      const { type } = value as { readonly type?: string }
      const json = JSON.stringify(value)
      const framing = pick(framings, story.frames[index % story.frames.length] ?? 0)
      // A line that is a whole message may be all that comes.
      return (unframed.has(framing) && json.includes("\"message\":") ? framings[0]! : framing)(json, type)
    }
    switch (item.is) {
      case "text":
        return write(frame(pick(isChat ? chatTexts : messagesTexts, item.shape)(item.text)), () => {
          // All of it once more, after its end.
          if (finish === undefined || text === "" || item.text.trim() !== text.trim()) text += item.text
        })
      case "noise":
        return write(`${pick([...noises, ...isChat ? chatNoise : messagesNoise], item.noise)}\n\n`, () => undefined)
      case "bad":
        return write(`\n${pick([...bads, ...isChat ? chatBads : []], item.bad)}\n\n\n`, () => {
          isBad ||= finish === undefined
        })
      case "finish":
        return write(frame(pick(isChat ? chatFinishes : messagesFinishes, item.shape)(item.word)), () => {
          finish ??= words[item.word]
        })
      case "done":
        return write(`\n${pick(isChat ? chatDones : messagesDones, item.done)}\n\n`, () => {
          isOver = true
        })
    }
  })
  const whole = Buffer.from(said)
  const body = whole.subarray(0, Math.round(whole.length * story.share))
  for (const { apply, at } of steps) if (at <= body.length && !isOver && !isBad) apply()
  const read = text.replace(/\p{Surrogate}/gu, "\ufffd")
  const isComplete = !isBad && read.trim() !== "" && (finish !== undefined || isOver)
  return {
    body,
    expected: isComplete
      ? { _tag: "Complete", text: read, finishReason: finish ?? "unknown" }
      : { _tag: "Failure", text: read }
  }
}

// -- stories ---------------------------------------------------------------------

const piece = fc.oneof(
  fc.constantFrom(
    " the",
    "…",
    "\n",
    "\"",
    "\\",
    "{",
    "data: x",
    "[DONE]",
    "😀",
    "\ud83d",
    "\ude80",
    "\t",
    "error",
    "世界",
    "\u2028"
  ),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 })
)
const small = fc.nat(999)
const word = fc.constantFrom(...Object.keys(words))
const item = fc.oneof(
  { weight: 10, arbitrary: fc.record({ is: fc.constant("text" as const), text: piece, shape: small }) },
  { weight: 6, arbitrary: fc.record({ is: fc.constant("noise" as const), noise: small }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("finish" as const), word, shape: small }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("bad" as const), bad: small }) }
)
const good = fc.oneof(
  { weight: 10, arbitrary: fc.record({ is: fc.constant("text" as const), text: piece, shape: small }) },
  { weight: 6, arbitrary: fc.record({ is: fc.constant("noise" as const), noise: small }) }
)
const finish = fc.record({ is: fc.constant("finish" as const), word, shape: small })
const done = fc.record({ is: fc.constant("done" as const), done: small })
const items = fc.oneof(
  // As it should be, with what may stand after the end.
  fc.tuple(
    fc.array(good, { minLength: 1, maxLength: 8 }),
    finish,
    fc.array(item, { maxLength: 2 }),
    done,
    fc.array(item, { maxLength: 2 })
  )
    .map((
      [before, finish, between, done, after]
    ): ReadonlyArray<Item> => [...before, finish, ...between, done, ...after]),
  // In any order.
  fc.array(fc.oneof({ weight: 8, arbitrary: item }, { weight: 1, arbitrary: done }), { minLength: 1, maxLength: 10 })
)

export const story: fc.Arbitrary<Story> = fc.record({
  wire: fc.constantFrom("openai" as const, "anthropic" as const),
  items,
  frames: fc.array(small, { minLength: 1, maxLength: 6 }),
  newlines: fc.oneof(
    fc.constantFrom<ReadonlyArray<"\n" | "\r\n" | "\r">>(["\n"], ["\r\n"], ["\r"]),
    fc.array(fc.constantFrom("\n" as const, "\r\n" as const, "\r" as const), { minLength: 1, maxLength: 5 })
  ),
  hasMark: fc.boolean(),
  share: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, {
    weight: 1,
    arbitrary: fc.double({ min: 0, max: 1, noNaN: true })
  }),
  sizes: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 })
})
