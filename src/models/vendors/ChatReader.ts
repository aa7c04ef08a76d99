/**
 * What an event or a body of OpenAI's Chat Completions means, as OpenAI and those who speak its protocol write it.
 *
 * Shapes, with where they come from:
 * - `choices[].delta.content`, `.refusal`; `choices[].message` — https://platform.openai.com/docs/api-reference/chat
 * - content as a list of parts, thinking among them — Mistral, https://docs.mistral.ai/capabilities/reasoning/
 * - `reasoning`, `reasoning_details` — OpenRouter, https://openrouter.ai/docs/use-cases/reasoning-tokens
 * - `reasoning_content` — DeepSeek, https://api-docs.deepseek.com/guides/reasoning_model; vLLM, SGLang, GLM, DashScope
 * - `message` beside or instead of `delta` — Perplexity, https://docs.perplexity.ai; gateways that always answer whole
 * - `text` in the choice — https://platform.openai.com/docs/api-reference/completions, TGI
 * - a choice without its list, `done` — Ollama, https://github.com/ollama/ollama/blob/main/docs/api.md
 * - the whole inside of `data`, `result` or `output` — Cloudflare, DashScope, FastGPT
 * - `response` or `generated_text` instead of a choice — Cloudflare, TGI
 * - `response.…` events, and a `response` with its `output` — gateways before https://platform.openai.com/docs/api-reference/responses
 * - `usage` in the choice — Moonshot, https://platform.moonshot.ai/docs/api/chat; in `x_groq` — Groq
 */
import * as Json from "../Json.js"
import * as VendorUsage from "../VendorUsage.js"
import * as Answers from "./Answers.js"
import * as Content from "./Content.js"
import * as FinishReasons from "./FinishReasons.js"
import * as InBand from "./InBand.js"
import * as NativeChunks from "./NativeChunks.js"
import * as UsageReport from "./UsageReport.js"

type OnUsage = Parameters<typeof Answers.reader>[1]

/** Of a stream. */
export const make = (onUsage: OnUsage): Answers.Reader => Answers.reader(wire(), onUsage)

/** Of a body that is here as a whole. */
export const ofBody = (body: string, onUsage: OnUsage): Answers.Heard => Answers.ofBody(wire(), body, onUsage)

// -- internals ---------------------------------------------------------------

const wire = (): Answers.Wire => {
  let counts: Json.JsonObject | undefined

  const count = (answer: Answers.Answer, ...places: ReadonlyArray<unknown>): void => {
    const report = UsageReport.find(...places)
    if (report === undefined) return
    counts = UsageReport.merge(counts, UsageReport.asChat(report))
    answer.usage(VendorUsage.ofOpenAi(counts))
  }
  const readResponses: Answers.Wire = (root, event, answer) => {
    const type = Json.string(root["type"]) ?? ""
    const response = root["object"] === "response" ? root : Json.object(root["response"])
    const failure = InBand.find(root, event, true) ?? (response && InBand.find(response, "", true))
    if (failure !== undefined) return answer.fail(failure)
    count(answer, response?.["usage"])
    const found = Content.nothing()
    const isText = /^response\.(output_text|refusal)\./.test(type)
    if (isText) Content.read(root["delta"] ?? root["text"] ?? root["refusal"], found)
    else if (type.endsWith(".delta")) found.isAlive = true
    else if (type === "response.output_item.done") Content.read(root["item"], found)
    if (response !== undefined) Content.read(response["output"], found)
    if (found.calls) answer.calls()
    if (found.isAlive) answer.alive()
    if (response !== undefined) answer.wholeText(found.text)
    else if (type.endsWith(".done")) answer.wholePart(found.text)
    else answer.text(found.text)
    const status = response?.["status"]
    if (response === undefined || status === "in_progress" || status === "queued") return
    const finish = FinishReasons.find(response) ?? FinishReasons.of(status)
    if (finish !== undefined) answer.finish(finish)
  }
  const read: Answers.Wire = (root, event, answer) => {
    const choices = root["choices"]
    if (choices === undefined && isResponses(root)) return readResponses(root, event, answer)
    const inner = choices === undefined ? NativeChunks.asChat(root) ?? wrapped(root) : undefined
    if (inner !== undefined) {
      const failure = InBand.find(root, event, true)
      return failure === undefined ? read(inner, event, answer) : answer.fail(failure)
    }
    const choice = choices === undefined ? root : choiceOf(choices)
    count(answer, root["usage"], choice?.["usage"], Json.object(root["x_groq"])?.["usage"], ollama(root))
    const isRoot = choice === root
    const found = choice === undefined ? none : inChoice(choice, isRoot)
    const ofChoice = choice === undefined
      ? undefined
      : FinishReasons.find(choice) ?? inMessage(choice)
    const finish = ofChoice ?? (isRoot ? undefined : FinishReasons.find(root))
    const failure = InBand.find(
      root,
      event,
      isRoot ? finish !== undefined || hasMessage(root) : found.text !== "" || finish !== undefined
    ) ??
      (choice === undefined || isRoot ? undefined : insideChoice(choice))
    if (failure !== undefined) return answer.fail(failure)
    const sentence = InBand.sentenceOf(root)
    if (sentence !== undefined && found.text === "") {
      if (InBand.ofText(sentence) !== undefined) return answer.fail({ body: root })
      answer.suspect({ body: root })
    }
    if (found.calls) answer.calls()
    if (found.isAlive) answer.alive()
    // A message beside a delta is all of the text so far.
    const hasAll = finish !== undefined || root["object"] === "chat.completion" || Json.isRecord(choice?.["delta"])
    if (found.isWhole && hasAll) answer.wholeText(found.text)
    else answer.text(found.text)
    if (found.isWhole && root["done"] !== false) answer.whole()
    if (finish !== undefined) answer.finish(finish)
    else if (root["done"] === true || found.text === "" && isDoneEvent.test(event)) answer.done()
  }
  return read
}

interface FoundInChoice extends Content.Found {
  /** Whether it is a message, and not the next part of one. */
  readonly isWhole: boolean
}

const none: FoundInChoice = { ...Content.nothing(), isWhole: false }

/** The first, however its index is written; another one is another answer. */
const choiceOf = (choices: unknown): Json.JsonObject | undefined => {
  if (!Array.isArray(choices)) {
    const one = Json.object(choices)
    return Json.object(one?.["0"]) ?? one
  }
  let unnumbered: Json.JsonObject | undefined
  for (const each of choices) {
    const choice = Json.object(each)
    if (choice === undefined) continue
    const { index } = choice
    if (index === 0 || index === "0") return choice
    if (index === undefined || index === null || index === "") unnumbered ??= choice
  }
  return unnumbered
}

/** `response.created` … `response.completed`, and the whole. */
const isResponses = (root: Json.JsonObject): boolean =>
  root["object"] === "response" || typeof root["type"] === "string" && root["type"].startsWith("response.")

const wrappers = ["data", "result", "output", "response", "body", "chunk"]

const wrapped = (root: Json.JsonObject): Json.JsonObject | undefined => {
  for (const name of wrappers) {
    const inner = Json.object(root[name])
    if (inner?.["choices"] !== undefined || inner !== undefined && hasText(inner)) return inner
  }
  return undefined
}

/** The whole answer without a choice around it. */
const hasText = (from: Json.JsonObject): boolean =>
  typeof from["response"] === "string" || typeof from["generated_text"] === "string" ||
  typeof from["text"] === "string" && FinishReasons.find(from) !== undefined

const inChoice = (choice: Json.JsonObject, isRoot: boolean): FoundInChoice => {
  const { delta, message, text } = choice
  const found = Content.nothing()
  if (delta !== undefined && delta !== null) {
    if (Json.isRecord(delta)) Content.readMessage(delta, found)
    else Content.read(delta, found)
  }
  let isWhole = false
  if (found.text === "" && message !== undefined && message !== null) {
    if (Json.isRecord(message)) {
      Content.readMessage(message, found)
      isWhole = true
    } else if (!isRoot) Content.read(message, found)
  }
  if (found.text === "" && !isWhole && typeof text === "string" && !(isRoot && hasCode(choice))) {
    found.text = text
    isWhole = choice["object"] === "text_completion"
  }
  if (found.text === "" && !isWhole) {
    // The message without anything around it.
    const isBare = choice["role"] === undefined && choice["output_text"] === undefined
    if (isRoot && isBare && !hasText(choice)) return { ...found, isWhole }
    Content.readMessage(choice, found)
    // Without counts, it may be the first line of many.
    isWhole = isRoot && (choice["response"] === undefined || Json.isRecord(choice["usage"]))
  }
  return { ...found, isWhole }
}

const hasMessage = (root: Json.JsonObject): boolean =>
  Json.isRecord(root["message"]) || root["delta"] !== undefined && root["delta"] !== null ||
  typeof root["text"] === "string" && !hasCode(root) && root["role"] === undefined

/** `text` beside a code is the sentence of a failure. */
const hasCode = (root: Json.JsonObject): boolean =>
  ["error_code", "errorCode", "code", "err_code", "errcode"].some((name) => root[name] !== undefined)

const insideChoice = (choice: Json.JsonObject): InBand.Failure | undefined => {
  const failure = InBand.inside(choice)
  if (failure !== undefined) return failure
  for (const name of ["delta", "message"]) {
    const message = Json.object(choice[name])
    const inner = message && InBand.inside(message)
    if (inner !== undefined) return inner
  }
  return undefined
}

/** Inside of the message, or of what is new of it. */
const inMessage = (choice: Json.JsonObject): FinishReasons.Finish | undefined => {
  for (const name of ["delta", "message"]) {
    const message = Json.object(choice[name])
    const found = message && FinishReasons.find(message)
    if (found !== undefined) return found
  }
  return undefined
}

const ollama = (root: Json.JsonObject): Json.JsonObject | undefined =>
  root["eval_count"] === undefined ? undefined : root

/** Of an event that carries nothing, its name may be the vendor's last word. */
const isDoneEvent = /^(done|end|eos|completed?|finish(ed)?|close)$/i
