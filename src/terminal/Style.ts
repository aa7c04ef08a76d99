/**
 * Bold, italic and colours of a terminal.
 *
 * A style is put around each word by itself, so that whatever is printed ends
 * in the terminal's own style, also when a program is stopped between two words.
 */

export interface Style {
  readonly open: string
  readonly close: string
}

export const none: Style = { open: "", close: "" }
export const bold: Style = { open: "\u001b[1m", close: "\u001b[22m" }
export const dim: Style = { open: "\u001b[2m", close: "\u001b[22m" }
export const italic: Style = { open: "\u001b[3m", close: "\u001b[23m" }
export const red: Style = { open: "\u001b[31m", close: "\u001b[39m" }
export const green: Style = { open: "\u001b[32m", close: "\u001b[39m" }
export const yellow: Style = { open: "\u001b[33m", close: "\u001b[39m" }
export const cyan: Style = { open: "\u001b[36m", close: "\u001b[39m" }

/** Both, `inner` inside of `outer`. */
export const within = (outer: Style, inner: Style): Style => ({
  open: outer.open + inner.open,
  close: inner.close + outer.close
})

export const apply = (style: Style, text: string): string => text === "" ? "" : style.open + text + style.close
