/**
 * Chunks of model servers whose own protocol has no choices, as chunks of Chat Completions. A relay in front of such a
 * server may answer so.
 *
 * - `token.text`, or `token` as the text — https://huggingface.co/docs/text-generation-inference, KoboldCpp
 * - `content` beside `stop` — llama.cpp, https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
 * - `result` beside `is_end` — Baidu ERNIE, https://cloud.baidu.com/doc/WENXINWORKSHOP
 */
import * as Json from "../Json.js"

/** Undefined of what is no such chunk. */
export const asChat = (root: Json.JsonObject): Json.JsonObject | undefined => {
  const { content, is_end: isEnd, result, stop, token } = root
  if (typeof token === "string") return chunk(token, root["finish_reason"])
  const tokenText = Json.object(token)?.["text"]
  if (typeof tokenText === "string") {
    const isSpecial = Json.object(token)?.["special"] === true
    const details = Json.object(root["details"])
    return {
      ...chunk(isSpecial ? "" : tokenText, details?.["finish_reason"]),
      // Older releases do not say how long the input was.
      ...typeof details?.["input_length"] === "number"
        ? { usage: { prompt_tokens: details["input_length"], completion_tokens: details["generated_tokens"] } }
        : {}
    }
  }
  if (typeof content === "string" && typeof stop === "boolean") {
    const isLimit = root["stopped_limit"] === true || root["stop_type"] === "limit"
    return {
      ...chunk(content, stop ? isLimit ? "length" : "stop" : null),
      ...stop
        ? { usage: { prompt_tokens: root["tokens_evaluated"], completion_tokens: root["tokens_predicted"] } }
        : {}
    }
  }
  if (typeof result === "string" && typeof isEnd === "boolean") {
    const reason = root["finish_reason"]
    return { ...chunk(result, isEnd ? reason === "normal" ? "stop" : reason ?? "stop" : null), usage: root["usage"] }
  }
  return undefined
}

// -- internals ---------------------------------------------------------------

const chunk = (content: string, finishReason: unknown): Json.JsonObject => ({
  choices: [{ index: 0, delta: { content }, finish_reason: finishReason ?? null }]
})
