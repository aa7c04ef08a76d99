/**
 * Comma-separated values for other programs (RFC 4180), that no spreadsheet takes for formulas.
 */
import { visible } from "./Table.js"

/** Lines that end in CR LF, the last of them without its LF, which whoever prints a line adds. */
export const render = (
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string | number>>
): string => [columns, ...rows].map((cells) => `${cells.map(cell).join(",")}\r`).join("\n")

// -- internals ---------------------------------------------------------------

const cell = (value: string | number): string => {
  if (typeof value === "number") return String(value)
  const text = harmless(visible(value))
  return /[",]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}

/**
 * With an apostrophe before what a spreadsheet would compute, also in its wide form, or after spaces that some leave out.
 * Source: https://owasp.org/www-community/attacks/CSV_Injection
 */
const harmless = (text: string): string => /^\s*[=+\-@＝＋－＠]/.test(text) ? `'${text}` : text
