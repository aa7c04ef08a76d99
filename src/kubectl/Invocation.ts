/**
 * A kubectl argument list, read as kubectl reads it.
 *
 * The list has no leading `kubectl` and never was a shell line. Verbs are found
 * as cobra finds them, flags are read as pflag reads them: `--flag=value`,
 * `--flag value`, `-nvalue`, `-n value`, `-n=value`, `-it`; `_` in a long name
 * is `-`; nothing is abbreviated; `--` ends the flags. Whatever kubectl itself
 * would stumble over, or could read in another way, is a problem; one problem is enough
 * for the list not to be taken for harmless.
 */
import * as Flags from "./Flags.js"
import * as Text from "./Text.js"
import type { Verb } from "./Verb.js"
import * as Verbs from "./Verbs.js"

export interface Flag {
  /** The long name. */
  readonly name: string
  /** As it was written, without its value: `-n` or `--namespace`. */
  readonly written: string
  /** For a boolean `true` or what was written after `=`. */
  readonly value: string
  /** Whether a boolean was switched on; true of any other flag. */
  readonly on: boolean
  readonly global: boolean
}

export interface Invocation {
  /** The words of the verb, aliases replaced; what was found instead, of one that is not known; empty when there is none. */
  readonly verb: string
  readonly known: Verb | undefined
  readonly flags: ReadonlyArray<Flag>
  /** What is neither verb nor flag, before `--`. */
  readonly operands: ReadonlyArray<string>
  /** What stands after `--`; undefined without one. */
  readonly rest: ReadonlyArray<string> | undefined
  /** What cannot be read with certainty, each as a sentence without its end. */
  readonly problems: ReadonlyArray<string>
}

export const parse = (args: ReadonlyArray<string>): Invocation => {
  const flags: Array<Flag> = []
  const operands: Array<string> = []
  const problems: Array<string> = []
  let verb = ""
  let certain = true
  let at = 0

  const readFlag = (table: Flags.FlagTable) => {
    const read = args[at]?.startsWith("--") ? long(args, at, table) : short(args, at, table)
    flags.push(...read.flags)
    problems.push(...read.problems)
    at = read.next
    return read.problems.length === 0
  }

  // The verb. Before it, only flags of every command can be read with certainty.
  for (; at < args.length && args[at] !== "--" && (verb === "" || Verbs.isParent(verb));) {
    const word = args[at] ?? ""
    if (isFlag(word)) {
      // A verb that is complete, and whose own flags begin.
      if (Verbs.find(verb) !== undefined) break
      certain = readFlag(Flags.global) && certain
      continue
    }
    const longer = Verbs.unaliased(verb === "" ? word : `${verb} ${word}`)
    // One argument that holds a space is no two words of a verb.
    if (/\s/.test(word) || (Verbs.find(longer) === undefined && !Verbs.isParent(longer))) {
      // `create` runs a plugin for a word that it does not know.
      if (Verbs.find(verb) !== undefined && verb !== "create") break
      certain = false
      verb = longer
      at += 1
      break
    }
    verb = longer
    at += 1
  }

  const known = certain ? Verbs.find(verb) : undefined
  while (at < args.length && args[at] !== "--") {
    const word = args[at] ?? ""
    if (isFlag(word)) {
      readFlag(known?.flags ?? Flags.global)
      continue
    }
    if (known !== undefined && Verbs.find(Verbs.unaliased(`${verb} ${word}`)) !== undefined) {
      problems.push(`${Text.shown(word)} may be a part of the verb, or not`)
    }
    operands.push(word)
    at += 1
  }
  return { verb, known, flags, operands, rest: at < args.length ? args.slice(at + 1) : undefined, problems }
}

/** The flags of this name; whatever comes last wins with kubectl, but all of them are looked at here. */
export const flagsOf = (invocation: Invocation, name: string): ReadonlyArray<Flag> =>
  invocation.flags.filter((flag) => flag.name === name)

// -- internals ---------------------------------------------------------------

interface Read {
  readonly flags: ReadonlyArray<Flag>
  readonly problems: ReadonlyArray<string>
  /** Where to read on. */
  readonly next: number
}

/** `-` alone is an operand. */
const isFlag = (word: string): boolean => word.startsWith("-") && word.length > 1

const long = (args: ReadonlyArray<string>, at: number, table: Flags.FlagTable): Read => {
  const word = args[at] ?? ""
  const equals = word.indexOf("=")
  const written = equals < 0 ? word : word.slice(0, equals)
  const name = written.slice(2).replaceAll("_", "-")
  const spec = table.get(name)
  // The short names are in the table too: `---n` is not `-n`.
  if (spec === undefined || spec.name !== name) return unknown(written, at)
  return valued(spec, written, equals < 0 ? undefined : word.slice(equals + 1), args, at)
}

/** `-Af file`: booleans, then at most one with a value, which is the rest of the word or the next one. */
const short = (args: ReadonlyArray<string>, at: number, table: Flags.FlagTable): Read => {
  const letters = (args[at] ?? "").slice(1)
  const flags: Array<Flag> = []
  for (let index = 0; index < letters.length; index++) {
    const written = `-${letters.charAt(index)}`
    const spec = table.get(written)
    const after = letters.slice(index + 1)
    if (spec === undefined) return { ...unknown(written, at), flags }
    const value = after.length > 1 && after.startsWith("=") ? after.slice(1) : undefined
    if (value === undefined && spec.takes === "boolean") {
      flags.push(...valued(spec, written, undefined, args, at).flags)
      continue
    }
    const read = valued(spec, written, value ?? (after === "" ? undefined : after), args, at)
    return { ...read, flags: [...flags, ...read.flags] }
  }
  return { flags, problems: [], next: at + 1 }
}

/** One flag with its value: `given` with the flag itself, or else, where it needs one, the next argument. */
const valued = (
  spec: Flags.FlagSpec,
  written: string,
  given: string | undefined,
  args: ReadonlyArray<string>,
  at: number
): Read => {
  const flag = (value: string, on = true): Flag => ({ name: spec.name, written, value, on, global: spec.global })
  if (spec.takes === "boolean") {
    const value = given ?? "true"
    const off = falsy.has(value)
    const problems = off || truthy.has(value) ? [] : [`${written} is on or off, and not ${Text.shown(value)}`]
    return { flags: [flag(value, !off)], problems, next: at + 1 }
  }
  if (given !== undefined || spec.takes === "optional") {
    return { flags: [flag(given ?? "")], problems: [], next: at + 1 }
  }
  const value = args[at + 1]
  if (value === undefined) return { flags: [], problems: [`${written} has no value`], next: at + 1 }
  // kubectl takes even a flag for the value. Nobody means that.
  const problems = isFlag(value) && !/^-\d/.test(value)
    ? [`${written} would take ${Text.shown(value)} for its value`]
    : []
  return { flags: [flag(value)], problems, next: at + 2 }
}

const unknown = (written: string, at: number): Read => ({
  flags: [],
  problems: [`${Text.shown(written)} is no flag that is known here`],
  next: at + 1
})

/** What Go's `strconv.ParseBool` takes. */
const truthy: ReadonlySet<string> = new Set(["1", "t", "T", "true", "TRUE", "True"])
const falsy: ReadonlySet<string> = new Set(["0", "f", "F", "false", "FALSE", "False"])
