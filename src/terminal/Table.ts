/**
 * Tables as people see them: a heavy head over light rows.
 */

/** Two or more columns; rows shorter than `columns` are filled with blanks. The text has no trailing newline. */
export const render = (
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): string => {
  const clean = rows.map((row) => columns.map((_, index) => visible(row[index] ?? "")))
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column), ...clean.map((row) => displayWidth(row[index] ?? "")))
  )
  const rule = (left: string, line: string, middle: string, right: string) =>
    left + widths.map((width) => line.repeat(width + 2)).join(middle) + right
  const row = (cells: ReadonlyArray<string>, bar: string) =>
    bar + widths.map((width, index) => ` ${pad(cells[index] ?? "", width)} `).join(bar) + bar
  return [
    rule("┏", "━", "┳", "┓"),
    row(columns, "┃"),
    rule("┡", "━", "╇", "┩"),
    ...clean.map((cells) => row(cells, "│")),
    rule("└", "─", "┴", "┘")
  ].join("\n")
}

/** Text from elsewhere on one line, with nothing in it that a terminal would obey. */
export const visible = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ")

/** Columns a terminal uses for `text`: two for wide East Asian characters and emoji, none for combining marks. */
export const displayWidth = (text: string): number => {
  let width = 0
  for (const character of text) {
    if (/\p{Mark}|\u200d|\ufe0f/u.test(character)) continue
    width +=
      /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u
          .test(character)
        ? 2
        : 1
  }
  return width
}

// -- internals ---------------------------------------------------------------

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - displayWidth(text)))
