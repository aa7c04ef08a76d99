/**
 * The commands of a program as data: their names, options and arguments, for
 * what cannot ask the command line framework.
 */
import { Args, type Command, type HelpDoc, Options, type Usage } from "@effect/cli"
import { Option } from "effect"

export interface Tree {
  readonly name: string
  /** One line; empty when nothing is said. */
  readonly about: string
  readonly options: ReadonlyArray<Value>
  /** In their order. */
  readonly args: ReadonlyArray<Value>
  readonly children: ReadonlyArray<Tree>
}

/** What is typed for an option or an argument. */
export interface Value {
  /** `--output`, `-o`; an argument has the one name that its usage shows. */
  readonly names: ReadonlyArray<string>
  /** What stands for the value, e.g. `FILE`; undefined for a flag. */
  readonly placeholder: string | undefined
  /** The values allowed, when they can be listed. */
  readonly choices: ReadonlyArray<string>
  /** One line; empty when nothing is said. */
  readonly about: string
  readonly isOptional: boolean
  readonly isRepeated: boolean
}

export interface Place {
  /** The words from the program to the command. */
  readonly path: ReadonlyArray<string>
  readonly tree: Tree
}

export const of = <Name extends string, R, E, A>(command: Command.Command<Name, R, E, A>): Tree =>
  fromDescriptor(command.descriptor)

/** Every command below, and the program itself first. */
export const places = (tree: Tree, above: ReadonlyArray<string> = []): ReadonlyArray<Place> => {
  const path = [...above, tree.name]
  return [{ path, tree }, ...tree.children.flatMap((child) => places(child, path))]
}

// -- internals ---------------------------------------------------------------

/**
 * The framework has no public way down into nested commands: its `getSubcommands` yields a nested command itself as its
 * own child. So this reads what a descriptor consists of; what is not as expected is left out.
 */
const fromDescriptor = (descriptor: unknown): Tree => {
  const none: Tree = { name: "", about: "", options: [], args: [], children: [] }
  switch (at(descriptor, "_tag")) {
    case "Map":
      return fromDescriptor(at(descriptor, "command"))
    case "Subcommands": {
      const children = at(descriptor, "children")
      return {
        ...fromDescriptor(at(descriptor, "parent")),
        children: Array.isArray(children) ? children.map(fromDescriptor) : []
      }
    }
    case "Standard": {
      const [options, args] = [at(descriptor, "options"), at(descriptor, "args")]
      return {
        name: String(at(descriptor, "name")),
        about: textOf(at(descriptor, "description")),
        options: Options.isOptions(options) ? explained(valuesOf(Options.getUsage(options)), options) : [],
        args: Args.isArgs(args) ? explained(valuesOf(Args.getUsage(args)), args) : [],
        children: []
      }
    }
    default:
      return none
  }
}

const at = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

/** The first paragraph. */
const textOf = (doc: unknown): string => {
  const tag = at(doc, "_tag") as HelpDoc.HelpDoc["_tag"] | undefined
  if (tag === "Sequence") return textOf(at(doc, "left")) || textOf(at(doc, "right"))
  return tag === "Paragraph" ? spanOf(at(doc, "value")) : ""
}

const spanOf = (span: unknown): string => {
  const value = at(span, "value")
  if (typeof value === "string") return value
  return at(span, "_tag") === "Sequence" ? spanOf(at(span, "left")) + spanOf(at(span, "right")) : spanOf(value)
}

const valuesOf = (usage: Usage.Usage): ReadonlyArray<Value> => {
  switch (usage._tag) {
    case "Named": {
      const { acceptedValues, names } = usage
      const accepted = Option.getOrUndefined(acceptedValues)
      const isOption = names.some((name) => name.startsWith("-"))
      const choices = accepted?.includes(" | ") === true ? accepted.split(" | ") : []
      const placeholder = isOption ? accepted : names.join("").replace(/^<(.*)>$/s, "$1")
      return [{ names, placeholder, choices, about: "", isOptional: false, isRepeated: false }]
    }
    case "Optional":
      return valuesOf(usage.usage).map((value) => ({ ...value, isOptional: true }))
    case "Repeated":
      return valuesOf(usage.usage).map((value) => ({ ...value, isRepeated: true }))
    case "Alternation":
    case "Concat":
      return [...valuesOf(usage.left), ...valuesOf(usage.right)]
    default:
      return []
  }
}

/** With what the command says of each of them, in the same order. */
const explained = (values: ReadonlyArray<Value>, described: unknown): ReadonlyArray<Value> => {
  const abouts = aboutsOf(described)
  return values.map((value, index) => ({ ...value, about: abouts[index] ?? "" }))
}

const aboutsOf = (described: unknown): ReadonlyArray<string> =>
  at(described, "_tag") === "Single"
    ? [textOf(at(described, "description"))]
    : ["left", "right", "options", "args", "argumentOption"].flatMap((key) => {
      const below = at(described, key)
      return below === undefined ? [] : aboutsOf(below)
    })
