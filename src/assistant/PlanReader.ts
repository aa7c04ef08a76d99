/**
 * Reads a plan while it is produced, so that an answer within it can be shown
 * at once: of `{"action":"DONE","text":"All pods …` the text, as it comes.
 *
 * What is shown early is a guess; the whole answer decides what it is. An answer in prose waits for its first
 * characters or a moment, for a plan may follow a sentence. Blanks behind a plan, or without end, end the answer.
 */
import { Either } from "effect"
import * as Plan from "./Plan.js"
import * as PlanFinder from "./PlanFinder.js"

export interface PlanReader {
  /** Takes the next piece of the model's answer; yields what of it is text for the user. */
  readonly push: (piece: string) => string
  /** Called at an interval; yields prose that has waited from one call to the next. */
  readonly tick: () => string
  /** Whether nothing more is to come, although the model goes on. */
  readonly hasEnded: () => boolean
  /** The whole plan, or why it is none. What was shown of an answer whose end is missing or broken is that answer. */
  readonly end: () => Ending
}

export interface Ending {
  readonly reading: Either.Either<Read, Plan.Malformed>
  /** Whether what was shown is no part of the answer. */
  readonly isVoid: boolean
  /** What of the answer is not shown yet. */
  readonly rest: string
}

export interface Read {
  readonly plan: Plan.Plan
  /** Whether the answer broke off within its text. */
  readonly isCut: boolean
  readonly isProse: boolean
  /** The words around the plan. */
  readonly ignored: string
  /** Whether there are some besides thoughts. */
  readonly hasWordsAround: boolean
}

export const make = (): PlanReader => {
  let whole = ""
  const opening = makeOpening()
  const scanner = scan()
  let kind: Kind = "unknown"
  let shown = ""
  let blanks = 0
  let looks = 0
  let isEnded = false

  const feed = (piece: string): string => {
    whole += piece
    return show(kind === "unknown" ? know(opening.push(piece)) : piece)
  }

  /** What came before it was known is looked at now. */
  const know = (known: Opening): string => {
    kind = known.kind
    return known.text
  }

  const show = (text: string): string => {
    const visible = kind === "plan" ? scanner.push(text) : kind === "prose" ? text : ""
    shown += visible
    return visible
  }

  const tick = (): string => kind === "unknown" && !isEnded ? show(know(opening.tick())) : ""

  /** Whether the blanks that have come so far end the answer. */
  const isEnough = (): boolean => {
    if (blanks === maxBlanks) return true
    if (kind === "plan") {
      return blanks === blanksBehindPlan
        ? scanner.depth() === 0
        : blanks === blanksWithinPlan && scanner.depth() > 0 && !scanner.isInString()
    }
    if (
      blanks !== blanksBehindPlan || !/[}\])"'`~>]\s*$/.test(whole.slice(-blanksBehindPlan - 1)) || looks++ > maxLooks
    ) return false
    const found = PlanFinder.find(whole)
    return Either.isRight(found) && !found.right.isProse
  }

  const push = (piece: string): string => {
    let visible = ""
    let from = 0
    for (let at = 0; at < piece.length && !isEnded; at++) {
      const code = piece.charCodeAt(at)
      blanks = isBlank(code) ? blanks + 1 : 0
      if (blanks !== blanksBehindPlan && blanks !== blanksWithinPlan && blanks !== maxBlanks) continue
      visible += feed(piece.slice(from, at + 1))
      from = at + 1
      isEnded = isEnough()
    }
    return isEnded || from === piece.length ? visible : visible + feed(piece.slice(from))
  }

  const end = (): Ending => {
    const found = PlanFinder.find(whole)
    if (Either.isRight(found)) {
      const { plan } = found.right
      const isSame = Plan.isAnswer(plan.action)
        && (plan.text.startsWith(shown) || (found.right.isProse && shown.startsWith(plan.text)))
      return {
        reading: Either.right({ ...found.right, isCut: false }),
        isVoid: shown !== "" && !isSame,
        rest: Plan.isAnswer(plan.action) ? plan.text.slice(isSame ? shown.length : 0) : ""
      }
    }
    const { isAmbiguous, malformed } = found.left
    if (kind !== "plan" || shown === "" || isAmbiguous) {
      return { reading: Either.left(malformed), isVoid: shown !== "", rest: "" }
    }
    const plan: Plan.Done = { action: "DONE", text: shown, memory: "" }
    const read = { plan, isCut: !scanner.isClosed(), isProse: false, ignored: "", hasWordsAround: false }
    return { reading: Either.right(read), isVoid: false, rest: "" }
  }

  return { push, tick, hasEnded: () => isEnded, end }
}

/** Characters of prose that wait for a plan behind them, unless they have waited from one tick to the next. */
export const heldProse = 240

// -- internals ---------------------------------------------------------------

/** Blanks that end an answer: behind the plan, between the parts of one, and anywhere. */
const [blanksBehindPlan, blanksWithinPlan, maxBlanks] = [32, 96, 1_000]

/** How often a long answer is looked at as a whole before its end. */
const maxLooks = 4

/** `plan`: shown while it comes; `prose`: too; `held`: known only when it is whole. */
type Kind = "unknown" | "plan" | "prose" | "held"

/** What an answer is once that is known, and what of it is to be read so. */
interface Opening {
  readonly kind: Kind
  readonly text: string
}

/** Looks at what an answer begins with, behind thoughts, tokens and fences; keeps only what it must look at again. */
const makeOpening = () => {
  /** Behind the last thought: marks that were passed, and what is not known yet. */
  let passed = ""
  let ahead = ""
  let isThinking = false
  let hasThought = false
  let thoughts = 0
  /** The ticks that prose has waited. */
  let ticks = 0

  const pass = (length: number): "again" => {
    passed += ahead.slice(0, length)
    ahead = ahead.slice(length)
    return "again"
  }
  /** In or before a thought; it is no part of an answer. */
  const drop = (mark: RegExpMatchArray, index: number): "again" | "unknown" | "held" => {
    const end = index + mark[0].length
    // It may go on.
    if (end === ahead.length) return "unknown"
    if (++thoughts > maxThoughts) return "held"
    const kind = PlanFinder.kindOf(mark)
    if (kind === "ends a channel" && !isThinking) return pass(end)
    isThinking = kind === "begins"
    hasThought ||= !isThinking
    ahead = ahead.slice(end)
    passed = ""
    return "again"
  }
  const step = (): Kind | "again" | "waiting" => {
    const mark = PlanFinder.thinkingMark().exec(ahead)
    if (isThinking) {
      if (mark !== null) return drop(mark, mark.index)
      ahead = ahead.slice(-maxMark)
      return "unknown"
    }
    if (ahead === "") return "unknown"
    if (passed.length > maxPassed) return "held"
    const blank = /^[\s\ufeff]+/.exec(ahead)
    if (blank !== null) return pass(blank[0].length)
    if (ahead.startsWith("{")) return "plan"
    if (mark?.index === 0) return drop(mark, 0)
    const passing = PlanFinder.marks().exec(ahead)
    if (passing?.index === 0 && passing[0].length < ahead.length) return pass(passing[0].length)
    if (/^(?:[<`~[]|json?$|js$|j$)/.test(ahead) && ahead.length < maxMark) return "unknown"
    if (/^["[]/.test(ahead)) return "held"
    return ahead.length > heldProse ? "prose" : "waiting"
  }
  const known = (kind: Kind): Opening => ({
    kind,
    text: kind === "prose" ? PlanFinder.withoutTokens(passed + ahead, hasThought) : ahead
  })

  return {
    push: (piece: string): Opening => {
      ahead += piece
      let kind = step()
      while (kind === "again") kind = step()
      return known(kind === "waiting" ? "unknown" : kind)
    },
    tick: (): Opening => {
      // What has been looked at goes no further by being looked at again.
      const kind = step()
      if (kind !== "waiting") return known("unknown")
      return known(++ticks > 1 ? "prose" : "unknown")
    }
  }
}

/** Marks of thoughts: with more of them, the answer is looked at as a whole only. */
const maxThoughts = 200

/** Marks and blanks before anything else: with more of them, the answer is looked at as a whole only. */
const maxPassed = 1_000

/** Longer than any mark. */
const maxMark = 128

interface Scanner {
  /** The next text for the user. */
  readonly push: (text: string) => string
  /** Whether that text is complete. */
  readonly isClosed: () => boolean
  readonly isInString: () => boolean
  /** How many objects and lists are open. */
  readonly depth: () => number
}

/** Goes through the characters of an object of JSON, and gives out the value of `text` once `action` makes it an answer. */
function scan(): Scanner {
  let depth = 0
  let inString = false
  let isKey = true
  let escape = ""
  let key = ""
  let value = ""
  let action = ""
  let text = ""
  let given = 0
  let isClosed = false
  let isOver = false

  const isAt = (name: string) => depth === 1 && key.toLowerCase() === name

  const character = (decoded: string): void => {
    if (isKey) key += decoded
    else if (isAt("text") && !isClosed) text += decoded
    else if (isAt("action")) value += decoded
  }

  const inside = (char: string): void => {
    if (escape !== "") {
      escape += char
      if (escape[1] !== "u") character(simple[char] ?? char)
      else if (escape.length < 6) return
      else character(String.fromCharCode(Number.parseInt(escape.slice(2), 16)))
      escape = ""
    } else if (char === "\\") escape = char
    else if (char !== "\"") character(char)
    else {
      inString = false
      if (!isKey && isAt("text")) isClosed = true
      if (!isKey && isAt("action")) action = value
    }
  }

  const outside = (char: string): void => {
    if (char === "\"") {
      inString = true
      if (isKey) key = ""
    } else if (char === ":" && depth === 1) isKey = false
    else if (char === "," && depth === 1) isKey = true
    else if (char === "{" || char === "[") {
      depth++
      isKey = depth === 1
    } else if (char === "}" || char === "]") {
      depth--
      isOver = depth <= 0
    }
  }

  const push = (piece: string): string => {
    for (const char of piece.split("")) {
      if (isOver) break
      if (inString) inside(char)
      else outside(char)
    }
    if (!Plan.isAnswer(Plan.actionOf(action) ?? "")) return ""
    // Half of a surrogate pair waits for its other half.
    const ready = isHighSurrogate(text.charCodeAt(text.length - 1)) && !isClosed ? text.length - 1 : text.length
    const visible = text.slice(given, ready)
    given = Math.max(given, ready)
    return visible
  }
  return { push, isClosed: () => isClosed, isInString: () => inString, depth: () => depth }
}

const simple: { readonly [escaped: string]: string } = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" }

const isBlank = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff
