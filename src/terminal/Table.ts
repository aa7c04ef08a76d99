/**
 * Tables as people see them: a heavy head over light rows.
 */
import { Console, Context, Effect } from "effect"
import * as Width from "./Width.js"
import * as Wrap from "./Wrap.js"

/**
 * Rows shorter than `columns` are filled with blanks. The text has no trailing
 * newline. With a `width` (`Output.columns`), the widest columns are wrapped so
 * that the table fits, as far as it `fits`: between words while that is enough,
 * and names, which stand alone in their cells, stay whole as long as they can.
 */
export const render = (
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  options: { readonly width?: number | undefined } = {}
): string => {
  const head = columns.map(visible)
  const clean = rows.map((row) => columns.map((_, index) => visible(row[index] ?? "")))
  const natural = head.map((column, index) =>
    Math.max(Width.of(column), ...clean.map((row) => Width.of(row[index] ?? "")))
  )
  const words = head.map((column, index) =>
    Math.max(...[column, ...clean.map((row) => row[index] ?? "")].flatMap((cell) => cell.split(" ").map(Width.of)))
  )
  const widths = options.width === undefined
    ? natural
    : fitted(natural, words, options.width - frame(columns.length))
  const rule = (left: string, line: string, middle: string, right: string) =>
    left + widths.map((width) => line.repeat(width + 2)).join(middle) + right
  const row = (cells: ReadonlyArray<string>, bar: string) => {
    const wrapped = widths.map((width, index) => Wrap.lines(cells[index] ?? "", width))
    const height = Math.max(1, ...wrapped.map((lines) => lines.length))
    return Array.from(
      { length: height },
      (_, line) =>
        bar + widths.map((width, index) => ` ${Width.pad(wrapped[index]?.[line] ?? "", width)} `).join(bar) + bar
    )
  }
  return [
    rule("┏", "━", "┳", "┓"),
    ...row(head, "┃"),
    rule("┡", "━", "╇", "┩"),
    ...clean.flatMap((cells) => row(cells, "│")),
    rule("└", "─", "┴", "┘")
  ].join("\n")
}

/** Columns of the terminal that tables are printed on; undefined where stdout is no terminal, and they are as wide as they are. */
export class Columns extends Context.Reference<Columns>()("vibectl/terminal/Columns", {
  defaultValue: (): number | undefined => undefined
}) {}

/** To stdout, as wide as the terminal at most. */
export const print = (
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): Effect.Effect<void> => Effect.flatMap(Columns, (width) => Console.log(render(columns, rows, { width })))

/** Whether `width` has room for a table of so many columns. */
export const fits = (columns: number, width: number): boolean => frame(columns) + columns * least <= width

/** Text from elsewhere on one line, with nothing in it that a terminal would obey. */
export const visible = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, " ")

// -- internals ---------------------------------------------------------------

/** No column is made narrower: there must be room for a few letters. */
const least = 4

/** The bars, and a blank on each side of a cell. */
const frame = (columns: number): number => 3 * columns + 1

/**
 * The widest columns give way until `room` is enough: all to the width of their longest word, then those of
 * several words to what a narrow text takes, then all.
 */
const fitted = (
  natural: ReadonlyArray<number>,
  words: ReadonlyArray<number>,
  room: number
): ReadonlyArray<number> =>
  [
    words,
    words.map((width, index) => width < (natural[index] ?? 0) ? Math.min(width, narrow) : width),
    words.map(() => least)
  ].reduce((widths, floors) => narrowed(widths, floors, room), natural)

const narrow = 16

const narrowed = (
  widths: ReadonlyArray<number>,
  floors: ReadonlyArray<number>,
  room: number
): ReadonlyArray<number> => {
  const narrower = [...widths]
  let excess = narrower.reduce((sum, width) => sum + width, 0) - room
  while (excess-- > 0) {
    const above = narrower.map((width, index) => width > Math.max(least, floors[index] ?? 0) ? width : 0)
    const widest = Math.max(...above)
    if (widest === 0) break
    narrower[above.indexOf(widest)] = widest - 1
  }
  return narrower
}
