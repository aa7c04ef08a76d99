/**
 * What a Secret holds, printed in any form: everything that is not the name of
 * a key is a value. Rather too much is redacted here than too little.
 */
import * as Placeholder from "./Placeholder.js"

export interface Strict {
  /** Calls `see` for each value in `text`, a line of which `whole` says that nothing of it was cut off. */
  readonly take: (text: string, whole: boolean, see: (start: number, end: number) => void) => void
}

export const make = (): Strict => {
  /** The headings of the table, when the text is one. */
  let headings: ReadonlyArray<string> = []
  let first = true
  return {
    take: (text, whole, see) => {
      const start = text.search(/\S/)
      if (start < 0) return
      const end = text.trimEnd().length
      const line = text.slice(start, end)
      const stretch: See = (from, to) => {
        if (to - from >= shortest && !isHarmless(text.slice(from, to))) see(from, to)
      }
      if (first && heading.test(line)) headings = line.split(/\s+/)
      else if (!whole) stretch(start, end)
      else if (headings.length > 1) row(line, start, headings, stretch)
      else any(line, start, stretch)
      first = false
    }
  }
}

// -- internals ---------------------------------------------------------------

type See = (start: number, end: number) => void

/** Shorter pieces of a line are taken for punctuation. */
const shortest = 4

/** The first line of a table. */
const heading =
  /^(?=.*\b(?:NAME|DATA|TYPE|KEYS?|VALUES?|SECRET|PASSWORD|TOKEN)\b)[A-Z](?:[A-Z_-]{0,40}\s{1,256}[A-Z]){0,16}[A-Z_-]{0,40}$/

/** One line of a table: names of objects are told. */
const row = (text: string, at: number, headings: ReadonlyArray<string>, see: See): void => {
  const cells = [...text.matchAll(cell)]
  for (const [index, { 0: part, index: place }] of cells.entries()) {
    const isName = cells.length === headings.length && /^NAME(?:SPACE)?$/.test(headings[index] ?? "")
    if (!isName || !/^[a-z0-9][a-z0-9.-]*$/.test(part)) any(part, at + place, see)
  }
}

const harmless =
  /^(?:true|false|null|<none>|<no value>|<nil>|\d+ bytes|v1|Secret|SecretList|List|Opaque|(?:kubernetes\.io|bootstrap\.kubernetes\.io|helm\.sh)\/[a-z0-9./-]{1,40}|[|>][+-]?|-{3,}|={3,}|\.{3})$/

const isHarmless = (value: string): boolean => Placeholder.is(value) || harmless.test(value)

/** `text`, which stands at `at` and has blanks at neither end: JSON, `key: value`, cells of a table, or words. */
const any = (text: string, at: number, see: See): void => {
  if (/^[{}[\]",]/.test(text) && isQuoted(text)) return json(text, at, see)
  if (/^\S+ \S/.test(text) && text.split(" ").every((word) => pair.test(word))) return words(text, at, see)
  const key = keyed.exec(text)
  if (key !== null && isName(key[2] ?? "")) {
    const value = text.slice(key[0].length)
    if (value !== "" && !/^=*$/.test(value)) return scalar(value, at + key[0].length, see)
    if (value === "" && key[3] === ":") return
  }
  if (text.includes("map[")) return words(text, at, see)
  const cells = [...text.matchAll(cell)]
  for (const { 0: part, index } of cells) {
    if (cells.length > 1) any(part, at + index, see)
    else if (/(?:^| )\S{1,3}(?: |$)/.test(part)) see(at + index, at + index + part.length)
    else words(part, at + index, see)
  }
}

/** The value of a key, with or without quotes. */
const scalar = (text: string, at: number, see: See): void => {
  const quote = /^(["']).*\1,?$/.exec(text)?.[1]
  if (quote !== undefined) return see(at + 1, at + text.lastIndexOf(quote))
  if (/^[{[]/.test(text) || text.startsWith("map[")) return any(text, at, see)
  see(at, at + text.length)
}

/** Words between blanks; of `key:value` and `map[key:value` the value. */
const words = (text: string, at: number, see: See): void => {
  for (const { 0: word, index } of text.matchAll(/\S+/g)) {
    const opening = /^(?:(?:[\w.-]{1,253}:)?(?:map)?\[){0,16}/.exec(word)?.[0] ?? ""
    const rest = word.slice(opening.length)
    const key = pair.exec(rest)
    const start = key !== null && isName(key[1] ?? "") ? opening.length + key[0].length : opening.length
    const end = !text.includes("map[") ? word.length : word.replace(/\]{1,16}$/, "").length
    see(at + index + start, at + index + end)
  }
}

/** Strings that are no keys, and whatever stands outside of strings. */
const json = (text: string, at: number, see: See): void => {
  for (const match of text.matchAll(/("(?:[^"\\]|\\.)*")(\s*:)?|[^\s{}[\],:"]+/g)) {
    const { 0: found, 1: string, 2: colon, index } = match
    if (string === undefined) see(at + index, at + index + found.length)
    else if (colon === undefined) see(at + index + 1, at + index + string.length - 1)
  }
}

/** Whether there are none but strings, numbers and the like in `text`. */
const isQuoted = (text: string): boolean =>
  /^(?:[\s{}[\],:0-9.eE+-]|true|false|null)*$/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, ""))

const keyed = /^(?:- ){0,8}(["']?)([\w./-]{1,253})\1[ \t]*([:=])[ \t]*/

const pair = /^([\w.-]{1,253})[:=](?!=?$)/

const cell = /\S+(?: \S+)*/g

/** Words, with numbers after them, in any of the ways in which names are written. */
const isName = (text: string): boolean =>
  text.split(/[-._/]/).every((piece) =>
    /^(?:[a-z]*\d{0,3}|[A-Z]+\d{0,3}|[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)*\d{0,3}|[a-z]+(?:[A-Z]+[a-z]*){1,2})$/.test(piece)
  )
