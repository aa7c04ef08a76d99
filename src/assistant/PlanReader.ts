/**
 * Reads a plan while it is produced, so that an answer within it can be shown
 * at once: of `{"action":"DONE","text":"All pods …` the text, as it comes.
 *
 * An answer that is no JSON at all is an answer in prose: nothing in it can be
 * run, so it is shown as it comes, too.
 */
import { Either } from "effect"
import * as Plan from "./Plan.js"

export interface PlanReader {
  /** Takes the next piece of the model's answer; yields what of it is text for the user. */
  readonly push: (piece: string) => string
  /** The whole plan, or why it is none. What was shown of an answer whose end is missing or broken is that answer. */
  readonly end: () => Either.Either<Read, Plan.Malformed>
}

export interface Read {
  readonly plan: Plan.Plan
  /** Whether the answer broke off within its text. */
  readonly isCut: boolean
}

export const make = (): PlanReader => {
  let whole = ""
  let kind: "unknown" | "json" | "prose" = "unknown"
  const scanner = scan()
  let shown = ""

  const push = (piece: string): string => {
    const before = whole.length
    whole += piece
    if (kind === "unknown") {
      kind = kindOf(whole)
      if (kind === "unknown") return ""
      // What came before it was known is looked at now.
      return take(whole)
    }
    return take(whole.slice(before))
  }

  const take = (text: string): string => {
    const visible = kind === "prose" ? text : scanner(text)
    shown += visible
    return visible
  }

  const end: PlanReader["end"] = () => {
    if (whole.trim() === "") return Either.left(new Plan.Malformed({ problem: "The answer is empty." }))
    // A lone "`" or the like.
    if (kind === "unknown" || kind === "prose") return Either.right({ plan: done(whole), isCut: false })
    const decoded = Plan.decode(whole)
    if (Either.isRight(decoded) || shown === "") {
      return Either.map(decoded, (plan) => ({ plan, isCut: false }))
    }
    return Either.right({ plan: done(shown), isCut: !scanner.isClosed() })
  }

  return { push, end }
}

// -- internals ---------------------------------------------------------------

const done = (text: string): Plan.Done => ({ action: "DONE", text, memory: "" })

const kindOf = (text: string): "unknown" | "json" | "prose" => {
  const start = text.trimStart()
  if (start.startsWith("{")) return "json"
  const fence = /^```[a-z]*\s*/.exec(start)
  if (start === "" || "```".startsWith(start)) return "unknown"
  if (fence === null) return "prose"
  const inside = start.slice(fence[0].length)
  if (inside === "") return "unknown"
  return inside.startsWith("{") ? "json" : "prose"
}

interface Scanner {
  (text: string): string
  readonly isClosed: () => boolean
}

/** Goes through the characters of an object of JSON, and gives out the value of `text` once `action` says that it is an answer. */
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

  const character = (decoded: string): void => {
    if (isKey) key += decoded
    else if (depth === 1 && key === "text" && !isClosed) text += decoded
    else if (depth === 1 && key === "action") value += decoded
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
      if (!isKey && depth === 1 && key === "text") isClosed = true
      if (!isKey && depth === 1 && key === "action") action = value
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
    } else if (char === "}" || char === "]") depth--
  }

  const scanner = (piece: string): string => {
    for (const char of piece.split("")) {
      if (inString) inside(char)
      else outside(char)
    }
    if (!Plan.isAnswer(action)) return ""
    // Half of a surrogate pair waits for its other half.
    const ready = isHighSurrogate(text.charCodeAt(text.length - 1)) && !isClosed ? text.length - 1 : text.length
    const visible = text.slice(given, ready)
    given = Math.max(given, ready)
    return visible
  }
  return Object.assign(scanner, { isClosed: () => isClosed })
}

const simple: { readonly [escaped: string]: string } = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" }

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff
