import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import * as PlanFinder from "../../src/assistant/PlanFinder.js"
import * as PlanReader from "../../src/assistant/PlanReader.js"

const planOf = (over: object = {}) =>
  JSON.stringify({
    action: "COMMAND",
    text: "Look.",
    args: ["get", "nodes"],
    stdin: "",
    seconds: 0,
    memory: "",
    ...over
  })
const look = planOf()
const other = planOf({ args: ["delete", "ns", "prod"] })
const quoted = JSON.stringify(look)

/** How an answer is read, whole and in pieces of one and seven characters. */
const read = (text: string): string => {
  const [first, ...others] = [text.length, 1, 7].map((size) => {
    const reader = PlanReader.make()
    let shown = ""
    for (let at = 0; at < text.length; at += size) shown += reader.push(text.slice(at, at + size))
    const { isVoid, reading, rest } = reader.end()
    if (isVoid) shown = ""
    if (Either.isLeft(reading)) return `malformed: ${reading.left.problem}`
    const { isProse, plan } = reading.right
    if (plan.action === "DONE") assert.strictEqual(shown + rest, plan.text)
    return isProse
      ? `prose: ${plan.text}`
      : plan.action === "COMMAND"
      ? plan.args.join(" ")
      : `${plan.action}: ${plan.text}`
  })
  for (const another of others) assert.strictEqual(another, first)
  return first ?? ""
}

const wrappings: Record<string, string> = {
  "a thought": `<think>They want {nodes}. "</think>\n\n${look}`,
  "a thought with another plan": `<think>Not ${other}</think>${look}`,
  "the end of a thought only": `They want nodes; perhaps ${other}\n</think>\n${look}`,
  "a thought of another name": `<reasoning effort="low">hm</reasoning>${look}`,
  "a thought in brackets": `[THINK]hm[/THINK]${look}`,
  "a thought between wedges": `◁think▷hm◁/think▷${look}`,
  "a thought between tokens": `<|begin_of_thought|>hm ${other}<|end_of_thought|>\n${look}`,
  "a thought that has a name space": `<seed:think>hm</seed:think>${look}`,
  "channels":
    `<|channel|>analysis<|message|>hm ${other}<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>${look}<|return|>`,
  "a commentary channel":
    `<|start|>assistant<|channel|>commentary to=functions.plan <|constrain|>json<|message|>${look}<|call|>`,
  "channels without their tokens": `analysisThey want nodes.assistantfinal${look}`,
  "a sentence on the same line": `Sure: ${look}`,
  "a sentence behind it": `${look}\n\nThis lists the nodes.`,
  "an unclosed fence": `\`\`\`json\n${look}`,
  "a fence of another language": `\`\`\`JSON5 \r\n${look}\r\n\`\`\``,
  "a fence behind only": `${look}\n\`\`\``,
  "tildes without language": `~~~~\n${look}\n~~~~`,
  "a tool call with a name": `<tool_call>{"name":"plan","arguments":${look}}</tool_call>`,
  "a tool call with arguments as a string": `<tool_call>{"name":"plan","arguments":${quoted}}</tool_call>`,
  "an unclosed tool call": `<tool_call>${look}`,
  "a function tag": `<function=vibectl_plan>${look}</function>`,
  "Mistral's tool calls": `[TOOL_CALLS][{"name":"plan","arguments":${look}}]`,
  "DeepSeek's tool calls":
    `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>plan\n\`\`\`json\n${look}\n\`\`\`<｜tool▁call▁end｜>`,
  "OpenAI's tool calls":
    `{"tool_calls":[{"id":"1","type":"function","function":{"name":"plan","arguments":${quoted}}}]}`,
  "an envelope": `{"plan":${look}}`,
  "an envelope with a word beside it": `{"status":"ok","response":${look}}`,
  "an envelope whose action is another": `{"action":"vibectl_plan","action_input":${look}}`,
  "a string": quoted,
  "a string of a string": JSON.stringify(quoted),
  "a string of a fence": JSON.stringify(`\`\`\`json\n${look}\n\`\`\``),
  "a list of one": `[${look}]`,
  "a list of the same twice": `[${look},${look}]`,
  "trailing commas": look.replace("]", ",]").replace(/\}$/, ",}"),
  "a comma behind it": `${look},`,
  "a token behind it": `${look}<|im_end|>\n`,
  "tokens of roles": `<|start_header_id|>assistant<|end_header_id|>\n\n${look}<|eot_id|>`,
  "an end of sequence": `<s>${look}</s>`,
  "a byte order mark": `\ufeff${look}`,
  "keys in capitals": look.replace(/"(action|text|args|stdin|seconds|memory)":/g, (key) => key.toUpperCase()),
  "an action in small letters": planOf({ action: "command" }),
  "nulls": planOf({ text: null, stdin: null, seconds: null, memory: null }),
  "two of it in fences": `\`\`\`\n${look}\n\`\`\`\n\`\`\`\n${look}\n\`\`\``,
  "indentation": JSON.stringify(JSON.parse(look), undefined, 4)
}

const done = (text: string) => planOf({ action: "DONE", text, args: [] })
const others: ReadonlyArray<readonly [text: string, reading: string]> = [
  [`You could answer with \`${other}\` but I would not.`, `prose: You could answer with \`${other}\` but I would not.`],
  [`Never answer with \`${other}\`.`, `prose: Never answer with \`${other}\`.`],
  [`\`${other}\` would delete it.`, `prose: \`${other}\` would delete it.`],
  [`Neither \`${look}\` nor \`${other}\` is safe.`, `prose: Neither \`${look}\` nor \`${other}\` is safe.`],
  ["Answers look like {\"action\":\"COMMAND\", …} here.", "prose: Answers look like {\"action\":\"COMMAND\", …} here."],
  ["<think>They want to know.</think>\n\nPods are groups.", "prose: Pods are groups."],
  ["The `</think>` tag ends a thought.", "prose: The `</think>` tag ends a thought."],
  ["<|channel|>final<|message|>Pods are groups.<|return|>", "prose: Pods are groups."],
  [
    "This is one:\n```json\n{\"kind\":\"Pod\",\"action\":1}\n```\n",
    "prose: This is one:\n```json\n{\"kind\":\"Pod\",\"action\":1}\n```\n"
  ],
  [done("use </think> and ```json"), "DONE: use </think> and ```json"],
  [`<think>x</think>${done("a <think> b")}`, "DONE: a <think> b"],
  [`${look}\n${other}`, "malformed: The answer holds 2 different plans, so none is followed."],
  [`[${look},${other}]`, "malformed: The answer holds 2 different plans, so none is followed."],
  [`{"first":${look},"second":${other}}`, "malformed: The answer holds 2 different plans, so none is followed."],
  [`${done("All is well.")}${other}`, "malformed: The answer holds 2 different plans, so none is followed."],
  [
    `I would not say \`${other}\` but\n${look}`,
    "malformed: The answer holds 2 different plans, so none is followed."
  ],
  [`<think>They want nodes. ${look}`, "malformed: The plan stands in a thought that does not end."],
  [
    `Do not answer so:\n${other}\nThat deletes it.`,
    "malformed: There is prose before and behind the plan, so that it may be an example."
  ],
  [`<think>${look}</think>`, "malformed: The answer is a thought, and nothing behind it."],
  ["<think>hm", "malformed: The answer is a thought that does not end."],
  [look.slice(0, -30), "malformed: The answer breaks off before its plan is complete."],
  [`Look: ${look.slice(0, -30)}`, "malformed: The answer breaks off before its plan is complete."],
  [
    "{\"action\":\"COMMAND\",\"args\":[\"get\"],\"args\":[\"delete\",\"ns\",\"prod\"]}",
    "malformed: The key \"args\" stands twice in the plan, with different values."
  ],
  [
    "{\"kind\":\"ConfigMap\",\"data\":{\"x\":" + look + "}}",
    "malformed: The answer is JSON without an \"action\"; it must be one of \"COMMAND\", \"THOUGHT\", \"FEEDBACK\", \"WAIT\", \"DONE\", \"ERROR\"."
  ]
]

describe("PlanFinder", () => {
  it.each(Object.entries(wrappings))("finds the plan in %s", (_, text) => {
    assert.strictEqual(read(text), "get nodes")
  })

  it.each(others)("reads %s as %s", (text, reading) => {
    assert.strictEqual(read(text), reading)
  })

  it("tells what it ignored", () => {
    const found = PlanFinder.find(`<think>They want nodes.</think>\n\`\`\`json\n${look}\n\`\`\`<|im_end|>`)
    assert.deepInclude(Either.getOrThrow(found), { ignored: "They want nodes.", hasWordsAround: false })
    assert.deepInclude(Either.getOrThrow(PlanFinder.find(`Let me look.\n${look}`)), {
      ignored: "Let me look.",
      hasWordsAround: true
    })
  })

  it.each([
    "{\"a\":",
    "{\"action\":\"COMMAND\",",
    `${look}\n`,
    "[[",
    "{}",
    "\"{\\\"",
    "<think>",
    "</think>\n",
    "` ",
    "<|channel|>analysis",
    "a",
    " ",
    "\n",
    "{\"x\":[",
    `{"a":${quoted}}`,
    "< |",
    "◁",
    "a {\"b\": \"c\"} "
  ])("reads a megabyte of %j within 250 ms", (unit) => {
    const text = unit.repeat(Math.ceil(1_000_000 / unit.length))
    PlanFinder.find(text.slice(0, 10_000))
    const began = process.cpuUsage()
    PlanFinder.find(text)
    const reader = PlanReader.make()
    for (let at = 0; at < text.length; at += 100) reader.push(text.slice(at, at + 100))
    reader.end()
    const { system, user } = process.cpuUsage(began)
    // It is read whole twice here.
    assert.isBelow((user + system) / 2_000, 250)
  })
})
