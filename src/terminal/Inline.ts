/**
 * Markdown within a line: **bold**, *italic*, `code` and [links](url).
 *
 * Text streams: what is plain is given out at once, and what a mark has opened
 * is held back until it is closed, or else until it is known to be no mark:
 * at the end of the line, or after `most` characters. So marks within names
 * (`snake_case`, `2*3*4`, `*.yaml`) are text, and no text is lost.
 */
import * as Style from "./Style.js"

export interface Inline {
  readonly push: (text: string) => void
  /** At the end of the line. */
  readonly end: () => void
}

export interface Options {
  /** Without styles; code keeps its backticks. */
  readonly colour: boolean
  readonly emit: (text: string, style: Style.Style) => void
}

export const inline = (options: Options, style: Style.Style = Style.none): Inline => {
  let held = ""
  /** The last character that was given out. */
  let before = ""
  /** The last characters of the word, to see that it is an address: an address has no marks in it. */
  let tail = ""
  let address = false

  const plain = (text: string) => {
    if (text === "") return
    options.emit(text, style)
    before = lastCharacter(text)
    const start = lastBlank(text) + 1
    if (start > 0) [tail, address] = ["", false]
    const word = tail + text.slice(start)
    address ||= word.includes("://")
    tail = word.slice(-2)
  }

  const read = (ended: boolean) => {
    let at = 0
    while (at < held.length) {
      const mark = nextMark(held, at)
      plain(held.slice(at, mark))
      at = mark
      if (mark === held.length) break
      if (address && held[mark] !== "`") {
        plain(held.slice(at, ++at))
        continue
      }
      const window = held.slice(at, at + most)
      const found = span(window, before, ended || window.length === most)
      if (found === "undecided") break
      at += found.length
      if (found._tag === "Text") plain(found.text)
      else {
        show(found)
        before = "*"
        tail = ""
      }
    }
    held = held.slice(at)
  }

  const show = (found: Exclude<Span, { readonly _tag: "Text" }>) => {
    switch (found._tag) {
      case "Code":
        return options.emit(
          options.colour ? found.text : found.mark + found.text + found.mark,
          Style.within(style, options.colour ? Style.cyan : Style.none)
        )
      case "Strong":
        return whole(found.text, options.colour ? Style.within(style, found.style) : style)
      case "Link": {
        const dim = options.colour ? Style.within(style, Style.dim) : style
        if (found.text === found.url) return options.emit(found.url, style)
        whole(found.text, style)
        options.emit(` (${found.url})`, dim)
      }
    }
  }

  const whole = (text: string, style: Style.Style) => {
    const inner = inline(options, style)
    inner.push(text)
    inner.end()
  }

  return {
    push: (text) => {
      held += text
      read(false)
    },
    end: () => {
      read(true)
      before = tail = ""
      address = false
    }
  }
}

// -- internals ---------------------------------------------------------------

/** How many characters an open mark may hold back. */
const most = 500

/** `length` is how many characters of the text it takes. */
type Span =
  | { readonly _tag: "Text"; readonly text: string; readonly length: number }
  | { readonly _tag: "Code"; readonly text: string; readonly mark: string; readonly length: number }
  | { readonly _tag: "Strong"; readonly text: string; readonly style: Style.Style; readonly length: number }
  | { readonly _tag: "Link"; readonly text: string; readonly url: string; readonly length: number }

/** What begins with the mark that `window` begins with. `ended`: no more of it will come. */
const span = (window: string, before: string, ended: boolean): Span | "undecided" => {
  switch (window[0]) {
    case "\\":
      return escape(window, ended)
    case "`":
      return code(window, ended)
    case "[":
      return link(window, ended)
    default:
      return strong(window, before, ended)
  }
}

const text = (text: string, length = text.length): Span => ({ _tag: "Text", text, length })

const escape = (window: string, ended: boolean): Span | "undecided" => {
  const next = window[1]
  if (next === undefined) return ended ? text("\\") : "undecided"
  return /[*_`[\]#|]/.test(next) ? text(next, 2) : text("\\")
}

const code = (window: string, ended: boolean): Span | "undecided" => {
  const size = run(window, 0)
  const end = codeEnd(window, 0, ended)
  if (end === undefined) return ended ? text(window.slice(0, size)) : "undecided"
  const inner = window.slice(size, end - size)
  const trimmed = /^ .*[^ ].* $/.test(inner) ? inner.slice(1, -1) : inner
  return { _tag: "Code", text: trimmed, mark: window.slice(0, size), length: end }
}

/** Where the code that begins at `start` ends: after as many backticks; undefined if that is not known. */
const codeEnd = (window: string, start: number, ended: boolean): number | undefined => {
  const size = run(window, start)
  let at = start + size
  for (;;) {
    const close = window.indexOf("`", at)
    if (close < 0) return undefined
    const closing = run(window, close)
    at = close + closing
    if (at === window.length && !ended) return undefined
    if (closing === size) return at
  }
}

const link = (window: string, ended: boolean): Span | "undecided" => {
  const [whole, label, url] = /^\[([^[\]]+)\]\(([^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)/.exec(window) ?? []
  if (whole !== undefined && label !== undefined && url !== undefined) {
    return { _tag: "Link", text: label, url, length: whole.length }
  }
  const maybe = !ended && /^\[[^[\]]*(?:\](?:\((?:[^\s()]|\([^\s()]*(?:\)|$))*)?)?$/.test(window)
  return maybe ? "undecided" : text("[")
}

const strong = (window: string, before: string, ended: boolean): Span | "undecided" => {
  const mark = window.slice(0, 1)
  const size = run(window, 0)
  if (size === window.length && !ended) return "undecided"
  const literal = text(window.slice(0, size))
  const styles = mark === "*" ? starStyles : lineStyles
  const style = styles[size]
  if (style === undefined || isWord(before) || !opens(window, size)) return literal
  let at = size
  while (at < window.length) {
    if (window[at] === "\\") at += 2
    else if (window[at] === "`") {
      const end = codeEnd(window, at, ended)
      if (end === undefined && !ended) return "undecided"
      at = end ?? at + run(window, at)
    } else if (window[at] === mark) {
      const closing = run(window, at)
      const end = at + closing
      if (end === window.length && !ended) return "undecided"
      if (
        (closing === size || closing === 3 && mark === "*")
        && !/\s/.test(window.slice(at - 1, at)) && !isWord(characterAt(window, end))
      ) {
        return { _tag: "Strong", text: window.slice(size, end - size), style, length: end }
      }
      at = end
    } else at++
  }
  return ended ? literal : "undecided"
}

const starStyles: { readonly [size: number]: Style.Style } = {
  1: Style.italic,
  2: Style.bold,
  3: Style.within(Style.bold, Style.italic)
}
const lineStyles: { readonly [size: number]: Style.Style } = { 1: Style.italic }

/** Patterns of file names begin with `*` too: `*.yaml`, or two of them and a slash. */
const opens = (window: string, size: number): boolean =>
  size === 1
    ? /^[\p{L}\p{N}`*_["'(]/u.test(characterAt(window, size))
    : /^[^\s]/.test(window.slice(size)) && !window.startsWith("/*", size)

/** How often the character at `at` is repeated. */
const run = (text: string, at: number): number => {
  let end = at
  while (end < text.length && text[end] === text[at]) end++
  return end - at
}

/** Letters and digits of scripts with blanks between words. */
const isWord = (character: string): boolean =>
  /^[\p{L}\p{N}_]$/u.test(character)
  && !/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(character)

const characterAt = (text: string, at: number): string => {
  const point = text.codePointAt(at)
  return point === undefined ? "" : String.fromCodePoint(point)
}

const lastCharacter = (text: string): string => /[\ud800-\udbff][\udc00-\udfff]$/.exec(text)?.[0] ?? text.slice(-1)

const lastBlank = (text: string): number => Math.max(text.lastIndexOf(" "), text.lastIndexOf("\t"))

const marks = /[\\*_`[]/g

const nextMark = (text: string, from: number): number => {
  marks.lastIndex = from
  return marks.exec(text)?.index ?? text.length
}
