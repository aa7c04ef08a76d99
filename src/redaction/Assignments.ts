/**
 * Secrets that their key tells of, in one line: `KEY=value`, `key: value`,
 * `"key": "value"`, `--flag value`, and the same inside of other strings.
 */
import { type Trait, trait } from "./Keys.js"
import type { Kind } from "./Kinds.js"
import * as Placeholder from "./Placeholder.js"
import { backslashesBefore, closing, level } from "./Quotes.js"
import * as Trim from "./Trim.js"
import { isOpaque, isSecret } from "./Values.js"

/** Up to where a value goes that a part of a line leaves open. */
export type Open = { readonly until: "quote"; readonly quote: string; readonly level: number } | {
  readonly until: "blank" | "line"
}

export interface Found {
  readonly start: number
  readonly end: number
  readonly kind: Kind
  /** It goes on where the text does. */
  readonly open: Open | undefined
}

/** Calls `see` for each secret in `text`, from left to right. */
export const each = (text: string, see: (found: Found) => void): void => {
  let from = 0
  const separator = /[:=>]/g
  const placeholders: Array<readonly [number, number]> = []
  Placeholder.each(text, (placeholder, start) => placeholders.push([start, start + placeholder.length]))
  const quoteAt = text.indexOf("\"")
  let passed = 0
  for (let match = separator.exec(text); match !== null; match = separator.exec(text)) {
    while (passed < placeholders.length && (placeholders[passed]?.[1] ?? 0) <= match.index) passed++
    // The colons of a placeholder separate nothing.
    if ((placeholders[passed]?.[0] ?? Infinity) < match.index) continue
    const found = at(text, match.index, quoteAt)
    if (found === undefined || found.start < from) continue
    see(found)
    from = found.end
    separator.lastIndex = Math.max(separator.lastIndex, found.end)
  }
  flag.lastIndex = 0
  for (let match = text.includes("-") ? flag.exec(text) : null; match !== null; match = flag.exec(text)) {
    const found = trait(match[1] ?? "")
    const value = match[3] ?? ""
    if (found === undefined || found.when === "opaque" || found.when === "encoded" || value.startsWith("-")) continue
    const quote = match[2] === "" ? undefined : match[2]
    const start = match.index + match[0].length - value.length
    const end = quote === undefined ? start + value.length : closing(text, start, quote, 0)
    const place = { after: "=", quoted: quote !== undefined, leads: true, apart: true, last: false } as const
    if (isSecret(text.slice(start, end < 0 ? text.length : end), found, place)) {
      see({
        start,
        end: end < 0 ? text.length : end,
        kind: found.kind,
        open: quote !== undefined && end < 0 ? { until: "quote", quote, level: 0 } : undefined
      })
    }
  }
}

/** Where a value that an earlier part left open ends in `text`; -1 when it goes on. */
export const ends = (text: string, open: Open): number =>
  open.until === "line"
    ? -1
    : open.until === "quote"
    ? closing(text, 0, open.quote, open.level)
    : text.search(/[\s"'`<]/)

// -- internals ---------------------------------------------------------------

const flag = /(?<![\w-])--?([A-Za-z][\w.-]{1,64})[ \t]{1,8}(["']?)([^\s"']+)/g

const at = (text: string, separator: number, quoteAt: number): Found | undefined => {
  const sign = text.charAt(separator)
  const after = text.charAt(separator + 1)
  if (sign === "=" && (after === "=" || /[=!<>]/.test(text.charAt(separator - 1)))) return undefined
  if (sign === ":" && (after === ":" || (after === "/" && text.charAt(separator + 2) === "/"))) return undefined
  const key = keyBefore(text, separator)
  const found = key === undefined ? undefined : trait(key.name)
  if (key === undefined || found === undefined) return undefined
  // Annotations of charts: a digest of a Secret, so that a change of it is noticed.
  if (key.start >= 9 && text.startsWith("checksum/", key.start - 9)) return undefined
  if (sign === ">" && text.charAt(key.start - 1) !== "<") return undefined
  let start = separator + (after === "=" || (sign === "=" && after === ">") ? 2 : 1)
  const blank = start
  while (text.charAt(start) === " " || text.charAt(start) === "\t") start++
  const leads = key.start <= 200 && leading.test(text.slice(0, key.start))
  if (found.when === "header") return header(text, start, found)
  const place = { after: sign === ":" ? ":" : "=", quoted: false, leads, apart: start > blank, last: false } as const
  const open = opening.exec(text.slice(start, start + 9))
  if (open !== null) {
    const [whole = "", slashes = "", quote = ""] = open
    if (!key.quoted && slashes === "" && isClosing(text, key.start, start, quote)) return undefined
    const depth = level(slashes.length)
    const end = closing(text, start + whole.length, quote, depth)
    const stop = end < 0 ? text.length : end
    if (!isSecret(text.slice(start + whole.length, stop), found, { ...place, quoted: true })) return undefined
    return {
      start: start + whole.length,
      end: stop,
      kind: found.kind,
      open: end < 0 ? { until: "quote", quote, level: depth } : undefined
    }
  }
  if (sign === ">") {
    const end = text.indexOf("<", start)
    return end <= start || !isSecret(text.slice(start, end), found, { ...place, quoted: true })
      ? undefined
      : { start, end, kind: found.kind, open: undefined }
  }
  // Of a file, all of the line is the value; of a sentence, the next word.
  const all = leads && !key.quoted &&
    (sign === ":" ? start > blank : start > blank && text.charAt(separator - 1) === " ")
  const stop = all || found.when === "cookie"
    ? lineValue(text, start)
    : wordValue(
      text,
      start,
      quoteAt >= 0 && quoteAt < key.start,
      text.slice(Math.max(0, key.start - 256), key.start),
      leads && sign === "=" && !key.quoted && start === separator + 1
    )
  const value = text.slice(start, stop)
  if (
    value.length < longestWord && !isSecret(value, found, { ...place, last: text.slice(stop, stop + 8).trim() === "" })
  ) return undefined
  return {
    start,
    end: stop,
    kind: found.kind,
    open: stop < text.trimEnd().length ? undefined : { until: all ? "line" : "blank" }
  }
}

/** Whether the quote at `at` ends a string in which the key before it stands: `"…?token=": failed`. */
const isClosing = (text: string, key: number, at: number, quote: string): boolean =>
  /^[:,;)\]}\s]?$/.test(text.charAt(at + 1)) &&
  text.slice(Math.max(0, key - 512), key).split(quote).length % 2 === 0

interface Key {
  readonly start: number
  readonly name: string
  readonly quoted: boolean
}

/** The key that ends before `separator`, with its quotes and blanks. */
const keyBefore = (text: string, separator: number): Key | undefined => {
  let end = separator
  while (end > separator - 256 && (text.charAt(end - 1) === " " || text.charAt(end - 1) === "\t")) end--
  const quoted = /["'`\]]/.test(text.charAt(end - 1))
  if (quoted) {
    end--
    if (text.charAt(end) === "]" && /["']/.test(text.charAt(end - 1))) end--
    end -= Math.min(backslashesBefore(text, end), 15)
  }
  let start = end
  while (start > end - 130 && isName(text.charCodeAt(start - 1))) start--
  return start === end ? undefined : { start, name: text.slice(start, end), quoted }
}

const isName = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f ||
  code === 0x2d || code === 0x2e

/** What may stand before the first key of a line. */
const leading = /^[\s"'`{,\-+>|*#$]*(?:(?:export|env|ENV|ARG|set|declare -x|setenv)\s+)?["']?$/

const opening = /^(\\{0,7})(["'`])/

/** The rest of the line, without a comment. */
const lineValue = (text: string, start: number): number => {
  const comment = text.indexOf(" #", start)
  const quote = /["'`]/.test(text.slice(0, start)) ? text.slice(start).search(/\\*["'`]/) : -1
  const stop = Math.min(comment < 0 ? text.length : comment, quote < 0 ? text.length : start + quote)
  return start + text.slice(start, stop).trimEnd().length
}

/**
 * A word: up to a blank or a quote, or to a separator of lists or parameters that has another key after it.
 * After the key of an environment, quotes and separators inside of it are of the word.
 */
const wordValue = (text: string, start: number, inString: boolean, before: string, sole: boolean): number => {
  const stopper = /[\s"'`<,;&\\]/g
  stopper.lastIndex = start
  let stop = text.length
  for (let match = stopper.exec(text); match !== null; match = stopper.exec(text)) {
    const { 0: character, index } = match
    if (/[,;&]/.test(character) && !another.test(text.slice(index + 1, index + 66))) continue
    if (character === "&" && sole && /[A-Z]=$/.test(text.slice(start - 2, start))) continue
    if (
      /["'`]/.test(character) && sole && !before.includes(character) && /^["'`]\w/.test(text.slice(index, index + 2))
    ) {
      continue
    }
    if (character === "<" && sole && !/[<>]/.test(before) && /^<[^/\s<]/.test(text.slice(index, index + 2))) continue
    // In a string, what looks like a line end to people is one.
    if (character === "\\" && !(inString && /^\\+(?:[nrt]|["'])/.test(text.slice(index, index + 16)))) continue
    stop = index
    break
  }
  const close = start + Trim.end(text.slice(Math.max(start, stop - 16), stop), ")]}").length +
    Math.max(0, stop - 16 - start)
  if (close < stop && !/[([{]/.test(text.slice(start, close))) return close
  while (stop > start + 1 && /[,;]/.test(text.charAt(stop - 1))) stop--
  return stop
}

const another = /^$|^\s|^["']|^[A-Za-z_][\w.\- ]{0,62}=/

const schemes = /^["'\\]{0,8}(?:(?:Bearer|Basic|Token|Digest|Negotiate|ApiKey|AWS4-HMAC-SHA256|Splunk)\s{1,8})?/i

/** A longer word is a secret whatever it looks like, so that none is looked at again from each of its separators. */
const longestWord = 1024

/** The credentials after `Authorization:`, without the scheme. */
const header = (text: string, start: number, found: Trait): Found | undefined => {
  const scheme = schemes.exec(text.slice(start, start + 40))?.[0] ?? ""
  const from = start + scheme.length
  const length = text.slice(from, from + longestWord).search(/[\s"'\\<]/)
  const value = text.slice(from, length < 0 ? from + longestWord : from + length)
  const place = { after: "=", quoted: true, leads: true, apart: true, last: false } as const
  const wanted = /[a-z]\s+$/i.test(scheme)
    ? isSecret(value, found, place)
    : isOpaque(value) || (value.length >= 16 && /\d/.test(value))
  if (!wanted) return undefined
  const stop = /digest|aws4/i.test(scheme)
    ? lineValue(text, from)
    : length < 0
    ? wordValue(text, from, true, "\"'`<", false)
    : from + value.length
  return { start: from, end: stop, kind: "authorization", open: stop >= text.length ? { until: "blank" } : undefined }
}
