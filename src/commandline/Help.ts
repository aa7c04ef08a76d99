/**
 * What `--help` prints of a command: short, and no wider than the terminal.
 */
import * as Style from "../terminal/Style.js"
import * as Width from "../terminal/Width.js"
import * as Wrap from "../terminal/Wrap.js"
import { helpNames, type Program, versions } from "./CommandLine.js"
import * as CommandTree from "./CommandTree.js"

/** Where it is printed. */
export interface Screen {
  readonly columns: number
  readonly colour: boolean
}

export interface Options extends Screen {
  readonly program: Program
  readonly overview?: Overview | undefined
}

/** What the help of a whole program begins with, and the order of its commands. */
export interface Overview {
  /** Whole lines as a user types them, each with what it does. */
  readonly examples: ReadonlyArray<readonly [line: string, about: string]>
  /** The names of the commands directly below the program; those that are in no group come last. */
  readonly groups: ReadonlyArray<readonly [title: string, commands: ReadonlyArray<string>]>
}

/** The text has no trailing newline; the path of the place has the words as the user types them. */
export const render = ({ path, tree }: CommandTree.Place, { colour, columns, overview, program }: Options): string => {
  const title = (text: string) => Style.apply(colour ? Style.bold : Style.none, text)
  const section = (name: string, rows: ReadonlyArray<Row>) =>
    rows.length === 0 ? [] : ["", title(name), ...table(rows, columns)]
  const isProgram = tree === program.tree
  const alone = isProgram ? tree.children.find(({ name }) => name === program.alone) : undefined
  const options = [
    ...[...tree.options, ...alone?.options ?? []].map(optionRow),
    row(helpNames, "Print this"),
    ...(path.length === program.typed.length ? [row(versions, "Print the version")] : [])
  ]
  return [
    ...(alone === undefined ? [] : usage(alone, path, columns)),
    ...usage(tree, path, columns),
    "",
    ...Wrap.lines(tree.about, columns),
    ...(isProgram && overview !== undefined
      ? section("EXAMPLES", overview.examples.map(([left, right]) => ({ left, right })))
      : []),
    ...grouped(leaves(tree), isProgram ? overview?.groups ?? [] : []).flatMap(([title, places]) =>
      section(title, places.map(({ path, tree }) => ({ left: path.slice(1).join(" "), right: tree.about })))
    ),
    ...section("ARGUMENTS", tree.args.map((arg) => ({ left: argument(arg), right: arg.about }))),
    ...section("OPTIONS", options)
  ].join("\n")
}

// -- internals ---------------------------------------------------------------

interface Row {
  readonly left: string
  readonly right: string
}

const row = (names: ReadonlyArray<string>, right: string): Row => ({ left: byLength(names).join(", "), right })

const byLength = (names: ReadonlyArray<string>) => names.toSorted((one, other) => one.length - other.length)

const usage = (tree: CommandTree.Tree, typed: ReadonlyArray<string>, columns: number): ReadonlyArray<string> =>
  Wrap.lines(
    [
      "$",
      ...typed,
      ...(tree.children.length > 0 ? ["<COMMAND>"] : []),
      ...(tree.options.length > 0 ? ["[OPTIONS]"] : []),
      ...tree.args.map(argument)
    ].join(" "),
    columns
  )

const leaves = (tree: CommandTree.Tree): ReadonlyArray<CommandTree.Place> =>
  CommandTree.places(tree).filter((place) => place.tree !== tree && place.tree.children.length === 0)

/** In the order of the groups; an empty group is left out by its section. */
const grouped = (
  places: ReadonlyArray<CommandTree.Place>,
  groups: Overview["groups"]
): ReadonlyArray<readonly [title: string, ReadonlyArray<CommandTree.Place>]> => {
  const named = new Set(groups.flatMap(([, names]) => names))
  const isOf = (place: CommandTree.Place, name: string) => place.path[1] === name
  return [
    ...groups.map(([title, names]) =>
      [title, names.flatMap((name) => places.filter((place) => isOf(place, name)))] as const
    ),
    [groups.length === 0 ? "COMMANDS" : "MORE", places.filter(({ path }) => !named.has(path[1] ?? ""))]
  ]
}

const argument = ({ isOptional, isRepeated, placeholder = "" }: CommandTree.Value): string => {
  // One that says for itself what it consists of.
  if (placeholder.includes(" ")) return placeholder
  const one = isOptional ? `[${placeholder}]` : `<${placeholder}>`
  return isRepeated ? `${one}...` : one
}

const optionRow = ({ about, choices, names, placeholder }: CommandTree.Value): Row => ({
  left: [
    byLength(names).join(", "),
    ...(placeholder === undefined ? [] : [choices.length > 0 ? choices.join("|") : placeholder])
  ].join(" "),
  right: about
})

/** Two columns; what is too long for the first of them has a line of its own. */
const table = (rows: ReadonlyArray<Row>, columns: number): ReadonlyArray<string> => {
  const most = Math.min(mostLeft, columns >> 1)
  const left = Math.max(...rows.map((row) => Width.of(row.left)).filter((width) => width <= most), least)
  const room = Math.max(least, columns - left - 4)
  return rows.flatMap((row) => {
    const [first = "", ...others] = Wrap.lines(row.right, room)
    const isLong = Width.of(row.left) > left
    return [
      ...(isLong ? [`  ${row.left}`] : []),
      `  ${Width.pad(isLong ? "" : row.left, left)}  ${first}`.trimEnd(),
      ...others.map((line) => `  ${" ".repeat(left)}  ${line}`)
    ]
  })
}

const mostLeft = 30
const least = 10
