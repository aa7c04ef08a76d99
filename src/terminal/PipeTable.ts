/**
 * Tables of Markdown: lines that begin with `|`, of which the second is a delimiter.
 */
import { inline } from "./Inline.js"
import * as Table from "./Table.js"

/** `| --- | :-: |` */
export const isDelimiter = (line: string): boolean => /^\|(?:[ \t]*:?-+:?[ \t]*\|)*(?:[ \t]*:?-+:?[ \t]*)?$/.test(line)

/** Undefined for lines that are no table, and for a table that `width` columns have no room for. */
export const draw = (lines: ReadonlyArray<string>, width: number): string | undefined => {
  const [head, delimiter, ...rows] = lines
  if (head === undefined || delimiter === undefined || !isDelimiter(delimiter)) return undefined
  const columns = cells(head)
  if (!Table.fits(columns.length, width)) return undefined
  return Table.render(columns, rows.map((row) => joined(cells(row), columns.length)), { width })
}

// -- internals ---------------------------------------------------------------

const cells = (line: string): ReadonlyArray<string> =>
  line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "").split(/(?<!\\)\|/).map((cell) =>
    plain(cell.trim().replaceAll("\\|", "|"))
  )

/** Cells that have no column are added to the last that has one. */
const joined = (cells: ReadonlyArray<string>, columns: number): ReadonlyArray<string> =>
  cells.length <= columns ? cells : [...cells.slice(0, columns - 1), cells.slice(columns - 1).join(" | ")]

/** Without marks: the cells have no styles. */
const plain = (text: string): string => {
  let out = ""
  const words = inline({
    colour: true,
    emit: (text) => {
      out += text
    }
  })
  words.push(text)
  words.end()
  return out
}
