/**
 * Follows the indentation of YAML, and finds in it the data of Secrets, name
 * and value pairs, and values that stand on the lines after their key.
 */
import { flagged, type Trait, trait } from "./Keys.js"
import type { Kind } from "./Kinds.js"
import type { Part } from "./Lines.js"
import * as Mapping from "./Mapping.js"
import type { Span, Spans } from "./Spans.js"
import * as Trim from "./Trim.js"
import { isSecret } from "./Values.js"

export interface Yaml {
  /** Takes the next part of the text, which stands at `at`. */
  readonly take: (part: Part, at: number) => void
  readonly end: () => void
}

export const make = (spans: Spans): Yaml => {
  const entries: Array<Entry> = []
  /** What is indented below a key that makes all of it a secret, the innermost last. */
  let blocks: Array<Block> = []
  let next: Awaited | undefined

  const pop = (keep: (entry: Entry) => boolean) => {
    for (let top = entries.at(-1); top !== undefined && !keep(top); top = entries.at(-1)) {
      entries.pop()
      Mapping.close(top.mapping, spans)
    }
  }

  const settle = (block: Block) => {
    if (block.span !== undefined && (block.owner === undefined || block.owner.kind === "Secret")) {
      spans.settle(block.span, true)
    }
    block.span = undefined
  }

  const closeBlocks = (column: number) => {
    for (const block of blocks) if (column <= block.column) settle(block)
    blocks = blocks.filter((block) => column > block.column)
  }

  /** One more stretch of `block`: a new value when `fresh`, else the next line of the last one. */
  const content = (block: Block, start: number, end: number, value: string, fresh: boolean) => {
    if (fresh) settle(block)
    if (block.span?.state === "waiting") block.span.end = end
    else if (block.owner === undefined || block.owner.kind === "Secret") {
      block.span = spans.add(start, end, block.kind, "waiting")
    } else block.span = Mapping.datum(block.owner, value, start, end, spans)
  }

  const finish = () => {
    pop(() => false)
    for (const block of blocks) settle(block)
    blocks = []
    next = undefined
  }

  /** Whether the line is the value that the line before lets expect. */
  const awaited = (body: string, start: number, indent: number, line: Line | undefined) => {
    const before = next
    next = undefined
    if (before === undefined) return
    if (before.how === "flag") {
      const item = unquoted(Trim.end(body.replace(/^- +/, ""), ","))[1]
      const from = start + body.indexOf(item)
      if (!item.startsWith("-")) spans.add(from, from + item.length, before.trait.kind)
    } else if (before.how === "ruled") {
      if (isSecret(body, before.trait, alone)) spans.add(start, start + body.length, before.trait.kind)
      next = before
    } else if (body === "----") {
      next = { ...before, how: "ruled" }
    } else if (indent > before.column && line === undefined && !body.startsWith("- ")) {
      const [offset, bare] = unquoted(body)
      if (isSecret(bare, before.trait, alone)) {
        spans.add(start + offset, start + offset + bare.length, before.trait.kind)
      }
    }
  }

  const keyed = (line: Line, at: number) => {
    const { column, key, value } = line
    const place = at + column
    pop((entry) => line.item ? entry.column < column : entry.column <= column)
    let top = entries.at(-1)
    // A key that an object has once begins another object.
    if (top?.column === column && (key === "apiVersion" || key === "kind" || key === "data") && top.seen.has(key)) {
      pop((entry) => entry.column < column)
      top = entries.at(-1)
    }
    if (top?.column !== column) {
      // Blocks take care of data; what its text says is looked at for itself, as it may be a manifest.
      const outer = top?.key === "data" || top?.key === "stringData" ? undefined : top?.mapping
      top = { column, key, mapping: Mapping.open(outer, top?.key), seen: new Set() }
      if (entries.length < deepest) entries.push(top)
    }
    top.key = key
    if (key === "apiVersion" || key === "kind" || key === "data") top.seen.add(key)
    const isData = top.mapping.dataOf === undefined && (key === "data" || key === "stringData")
    if (isData && key === "stringData") Mapping.onlySecret(top.mapping)
    if (value === "" || header.test(value)) {
      const found = trait(key === "value" ? top.mapping.name ?? key : key)
      if (isData) {
        blocks.push({ column, owner: top.mapping, kind: "secret-data", child: -1, span: undefined })
      } else if (found !== undefined && found.when !== "opaque" && found.when !== "encoded") {
        if (value === "") next = { trait: found, column, how: "below" }
        else blocks.push({ column, owner: undefined, kind: found.kind, child: -1, span: undefined })
      }
      return
    }
    const [start, bare] = unquoted(value)
    const from = place + line.offset + start
    if (isData && /^\{\s*[^\s}"\\]/.test(value)) {
      Mapping.datum(top.mapping, value, from, from + value.length, spans)
    } else if (!isData && top.mapping.dataOf === undefined) {
      Mapping.scalar(top.mapping, key, bare, from, from + bare.length, spans)
    }
  }

  return {
    take: (part, at) => {
      const { text } = part
      if (!part.first) {
        for (const block of blocks) if (text.trim() !== "") content(block, at, at + text.trimEnd().length, text, false)
        return
      }
      const indent = text.search(/\S/)
      if (indent < 0) {
        next = undefined
        return
      }
      const body = text.slice(indent).trimEnd()
      const [start, end] = [at + indent, at + indent + body.length]
      closeBlocks(body.startsWith("- ") ? indent + 1 : indent)
      const line = read(body, indent)
      awaited(body, start, indent, line)
      for (const block of blocks) {
        if (block.child < 0) block.child = indent
        if (line === undefined || line.column !== block.child || block.owner === undefined) {
          content(block, start, end, body, false)
        } else {
          settle(block)
          const [offset, bare] = unquoted(line.value)
          const from = at + line.column + line.offset + offset
          if (line.value !== "" && !header.test(line.value)) content(block, from, from + bare.length, bare, true)
        }
      }
      if (line === undefined) {
        pop((entry) => entry.column < indent)
        const found = flagged(unquoted(Trim.end(body.replace(/^- +/, ""), ","))[1])
        if (found !== undefined) next = { trait: { kind: found, when: "any" }, column: indent, how: "flag" }
      } else if (!line.comment) {
        keyed(line, at)
      }
    },
    end: finish
  }
}

// -- internals ---------------------------------------------------------------

interface Entry {
  readonly column: number
  readonly mapping: Mapping.Mapping
  /** The last key. */
  key: string
  readonly seen: Set<string>
}

interface Block {
  /** Of its key. */
  readonly column: number
  /** The object whose data this is; without one all of it is a secret. */
  readonly owner: Mapping.Mapping | undefined
  readonly kind: Kind
  /** The column of its own keys; -1 before the first. */
  child: number
  span: Span | undefined
}

/** What the line before lets expect. */
interface Awaited {
  readonly trait: Trait
  readonly column: number
  /** Indented below its key, below its key and a rule (as `kubectl describe configmap` prints it), or after its flag. */
  readonly how: "below" | "ruled" | "flag"
}

interface Line {
  /** Of the key, after the dashes of list items. */
  readonly column: number
  readonly item: boolean
  readonly key: string
  /** The value's place, from the key. */
  readonly offset: number
  readonly value: string
  readonly comment: boolean
}

const deepest = 128

/** Of a block scalar. */
const header = /^[|>][+-]?\d?[+-]?(?:\s+#.*)?$/

const alone = { after: ":", quoted: false, leads: true, apart: true, last: true } as const

/** Reads `key: value`; `undefined` when the line has no key. */
const read = (body: string, indent: number): Line | undefined => {
  let start = 0
  while (body.startsWith("- ", start) || (body.charAt(start) === " " && start > 0)) {
    start += body.startsWith("- ", start) ? 2 : 1
  }
  let colon = body.indexOf(":", start)
  while (colon >= 0 && colon - start <= 256 && colon + 1 < body.length && !/\s/.test(body.charAt(colon + 1))) {
    colon = body.indexOf(":", colon + 1)
  }
  if (colon < 0 || colon - start > 256) return undefined
  const key = body.slice(start, colon).replace(/^(["'])(.*)\1$/, "$2")
  if (!/^[\w.\-/$@]+(?::[\w.\-/$@]+)*$/.test(key)) return undefined
  const rest = body.slice(colon + 1)
  const value = rest.trimStart()
  return {
    column: indent + start,
    item: start > 0,
    key,
    offset: colon + 1 - start + rest.length - value.length,
    value: /^#/.test(value) ? "" : value,
    comment: body.startsWith("#")
  }
}

/** Where the characters of a scalar begin, and what they are. */
const unquoted = (value: string): readonly [number, string] => {
  const quote = value.charAt(0)
  if (quote !== "\"" && quote !== "'") {
    const comment = value.indexOf(" #")
    return [0, comment < 0 ? value : value.slice(0, comment).trimEnd()]
  }
  const end = value.lastIndexOf(quote)
  return end > 0 ? [1, value.slice(1, end)] : [1, value.slice(1)]
}
