/**
 * What a line of Markdown is, by how it begins.
 */

export type Block =
  /** Text; what `marker` says stands before it, and its further lines begin below it. */
  | {
    readonly _tag: "Text"
    readonly quotes: number
    readonly indent: number
    readonly marker: string
    readonly heading: boolean
    readonly text: string
  }
  | { readonly _tag: "Rule"; readonly quotes: number }
  /** Begins code, which ends with a line of at least as many of the same marks. */
  | { readonly _tag: "Fence"; readonly indent: number; readonly fence: string; readonly info: string }
  | { readonly _tag: "Row"; readonly line: string }
  | { readonly _tag: "Blank" }

/**
 * What begins with `known`, which is the line so far, or all of it if it has `ended`;
 * undefined while that depends on what follows.
 */
export const classify = (known: string, ended: boolean): Block | undefined => {
  const [before = ""] = /^(?: {0,3}> ?)+/.exec(known) ?? []
  const quotes = before.replaceAll(/[^>]/g, "").length
  const [blanks = ""] = /^[ \t]*/.exec(known.slice(before.length)) ?? []
  const body = known.slice(before.length + blanks.length)
  const indent = blanks.replaceAll("\t", "    ").length
  const text = (skip: number, marker = "", heading = false): Block => ({
    _tag: "Text",
    quotes,
    indent,
    marker,
    heading,
    text: body.slice(skip)
  })
  if (body === "") return ended ? quotes === 0 ? { _tag: "Blank" } : text(0) : undefined
  if (!ended && undecided.test(body)) return undefined
  if (quotes === 0 && longUndecided.test(body)) {
    if (!ended) return undefined
    if (body.startsWith("|")) return { _tag: "Row", line: body }
    const [, fence, info] = /^(`{3,}(?=[^`]*$)|~{3,})(.*)$/.exec(body) ?? []
    if (fence !== undefined && info !== undefined) return { _tag: "Fence", indent, fence, info: info.trim() }
  }
  if (rule.test(body)) return { _tag: "Rule", quotes }
  const [heading] = /^#{1,6}[ \t]+(?=\S)/.exec(body) ?? []
  if (heading !== undefined) return text(heading.length, heading.trim(), true)
  const [bullet] = /^[-*][ \t]+(?=\S)/.exec(body) ?? []
  if (bullet !== undefined) return text(bullet.length, "•")
  const [number] = /^\d{1,9}[.)][ \t]+(?=\S)/.exec(body) ?? []
  if (number !== undefined) return text(number.length, number.trim())
  return text(0)
}

/** Whether what begins like this is known only at the end of the line, however long it is. */
export const isLong = (known: string): boolean => longUndecided.test(known.trimStart())

// -- internals ---------------------------------------------------------------

/** Beginnings of rules and bullets, headings, numbers and fences. */
const undecided = /^(?:([-*_])(?:[ \t]|\1)*|#{1,6}[ \t]*|\d{1,9}(?:[.)][ \t]*)?|`{1,2}|~{1,2})$/
const longUndecided = /^(?:```|~~~|\|)/
const rule = /^([-*_])[ \t]*(?:\1[ \t]*){2,}$/
