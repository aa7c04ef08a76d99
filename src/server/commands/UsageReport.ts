/**
 * What was used, added up by what was asked for, and as people or programs read it.
 */
import * as Cost from "../../domain/Cost.js"
import { type Counts, noCounts, type UsageRow } from "../../limits/Store.js"
import * as Csv from "../../terminal/Csv.js"
import * as Table from "../../terminal/Table.js"
import * as Width from "../../terminal/Width.js"

/** What usage can be added up by. */
export const keys = ["subject", "model", "tenant", "day"] as const
export type Key = (typeof keys)[number]

/** All that was used by the same of each. */
export interface Group {
  /** In the order of what was asked for; a tenant is empty for none. */
  readonly names: ReadonlyArray<string>
  readonly counts: Counts
}

/** The most expensive first, then those with the most tokens; with days, these come first, in their order. */
export const group = (rows: ReadonlyArray<UsageRow>, by: ReadonlyArray<Key>): ReadonlyArray<Group> => {
  const groups = new Map<string, Group>()
  for (const row of rows) {
    const names = by.map((key) => row[key])
    const key = JSON.stringify(names)
    groups.set(key, { names, counts: plus(groups.get(key)?.counts ?? noCounts, row) })
  }
  const day = by.indexOf("day")
  return [...groups.values()].sort((one, other) =>
    compare(one.names[day] ?? "", other.names[day] ?? "") ||
    other.counts.cost - one.counts.cost ||
    tokens(other) - tokens(one) ||
    compare(JSON.stringify(one.names), JSON.stringify(other.names))
  )
}

/** With a line for the sum of all, if there is anything. */
export const toTable = (groups: ReadonlyArray<Group>, by: ReadonlyArray<Key>, width?: number): string => {
  const total = groups.map(({ counts }) => counts).reduce(plus, noCounts)
  const sum = { names: by.map((_, index) => index === 0 ? "Total" : ""), counts: total }
  const lines = groups.length === 0 ? [] : [
    ...groups.map(({ counts, names }) => ({ counts, names: names.map((name) => name === "" ? "-" : name) })),
    sum
  ]
  const table = (shown: ReadonlyArray<Column>, width?: number) => {
    const cells = lines.map(({ counts }) => shown.map(({ of }) => thousands(String(of(counts)))))
    const widths = shown.map(({ title }, index) =>
      width === undefined ? Math.max(title.length, ...cells.map((row) => row[index]?.length ?? 0)) : 0
    )
    const rightAligned = (texts: ReadonlyArray<string>) => texts.map((text, index) => text.padStart(widths[index] ?? 0))
    return Table.render(
      [...by.map((key) => key[0]?.toUpperCase() + key.slice(1)), ...rightAligned(shown.map(({ title }) => title))],
      lines.map(({ names }, index) => [...names, ...rightAligned(cells[index] ?? [])]),
      { width }
    )
  }
  const fits = (text: string) => width === undefined || Width.of(text.split("\n", 1)[0] ?? "") <= width
  const whole = table(columns)
  if (fits(whole)) return whole
  // On a narrow terminal, what never happened is left out; JSON and CSV have every column.
  const used = columns.filter((column) => column.isAlwaysShown === true || Number(column.of(total)) !== 0)
  const short = table(used)
  return fits(short) ? short : table(used, width)
}

/** A list of objects; all counts are numbers, and so is the cost, in US dollars. */
export const toJson = (groups: ReadonlyArray<Group>, by: ReadonlyArray<Key>): string => {
  const objects = groups.map(({ counts, names }) => ({
    ...Object.fromEntries(by.map((key, index) => [key, names[index]])),
    ...Object.fromEntries(columns.map(({ name, of }) => [name, name === usd ? Cost.toUsd(counts.cost) : of(counts)]))
  }))
  // Some terminals obey these too, and JSON may have them as they are.
  return JSON.stringify(objects, undefined, 2)
    .replace(/[\u007f-\u009f]/g, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

/** With a head, and numbers as programs read them. */
export const toCsv = (groups: ReadonlyArray<Group>, by: ReadonlyArray<Key>): string =>
  Csv.render(
    [...by, ...columns.map(({ name }) => name)],
    groups.map(({ counts, names }) => [...names, ...columns.map(({ of }) => of(counts))])
  )

// -- internals ---------------------------------------------------------------

interface Column {
  /** As programs read it. */
  readonly name: string
  readonly title: string
  readonly of: (counts: Counts) => number | string
  /** Also where a narrow terminal has no room for all of them. */
  readonly isAlwaysShown?: boolean
}

const usd = "cost_usd"

const columns: ReadonlyArray<Column> = [
  { name: "requests", title: "Requests", isAlwaysShown: true, of: ({ requests }) => requests },
  { name: "failures", title: "Failures", of: ({ failures }) => failures },
  { name: "estimated", title: "Estimated", of: ({ estimated }) => estimated },
  { name: "input_tokens", title: "Input", isAlwaysShown: true, of: ({ inputTokens }) => inputTokens },
  { name: "output_tokens", title: "Output", isAlwaysShown: true, of: ({ outputTokens }) => outputTokens },
  { name: "cached_input_tokens", title: "Cached", of: ({ cachedInputTokens }) => cachedInputTokens },
  { name: "cache_write_tokens", title: "Cache write", of: ({ cacheWriteTokens }) => cacheWriteTokens },
  { name: "reasoning_tokens", title: "Reasoning", of: ({ reasoningTokens }) => reasoningTokens },
  { name: usd, title: "Cost (USD)", isAlwaysShown: true, of: ({ cost }) => sixDecimals(cost) },
  { name: "unpriced_tokens", title: "Unpriced", of: ({ unpricedTokens }) => unpricedTokens },
  { name: "cut_off", title: "Cut off", of: ({ cutOff }) => cutOff },
  { name: "filtered", title: "Filtered", of: ({ filtered }) => filtered },
  { name: "refused", title: "Refused", of: ({ refused }) => refused }
]

const plus = (one: Counts, other: Counts): Counts => ({
  requests: one.requests + other.requests,
  failures: one.failures + other.failures,
  estimated: one.estimated + other.estimated,
  inputTokens: one.inputTokens + other.inputTokens,
  outputTokens: one.outputTokens + other.outputTokens,
  cachedInputTokens: one.cachedInputTokens + other.cachedInputTokens,
  cacheWriteTokens: one.cacheWriteTokens + other.cacheWriteTokens,
  reasoningTokens: one.reasoningTokens + other.reasoningTokens,
  cost: one.cost + other.cost,
  unpricedTokens: one.unpricedTokens + other.unpricedTokens,
  cutOff: one.cutOff + other.cutOff,
  filtered: one.filtered + other.filtered,
  refused: one.refused + other.refused
})

const tokens = ({ counts }: Group): number => counts.inputTokens + counts.outputTokens

/** By code units, so that the order is the same everywhere. */
const compare = (one: string, other: string): number => one < other ? -1 : one > other ? 1 : 0

/** Billionths of a dollar as dollars, without the detour of a fraction that is not exact. */
const sixDecimals = (billionths: number): string => {
  const millionths = Math.round(billionths / 1000)
  return `${Math.floor(millionths / 1_000_000)}.${String(millionths % 1_000_000).padStart(6, "0")}`
}

const thousands = (number: string): string => {
  const [whole = "", ...decimals] = number.split(".")
  return [whole.replace(/\B(?=(\d{3})+$)/g, ","), ...decimals].join(".")
}
