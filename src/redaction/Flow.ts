/**
 * Flow collections of YAML, within one line: `{name: DB_PASSWORD, value: x}`,
 * `{kind: Secret, data: {password: eA==}}`. With quotes around its keys it is JSON.
 */
import * as Mapping from "./Mapping.js"
import type { Spans } from "./Spans.js"

/** Looks through `text`, which stands at `at`. */
export const each = (text: string, at: number, spans: Spans): void => {
  if (!begins.test(text)) return
  const open: Array<Level> = []
  token.lastIndex = 0
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const found = match[0]
    const top = open.at(-1)
    if (found === "{" || found === "[") {
      if (open.length < deepest) open.push(level(found, top))
    } else if (found === "}" || found === "]") {
      const closed = open.pop()
      if (closed !== undefined && closed.mapping !== open.at(-1)?.mapping) Mapping.close(closed.mapping, spans)
      const parent = open.at(-1)
      if (parent !== undefined) parent.key = ""
    } else if (found === ",") {
      if (top !== undefined) top.key = ""
    } else if (top !== undefined) {
      const key = match[1]
      if (key !== undefined) top.key = key
      else if (top.key !== "") {
        const bare = found.trimEnd()
        const quotes = /^(["']).*\1$/.test(bare) ? 1 : 0
        const [start, end] = [match.index + quotes, match.index + bare.length - quotes]
        Mapping.scalar(top.mapping, top.key, text.slice(start, end), at + start, at + end, spans)
      }
    }
  }
  for (const { mapping } of open.reverse()) Mapping.close(mapping, spans)
}

// -- internals ---------------------------------------------------------------

interface Level {
  readonly mapping: Mapping.Mapping
  key: string
}

/** A list belongs to its key. */
const level = (bracket: string, parent: Level | undefined): Level =>
  bracket === "[" && parent !== undefined
    ? { mapping: parent.mapping, key: parent.key }
    : { mapping: Mapping.open(parent?.mapping, parent?.key), key: "" }

const deepest = 64

const begins = /\{\s{0,8}[A-Za-z_][\w.-]{0,128}:\s/

/** A key with its colon, a quoted scalar, a plain one, or a sign between them. */
const token = /([A-Za-z_][\w./-]{0,128}):(?=\s)|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s{}[\],"'][^{}[\],]*|[{}[\],]/g
