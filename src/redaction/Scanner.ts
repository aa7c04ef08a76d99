/**
 * Finds the secrets of one text that arrives in pieces, and puts placeholders
 * in their place.
 *
 * Lines are looked at whole, up to 65 536 characters of one; a line that may be
 * part of a Secret, or of a PEM block, is held back until that is known, up to
 * 262 144 characters, and is then taken for a secret. A run of more than half
 * a line's limit without a blank or a comma is a secret as a whole.
 */
import * as Announced from "./Announced.js"
import * as Assignments from "./Assignments.js"
import * as Flow from "./Flow.js"
import * as Json from "./Json.js"
import type { Filter, Finding, Kind, Reading, Source } from "./Kinds.js"
import * as Lines from "./Lines.js"
import * as Pairs from "./Pairs.js"
import * as Patterns from "./Patterns.js"
import * as Pem from "./Pem.js"
import * as Placeholder from "./Placeholder.js"
import * as Spans from "./Spans.js"
import * as Strict from "./Strict.js"
import type { Vault } from "./Vault.js"
import * as Yaml from "./Yaml.js"

export const make = (vault: Vault, reading: Reading, found: (finding: Finding) => void): Filter => {
  const source = reading === "request" ? reading : "cluster"
  const spans = Spans.make()
  const json = Json.make(spans)
  const yaml = Yaml.make(spans)
  const pem = Pem.make(spans)
  const announced = Announced.make()
  const strict = reading === "secret" ? Strict.make() : undefined
  /** What has not been given out, and where it stands in the whole text. */
  let held = ""
  let heldAt = 0
  let out = ""
  /** The end of the part before, when it is of the same line. */
  let context = ""
  let open: { readonly kind: Kind; readonly how: Assignments.Open } | undefined

  const release = () => {
    const secrets = spans.take()
    out += secrets.length === 0 && vault.size() === 0 ? held : replaced(held, heldAt, secrets, vault, source, found)
    heldAt += held.length
    held = ""
  }

  const assignments = (part: Lines.Part, at: number) => {
    const text = context + part.text
    const base = at - context.length
    Assignments.each(text, (secret) => {
      if (base + secret.end <= at) return
      spans.add(Math.max(at, base + secret.start), base + secret.end, secret.kind)
      if (!part.last && secret.open !== undefined) open = { kind: secret.kind, how: secret.open }
    })
    const see = (start: number, end: number, kind: Kind) => {
      if (base + end > at) spans.add(Math.max(at, base + start), base + end, kind)
    }
    Pairs.each(text, part.first, see)
    Patterns.each(text, reading, see)
  }

  const continued = (part: Lines.Part, at: number) => {
    if (open === undefined) return
    const end = Assignments.ends(part.text, open.how)
    spans.add(at, at + (end < 0 ? part.text.length : end), open.kind)
    if (end >= 0 || part.last) open = undefined
  }

  const lines = Lines.make((part) => {
    const at = heldAt + held.length
    held += part.text + part.newline
    continued(part, at)
    if (part.run < part.text.length) {
      spans.add(at + part.run, at + part.text.length, "opaque")
      open ??= { kind: "opaque", how: { until: "blank" } }
    }
    pem.take(part.text, at)
    json.take(part.text, at, part.last)
    yaml.take(part, at)
    Flow.each(part.text, at, spans)
    const [start, end] = announced.take(part) ?? [0, 0]
    if (end > start) spans.add(at + start, at + end, "password")
    strict?.take(part.text, part.first && part.last, (start, end) => {
      if (!spans.isKept(at + start)) spans.add(at + start, at + end, "secret-data")
    })
    assignments(part, at)
    context = part.last ? "" : part.text.slice(-overlap)
    if (spans.isWaiting() && held.length >= longestHeld) spans.settleAll()
    if (!spans.isWaiting()) release()
  })

  const given = (): string => {
    const text = out
    out = ""
    return text
  }

  return {
    push: (piece) => {
      lines.push(piece)
      return given()
    },
    end: () => {
      lines.end()
      pem.end()
      json.end()
      yaml.end()
      spans.settleAll()
      release()
      return given()
    }
  }
}

// -- internals ---------------------------------------------------------------

/** UTF-16 code units that are held back at most, beside one part of a line. */
const longestHeld = 262_144

/** What a part is looked at together with, of the part before. */
const overlap = 256

/** `text`, which stands at `at`, with placeholders for `secrets` and for what is known to be one. */
const replaced = (
  text: string,
  at: number,
  secrets: ReadonlyArray<Spans.Span>,
  vault: Vault,
  source: Source,
  found: (finding: Finding) => void
): string => {
  const placeholders: Array<readonly [number, number]> = []
  Placeholder.each(text, (placeholder, start) => placeholders.push([start, start + placeholder.length]))
  const stretches: Array<Spans.Span> = secrets.map((span) => ({
    ...span,
    start: Math.max(0, span.start - at),
    end: span.end - at
  }))
  const before = vault.size()
  vault.known(text, (start, end) => {
    if (!touches(placeholders, start, end)) stretches.push({ start, end, kind: "opaque", state: "secret" })
  })
  let result = ""
  let from = 0

  const replace = (start: number, end: number, kind: Kind) => {
    const value = text.slice(start, end)
    if (value.trim() === "") {
      result += value
      return
    }
    const { placeholder, kind: first } = vault.protect(value, kind, source)
    vault.remember(value, kind, source)
    result += placeholder
    found({ kind: first, placeholder, length: value.length })
  }

  /** The text from `from` to `end`, where only secrets may be that this very text brought. */
  const plain = (end: number) => {
    const gap = text.slice(from, end)
    let copied = 0
    if (vault.size() > before) {
      vault.known(gap, (start, stop) => {
        if (touches(placeholders, from + start, from + stop)) return
        result += gap.slice(copied, start)
        replace(from + start, from + stop, "opaque")
        copied = stop
      })
    }
    result += gap.slice(copied)
    from = end
  }

  for (const { end, kind, start } of Spans.merged(without(stretches, placeholders))) {
    plain(start)
    replace(start, end, kind)
    from = end
  }
  plain(text.length)
  return result
}

/** The stretches without what looks like a placeholder already: of those, nothing is redacted twice. */
const without = (
  stretches: ReadonlyArray<Spans.Span>,
  placeholders: ReadonlyArray<readonly [number, number]>
): ReadonlyArray<Spans.Span> => {
  if (placeholders.length === 0) return stretches
  const rest: Array<Spans.Span> = []
  for (const span of Spans.merged(stretches)) {
    let { start } = span
    for (let index = firstAfter(placeholders, start); index < placeholders.length; index++) {
      const [begin, stop] = placeholders[index] ?? [span.end, span.end]
      if (begin >= span.end) break
      if (begin > start) rest.push({ ...span, start, end: begin })
      start = stop
    }
    if (start < span.end) rest.push({ ...span, start })
  }
  return rest
}

const touches = (placeholders: ReadonlyArray<readonly [number, number]>, start: number, end: number): boolean => {
  const [begin] = placeholders[firstAfter(placeholders, start)] ?? [Infinity]
  return begin < end
}

/** The index of the first that ends after `at`. */
const firstAfter = (placeholders: ReadonlyArray<readonly [number, number]>, at: number): number => {
  let [low, high] = [0, placeholders.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((placeholders[middle]?.[1] ?? 0) > at) high = middle
    else low = middle + 1
  }
  return low
}
