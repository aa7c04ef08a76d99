/**
 * What stands in the content of a message: the answer's text, and signs that the model works on it.
 *
 * Content is a string, a list of strings or parts, or one part. A part is text unless its type says otherwise, so that
 * types which nobody has listed are read.
 * Sources: https://platform.openai.com/docs/api-reference/chat/create (parts of text and refusal),
 * https://docs.mistral.ai/capabilities/reasoning/ (parts of type `thinking`),
 * https://openrouter.ai/docs/use-cases/reasoning-tokens (`reasoning`, `reasoning_details`),
 * https://api-docs.deepseek.com/guides/reasoning_model (`reasoning_content`),
 * https://docs.claude.com/en/api/messages (blocks).
 */
import * as Json from "../Json.js"

/** What is collected of one event. */
export interface Found {
  text: string
  /** Whether the model thinks, or writes something that is no text. */
  isAlive: boolean
  /** Whether it calls a tool. */
  calls: boolean
}

/** Of `content`, in whatever shape. */
export const read = (content: unknown, found: Found, depth = 0): void => {
  if (typeof content === "string") {
    found.text += content
    return
  }
  if (depth > deepest) return
  if (Array.isArray(content)) {
    for (const part of content) read(part, found, depth + 1)
    return
  }
  const part = Json.object(content)
  if (part === undefined) return
  const type = typeof part["type"] === "string" ? part["type"] : ""
  if (isTool.test(type)) {
    found.calls = true
    found.isAlive = true
    return
  }
  if (isThinking.test(type) || part["thought"] === true) {
    if (hasText(part)) found.isAlive = true
    return
  }
  if (type === "refusal") return read(part["refusal"] ?? part["text"] ?? part["content"], found, depth + 1)
  readMessage(part, found, depth + 1)
}

/** Of a message, its delta, or a part of its content. */
export const readMessage = (message: Json.JsonObject, found: Found, depth = 0): void => {
  if (isThought(message)) {
    if (hasText(message["content"])) found.isAlive = true
    return
  }
  const before = found.text.length
  for (const name in message) {
    const value = message[name]
    if (value === null || value === undefined || value === "") continue
    switch (name) {
      case "role":
        continue
      case "content":
        read(value, found, depth)
        continue
      case "refusal":
        // Some have it under both names.
        if (value !== message["content"]) read(value, found, depth)
        continue
      case "tool_calls":
      case "function_call":
      case "toolCalls":
        if (hasAny(value)) {
          found.calls = true
          found.isAlive = true
        }
        continue
      default:
        if (isThinking.test(name) && !isReasonOfEnd.test(name) && hasText(value)) found.isAlive = true
    }
  }
  if (found.text.length > before) return
  // The same under another name.
  for (const name of otherNames) {
    const value = message[name]
    if (value === null || value === undefined || value === "") continue
    // A sentence under this name is no answer.
    if (name === "message" && typeof value === "string") continue
    read(value, found, depth + 1)
    if (found.text.length > before) return
  }
}

/** Of one event of its own. */
export const nothing = (): Found => ({ text: "", isAlive: false, calls: false })

// -- internals ---------------------------------------------------------------

/** Deeper content is nobody's. */
const deepest = 8

const otherNames = [
  "text",
  "output_text",
  "outputText",
  "Text",
  "value",
  "parts",
  "message",
  "response",
  "generated_text"
] as const

/** Of a part, or the name of a field. */
const isThinking = /reason|think|thought|^cot$|^analysis$|^summary(_text)?$|signature|compact/i

/** Names that have the reason of the end. */
const isReasonOfEnd = /(finish|stop|done)_?reason/i

const isTool = /tool|function|^input_json/i

/** Whether there is a text in it, and not only a word that says of what kind it is. */
const hasText = (value: unknown, depth = 0): boolean => {
  if (typeof value === "string") return value !== ""
  if (typeof value !== "object" || value === null || depth > deepest) return false
  return Object.entries(value).some(([name, inner]) => !kindsOfParts.has(name) && hasText(inner, depth + 1))
}

const kindsOfParts: ReadonlySet<string> = new Set(["type", "id", "format", "index", "role"])

/** Google's mark beside a content that is thinking: https://ai.google.dev/gemini-api/docs/openai */
const isThought = (message: Json.JsonObject): boolean => {
  const extra = message["extra_content"]
  return extra !== undefined && Json.object(Json.object(extra)?.["google"])?.["thought"] === true
}

const hasAny = (value: unknown): boolean => typeof value === "object" && value !== null && Object.keys(value).length > 0
