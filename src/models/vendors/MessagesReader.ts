/**
 * What an event or a body of Anthropic's Messages means, as Anthropic and the gateways before its models write it.
 *
 * Shapes, with where they come from:
 * - `message_start` … `message_stop`, `error`, `ping` — https://docs.claude.com/en/api/messages-streaming
 * - text in `content_block_start`, whole messages instead of a stream, `[DONE]` — gateways, among them LiteLLM and Copilot
 * - `completion` — https://docs.claude.com/en/api/complete
 * - thinking, signatures and citations are not the answer; the input of a tool is when the request forced that tool
 */
import * as Json from "../Json.js"
import * as VendorUsage from "../VendorUsage.js"
import * as Answers from "./Answers.js"
import * as Content from "./Content.js"
import * as FinishReasons from "./FinishReasons.js"
import * as InBand from "./InBand.js"
import * as UsageReport from "./UsageReport.js"

type OnUsage = Parameters<typeof Answers.reader>[1]

/** Of a stream. `tool` is the one that the request forced, whose input is the answer. */
export const make = (tool: string | undefined, onUsage: OnUsage): Answers.Reader => Answers.reader(wire(tool), onUsage)

/** Of a body that is here as a whole. */
export const ofBody = (body: string, tool: string | undefined, onUsage: OnUsage): Answers.Heard =>
  Answers.ofBody(wire(tool), body, onUsage)

// -- internals ---------------------------------------------------------------

const wire = (tool: string | undefined): Answers.Wire => {
  let counts: Json.JsonObject = {}
  /** Of a forced tool, the input that its block began with, while no other came. */
  let input: string | undefined

  const count = (answer: Answers.Answer, ...places: ReadonlyArray<unknown>): void => {
    const report = UsageReport.find(...places)
    if (report === undefined) return
    counts = VendorUsage.cumulative(counts, UsageReport.asMessages(report))
    answer.usage(VendorUsage.ofAnthropic(counts))
  }
  /** What the model calls by itself is not the answer. */
  const block = (value: unknown, isWhole: boolean, answer: Answers.Answer): void => {
    const content = Json.object(value)
    if (content?.["type"] === "tool_use" && tool !== undefined && (content["name"] ?? tool) === tool) {
      const text = typeof content["input"] === "string" ? content["input"] : JSON.stringify(content["input"] ?? {})
      if (isWhole) answer.text(text)
      else input = text === "{}" || text === "" ? undefined : text
      return answer.alive()
    }
    give(value, answer)
  }
  const blockEnded = (answer: Answers.Answer, block?: unknown): void => {
    if (tool === undefined) give(block, { ...answer, text: answer.wholePart })
    if (input !== undefined) answer.text(input)
    input = undefined
  }
  const finish = (answer: Answers.Answer, ...places: ReadonlyArray<Json.JsonObject | undefined>): void => {
    for (const place of places) {
      const found = place && FinishReasons.find(place)
      if (found === undefined) continue
      // The model did what it was asked for.
      return answer.finish(tool !== undefined && found.reason === "tool_calls" ? { ...found, reason: "stop" } : found)
    }
  }
  const message = (root: Json.JsonObject, isWhole: boolean, answer: Answers.Answer): void => {
    const content = root["content"]
    let all = ""
    const taking: Answers.Answer = { ...answer, text: (text) => void (all += text) }
    if (Array.isArray(content)) { for (const each of content) block(each, true, taking) }
    else give(content, taking)
    if (isWhole) answer.wholeText(all)
    else answer.text(all)
    finish(answer, root)
    if (isWhole) answer.whole()
  }

  return (root, event, answer) => {
    const { delta, type } = root
    const inner = Json.object(root["message"])
    const change = Json.object(delta)
    count(answer, root["usage"], inner?.["usage"], change?.["usage"])
    const failure = InBand.find(root, event, isMessages.test(String(type)) || root["content"] !== undefined)
    if (failure !== undefined) return answer.fail(failure)
    const sentence = InBand.sentenceOf(root)
    if (sentence !== undefined) {
      if (InBand.ofText(sentence) !== undefined) return answer.fail({ body: root })
      answer.suspect({ body: root })
    }
    const kind = typeof type === "string" && type !== "" ? type : root["content"] !== undefined ? "message" : event
    switch (kind) {
      case "message_start":
        return inner === undefined ? undefined : message(inner, false, answer)
      case "content_block_start":
        return block(root["content_block"], false, answer)
      case "content_block_delta": {
        if (change?.["type"] === "input_json_delta" && tool !== undefined) {
          input = undefined
          return answer.text(Json.string(change["partial_json"]) ?? "")
        }
        return give(delta ?? root["content_block"] ?? { text: root["text"] }, answer)
      }
      case "content_block_stop":
        return blockEnded(answer, root["content_block"])
      case "message_delta":
        blockEnded(answer)
        return finish(answer, change, root, inner)
      case "message_stop":
        blockEnded(answer)
        // Some send all of it once more, or only here. The input of a tool may be written in another way.
        if (inner !== undefined && tool === undefined) message(inner, true, answer)
        finish(answer, change, root)
        return answer.done()
      case "message":
        return message(inner ?? root, true, answer)
      case "completion":
        answer.text(Json.string(root["completion"]) ?? "")
        return finish(answer, root)
      default:
        if (change !== undefined || typeof delta === "string") {
          give(delta, answer)
          return finish(answer, change, root)
        }
        // `ping`, and whatever comes to be: new event types are no error. Some gateways end as OpenAI does.
        if (isDoneEvent.test(event)) answer.done()
    }
  }
}

const give = (content: unknown, answer: Answers.Answer): void => {
  const found = Content.nothing()
  Content.read(content, found)
  if (found.calls) answer.calls()
  if (found.isAlive) answer.alive()
  answer.text(found.text)
}

/** Types of the wire itself. */
const isMessages = /^(message|content_block|completion|ping)/

const isDoneEvent = /^(done|end|eos|completed?|finish(ed)?|close)$/i
