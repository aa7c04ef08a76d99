/**
 * What is known of one verb of kubectl, and the words that the tables of verbs share.
 */
import * as Flags from "./Flags.js"

export interface Verb {
  /** Its whole path: `rollout restart` and `rollout status` are two verbs. */
  readonly name: string
  readonly effect: "reads" | "changes" | "destroys"
  /** What it does, to be read after its name: "drain evicts every pod of a node". */
  readonly does: string
  /** Its own and the global ones. */
  readonly flags: Flags.FlagTable
  /** The flags with which it still only reads; none for a verb that does not read. */
  readonly harmless: ReadonlySet<string>
  /** A person is always asked: no configuration lets it run by itself. */
  readonly asked: boolean
  /** It needs the terminal, or does not end by itself. */
  readonly terminal: boolean
}

export const make = (name: string, flags: string, verb: Omit<Verb, "name" | "flags">): Verb => ({
  name,
  flags: new Map([...Flags.global, ...Flags.table(flags)]),
  ...verb
})

/** Flags that many verbs take. */
export const print = "allow-missing-template-keys? output|o show-managed-fields? template"
export const files = "filename|f kustomize|k recursive|R?"
export const select = "selector|l"
export const everywhere = "all-namespaces|A?"
