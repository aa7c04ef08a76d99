/**
 * What a query of Prometheus asks for: the metrics, and which labels of each.
 *
 * Takes the part of PromQL that the files in `deploy` use: selectors with
 * matchers, and aggregations written as `sum by (a, b) (…)`.
 */

export interface Asked {
  readonly metric: string
  readonly labels: ReadonlyArray<string>
}

/** Every use of a metric; those below an aggregation also with its labels. */
export const asked = (query: string): ReadonlyArray<Asked> => {
  const plain = query.replace(/"(?:[^"\\]|\\.)*"/g, "\"\"").replace(/\[[^\]]*\]/g, "")
  if (/\b(without|ignoring|on|group_left|group_right|offset)\b/.test(plain)) throw new Error(`not understood: ${query}`)
  return within(plain, [])
}

/** The values that `label` is compared with. */
export const values = (query: string, label: string): ReadonlyArray<string> =>
  [...query.matchAll(new RegExp(`\\b${label}\\s*[=!]=?~?\\s*"([^"]*)"`, "g"))]
    .flatMap(([, found = ""]) => found.split("|"))

/** The labels that a query's result has for certain. */
export const grouped = (query: string): ReadonlyArray<string> =>
  [...query.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, names = ""]) => listed(names))

const within = (text: string, labels: ReadonlyArray<string>): ReadonlyArray<Asked> => {
  const by = /\bby\s*\(([^)]*)\)\s*\(/.exec(text)
  if (by === null) {
    if (/\bby\b/.test(text)) throw new Error(`not understood: ${text}`)
    return selectors(text).map(({ labels: own, metric }) => ({ metric, labels: [...own, ...labels] }))
  }
  const start = by.index + by[0].length
  const end = closing(text, start)
  return [
    ...within(text.slice(0, by.index), labels),
    ...within(text.slice(start, end), [...labels, ...listed(by[1] ?? "")]),
    ...within(text.slice(end + 1), labels)
  ]
}

/** Where the parenthesis that was opened before `start` is closed. */
const closing = (text: string, start: number): number => {
  let depth = 1
  for (let index = start; index < text.length; index++) {
    if (text[index] === "(") depth++
    if (text[index] === ")" && --depth === 0) return index
  }
  throw new Error(`not closed: ${text}`)
}

const words = new Set(["and", "or", "unless", "bool", "sum", "count", "max", "min", "avg", "topk"])

/** A name that is no function and no word of the language. */
const selectors = (text: string): ReadonlyArray<Asked> =>
  [...text.matchAll(/(?<![\w:])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?/g)]
    .filter(([, name = "", next]) => next !== "(" && !words.has(name))
    .map(([, metric = "", braces = ""]) => ({
      metric,
      labels: [...braces.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label)
    }))

const listed = (names: string): ReadonlyArray<string> => names.split(",").map((name) => name.trim())
