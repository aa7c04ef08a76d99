/**
 * What stands in the place of a secret: `{{redacted:KIND:HEX}}`, 8 hexadecimal digits or more.
 */
import type { Kind } from "./Kinds.js"

export const format = (kind: Kind, hex: string): string => `{{redacted:${kind}:${hex}}}`

/** Calls `each` with every part of `text` that looks like a placeholder, whoever made it. */
export const each = (text: string, see: (placeholder: string, start: number) => void): void => {
  // Most texts have none, and to look for a fixed word costs next to nothing.
  if (!text.includes(opening)) return
  for (const match of text.matchAll(shape)) see(match[0], match.index)
}

/** Whether the whole of `text` looks like one. */
export const is = (text: string): boolean => text.startsWith(opening) && whole.test(text)

/** Where a placeholder begins that the end of `text` leaves unfinished; the length of `text` when there is none. */
export const unfinished = (text: string): number => {
  const from = Math.max(0, text.length - longest)
  for (let at = text.indexOf("{", from); at >= 0; at = text.indexOf("{", at + 1)) {
    const end = text.slice(at)
    if (opening.startsWith(end) || beginning.test(end)) return at
  }
  return text.length
}

// -- internals ---------------------------------------------------------------

const opening = "{{redacted:"

const shape = /\{\{redacted:[a-z][a-z-]{0,31}:[0-9a-f]{8,64}\}\}/g
const whole = /^\{\{redacted:[a-z][a-z-]{0,31}:[0-9a-f]{8,64}\}\}$/

/** One character less than the longest placeholder. */
const longest = opening.length + 32 + 1 + 64 + 1

const beginning = /^\{\{redacted:(?:[a-z][a-z-]{0,31}(?::[0-9a-f]{0,64}\}?)?)?$/
