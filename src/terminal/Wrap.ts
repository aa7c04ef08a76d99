/**
 * Words on lines of a terminal, as they arrive.
 *
 * A word is given out when it is complete. Chinese and Japanese may be broken
 * between any two characters. A word that is wider than a line is broken, but
 * an address (`https://…`) is not, so that it can be opened and copied.
 */
import * as Style from "./Style.js"
import * as Width from "./Width.js"

/** What stands before a line: `text` takes `width` columns. */
export interface Prefix {
  readonly text: string
  readonly width: number
}

export interface Wrapper {
  /** Starts a line; `rest` is put before every line that it is continued on. */
  readonly begin: (first: Prefix, rest: Prefix) => string
  /** More of the line. */
  readonly add: (text: string, style: Style.Style) => string
  /** The last word, and a newline. */
  readonly endLine: () => string
}

export const wrapper = (options: {
  readonly columns: number
  readonly breakAddresses?: boolean
}): Wrapper => {
  const { breakAddresses = false, columns } = options
  let rest = nothing
  let column = 0
  /** Whether the line has no word yet. */
  let fresh = true
  /** Blanks before the word. */
  let gap = 0
  let word: Array<Piece> = []
  /** The last character of the word. */
  let last = ""

  const newLine = () => {
    column = rest.width
    fresh = true
    return `\n${rest.text}`
  }

  /** A word that is wider than a line. */
  const broken = (): string => {
    let out = ""
    for (const { style, text } of word) {
      let left = text
      while (left !== "") {
        if (!fresh && Width.of(Width.split(left, 1)[0]) > columns - column) out += newLine()
        const [part] = atMark(Width.split(left, columns - column))
        out += Style.apply(style, part)
        column += Width.of(part)
        fresh = false
        left = left.slice(part.length)
      }
    }
    return out
  }

  const endWord = (): string => {
    if (word.length === 0) return ""
    const text = word.map((piece) => piece.text).join("")
    const width = Width.of(text)
    let out = ""
    if (column + gap + width <= columns) {
      out += " ".repeat(gap)
      column += gap
    } else if (!fresh) out += newLine()
    if (column + width > columns && (breakAddresses || !text.includes("://"))) out += broken()
    else {
      out += word.map((piece) => Style.apply(piece.style, piece.text)).join("")
      column += width
    }
    fresh = false
    gap = 0
    word = []
    last = ""
    return out
  }

  const addPiece = (text: string, style: Style.Style) => {
    const before = word.at(-1)
    if (text === "") return
    if (before?.style.open === style.open) word[word.length - 1] = { text: before.text + text, style }
    else word.push({ text, style })
  }

  const addWord = (text: string, style: Style.Style): string => {
    let out = ""
    let start = 0
    let end = 0
    for (const character of text) {
      if (last !== "" && mayBreak(last, character)) {
        addPiece(text.slice(start, end), style)
        out += endWord()
        start = end
      }
      last = character
      end += character.length
    }
    addPiece(text.slice(start, end), style)
    return out
  }

  return {
    begin: (first, next) => {
      rest = next
      column = first.width
      fresh = true
      return first.text
    },
    add: (text, style) => {
      let out = ""
      for (const run of text.match(/[ \t]+|[^ \t]+/g) ?? []) {
        if (!/^[ \t]/.test(run)) {
          out += addWord(run, style)
          continue
        }
        out += endWord()
        for (const blank of run) gap += blank === "\t" ? 8 - (column + gap) % 8 : 1
      }
      return out
    },
    endLine: () => {
      const out = endWord()
      rest = nothing
      column = gap = 0
      fresh = true
      return `${out}\n`
    }
  }
}

/** `text` on lines of at most `width` columns. */
export const lines = (text: string, width: number): ReadonlyArray<string> => {
  const wrap = wrapper({ columns: width, breakAddresses: true })
  const out = wrap.add(text, Style.none) + wrap.endLine()
  return out.slice(0, -1).split("\n")
}

/**
 * Lines for people, none wider than `columns` but addresses and code, which is what stands behind `$ ` or four blanks:
 * the terminal breaks that, so that it can be copied. A line is continued below its own beginning.
 */
export const prose = (text: string, columns: number): string =>
  text.split("\n").map((line) => {
    const [, open = "", blanks = "", inner = "", words = "", close = ""] = styledLine.exec(line) ?? []
    if (words === "" || /^(?: {4}|\$ )/.test(blanks + words)) return line
    const margin = { text: blanks, width: blanks.length }
    const wrap = wrapper({ columns: Math.max(20, columns) })
    return open + wrap.begin(margin, margin) + inner + wrap.add(words, Style.none) + wrap.endLine().slice(0, -1) + close
  }).join("\n")

// -- internals ---------------------------------------------------------------

/** A line whose styles, if it has any, are around all of it. */
const styledLine = /^((?:\u001b\[[\d;]*m)*)( *)((?:\u001b\[[\d;]*m)*)([^\u001b]*)((?:\u001b\[[\d;]*m)*)$/

interface Piece {
  readonly text: string
  readonly style: Style.Style
}

const nothing: Prefix = { text: "", width: 0 }

/** Names of images and the like are better broken after a mark than within a word, if that costs no more than a few columns. */
const atMark = ([part, more]: readonly [string, string]): readonly [string, string] => {
  const [before = ""] = more === "" ? [] : /^.*[/:=,@._-]/s.exec(part) ?? []
  return part.length - before.length > 6 || before.length < 8
    ? [part, more]
    : [before, part.slice(before.length) + more]
}

/** Around a character of a script without blanks, if it is not parted from punctuation that belongs to it. */
const mayBreak = (before: string, after: string): boolean =>
  (solid.test(before) || solid.test(after)) && !clings.test(after) && !/^[\p{Ps}\p{Pi}]$/u.test(before)

const solid = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]$/u
const clings = /^[\p{Mark}\p{Default_Ignorable_Code_Point}\p{Pe}\p{Pf}\p{Po}\p{Lm}]$/u
