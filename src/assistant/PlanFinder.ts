/**
 * Finds the plan in a whole answer of a model, wherever it stands: behind a thought or a sentence, in a fence, a tag or
 * an envelope, as a JSON string, or twice.
 *
 * It is found where exactly one reading is possible. Several different plans, a plan within an unfinished thought and
 * one with prose on both sides are none; a plan that is quoted within a sentence is part of an answer in prose.
 * The work is linear in the length of the answer.
 */
import { Either } from "effect"
import * as LooseJson from "./LooseJson.js"
import * as Plan from "./Plan.js"

export interface Found {
  readonly plan: Plan.Plan
  /** Whether the answer is prose, of which nothing can run. */
  readonly isProse: boolean
  /** The words of the answer that are no part of the plan; thoughts among them. */
  readonly ignored: string
  /** Whether there are some besides thoughts. */
  readonly hasWordsAround: boolean
}

export interface NotFound {
  readonly malformed: Plan.Malformed
  /** Whether what could be read as an answer must not be, because another plan stands beside it. */
  readonly isAmbiguous: boolean
}

export const find = (text: string): Either.Either<Found, NotFound> => {
  if (text.trim() === "") return notFound("The answer is empty.")
  const budget: LooseJson.Budget = { left: text.length * 2 + 400_000 }
  const all = partsOf(text, budget)
  const thinking = thinkingOf(text, all, budget)
  if (budget.left < 0) return notFound("The answer has too many objects or marks to be read.", true)
  const parts = all.filter(({ candidates, from }) => candidates.length > 0 && from >= thinking.end)
  const standing = parts.filter((part, index) =>
    !isQuotation(text, part, Math.max(thinking.end, parts[index - 1]?.to ?? 0), parts[index + 1]?.from ?? text.length)
  )
  const [first] = parts
  const last = parts.at(-1)
  if (first === undefined || last === undefined || standing.length === 0) {
    return proseOf(text, thinking, all.find(({ to }) => to > thinking.end), parts.length > 0)
  }
  const candidates = parts.flatMap(({ candidates }) => candidates)
  const different = new Set(candidates.map((candidate) => JSON.stringify(candidate)))
  if (different.size > 1) {
    return notFound(`The answer holds ${different.size} different plans, so none is followed.`, true)
  }
  const [plan] = candidates
  if (plan === undefined) return notFound("The answer holds no plan.")
  if (Either.isLeft(plan)) return Either.left({ malformed: plan.left, isAmbiguous: false })
  if (thinking.openedAt !== undefined && first.from > thinking.openedAt) {
    return notFound("The plan stands in a thought that does not end.", true)
  }
  const before = text.slice(thinking.end, first.from)
  const after = text.slice(last.to)
  const isIntroduced = hasWords(before)
  if (isIntroduced && hasWords(after)) {
    return notFound("There is prose before and behind the plan, so that it may be an example.", true)
  }
  if (isIntroduced && isQuoted(text, first) && hasWords(lineBefore(text, first.from, thinking.end))) {
    return notFound("The plan is quoted in a sentence, so that it may be an example.", true)
  }
  return Either.right({
    plan: plan.right,
    isProse: false,
    ignored: wordsOf(`${text.slice(0, first.from)} ${after}`),
    hasWordsAround: isIntroduced || hasWords(after)
  })
}

/** A mark that begins a thought, or ends one; channels of gpt-oss included. */
export const thinkingMark = (): RegExp =>
  new RegExp(
    `<\\|?(?<slash>/)?[^<>\\s/]{0,24}(?:${thinkingWord})[^<>/]{0,40}>`
      + `|\\[(?<bracketSlash>/)?(?:${thinkingWord})[A-Za-z_]{0,20}\\]`
      + `|◁(?<wedgeSlash>/)?[^◁▷]{1,24}▷`
      + "|<\\|channel\\|>(?<channel>\\s*[a-z]*)"
      + "|(?<end><\\|(?:end|start|return)\\|>)",
    "gi"
  )

/** Whether such a mark begins a thought, ends one, or ends one only if one has begun. */
export const kindOf = (mark: RegExpMatchArray): "begins" | "ends" | "ends a channel" => {
  const { bracketSlash, channel, end, slash, wedgeSlash } = mark.groups ?? {}
  if (end !== undefined) return "ends a channel"
  if (channel !== undefined) return /^\s*(?:analysis|thought|thinking)$/i.test(channel) ? "begins" : "ends"
  return [slash, bracketSlash, wedgeSlash].some((sign) => sign !== undefined) || /<\|?(?:end|eo)/i.test(mark[0])
    ? "ends"
    : "begins"
}

/** What stands around plans and means nothing: tags, tokens, fences and their language, a byte order mark. */
export const marks = (): RegExp =>
  /<\|[^|<>\n]{1,60}\|>(?:[a-z_]{1,20}(?: to=[\w.]{1,60})?\s*(?=<\|))?|<[^<>\n]{1,120}>|\[\/?[A-Z_]{2,30}\]|(?:`{3,}|~{3,})[ \t]*[\w+.-]{0,30}|[`\ufeff]|^[ \t]*json[ \t]*$/gm

/** Prose without tokens at its ends, such as `<|im_end|>`; behind a thought without the blanks before it, too. */
export const withoutTokens = (text: string, isBehindThought: boolean): string => {
  const said = text.replace(
    isBehindThought ? /^(?:\s|<\|[^|<>\n]{1,60}\|>)+/ : /^(?:<\|[^|<>\n]{1,60}\|>\s{0,20})+/,
    ""
  )
  const end = said.slice(-400)
  return said.slice(0, said.length - end.length) + end.replace(trailingTokens, "")
}

// -- internals ---------------------------------------------------------------

type Candidate = Either.Either<Plan.Plan, Plan.Malformed>

/** A value of JSON in the answer, or the beginning of a plan. */
interface Part {
  readonly from: number
  readonly to: number
  readonly candidates: ReadonlyArray<Candidate>
  /** It has no end, so that marks in it may be the answer's. */
  readonly isBroken: boolean
  /** The answer ends within it. */
  readonly isCut: boolean
}

interface Thinking {
  /** Behind the last thought that ends. */
  readonly end: number
  /** Where one begins that does not end. */
  readonly openedAt: number | undefined
}

const thinkingWord =
  "think|thought|reason|reflect|ruminat|analys|scratch|deliberat|ponder|monolog|rationale|cot(?=[>_])"

const notFound = (problem: string, isAmbiguous = false): Either.Either<never, NotFound> =>
  Either.left({ malformed: new Plan.Malformed({ problem }), isAmbiguous })

const partsOf = (text: string, budget: LooseJson.Budget): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  const opening = /\{(?=\s{0,1000}["}])|\[(?=\s{0,1000}["{[])|"(?=(?:\s|\\[nrt]){0,1000}(?:[{[]|\\"|```))/g
  for (let found = opening.exec(text); found !== null && budget.left >= 0; found = opening.exec(text)) {
    const from = found.index
    const attempt = LooseJson.parse(text, from, budget)
    if (attempt._tag === "Value") {
      const candidates = candidatesIn(attempt.value, 0, budget)
      // What only looks like a string is passed over, not what stands in it.
      if (found[0] === "\"" && candidates.length === 0) continue
      parts.push({ from, to: attempt.end, candidates, isBroken: false, isCut: false })
      opening.lastIndex = attempt.end
    } else if (Plan.actionOf(attempt.known.get("action")) !== undefined) {
      const problem = attempt.isCut
        ? "The answer breaks off before its plan is complete."
        : "The plan is no valid JSON."
      const candidates = [Either.left(new Plan.Malformed({ problem }))]
      parts.push({ from, to: from + 1, candidates, isBroken: true, isCut: attempt.isCut })
      budget.left -= costOfPlan
    }
  }
  return parts
}

const maxEnvelopes = 6

/** In characters that are read in the same time. */
const costOfPlan = 5_000
const costOfMark = 600

/** The plans in a value: itself, or in envelopes of any name, or written as a string. */
const candidatesIn = (value: LooseJson.Json, depth: number, budget: LooseJson.Budget): ReadonlyArray<Candidate> => {
  if (depth > maxEnvelopes || budget.left < 0) return []
  if (typeof value === "string") {
    const inner = value.replace(leadingMarks, "")
    if (!/^[{["]/.test(inner)) return []
    const attempt = LooseJson.parse(inner, 0, budget)
    return attempt._tag === "Value" && !hasWords(inner.slice(attempt.end))
      ? candidatesIn(attempt.value, depth + 1, budget)
      : []
  }
  if (Array.isArray(value)) return value.flatMap((item: LooseJson.Json) => candidatesIn(item, depth + 1, budget))
  if (!LooseJson.isObject(value)) return []
  const name = value.get("action")
  const action = Plan.actionOf(name)
  if (action !== undefined) {
    budget.left -= costOfPlan
    return [Plan.decode(action, value)]
  }
  if (name === LooseJson.twice) return [Either.left(Plan.notAPlan(undefined))]
  // An object of a cluster is data, whatever it carries.
  if (value.has("apiversion") || value.has("kind")) return []
  const inside = [...value.values()].flatMap((item) => candidatesIn(item, depth + 1, budget))
  if (inside.length > 0) return inside
  return typeof name === "string" && (value.has("text") || value.has("args")) ? [Either.left(Plan.notAPlan(name))] : []
}

const leadingMarks = /^(?:\s|(?:`{3,}|~{3,})[ \t]*[\w+.-]{0,30}|\ufeff)+/

const thinkingOf = (text: string, parts: ReadonlyArray<Part>, budget: LooseJson.Budget): Thinking => {
  let end = 0
  let openedAt: number | undefined
  const whole = parts.filter(({ isBroken }) => !isBroken)
  let next = 0
  for (const mark of text.matchAll(thinkingMark())) {
    budget.left -= costOfMark
    if (budget.left < 0) break
    while ((whole[next]?.to ?? Infinity) <= mark.index) next++
    if ((whole[next]?.from ?? Infinity) < mark.index) continue
    const kind = kindOf(mark)
    if (kind === "begins") openedAt ??= mark.index
    else if (openedAt !== undefined || (kind === "ends" && isAlone(text, mark.index, mark[0].length))) {
      end = mark.index + mark[0].length
      openedAt = undefined
    }
  }
  return { end, openedAt }
}

/** A mark that ends what has not begun is one only on its own: a sentence may speak of it. */
const isAlone = (text: string, from: number, length: number): boolean =>
  /[\n.!?]\s*$|^$/.test(text.slice(Math.max(0, from - 20), from))
  || /^\s*(?:\n|[{["<~]|```|$)/.test(text.slice(from + length, from + length + 100))
  || text.startsWith("<|channel|>", from)

/** `json` is what of JSON the answer holds first. */
const proseOf = (
  text: string,
  { end, openedAt }: Thinking,
  json: Part | undefined,
  isQuoting: boolean
): Either.Either<Found, NotFound> => {
  const rest = text.slice(end)
  const isJson = json === undefined
    ? /^\s*\{/.test(rest.slice(0, 1_000).replace(marks(), " "))
    : !hasWords(text.slice(end, json.from)) && !hasWords(text.slice(json.to))
  if (isJson && !isQuoting) {
    const isCut = json === undefined && !/[}\]]\s*$/.test(rest.slice(-1_000).replace(marks(), " "))
    return isCut
      ? notFound("The answer breaks off: it is JSON that does not end.")
      : Either.left({ malformed: Plan.notAPlan(undefined), isAmbiguous: false })
  }
  if (openedAt !== undefined && !hasWords(text.slice(end, openedAt))) {
    return notFound("The answer is a thought that does not end.")
  }
  const said = withoutTokens(rest, end > 0)
  if (said.trim() === "") return notFound("The answer is a thought, and nothing behind it.")
  return Either.right({
    plan: { action: "DONE", text: said, memory: "" },
    isProse: true,
    ignored: wordsOf(text.slice(0, end)),
    hasWordsAround: false
  })
}

const trailingTokens = /(?:\s{0,20}<\|[^|<>\n]{1,60}\|>)+\s*$/

/** Within a sentence, and not a line of its own. */
const isQuotation = (text: string, part: Part, from: number, to: number): boolean => {
  const isInline = hasWords(lineBefore(text, part.from, from))
  if (part.isBroken) return isInline && (!part.isCut || isQuoted(text, part))
  const [after = ""] = text.slice(part.to, to).split("\n", 1)
  const goesOn = hasWords(after)
  return goesOn ? isInline || isQuoted(text, part) : isInline && isQuoted(text, part) && /[.!?,;:)]/.test(after)
}

const isQuoted = (text: string, { from }: Part): boolean =>
  /[`"'“‘«(]/.test(text.charAt(from - 1)) && !text.endsWith("```", from)

const lineBefore = (text: string, at: number, from: number): string => {
  const before = text.slice(from, at)
  return before.slice(before.lastIndexOf("\n") + 1)
}

const hasWords = (text: string): boolean => /[\p{L}\p{N}]/u.test(text.replace(marks(), " "))

const wordsOf = (text: string): string => {
  const words = text.replace(marks(), " ").replace(/\s+/g, " ").trim()
  return /[\p{L}\p{N}]/u.test(words) ? words : ""
}
