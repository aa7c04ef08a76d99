/**
 * Keeps secrets on this machine: what goes out has placeholders in their
 * place, and what comes back has the secrets in place of the placeholders.
 *
 * A value has one placeholder, the same in every run with the same key.
 * `restore(redact(text).text)` is `text`, and the pieces of a filter joined are
 * what the whole text would give. Text without secrets passes byte for byte.
 */
import type { Redacted } from "effect"
import type { Filter, Finding, Kind, Reading, Source } from "./Kinds.js"
import * as Placeholder from "./Placeholder.js"
import * as Scanner from "./Scanner.js"
import * as Vault from "./Vault.js"

export type { Filter, Finding, Kind, Reading, Source } from "./Kinds.js"

/** A placeholder of a redactor, and where its secret came from. */
export interface Mention {
  readonly placeholder: string
  readonly kind: Kind
  /** `request` when the user has typed the secret, wherever else it was found. */
  readonly source: Source
}

export interface Redactor {
  /**
   * `text` with placeholders for its secrets, and what was found, in order, once for each time that it stands there.
   *
   * Read as `secret`, every value in it is one: names of keys are left, and little else. Its source is the cluster.
   */
  readonly redact: (
    text: string,
    reading: Reading
  ) => { readonly text: string; readonly findings: ReadonlyArray<Finding> }
  /** The same for a text that arrives in pieces: `found` is called when the placeholder is given out. */
  readonly redacting: (reading: Reading, found?: (finding: Finding) => void) => Filter
  /** `text` with the secrets of this redactor in place of their placeholders; other text stays as it is. */
  readonly restore: (text: string) => string
  /** The same for pieces: only what may be the beginning of a placeholder is held back. */
  readonly restoring: () => Filter
  /** The placeholders of this redactor that stand in `text`, each once. */
  readonly mentioned: (text: string) => ReadonlyArray<Mention>
}

/** `key`: what placeholders are derived with. Who has it can test guesses of a secret against its placeholder. */
export const make = (options: { readonly key: Redacted.Redacted }): Redactor => {
  const vault = Vault.make(options.key)

  const redacting: Redactor["redacting"] = (reading, found = () => {}) => Scanner.make(vault, reading, found)

  const restore = (text: string): string => {
    let result = ""
    let from = 0
    Placeholder.each(text, (placeholder, start) => {
      const entry = vault.find(placeholder)
      if (entry === undefined) return
      result += text.slice(from, start) + entry.value
      from = start + placeholder.length
    })
    return from === 0 ? text : result + text.slice(from)
  }

  return {
    redact: (text, reading) => {
      const findings: Array<Finding> = []
      const filter = redacting(reading, (finding) => findings.push(finding))
      return { text: filter.push(text) + filter.end(), findings }
    },
    redacting,
    restore,
    restoring: () => {
      let held = ""
      return {
        push: (piece) => {
          const text = held + piece
          const end = Placeholder.unfinished(text)
          held = text.slice(end)
          return restore(text.slice(0, end))
        },
        end: () => {
          const text = held
          held = ""
          return text
        }
      }
    },
    mentioned: (text) => {
      const mentions = new Map<string, Mention>()
      Placeholder.each(text, (placeholder) => {
        const entry = vault.find(placeholder)
        if (entry !== undefined) mentions.set(placeholder, { placeholder, kind: entry.kind, source: entry.source })
      })
      return [...mentions.values()]
    }
  }
}

/** Passes everything through. */
export const none: Redactor = {
  redact: (text) => ({ text, findings: [] }),
  redacting: () => through(),
  restore: (text) => text,
  restoring: () => through(),
  mentioned: () => []
}

// -- internals ---------------------------------------------------------------

const through = (): Filter => ({ push: (piece) => piece, end: () => "" })
