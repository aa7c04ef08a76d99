/**
 * Command lines with one thing wrong, at every command and option of a program; made from the tree of its commands.
 */
import type { Place, Tree, Value } from "../../src/commandline/CommandTree.js"
import * as CommandTree from "../../src/commandline/CommandTree.js"

/** What is typed, and what the error must name. */
export interface Mistyped {
  readonly words: ReadonlyArray<string>
  readonly named: string
}

/** Words that some parsers take for the value of a flag. */
export const valueLike = ["yes", "no", "on", "off", "1", "0", "y", "n", "true", "false"]

/** The commands that do something. */
export const leaves = (tree: Tree): ReadonlyArray<Place> =>
  CommandTree.places(tree).filter((place) => place.tree.children.length === 0)

/** A line that is right, and says as little as it can. */
export const plain = ({ path, tree }: Place): ReadonlyArray<string> => [...path.slice(1), ...required(tree)]

/** What is typed for an option that is given. */
export const sample = (option: Value, name = long(option)): ReadonlyArray<string> =>
  option.kind === "flag" ? [name] : [name, valueOf(option)]

export const long = ({ names }: Value): string => names[0] ?? ""

export const valueOf = ({ choices, kind, placeholder }: Value): string =>
  placeholder === "LEVEL"
    ? "DEBUG"
    : choices.at(-1) ?? (kind === "whole number" ? "7" : kind === "number" ? "7.5" : "sample")

/** Every line that must not run. */
export const all = (tree: Tree): ReadonlyArray<Mistyped> =>
  CommandTree.places(tree).flatMap((place) =>
    place.tree.children.length > 0
      ? ofGroup(place)
      : [...ofCommand(place), ...place.tree.options.flatMap(ofOption(place))]
  )

/** Every option in every way that it can be written, one a line, with the values that its command must get. */
export const correct = (tree: Tree): ReadonlyArray<Correct> =>
  leaves(tree).flatMap((place) =>
    place.tree.options.flatMap((option) => {
      const [before, line] = [place.path.slice(1), plain(place)]
      const after = line.slice(before.length)
      const rest = option.isOptional ? after : without(after, option)
      const value = option.kind === "flag" ? "true" : valueOf(option)
      const given = (words: ReadonlyArray<string>, values: ReadonlyArray<string> = [value]) => ({
        option,
        words: [...before, ...words],
        values
      })
      return [
        ...option.names.map((name) => given([...rest, ...sample(option, name)])),
        given([...sample(option), ...rest]),
        given([...rest, `${long(option)}=${value}`]),
        ...option.isRepeated
          ? [given([`${long(option)}=a=b`, ...rest, `${long(option)}=c d`], ["a=b", "c d"])]
          : []
      ]
    })
  )

export interface Correct {
  readonly option: Value
  readonly words: ReadonlyArray<string>
  readonly values: ReadonlyArray<string>
}

/** The words without the option and its value; `name` is how it is written there. */
export const without = (words: ReadonlyArray<string>, option: Value, name?: string): ReadonlyArray<string> => {
  const names = name === undefined ? option.names : [name]
  const takesNext = (word: string | undefined) => word !== undefined && option.kind !== "flag" && names.includes(word)
  return words.filter((word, index) => !names.includes(word.split("=")[0] ?? "") && !takesNext(words[index - 1]))
}

/** The tree without one option of one command. */
export const poorer = (tree: Tree, [name, ...path]: ReadonlyArray<string>, option: Value): Tree =>
  name === undefined
    ? { ...tree, options: tree.options.filter((each) => long(each) !== long(option)) }
    : { ...tree, children: tree.children.map((each) => each.name === name ? poorer(each, path, option) : each) }

// -- internals ---------------------------------------------------------------

const required = ({ args, options }: Tree): ReadonlyArray<string> => [
  ...options.filter(({ isOptional }) => !isOptional).flatMap((option) => sample(option)),
  ...args.filter(({ isOptional }) => !isOptional).map(() => "sample")
]

const ofGroup = ({ path, tree }: Place): ReadonlyArray<Mistyped> => {
  const before = path.slice(1)
  const wrong = [
    "nonesuch",
    "",
    ...tree.children.flatMap(({ name }) => [name.toUpperCase(), capital(name), `${name}x`, name.slice(0, -1)])
  ].filter((name) => !tree.children.some((child) => child.name === name))
  return [
    ...wrong.map((name) => ({ words: [...before, name], named: name === "" ? "is empty" : name })),
    ...(before.length === 0 ? [] : ["--nonesuch", "--output", "-x", "--wizard", "--completions", "--Help", "--version"])
      .map((name) => ({ words: [...before, name], named: name })),
    { words: [...before, "--", "nonesuch"], named: "--" }
  ]
}

const ofCommand = (place: Place): ReadonlyArray<Mistyped> => {
  const line = plain(place)
  const { args, options } = place.tree
  const known = options.flatMap(({ names }) => names)
  const strange = [
    "--nonesuch",
    "--nonesuch=1",
    "-Z",
    "--wizard",
    "--completions",
    "--log-level",
    "--Help",
    "-H",
    "—yes"
  ]
  const most = args.reduce((sum, { isRepeated, most = Infinity }) => sum + (isRepeated ? most : 1), 0)
  const without = line.length - args.filter(({ isOptional }) => !isOptional).length
  return [
    ...strange.filter((word) => !known.includes(word)).flatMap((word) => [
      { words: [...line, word], named: word.replace("=1", "") },
      { words: [...place.path.slice(1), word, ...line.slice(place.path.length - 1)], named: word.replace("=1", "") }
    ]),
    ...(most === Infinity ? [] : [
      {
        words: [...line.slice(0, without), ...Array.from({ length: most }, () => "sample"), "surplus"],
        named: "surplus"
      },
      {
        words: [...line.slice(0, without), "--", ...Array.from({ length: most }, () => "sample"), "--surplus"],
        named: "--surplus"
      }
    ]),
    ...args.map((_, index) => ({
      words: [...line.slice(0, without), ...args.map((_, each) => each === index ? "" : "sample")],
      named: "is empty"
    })),
    ...args.some(({ isOptional }) => !isOptional)
      ? [{ words: [...line.slice(0, -1), "--"], named: "needs" }]
      : []
  ]
}

const ofOption = (place: Place) => (option: Value): ReadonlyArray<Mistyped> => {
  const line = plain(place)
  const own = sample(option)
  const name = long(option)
  const isGiven = !option.isOptional
  const rest = isGiven ? line.filter((word, index) => word !== name && line[index - 1] !== name) : line
  const known = new Set([...place.tree.options.flatMap(({ names }) => names), "--help", "-h", "--version", "-V"])
  const value = own.slice(1)
  const misspelled = [
    `--${capital(name.slice(2))}`,
    name.toUpperCase(),
    name.slice(1),
    `-${name}`,
    name.slice(0, -1),
    `${name}x`,
    `—${name.slice(2)}`,
    `–${name.slice(1)}`,
    ...name.includes("-", 2) ? [name.replace(/(?<=\w)-/g, ""), name.replace(/(?<=\w)-/g, "_")] : [],
    ...option.names.slice(1).map((alias) => alias.toUpperCase())
  ].filter((word) => !known.has(word))
  const doubled = option.isRepeated ? [] : [
    { words: [...rest, ...own, ...own], named: name },
    ...option.names.slice(1).map((alias) => ({ words: [...rest, ...own, alias, ...value], named: name }))
  ]
  const around = (words: ReadonlyArray<string>) => [...rest, ...words]
  const shared = [
    ...misspelled.flatMap((word) => [
      { words: around([word, ...value]), named: word },
      { words: around([`${word}=${value[0] ?? "true"}`]), named: word }
    ]),
    ...doubled,
    { words: around([[name, ...value, "and more"].join(" ")]), named: name }
  ]
  if (option.kind === "flag") {
    const opposite = place.tree.options.find((other) => long(other) === `--no-${name.slice(2)}`)
    return [
      ...shared,
      ...["", "yes", "no", "1", "TRUE", " true"].map((value) => ({ words: around([`${name}=${value}`]), named: name })),
      ...(opposite === undefined ? [] : [
        { words: around([name, long(opposite)]), named: long(opposite) },
        { words: around([long(opposite), name]), named: name },
        { words: around([name, `${name}=false`]), named: name }
      ])
    ]
  }
  const other = place.tree.options.find((each) => each !== option)
  const wrong = option.kind === "choice"
    ? ["nonesuch", (option.choices[0] ?? "").toUpperCase(), `${option.choices[0] ?? ""} `]
    : option.kind === "text"
    ? []
    : [
      "many",
      "7x",
      "1e3",
      "0x10",
      "Infinity",
      "NaN",
      "-1",
      ...option.kind === "number" ? ["0", "9999999999"] : ["1.5", "99999999999999999999"]
    ]
  return [
    ...shared,
    ...wrong.flatMap((value) => [
      { words: around([name, value]), named: value.trim() },
      { words: around([`${name}=${value}`]), named: value.trim() }
    ]),
    ...["", " ", "\t"].flatMap((value) => [
      { words: around([name, value]), named: name },
      { words: around([`${name}=${value}`]), named: name }
    ]),
    { words: around([name]), named: name },
    { words: around([name, "--", "x"]), named: name },
    ...(other === undefined ? [] : [{ words: around([name, ...sample(other)]), named: long(other) }])
  ]
}

const capital = (text: string): string =>
  text.replace(/(^|-)([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase())
