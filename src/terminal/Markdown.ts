/**
 * Answers of models for a terminal, as they stream: light Markdown in words
 * that are wrapped at its width.
 *
 * However the text is cut into pieces, the output is the same. No text is lost
 * or repeated: a mark that is not closed is text. Lines stay lines, as answers
 * quote what programs print. Code is indented and never changed otherwise. Only
 * code and addresses are ever wider than the terminal. Nothing in the text is
 * obeyed by the terminal.
 */
import * as Block from "./Block.js"
import { inline } from "./Inline.js"
import { harmless } from "./Output.js"
import * as PipeTable from "./PipeTable.js"
import * as Style from "./Style.js"
import * as Wrap from "./Wrap.js"

export interface Renderer {
  /** More of the text; gives what can be shown of it already. */
  readonly push: (piece: string) => string
  /** The rest, ended by a newline unless there was no text at all; the renderer is as new then. */
  readonly end: () => string
}

/** Fewer than 20 columns are taken for 20. */
export const renderer = (options: { readonly columns: number; readonly colour: boolean }): Renderer => {
  const columns = Math.max(20, options.columns)
  const styled = (style: Style.Style) => options.colour ? style : Style.none
  const wrap = Wrap.wrapper({ columns })
  let out = ""
  const words = inline({
    colour: options.colour,
    emit: (text, style) => {
      out += wrap.add(text, style)
    }
  })
  const headings = inline(
    {
      colour: options.colour,
      emit: (text, style) => {
        out += wrap.add(text, style)
      }
    },
    styled(Style.bold)
  )

  /** Half of a character that is still to come. */
  let half = ""
  /** The line, as long as it is not known what it is. */
  let held = ""
  let line: typeof words | undefined
  let code: Code | undefined
  let rows: Array<string> = []

  const text = (block: Extract<Block.Block, { readonly _tag: "Text" }>) => {
    const { after, first, rest } = prefixes(block, { columns, colour: options.colour })
    out += wrap.begin(first, rest)
    line = block.heading ? headings : words
    line.push(after)
  }
  const endLine = () => {
    line?.end()
    line = undefined
    out += wrap.endLine()
  }
  const plain = (row: string) => {
    text({ _tag: "Text", quotes: 0, indent: 0, marker: "", heading: false, text: row })
    endLine()
  }

  const endTable = () => {
    const table = PipeTable.draw(rows, columns)
    if (table === undefined) rows.forEach(plain)
    else out += `${table}\n`
    rows = []
  }
  const row = (text: string) => {
    // Its second line says whether it is a table.
    if (rows.length === 1 && !PipeTable.isDelimiter(text)) endTable()
    rows.push(text)
  }

  /** A line of which it is known what it is; that of a text may have begun only. */
  const begin = (block: Block.Block) => {
    held = ""
    if (block._tag === "Row") return row(block.line)
    endTable()
    switch (block._tag) {
      case "Text":
        return text(block)
      case "Blank":
        out += "\n"
        return
      case "Rule": {
        const quote = quotation(block.quotes, { columns, colour: options.colour })
        out += `${quote.text}${Style.apply(styled(Style.dim), "─".repeat(Math.min(60, columns - quote.width)))}\n`
        return
      }
      case "Fence":
        code = { ...block, margin: " ".repeat(Math.min(block.indent, columns >> 2) + 2) }
        if (/\s/.test(block.info)) out += `${code.margin}${Style.apply(styled(Style.dim), block.info)}\n`
    }
  }

  const codeLine = (code: Code, line: string) => {
    const text = line.replace(new RegExp(`^[ \\t]{0,${code.indent}}`), "")
    out += text === "" ? "\n" : `${code.margin}${Style.apply(styled(Style.cyan), text)}\n`
  }

  /** `held` is a whole line. */
  const complete = () => {
    const whole = held
    held = ""
    if (code !== undefined) {
      if (closes(whole, code.fence)) code = undefined
      else codeLine(code, whole)
      return
    }
    const block = Block.classify(whole, true)
    if (block !== undefined) begin(block)
    if (block?._tag === "Text") endLine()
  }

  const add = (piece: string) => {
    if (line !== undefined) return line.push(piece)
    held += piece
    const known = held.slice(0, most)
    if (code !== undefined || Block.isLong(known)) return
    const block = Block.classify(known, false)
      ?? (known.length === most ? { ...unmarked, text: known } : undefined)
    if (block === undefined) return
    const rest = held.slice(most)
    begin(block)
    add(rest)
  }

  const feed = (text: string) => {
    const [first = "", ...others] = text.split("\n")
    add(first)
    for (const next of others) {
      if (line === undefined) complete()
      else endLine()
      add(next)
    }
  }

  const taken = () => {
    const taken = out
    out = ""
    return taken
  }

  return {
    push: (piece) => {
      const text = half + piece
      half = /[\ud800-\udbff]$/.exec(text)?.[0] ?? ""
      feed(harmless(text.slice(0, text.length - half.length)))
      return taken()
    },
    end: () => {
      feed(half)
      if (line !== undefined) endLine()
      else if (held.trim() !== "") complete()
      endTable()
      half = held = ""
      code = undefined
      return taken()
    }
  }
}

// -- internals ---------------------------------------------------------------

interface Code {
  readonly indent: number
  readonly fence: string
  /** Before each line. */
  readonly margin: string
}

interface Screen {
  readonly columns: number
  readonly colour: boolean
}

/** A line whose beginning is longer than this, and still says nothing of what it is, is text. */
const most = 200

const unmarked = { _tag: "Text", quotes: 0, indent: 0, marker: "", heading: false } as const

const closes = (line: string, fence: string): boolean => {
  const text = line.trim()
  return text.length >= fence.length && text === fence.slice(0, 1).repeat(text.length)
}

/** A bar per level, but no more than leave room for text. */
const quotation = (quotes: number, screen: Screen): Wrap.Prefix => {
  const levels = Math.min(quotes, screen.columns >> 3)
  return {
    text: levels === 0 ? "" : Style.apply(screen.colour ? Style.dim : Style.none, "│ ".repeat(levels)),
    width: 2 * levels
  }
}

/** What stands before the first line and before the others, and the text `after` it. */
const prefixes = (block: Extract<Block.Block, { readonly _tag: "Text" }>, screen: Screen) => {
  const quote = quotation(block.quotes, screen)
  const indent = Math.min(block.indent, screen.columns >> 2)
  const shown = block.marker !== "" && !(block.heading && screen.colour)
  const marker = shown ? `${block.marker} ` : ""
  const hang = " ".repeat(indent + marker.length)
  return {
    first: { text: quote.text + " ".repeat(indent) + marker, width: quote.width + hang.length },
    rest: { text: quote.text + hang, width: quote.width + hang.length },
    after: block.text
  }
}
