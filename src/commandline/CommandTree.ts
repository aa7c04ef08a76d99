/**
 * The commands of a program as data: their names, options and arguments; and
 * the values of a command, from the words of each option and argument.
 *
 * This file is the only one that leans on what `@effect/cli` does not document:
 * the shapes of its descriptors (read in 0.77.2). `test/unit/CommandTree.test.ts`
 * fails when they change.
 */
import { Args, CliConfig, type Command, type HelpDoc, Options, type ValidationError } from "@effect/cli"
import type { FileSystem, Path, Terminal } from "@effect/platform"
import { Effect, HashMap, Option } from "effect"
import { UsageInvalid } from "../terminal/UsageInvalid.js"

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
  readonly kind: Kind
  /** What stands for the value, e.g. `FILE`; undefined for a flag. */
  readonly placeholder: string | undefined
  /** The values allowed, when they can be listed. */
  readonly choices: ReadonlyArray<string>
  /** One line; empty when nothing is said. */
  readonly about: string
  readonly isOptional: boolean
  readonly isRepeated: boolean
  /** How often a repeated one may stand there; undefined for any number. */
  readonly most: number | undefined
}

export type Kind = "flag" | "text" | "choice" | "whole number" | "number"

export interface Place {
  /** The words from the program to the command. */
  readonly path: ReadonlyArray<string>
  readonly tree: Tree
}

/** The words for one command: which one, and what its options and arguments are given. */
export interface Given {
  /** The command as the user knows it, e.g. `kubectl vibe`. */
  readonly typed: ReadonlyArray<string>
  /** The names of the commands below the program. */
  readonly path: ReadonlyArray<string>
  /** By the long name; `true` or `false` for a flag. */
  readonly options: ReadonlyMap<string, ReadonlyArray<string>>
  readonly args: ReadonlyArray<string>
}

export const of = <Name extends string, R, E, A>(command: Command.Command<Name, R, E, A>): Tree =>
  fromDescriptor(command.descriptor)

/** With the two commands that a program of several has: they are answered before any command runs. */
export const ofProgram = <Name extends string, R, E, A>(command: Command.Command<Name, R, E, A>): Tree => {
  const tree = of(command)
  return tree.children.length === 0 ? tree : { ...tree, children: [...tree.children, ...builtIns] }
}

/** Every command below, and the program itself first. */
export const places = (tree: Tree, above: ReadonlyArray<string> = []): ReadonlyArray<Place> => {
  const path = [...above, tree.name]
  return [{ path, tree }, ...tree.children.flatMap((child) => places(child, path))]
}

/** Runs the command; no other word than the given ones reaches it. */
export const run = <Name extends string, R, E, A>(
  command: Command.Command<Name, R, E, A>,
  given: Given
): Effect.Effect<void, E | UsageInvalid, R | Parsing> =>
  Effect.flatMap(inputOf(command, given), (input) => command.transform(command.handler(input), input))

/** What the handler of the command gets. */
export const inputOf = <Name extends string, R, E, A>(
  { descriptor }: Command.Command<Name, R, E, A>,
  given: Given
): Effect.Effect<A, UsageInvalid, Parsing> =>
  Effect.mapBoth(decode(descriptor, given), {
    onFailure: ({ error }) => invalid(textOf(error), given.typed),
    // What a descriptor yields is what its own handler takes.
    onSuccess: (input) => input as A
  })

/** What the framework asks for while it reads values. */
export type Parsing = FileSystem.FileSystem | Path.Path | Terminal.Terminal

// -- internals ---------------------------------------------------------------

const builtIns: ReadonlyArray<Tree> = [
  {
    name: "help",
    about: "Explain a command",
    options: [],
    args: [{
      names: ["COMMAND"],
      kind: "text",
      placeholder: "COMMAND",
      choices: [],
      about: "The words of the command; without them, all commands are listed",
      isOptional: true,
      isRepeated: true,
      most: undefined
    }],
    children: []
  },
  { name: "version", about: "Print the version", options: [], args: [], children: [] }
]

/** The framework has no public way down into nested commands; what is not as expected is left out, and then refused. */
const fromDescriptor = (descriptor: unknown): Tree => {
  switch (at(descriptor, "_tag")) {
    case "Map":
      return fromDescriptor(at(descriptor, "command"))
    case "Subcommands":
      return { ...fromDescriptor(at(descriptor, "parent")), children: childrenOf(descriptor).map(fromDescriptor) }
    case "Standard":
      return {
        name: String(at(descriptor, "name")),
        about: textOf(at(descriptor, "description")),
        options: valuesOf(at(descriptor, "options")),
        args: valuesOf(at(descriptor, "args")),
        children: []
      }
    default:
      return { name: "", about: "", options: [], args: [], children: [] }
  }
}

/** The values of a descriptor, as its handler takes them. */
const decode = (
  descriptor: unknown,
  given: Given
): Effect.Effect<unknown, ValidationError.ValidationError, Parsing> => {
  switch (at(descriptor, "_tag")) {
    case "Map": {
      const f = at(descriptor, "f") as (value: unknown) => ReturnType<typeof decode>
      return Effect.flatMap(decode(at(descriptor, "command"), given), f)
    }
    case "Subcommands": {
      const [name, ...path] = given.path
      const child = childrenOf(descriptor).find((each) => fromDescriptor(each).name === name)
      const parent = decode(at(descriptor, "parent"), { ...given, path: [], options: new Map(), args: [] })
      return Effect.zipWith(parent, decode(child, { ...given, path }), (values, subcommand) => ({
        ...Object(values) as object,
        subcommand: Option.some(subcommand)
      }))
    }
    case "Standard": {
      const [options, args] = [at(descriptor, "options"), at(descriptor, "args")]
      if (!Options.isOptions(options) || !Args.isArgs(args)) return unknownShape
      return Effect.zipWith(
        Options.parse(options, HashMap.fromIterable(given.options), config),
        Args.validate(args, given.args, config),
        (options, [, args]) => ({ name: at(descriptor, "name"), options, args })
      )
    }
    default:
      return unknownShape
  }
}

const config = CliConfig.make({ isCaseSensitive: true })

const unknownShape = Effect.dieMessage("@effect/cli describes commands in another way than in 0.77.2")

const invalid = (text: string, typed: ReadonlyArray<string>) =>
  new UsageInvalid({
    summary: /[.!?]$/.test(text) ? text : `${text}.`,
    remedy: `See \`${typed.join(" ")} --help\`.`
  })

const at = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

const childrenOf = (descriptor: unknown): ReadonlyArray<unknown> => {
  const children = at(descriptor, "children")
  return Array.isArray(children) ? children : []
}

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

/** The options, or the arguments, of a command. */
const valuesOf = (node: unknown): ReadonlyArray<Value> => {
  switch (at(node, "_tag")) {
    case "Single":
      return [single(node)]
    case "Variadic": {
      const [least, most] = [at(node, "min"), at(node, "max")] as ReadonlyArray<Option.Option<number>>
      const bounds = {
        isOptional: least === undefined || Option.getOrElse(least, () => 0) === 0,
        isRepeated: true,
        most: most === undefined ? undefined : Option.getOrUndefined(most)
      }
      return inside(node).map((value) => ({ ...value, ...bounds }))
    }
    case "WithDefault":
      return inside(node).map((value) => ({ ...value, isOptional: true }))
    case "Map":
      return inside(node)
    case "Both":
    case "OrElse":
      return [...valuesOf(at(node, "left")), ...valuesOf(at(node, "right"))]
    default:
      return []
  }
}

const inside = (node: unknown): ReadonlyArray<Value> =>
  ["options", "args", "argumentOption"].flatMap((key) => valuesOf(at(node, key)))

const single = (node: unknown): Value => {
  const [aliases, name, primitive] = [at(node, "aliases"), String(at(node, "name")), at(node, "primitiveType")]
  const alternatives = at(primitive, "alternatives")
  const choices = Array.isArray(alternatives) ? alternatives.map((each: unknown) => String(at(each, "0"))) : []
  const kind = kindOf(at(primitive, "_tag"), choices)
  const shown = Option.getOrUndefined(at(node, "pseudoName") as Option.Option<string>)
  return {
    // An argument has no aliases.
    names: Array.isArray(aliases) ? [name, ...aliases.map(String)].map(dashed) : [shown ?? name],
    kind,
    placeholder: kind === "flag" ? undefined : shown ?? (kind.endsWith("number") ? "N" : "TEXT"),
    choices: kind === "choice" ? choices : [],
    about: textOf(at(node, "description")),
    isOptional: false,
    isRepeated: false,
    most: undefined
  }
}

const kindOf = (tag: unknown, choices: ReadonlyArray<string>): Kind => {
  switch (tag) {
    case "Bool":
      return "flag"
    case "Choice":
      return choices.join() === "true,false" ? "flag" : "choice"
    case "Integer":
      return "whole number"
    case "Float":
      return "number"
    default:
      return "text"
  }
}

const dashed = (name: string): string => name.length === 1 ? `-${name}` : `--${name}`
