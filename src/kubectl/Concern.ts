/**
 * One reason for asking a person about a command, and the reasons that any verb can give.
 */
import * as Flags from "./Flags.js"
import type { Flag, Invocation } from "./Invocation.js"
import * as Text from "./Text.js"

export interface Concern {
  /** A sentence without its end, which names the verb, the flag or the argument. */
  readonly because: string
  readonly destructive?: boolean
  /** It needs the terminal, or does not end by itself. */
  readonly interactive?: boolean
  /** A person has to be asked, whatever a configuration allows. */
  readonly asked?: boolean
}

/** What is of concern in any command: what cannot be read, where it goes, and what it reads and writes on this machine. */
export const ofAny = (invocation: Invocation): ReadonlyArray<Concern> => [
  ...invocation.problems.map((because): Concern => ({ because, asked: true })),
  ...invocation.flags.flatMap(ofFlag),
  ...[...invocation.operands, ...invocation.rest ?? []].flatMap((operand) => odd(operand, operand))
]

/** How `-o` is written when it prints a form that reads no file; templates stand after `=` or in `--template`. */
export const isPlainOutput = (value: string): boolean =>
  value === "" || /^(?:json|yaml|kyaml|name|wide|plaintext|plaintext-openapiv2)$/i.test(value) ||
  /^(?:jsonpath|jsonpath-as-json|go-template|template|custom-columns)(?:=|$)/.test(value)

// -- internals ---------------------------------------------------------------

const ofFlag = (flag: Flag): ReadonlyArray<Concern> => {
  const asked = (because: string): ReadonlyArray<Concern> => [{ because: `${flag.written} ${because}`, asked: true }]
  if (flag.global && Flags.redirecting.has(flag.name)) {
    return asked("chooses another cluster, identity or connection than the one in use")
  }
  if (flag.global && Flags.recording.has(flag.name)) return asked("writes to this machine")
  if (flag.global && flag.name === "v" && !/^[0-5]$/.test(flag.value)) {
    return asked("makes kubectl log what the cluster sends, secrets too")
  }
  if (Flags.reading.has(flag.name) && !(flag.name === "filename" && flag.value === "-")) {
    return asked("reads files of this machine, or URLs")
  }
  if (flag.name === "output" && !isPlainOutput(flag.value)) {
    return asked(`${Text.shown(flag.value)} is no form of output that is known to read no file`)
  }
  return Flags.templates.has(flag.name) ? [] : odd(flag.value, flag.written)
}

const odd = (text: string, name: string): ReadonlyArray<Concern> => {
  const oddity = Text.oddity(text)
  return oddity === undefined ? [] : [{ because: `${Text.shown(name)} ${oddity}`, asked: true }]
}
