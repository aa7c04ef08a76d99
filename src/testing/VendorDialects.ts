/**
 * How providers differ from the two vendors whose protocols they speak, as far as a reader of their answers sees it.
 *
 * Each is written after what its vendor documents, or what was reported of it; the source stands beside it.
 */
import type { Answer, Events, Wire } from "./VendorWire.js"

/** Rewrites what the vendor's own wire has for the same answer. */
export interface Dialect {
  readonly wire: Wire
  readonly events: (events: Events, answer: Answer) => Events
  readonly whole: (body: Json, answer: Answer) => unknown
}

export type Name = keyof typeof all

export const of = (name: Name): Dialect => all[name]

export const isName = (name: string): name is Name => Object.hasOwn(all, name)

// -- internals ---------------------------------------------------------------

interface Json {
  readonly [name: string]: unknown
}

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const object = (value: unknown): Json => isObject(value) ? value : {}

/** The value of an event; undefined for one that is no JSON. */
const valueOf = (event: string): Json | undefined => {
  const json = /^data: (\{.*\})$/m.exec(event)?.[1]
  return json === undefined ? undefined : object(JSON.parse(json))
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

type Change = (value: Json, event: string) => unknown

/** Each event that is JSON, changed; undefined leaves it out. */
const each = (change: Change) => (events: Events): Events => {
  const map = (event: string): string => {
    const value = valueOf(event)
    const changed = value === undefined ? undefined : change(value, event)
    return value === undefined ? event : changed === undefined ? "" : data(changed)
  }
  const { empty, head, pieces, report, tail, thought } = events
  // In the order in which they are written.
  return {
    head: head.map(map).filter((event) => event !== ""),
    thought: map(thought),
    empty: map(empty),
    pieces: pieces.map(map),
    tail: tail.map(map).filter((event) => event !== ""),
    report: report === undefined ? undefined : map(report)
  }
}

/** The text of all that is written. */
const written =
  (rewrite: (text: string) => string) => ({ empty, head, pieces, report, tail, thought }: Events): Events => ({
    head: head.map(rewrite),
    pieces: pieces.map(rewrite),
    tail: tail.map(rewrite),
    report: report === undefined ? undefined : rewrite(report),
    empty: rewrite(empty),
    thought: rewrite(thought)
  })

/** Something before each piece of text, and before its end. */
const between = (noise: string) => (events: Events): Events => ({
  ...events,
  pieces: events.pieces.map((piece) => noise + piece),
  tail: events.tail.map((event, index) => index === 0 ? noise + event : event)
})

const compose = (...steps: ReadonlyArray<(events: Events) => Events>) => (events: Events): Events =>
  steps.reduce((done, step) => step(done), events)

/** Of the one choice. */
const choice = (change: (choice: Json, root: Json) => Json): Change => (root) => {
  const choices: unknown = root["choices"]
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined
  return isObject(first) ? { ...root, choices: [change(first, root)] } : root
}

const delta = (change: (delta: Json) => Json): Change =>
  choice((first) => ({ ...first, delta: change(object(first["delta"])) }))

/** What it thinks, under another name. */
const thinking = (name: (thought: string) => Json) => (given: Json): Json => {
  const { reasoning_content: thought, ...rest } = given
  return typeof thought === "string" ? { ...rest, ...name(thought) } : given
}

const message = (change: (message: Json) => Json) => (body: Json): unknown => {
  const choices: unknown = body["choices"]
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined
  const inner = object(first)
  return { ...body, choices: [{ ...inner, message: change(object(inner["message"])) }] }
}

const same = (body: Json): unknown => body

const chat = (events: Dialect["events"], whole: Dialect["whole"] = same): Dialect => ({ wire: "openai", events, whole })

const parts = (content: unknown): unknown =>
  typeof content === "string" && content !== "" ? [{ type: "text", text: content }] : content

const inFinish = (word: (reason: string) => Json): Change =>
  choice((first) => typeof first["finish_reason"] === "string" ? { ...first, ...word(first["finish_reason"]) } : first)

const all = {
  /** Parts while it thinks, strings after: https://docs.mistral.ai/capabilities/reasoning/ */
  mistral: chat(
    each(delta((given) => {
      const { content } = given
      return thinking((text) => ({ content: [{ type: "thinking", thinking: [{ type: "text", text }] }] }))({
        ...given,
        ...content !== undefined && { content: parts(content) }
      })
    })),
    message(({ content, ...rest }) => ({
      ...rest,
      content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }, { type: "text", text: content }]
    }))
  ),
  /** CRLF, and counts in each event: https://cloud.google.com/vertex-ai/generative-ai/docs/migrate/openai/overview */
  vertex: chat(compose(
    each(delta((given) => ({ role: "assistant", ...given }))),
    written((text) => text.replaceAll("\n", "\r\n"))
  )),
  /** Comments while it waits: https://api-docs.deepseek.com/quick_start/rate_limit */
  deepseek: chat(between(": keep-alive\n\n")),
  /** Usage beside the choices, `reasoning`: https://console.groq.com/docs/reasoning */
  groq: chat(compose(
    each(delta(thinking((reasoning) => ({ reasoning, channel: "analysis" })))),
    each((root) => {
      const { usage, ...rest } = root
      return isObject(usage) ? { ...rest, choices: [], x_groq: { id: "req_1", usage } } : root
    })
  )),
  /** Comments, reasoning twice, the model's own reason: https://openrouter.ai/docs/api-reference/streaming */
  openrouter: chat(compose(
    each(
      delta(
        thinking((text) => ({ content: "", reasoning: text, reasoning_details: [{ type: "reasoning.text", text }] }))
      )
    ),
    each(inFinish((reason) => ({ native_finish_reason: reason === "stop" ? "STOP" : reason }))),
    between(": OPENROUTER PROCESSING\n\n")
  )),
  /** Parts, reasoning among them: https://docs.databricks.com/aws/en/machine-learning/model-serving/query-reason-models */
  databricks: chat(
    each(delta((given) => {
      const { content } = given
      return thinking((text) => ({ content: [{ type: "reasoning", summary: [{ type: "summary_text", text }] }] }))({
        ...given,
        ...content !== undefined && { content: parts(content) }
      })
    })),
    message(({ content, ...rest }) => ({
      ...rest,
      content: [{ type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] }, { type: "text", text: content }]
    }))
  ),
  /** No blank after the colon, text that is null while it thinks: https://help.aliyun.com/zh/model-studio/deep-thinking */
  dashscope: chat(compose(
    each(delta((given) => given["reasoning_content"] === undefined ? given : { ...given, content: null })),
    written((text) => text.replaceAll("data: ", "data:"))
  )),
  /** The text that stopped it under `stop_reason`: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html */
  vllm: chat(
    each(
      choice((first) => ({ ...first, logprobs: null, stop_reason: first["finish_reason"] === null ? null : "</s>" }))
    )
  ),
  /** `data:` with nothing behind, its own word for the end: https://huggingface.co/docs/text-generation-inference */
  tgi: chat(compose(
    each(inFinish(() => ({ finish_reason: "eos_token" }))),
    written((text) => text.replaceAll("data: ", "data:")),
    between("data:\n\n")
  )),
  /** A first event without a choice, no index, a blank behind the last word: https://github.com/features/copilot */
  copilot: chat((events) => {
    const changed = each(choice(({ index: _, ...first }) => first))(events)
    return {
      ...changed,
      head: [data({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] }), ...changed.head],
      tail: changed.tail.map((event) => event.replace("[DONE]", "[DONE] "))
    }
  }),
  /** Without an index, one newline between events: https://docs.z.ai/api-reference/llm/chat-completion */
  glm: chat(compose(
    each(choice(({ index: _, ...first }) => first)),
    written((text) => text.replaceAll("\n\n", "\n"))
  )),
  /** How it went beside each answer: https://platform.minimax.io/docs/api-reference/text-post */
  minimax: chat(
    each((root) => ({ ...root, base_resp: { status_code: 0, status_msg: "" } })),
    (body) => ({ ...body, base_resp: { status_code: 0, status_msg: "success" } })
  ),
  /** Usage inside of the choice: https://platform.moonshot.ai/docs/api/chat */
  moonshot: chat((events) => {
    const usage = events.report === undefined ? undefined : valueOf(events.report)?.["usage"]
    const changed = each(choice((first) => first["finish_reason"] === null ? first : { ...first, usage }))(events)
    const tail = changed.tail.filter((event) => !event.includes("\"choices\":[]"))
    return { ...changed, tail, report: usage === undefined ? undefined : tail[0] }
  }),
  /** All of the text so far beside each piece: https://docs.perplexity.ai/api-reference/chat-completions-post */
  perplexity: chat((events) => {
    let content = ""
    return each(choice((first) => {
      const piece = object(first["delta"])["content"]
      if (typeof piece === "string") content += piece
      return { ...first, message: { role: "assistant", content } }
    }))(events)
  }),
  /** Anthropic's events without their names, ended as OpenAI does: LiteLLM, https://docs.litellm.ai/docs/anthropic_unified */
  litellm: {
    wire: "anthropic",
    events: (events) => {
      const bare = written((text) => text.replace(/^event: .*\n/gm, ""))(events)
      return { ...bare, tail: [...bare.tail.slice(0, -1), "data: [DONE]\n\n"] }
    },
    whole: same
  },
  /** The beginning of the text with the frame of its block: reported of gateways before Amazon Bedrock. */
  bedrock: {
    wire: "anthropic",
    events: (events) => ({
      ...events,
      pieces: events.pieces.map((piece, index) =>
        index > 0
          ? piece
          : `event: content_block_start\n${
            data({
              type: "content_block_start",
              index: 0,
              content_block: { type: "text", text: object(valueOf(piece)?.["delta"])["text"] }
            })
          }`
      )
    }),
    whole: same
  }
} satisfies Record<string, Dialect>

export const names: ReadonlyArray<Name> = Object.keys(all).filter(isName)
