/**
 * What `--help` prints of a command: short, and no wider than the terminal.
 */
import * as Style from "../terminal/Style.js"
import * as Width from "../terminal/Width.js"
import * as Wrap from "../terminal/Wrap.js"
import * as CommandTree from "./CommandTree.js"

export interface Options {
  /** The words of the command as the user types them, the program first. */
  readonly typed: ReadonlyArray<string>
  readonly columns: number
  readonly colour: boolean
}

/** The text has no trailing newline. */
export const render = (tree: CommandTree.Tree, { colour, columns, typed }: Options): string => {
  const title = (text: string) => Style.apply(colour ? Style.bold : Style.none, text)
  const section = (name: string, rows: ReadonlyArray<Row>) =>
    rows.length === 0 ? [] : ["", title(name), ...table(rows, columns)]
  const options = [...tree.options.map(optionRow), { left: "-h, --help", right: "Print this" }]
  return [
    ...usage(tree, typed, columns),
    "",
    ...Wrap.lines(tree.about, columns),
    ...section(
      "COMMANDS",
      leaves(tree).map(({ path, tree }) => ({ left: path.slice(1).join(" "), right: tree.about }))
    ),
    ...section("ARGUMENTS", tree.args.map((arg) => ({ left: argument(arg), right: arg.about }))),
    ...section(
      "OPTIONS",
      typed.length === 1 ? [...options, { left: "--version", right: "Print the version" }] : options
    )
  ].join("\n")
}

// -- internals ---------------------------------------------------------------

interface Row {
  readonly left: string
  readonly right: string
}

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

const argument = ({ isOptional, isRepeated, placeholder = "" }: CommandTree.Value): string => {
  // One that says for itself what it consists of.
  if (placeholder.includes(" ")) return placeholder
  const one = isOptional ? `[${placeholder}]` : `<${placeholder}>`
  return isRepeated ? `${one}...` : one
}

const optionRow = ({ about, choices, names, placeholder }: CommandTree.Value): Row => ({
  left: [
    names.toSorted((one, other) => one.length - other.length).join(", "),
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
