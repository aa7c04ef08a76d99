/**
 * PEM blocks: over lines, in one line with `\n` between, indented, in quotes,
 * or as Base64 of the whole (`LS0tLS1CRUdJTi…`), also where that is wrapped.
 *
 * A block that never ends is a secret up to its last line that may be part of it.
 */
import type { Kind } from "./Kinds.js"
import type { Span, Spans } from "./Spans.js"

export interface Pem {
  /** Takes the next part of the text, which stands at `at`. */
  readonly take: (text: string, at: number) => void
  readonly end: () => void
}

export const make = (spans: Spans): Pem => {
  /** The block that has no end yet; the span is decided already where too much had been held back. */
  let block: { span: Span; readonly kind: Kind; readonly encoded: boolean } | undefined

  const close = () => {
    if (block !== undefined) spans.settle(block.span, true)
    block = undefined
  }

  const extend = (start: number, end: number) => {
    if (block === undefined || end <= start) return
    if (block.span.state === "waiting") block.span.end = end
    else block.span = spans.add(start, end, block.kind, "waiting")
  }

  /** Looks for blocks that begin at `from` or after it. */
  const begin = (text: string, at: number, from: number): void => {
    const lastEnd = text.lastIndexOf(closing)
    for (let start = text.indexOf(opening, from); start >= 0; start = text.indexOf(opening, from)) {
      const label = header.exec(text.slice(start + opening.length, start + opening.length + 70))
      const kind = label === null ? undefined : kindOf(label[1] ?? "")
      from = start + opening.length
      if (kind === undefined) continue
      const end = lastEnd < from ? -1 : ending(text, from)
      if (end >= 0) {
        spans.add(at + start, at + end, kind)
        from = end
        continue
      }
      const quote = /["']/.exec(text.slice(from))
      if (quote !== null) {
        spans.add(at + start, at + from + quote.index, kind)
        from += quote.index
        continue
      }
      block = { span: spans.add(at + start, at + text.trimEnd().length, kind, "waiting"), kind, encoded: false }
      return
    }
    if (!text.includes(encodedOpening)) return
    for (const match of text.matchAll(encoded)) {
      const kind = /PRIVATE|KEY-/.test(Buffer.from(match[0].slice(0, 64), "base64").toString("latin1"))
        ? "private-key"
        : "certificate"
      const [start, end] = [at + match.index, at + match.index + match[0].length]
      if (match[0].length >= wrapped && match.index + match[0].length === text.trimEnd().length) {
        block = { span: spans.add(start, end, kind, "waiting"), kind, encoded: true }
      } else {
        spans.add(start, end, kind)
      }
    }
  }

  return {
    take: (text, at) => {
      if (block === undefined) return begin(text, at, 0)
      const content = text.trim()
      const start = at + text.indexOf(content)
      if (block.encoded) {
        if (/^[A-Za-z0-9+/]+={0,2}$/.test(content) && content.length >= 4) return extend(start, start + content.length)
        close()
        return begin(text, at, 0)
      }
      const end = ending(text, 0)
      if (end >= 0) {
        extend(start, at + end)
        close()
        return begin(text, at, end)
      }
      if (isBody(content)) return extend(start, start + content.length)
      close()
      begin(text, at, 0)
    },
    end: close
  }
}

// -- internals ---------------------------------------------------------------

const opening = "-----BEGIN "
const closing = "-----END "
const header = /^([A-Z0-9 ]{1,60})-----/

const encodedOpening = "LS0tLS1CRUdJTi"
const encoded = /LS0tLS1CRUdJTi[A-Za-z0-9+/_-]*={0,2}/g

/** `base64` and `openssl` wrap no shorter than this. */
const wrapped = 48

const kindOf = (label: string): Kind | undefined => {
  if (label.includes("PUBLIC KEY")) return undefined
  if (label.includes("CERTIFICATE") || label.includes("CRL") || label.includes("PKCS7")) return "certificate"
  return /KEY|PRIVATE/.test(label) ? "private-key" : undefined
}

/** Where the end marker of a block ends that stands at `from` or after it; -1 without one. */
const ending = (text: string, from: number): number => {
  const start = text.indexOf(closing, from)
  if (start < 0) return -1
  const dashes = text.indexOf("-----", start + 9)
  return dashes < 0 ? -1 : dashes + 5
}

/** Whether a line may stand inside of a block: one word, a header, or anything around a long run of Base64. */
const isBody = (content: string): boolean =>
  !/\s/.test(content) || /^(?:Proc-Type|DEK-Info|Version|Comment|Hash|Subject|Issuer|Headers?): /.test(content) ||
  /(?:^|[^A-Za-z0-9+/=])[A-Za-z0-9+/=]{16,}(?:$|[^A-Za-z0-9+/=.])/.test(content)
