/**
 * The words of vendors for why an answer ended, and what they mean.
 *
 * Words are compared without their case and their punctuation, so that `MAX_TOKENS`, `max-tokens` and
 * `FINISH_REASON_MAX_TOKENS` are one. One that is not in the table is judged by its parts.
 */
import type { FinishReason } from "../../domain/Answer.js"
import * as Json from "../Json.js"

/** A reason, and the vendor's word for it. */
export interface Finish {
  readonly reason: FinishReason
  /** Empty when it was no word. */
  readonly word: string
}

/** Undefined for what says that the answer goes on. */
export const of = (value: unknown): Finish | undefined => {
  if (value === undefined || value === null || value === "" || value === false) return undefined
  if (typeof value === "string") return ofWord(value)
  if (Array.isArray(value)) return of(value[0])
  const { name, reason, type } = Json.object(value) ?? {}
  const word = Json.string(type) ?? Json.string(reason) ?? Json.string(name)
  if (word !== undefined) return ofWord(word)
  return typeof value === "object" && Object.keys(value).length === 0 ? undefined : { reason: "unknown", word: "" }
}

/**
 * Of a choice, a message or an event: the gateway's word, and the worse of the two where it passes on the model's own,
 * too. vLLM has the text that stopped the model under `stop_reason`, which counts only where nothing else is said.
 */
export const find = (from: Json.JsonObject): Finish | undefined => {
  const said = of(from["finish_reason"]) ?? of(from["finishReason"])
  const native = of(from["native_finish_reason"])
  if (said !== undefined) return native === undefined ? said : worse(said, native)
  return native ?? of(from["stop_reason"]) ?? of(from["stopReason"]) ?? of(from["done_reason"]) ??
    of(from["finish_details"]) ?? of(from["incomplete_details"])
}

// -- internals ---------------------------------------------------------------

/** Of two reasons for one end, a gateway may know only the milder one. */
const worse = (said: Finish, native: Finish): Finish => badness[native.reason] > badness[said.reason] ? native : said

const badness: Record<FinishReason, number> = {
  stop: 1,
  unknown: 0,
  tool_calls: 1,
  length: 2,
  refusal: 3,
  content_filter: 3,
  error: 4
}

const ofWord = (word: string): Finish | undefined => {
  const key = word.toLowerCase().replace(/[^a-z0-9]/g, "").replace(/^finishreason/, "")
  if (nothing.has(key)) return undefined
  const reason = table.get(key) ?? parts.find(([pattern]) => pattern.test(key))?.[1] ?? "unknown"
  return { reason, word }
}

/** Some have a word in every event, also while the answer goes on. */
const nothing: ReadonlySet<string> = new Set([
  "",
  "null",
  "none",
  "unspecified",
  "notfinished",
  "running",
  "inprogress"
])

/**
 * OpenAI https://platform.openai.com/docs/api-reference/chat/object · Anthropic
 * https://docs.claude.com/en/api/handling-stop-reasons · Gemini https://ai.google.dev/api/generate-content#FinishReason ·
 * Mistral https://docs.mistral.ai/api/ · DeepSeek https://api-docs.deepseek.com/api/create-chat-completion ·
 * GLM https://docs.bigmodel.cn · Cohere https://docs.cohere.com/reference/chat · TGI
 * https://huggingface.co/docs/text-generation-inference · Bedrock
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
 */
const words: Record<FinishReason, string> = {
  stop:
    "stop endturn eos eostoken eot stopsequence stoptoken complete completed endoftext endoftoken end done finish finished "
    + "normal success ok stopped natural",
  length: "length maxtokens maxtoken maxoutputtokens maxcompletiontokens maxlength modellength tokenlimit tokens limit "
    + "modelcontextwindowexceeded contextwindowexceeded contextlengthexceeded truncated incomplete pauseturn pause "
    + "errorlimit",
  content_filter: "contentfilter contentfiltered safety recitation blocklist prohibitedcontent spii sensitive language "
    + "guardrail guardrailintervened blocked moderation flagged imagesafety errortoxic modelarmor censored",
  refusal: "refusal refused declined",
  tool_calls: "toolcalls toolcall tooluse functioncall functioncalls",
  error: "error insufficientsystemresource networkerror malformedfunctioncall unexpectedtoolcall toomanytoolcalls "
    + "missingthoughtsignature internal preempted evicted killed broken expired abort aborted cancelled "
    + "canceled failed failure timeout overloaded",
  unknown: "other unknown"
}

const table: ReadonlyMap<string, FinishReason> = new Map(
  Object.entries(words).flatMap(([reason, all]) =>
    all.split(" ").map((word) => [word, reason as FinishReason] as const)
  )
)

/** In this order: `rate_limit_error` is an error and no limit of the answer's length. */
const parts: ReadonlyArray<readonly [RegExp, FinishReason]> = [
  [/filter|safety|moderat|sensitiv|prohibit|block|guardrail|policy|recitation|toxic|harm/, "content_filter"],
  [
    /error|fail|abort|cancel|interrupt|overload|insufficient|unavailable|timeout|timedout|exception|malformed|ratelimit|quota|deadline|disconnect|connection|prematur|crash/,
    "error"
  ],
  [/refus/, "refusal"],
  [/tool|function/, "tool_calls"],
  [/length|max|limit|window|truncat|exceed|budget/, "length"],
  [/^(stop|end|eos|eot|complete|done|finish)|(stop|eos|eot|end)$/, "stop"]
]
