/**
 * What was typed, word for word: a command with its options and arguments, or
 * the one error that says why not. It comes before everything else a program
 * does, so that a command does what was typed, or nothing.
 *
 * The rules, for every command of every program:
 * - Names of commands and options are known exactly as they are written, also their case.
 * - An option is no argument, and a word after a flag is no value of the flag.
 * - `--name value` and `--name=value` are the same; a flag takes `=true` and `=false` only.
 * - An option stands once, unless it may be repeated, and not beside its opposite (`--no-name`).
 * - A value or an argument that is empty is an error: it is a variable that is not set.
 * - After `--` there are only arguments.
 */
import { Either } from "effect"
import { nearest } from "../domain/Nearest.js"
import { UsageInvalid } from "../terminal/UsageInvalid.js"
import type { Given, Place, Tree, Value } from "./CommandTree.js"

export interface Program {
  readonly tree: Tree
  /** The words before the ones that were typed, as the user knows them: `vibectl`, or `kubectl vibe`. */
  readonly typed: ReadonlyArray<string>
  /** The names of the commands that `typed` stands for, e.g. `vibe`. */
  readonly path: ReadonlyArray<string>
  /** The command that options alone, and no words at all, are for; without it, help is shown. */
  readonly alone: string | undefined
}

export type Line =
  | { readonly _tag: "Run"; readonly given: Given }
  /** `path` has the words as the user types them. */
  | { readonly _tag: "Help"; readonly place: Place }
  | { readonly _tag: "Version" }

/** The argument is a text in a person's words: a word of it may begin with a dash and a digit, or be a dash. */
export const isProse = ({ names }: Value): boolean => names.some((name) => prose.includes(name))

export const parse = (program: Program, words: ReadonlyArray<string>): Either.Either<Line, UsageInvalid> => {
  const start: Place = { path: program.typed, tree: program.path.reduce(childOf, program.tree) }
  const isProgram = start.tree === program.tree && start.tree.children.length > 0
  const [first, ...others] = words
  if (first !== undefined && versions.includes(first)) return version(start, others)
  if (isProgram && first === "version" && !asksForHelp(others)) return version(start, others)
  if (isProgram && first === "help") {
    const { place, rest } = descend(start, others.filter((word) => !helpNames.includes(word)))
    return rest.length > 0 ? unknownCommand(place, rest) : help(place)
  }
  const { place, rest } = descend(start, words)
  const [next] = rest
  const alone = place.tree === program.tree && (next?.startsWith("-") ?? true) ? program.alone : undefined
  if (place.tree.children.length > 0 && alone === undefined) {
    if (next === undefined || (next.startsWith("-") && asksForHelp(rest))) return help(place)
    return unknownCommand(place, rest)
  }
  // `vibe` without a request is a question about `vibe`.
  const asksNothing = next === undefined && place.tree.args.some(isProse)
  if (asksForHelp(rest) || asksNothing) return help(place)
  const command = alone === undefined ? place : { path: place.path, tree: childOf(place.tree, alone) }
  const below = [...place.path.slice(program.typed.length), ...(alone === undefined ? [] : [alone])]
  return Either.map(read(command, rest), ({ args, options }): Line => ({
    _tag: "Run",
    given: { typed: command.path, path: [...program.path, ...below], options, args }
  }))
}

/** What every command of a program knows beside its own options. */
export const helpNames = ["--help", "-h"]
/** What a program knows alone. */
export const versions = ["--version", "-V"]

// -- internals ---------------------------------------------------------------

const prose = ["request", "TEXT"]

const childOf = (tree: Tree, name: string): Tree => tree.children.find((child) => child.name === name) ?? tree

/** As far down as the words name commands. */
const descend = (place: Place, words: ReadonlyArray<string>): { place: Place; rest: ReadonlyArray<string> } => {
  const [word, ...rest] = words
  const child = place.tree.children.find(({ name }) => name === word)
  return child === undefined
    ? { place, rest: words }
    : descend({ path: [...place.path, child.name], tree: child }, rest)
}

const help = (place: Place): Either.Either<Line> => Either.right({ _tag: "Help", place })

const version = (place: Place, words: ReadonlyArray<string>): Either.Either<Line, UsageInvalid> => {
  const word = words.find((each) => each !== "--")
  return word === undefined ? Either.right({ _tag: "Version" }) : surplus(place, word)
}

const asksForHelp = (words: ReadonlyArray<string>): boolean => {
  const ends = words.indexOf("--")
  return words.slice(0, ends < 0 ? undefined : ends).some((word) => helpNames.includes(word))
}

interface Words {
  readonly options: Map<string, ReadonlyArray<string>>
  readonly args: ReadonlyArray<string>
}

/** The options and arguments of one command. */
const read = (place: Place, words: ReadonlyArray<string>): Either.Either<Words, UsageInvalid> =>
  Either.gen(function*() {
    const { args, options } = place.tree
    const isText = args.some(isProse)
    const known = new Map(options.flatMap((option) => option.names.map((name) => [name, option] as const)))
    const given = new Map<string, ReadonlyArray<string>>()
    const found: Array<string> = []
    let hasEnded = false
    for (let index = 0; index < words.length; index++) {
      const word = words[index] ?? ""
      if (hasEnded || !isOption(word, isText, known)) {
        found.push(word)
        continue
      }
      if (word === "--") {
        hasEnded = true
        continue
      }
      const { name, value } = split(word)
      const option = known.get(name)
      if (option === undefined) return yield* unknownOption(place, name)
      if (name.length < word.length && value === undefined) return yield* quotedTogether(name)
      if (option.kind === "flag") {
        yield* set(place, given, option, name, yield* flagValue(name, value))
        continue
      }
      const next = value ?? words[++index]
      yield* set(place, given, option, name, yield* optionValue(option, name, next, value !== undefined))
    }
    const empty = found.findIndex((word) => word.trim() === "")
    if (empty >= 0) return yield* emptyArgument(place, found, empty)
    const most = args.reduce((sum, { isRepeated, most = Infinity }) => sum + (isRepeated ? most : 1), 0)
    if (found.length > most) return yield* surplus(place, found[most] ?? "")
    const least = args.filter(({ isOptional }) => !isOptional)
    if (found.length < least.length) return yield* missingArgument(place, least[found.length])
    const missing = options.find((option) => !option.isOptional && !given.has(long(option)))
    if (missing !== undefined) return yield* missingOption(place, missing)
    return { options: given, args: found }
  })

/** Dashes as programs that lay out text put them in the place of `--`. */
const dash = "[-\\u2010-\\u2015\\u2212\\ufe58\\ufe63\\uff0d]"
const optionLike = new RegExp(`^(?:-.|${dash}+[A-Za-z])`, "su")
const optionLikeInText = new RegExp(`^${dash}+[A-Za-z]\\S*$`, "u")

/** A lone `-` is stdin, by custom, and no option. */
const isOption = (word: string, isText: boolean, known: ReadonlyMap<string, Value>): boolean => {
  if (!isText) return optionLike.test(word)
  if (word === "--" || optionLikeInText.test(word)) return true
  // Within the quotes of the request: `--dry-run remove web`, or `--model=a b`, which is an option.
  const [head = ""] = /^[^\s=]*/.exec(word) ?? []
  return head.startsWith("-") && [...known.keys()].some((name) => name === head.toLowerCase())
}

/** `--name=value`; a blank ends the name too. */
const split = (word: string): { readonly name: string; readonly value: string | undefined } => {
  const end = word.search(/[=\s]/)
  const name = end < 0 ? word : word.slice(0, end)
  return { name, value: word[end] === "=" ? word.slice(end + 1) : undefined }
}

const long = ({ names: [name = ""] }: Value): string => name

/** An option is set once, and not beside its opposite; `--name=false` is its opposite, where it has one. */
const set = (
  place: Place,
  given: Map<string, ReadonlyArray<string>>,
  option: Value,
  name: string,
  value: string
): Either.Either<void, UsageInvalid> => {
  const opposite = option.kind === "flag" ? oppositeOf(place.tree, option) : undefined
  const key = opposite !== undefined && value === "false" ? long(opposite) : long(option)
  const [before, contrary] = [
    given.get(key),
    opposite && given.get(key === long(option) ? long(opposite) : long(option))
  ]
  if (contrary !== undefined) {
    return invalid(
      `${long(option)} and ${opposite === undefined ? "" : long(opposite)} contradict each other.`,
      "Leave one of them out."
    )
  }
  if (before !== undefined && !option.isRepeated) {
    return invalid(`${name} is given twice.`, `Give it once: only one ${long(option)} counts.`)
  }
  given.set(key, [...before ?? [], opposite === undefined ? value : "true"])
  return Either.right(undefined)
}

/** `--no-name` of `--name`, and the other way about. */
const oppositeOf = ({ options }: Tree, option: Value): Value | undefined => {
  const name = long(option)
  const other = name.startsWith("--no-") ? `--${name.slice("--no-".length)}` : `--no-${name.slice("--".length)}`
  return options.find((each) => each.kind === "flag" && long(each) === other)
}

const flagValue = (name: string, value: string | undefined): Either.Either<string, UsageInvalid> => {
  if (value === undefined || value === "true" || value === "false") return Either.right(value ?? "true")
  return invalid(
    `${name} takes no value but true and false, and was given ${quoted(value)}.`,
    `Write ${name} alone, or ${name}=true or ${name}=false.`
  )
}

const optionValue = (
  option: Value,
  name: string,
  value: string | undefined,
  isJoined: boolean
): Either.Either<string, UsageInvalid> => {
  const { choices, kind, placeholder = "" } = option
  const shown = choices.length > 0 ? choices.join("|") : placeholder
  if (value === undefined) return invalid(`${name} needs a value.`, `Write ${name} ${shown}.`)
  if (!isJoined && /^-./s.test(value) && !/^-[\d.]/.test(value)) {
    return invalid(
      `${name} needs a value, and is followed by the option ${shorten(split(value).name)}.`,
      `Write ${name} ${shown}; a value that begins with a dash is joined by =, as in ${name}=-x.`
    )
  }
  if (value.trim() === "") {
    return invalid(
      `The value of ${name} is empty.`,
      `Write ${name} ${shown}, or leave ${name} out; is it a variable that is not set?`
    )
  }
  if (kind === "choice" && !choices.includes(value)) {
    const [guess] = nearest(value, choices, 1)
    return invalid(
      `${name} cannot be ${quoted(value)}.`,
      `${guess === undefined ? "" : `Did you mean ${guess}? `}Choose one of ${choices.join(", ")}.`
    )
  }
  if (kind === "whole number" && !(/^-?\d+$/.test(value) && Number.isSafeInteger(Number(value)))) {
    return invalid(`${name} ${shorten(value)} is no whole number.`, `Write it in digits, e.g. ${name} 20.`)
  }
  if (kind === "number" && !(/^-?\d+(?:\.\d+)?$/.test(value) && Number.isFinite(Number(value)))) {
    return invalid(`${name} ${shorten(value)} is no number.`, `Write it in digits, e.g. ${name} 2.5.`)
  }
  return Either.right(value)
}

const quotedTogether = (name: string) =>
  invalid(
    `${name} stands within quotes together with other words.`,
    `Put ${name} outside of the quotes.`
  )

const unknownOption = (place: Place, name: string) => {
  const names = [...place.tree.options.flatMap(({ names }) => names), ...helpNames]
  const guess = guessed(name, names)
  const isCase = guess !== undefined && name.toLowerCase() === guess.toLowerCase()
  const meant = guess === undefined ? "" : `Did you mean ${guess}${isCase ? ", in this case of letters" : ""}? `
  const asText = place.tree.args.some(isProse) ? " A text with such a word stands in quotes, or after --." : ""
  return invalid(`Unknown option ${shorten(name)} of \`${place.path.join(" ")}\`.`, `${meant}${listed(place)}${asText}`)
}

/** With two dashes, whatever stands before the name. */
const guessed = (name: string, names: ReadonlyArray<string>): string | undefined => {
  const [, bare = ""] = new RegExp(`^${dash}*(.*)$`, "su").exec(name) ?? []
  const spelled = bare.length === 1 ? `-${bare}` : `--${bare}`
  // One letter more or less is another letter.
  const candidates = names.filter((each) => (each.length === 2) === (spelled.length === 2))
  const same = candidates.find((each) => each.toLowerCase() === spelled.toLowerCase())
  return same ?? (spelled.length === 2 ? undefined : nearest(spelled, candidates, 1)[0])
}

const unknownCommand = ({ path, tree }: Place, [word = ""]: ReadonlyArray<string>) => {
  const program = path.join(" ")
  if (/^-./s.test(word)) {
    return invalid(
      `Unknown option ${shorten(split(word).name)} of \`${program}\`.`,
      `Name a command first; its options follow it. \`${program} --help\` lists all.`
    )
  }
  const names = tree.children.map(({ name }) => name)
  const [guess] = nearest(word, names, 1)
  return invalid(
    word.trim() === ""
      ? `The name of a command of \`${program}\` is empty.`
      : `Unknown command ${quoted(word)} of \`${program}\`.`,
    `${guess === undefined ? "" : `Did you mean \`${program} ${guess}\`? `}\`${program} --help\` lists all commands.`
  )
}

const surplus = (place: Place, word: string) =>
  invalid(
    `\`${place.path.join(" ")}\` cannot use the word ${quoted(word)}.`,
    `Leave it out, or put words that belong together in quotes. ${listed(place)}`
  )

const emptyArgument = (place: Place, args: ReadonlyArray<string>, index: number) => {
  const name = place.tree.args.find(({ isRepeated }, each) => isRepeated || each === index)?.placeholder ?? "argument"
  const where = args.length > 1 && place.tree.args.length === 1 ? `Word ${index + 1} of the ${name}` : name
  return invalid(
    `${where[0]?.toUpperCase()}${where.slice(1)} of \`${place.path.join(" ")}\` is empty.`,
    "Write it, or leave it out; is it a variable that is not set?"
  )
}

const missingArgument = (place: Place, arg: Value | undefined) => {
  const name = arg?.placeholder ?? ""
  return invalid(
    `\`${place.path.join(" ")}\` needs ${name.includes(" ") ? name : `<${name}>`}${
      arg?.about ? `: ${arg.about}` : ""
    }.`,
    listed(place)
  )
}

const missingOption = (place: Place, { names, placeholder }: Value) =>
  invalid(`\`${place.path.join(" ")}\` needs ${names[0]} ${placeholder ?? ""}.`, listed(place))

const listed = ({ path }: Place): string => `See \`${path.join(" ")} --help\`.`

const invalid = (summary: string, remedy: string): Either.Either<never, UsageInvalid> =>
  Either.left(new UsageInvalid({ summary, remedy }))

const quoted = (word: string): string => JSON.stringify(shorten(word))

/** A word to be recognized by, that is not long, and not a secret that stood in the wrong place. */
const shorten = (word: string): string => {
  const hidden = word
    .replace(/(:\/\/)[^/\s]*@/g, "$1…@")
    .replace(/[\w+-]{20,}/g, (run) => /\d/.test(run) && /[A-Za-z]/.test(run) ? `${run.slice(0, 4)}…` : run)
  return hidden.length > 40 ? `${hidden.slice(0, 40)}…` : hidden
}
