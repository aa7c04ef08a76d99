/**
 * Stretches of a text that are secrets, or that may turn out to be.
 */
import type { Kind } from "./Kinds.js"

export interface Span {
  /** Offsets from the beginning of the whole text. */
  readonly start: number
  end: number
  readonly kind: Kind
  state: "secret" | "waiting" | "plain"
}

export interface Spans {
  readonly add: (start: number, end: number, kind: Kind, state?: Span["state"]) => Span
  /** Decides what waited. Nothing happens to a span that is decided already. */
  readonly settle: (span: Span, secret: boolean) => void
  /** What stands at `start` names an object, even among the values of a Secret. */
  readonly keep: (start: number) => void
  readonly isKept: (start: number) => boolean
  /** Whether a span waits: until then nothing may be given out. */
  readonly isWaiting: () => boolean
  /** Takes what waits for secrets. */
  readonly settleAll: () => void
  /** The spans that are secrets, in order and without overlaps; none are left here. */
  readonly take: () => Array<Span>
}

export const make = (): Spans => {
  let spans: Array<Span> = []
  let waiting = 0
  const kept = new Set<number>()

  const settle = (span: Span, secret: boolean) => {
    if (span.state !== "waiting") return
    span.state = secret ? "secret" : "plain"
    waiting--
  }

  return {
    add: (start, end, kind, state = "secret") => {
      const span: Span = { start, end, kind, state }
      if (state === "waiting") waiting++
      spans.push(span)
      return span
    },
    settle,
    keep: (start) => kept.add(start),
    isKept: (start) => kept.has(start),
    isWaiting: () => waiting > 0,
    settleAll: () => {
      for (const span of spans) settle(span, true)
    },
    take: () => {
      const secrets = merged(spans.filter((span) => span.state === "secret"))
      spans = []
      kept.clear()
      return secrets
    }
  }
}

/** Spans that overlap become one, of the kind of the longest. */
export const merged = (spans: ReadonlyArray<Span>): Array<Span> => {
  const sorted = [...spans].sort((a, b) => a.start - b.start || b.end - a.end)
  const result: Array<Span> = []
  for (const span of sorted) {
    if (span.end <= span.start) continue
    const last = result.at(-1)
    if (last === undefined || span.start >= last.end) {
      result.push({ ...span })
    } else if (span.end > last.end) {
      const longer = span.end - span.start > last.end - last.start ? span : last
      result[result.length - 1] = { ...last, end: span.end, kind: longer.kind }
    }
  }
  return result
}
