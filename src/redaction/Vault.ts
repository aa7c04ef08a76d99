/**
 * Secrets and their placeholders, for as long as a redactor lives.
 *
 * A value has one placeholder, and no two values share one. Values worth it
 * are remembered, so that they are found again wherever they stand.
 */
import { Redacted } from "effect"
import { createHmac } from "node:crypto"
import { isCommon } from "./Common.js"
import { decodedText } from "./Encoded.js"
import type { Kind, Source } from "./Kinds.js"
import * as Placeholder from "./Placeholder.js"

export interface Entry {
  readonly value: string
  readonly kind: Kind
  readonly placeholder: string
  /** `request` once the user has typed it, wherever else it stands. */
  readonly source: Source
}

export interface Vault {
  /** The entry of `value`, made when it is the first time. The first kind stays. */
  readonly protect: (value: string, kind: Kind, source: Source) => Entry
  /** From now on `known` finds `value`, and its decoded and encoded forms, where they are long and rare enough. */
  readonly remember: (value: string, kind: Kind, source: Source) => void
  /** Calls `see` for every remembered value in `text`, from left to right, the longest first. */
  readonly known: (text: string, see: (start: number, end: number) => void) => void
  /** How many values are remembered. */
  readonly size: () => number
  readonly find: (placeholder: string) => Entry | undefined
}

export const make = (key: Redacted.Redacted): Vault => {
  const entries = new Map<string, Entry>()
  const placeholders = new Map<string, string>()
  const remembered = new Map<string, { readonly kind: Kind; readonly source: Source }>()
  /** By their first characters, the lengths longest first. */
  const beginnings = new Map<string, { readonly values: Set<string>; readonly lengths: Array<number> }>()
  /** Which first three characters remembered values have: an answer "no" is true, and fast. */
  const hints = new Uint8Array(1 << 13)

  const name = (value: string, kind: Kind): string => {
    // Two bytes per code unit: UTF-8 would make halves of surrogate pairs equal.
    const digest = createHmac("sha256", Redacted.value(key)).update(`${kind}\0`).update(value, "utf16le").digest("hex")
    for (let length = digits; length < digest.length; length++) {
      const placeholder = Placeholder.format(kind, digest.slice(0, length))
      if (!placeholders.has(placeholder)) return placeholder
    }
    return Placeholder.format(kind, digest)
  }

  const learn = (value: string, kind: Kind, source: Source) => {
    if (value.length < shortest || value.length > longest || isCommon(value)) return
    if (/[\r\n]/.test(value) || Placeholder.is(value)) return
    const earlier = remembered.get(value)
    if (earlier !== undefined) {
      if (source === "request") remembered.set(value, { ...earlier, source })
      return
    }
    const beginning = value.slice(0, shortest)
    const others = beginnings.get(beginning) ?? { values: new Set(), lengths: [] }
    if (!others.lengths.includes(value.length)) {
      if (others.lengths.length >= mostLengths) return
      others.lengths.push(value.length)
      others.lengths.sort((a, b) => b - a)
    }
    others.values.add(value)
    beginnings.set(beginning, others)
    remembered.set(value, { kind, source })
    hints[hint(value, 0)] = 1
  }

  return {
    protect: (value, kind, source) => {
      const earlier = entries.get(value)
      if (earlier !== undefined) {
        if (source === earlier.source || source === "cluster") return earlier
        const typed = { ...earlier, source }
        entries.set(value, typed)
        return typed
      }
      const origin = remembered.get(value)
      const chosen = origin?.kind ?? kind
      const entry = {
        value,
        kind: chosen,
        placeholder: name(value, chosen),
        source: source === "cluster" ? origin?.source ?? source : source
      }
      entries.set(value, entry)
      placeholders.set(entry.placeholder, value)
      return entry
    },
    remember: (value, kind, source) => {
      learn(value, kind, source)
      const plain = value.includes("\\") ? unescaped(value) : value
      if (plain !== value) learn(plain, kind, source)
      const decoded = decodedText(value)
      for (const line of (decoded ?? plain).split(/\r?\n/)) {
        const text = line.trim()
        // A line of many may be any configuration; only what is opaque is taken for a secret of its own.
        if (decoded === text || rare.test(text)) learn(text, kind, source)
      }
      if (decoded === undefined && plain.length >= 8 && plain.length <= 1024 && !isCommon(plain)) {
        learn(Buffer.from(plain).toString("base64"), kind, source)
      }
    },
    known: (text, see) => {
      if (remembered.size === 0) return
      const last = text.length - shortest
      for (let at = 0; at <= last; at++) {
        if (hints[hint(text, at)] === 0) continue
        const same = beginnings.get(text.slice(at, at + shortest))
        const length = same?.lengths.find((length) => same.values.has(text.slice(at, at + length)))
        if (length === undefined) continue
        see(at, at + length)
        at += length - 1
      }
    },
    size: () => remembered.size,
    find: (placeholder) => {
      const value = placeholders.get(placeholder)
      return value === undefined ? undefined : entries.get(value)
    }
  }
}

// -- internals ---------------------------------------------------------------

const digits = 8

/** Shorter values occur by chance in ordinary text. */
const shortest = 6

/** Longer ones are found by their own shape, as certificates are. */
const longest = 4096

/** How many lengths the values with one beginning may have: each costs a look wherever that beginning stands. */
const mostLengths = 64

const rare = /^(?=[^\s]*[0-9])(?=[^\s]*[A-Za-z])[^\s:{}"'<>]{16,}$/

const hint = (text: string, at: number): number =>
  (text.charCodeAt(at) ^ (text.charCodeAt(at + 1) << 5) ^ (text.charCodeAt(at + 2) << 10)) & 0x1fff

/** What a JSON string with these characters says; the characters themselves where it says nothing. */
const unescaped = (text: string): string => {
  try {
    const value: unknown = JSON.parse(`"${text}"`)
    return typeof value === "string" ? value : text
  } catch {
    return text
  }
}
