/**
 * What the completion scripts of all shells offer, and where.
 */
import * as CommandTree from "../../commandline/CommandTree.js"

/** What can be offered: a fixed list, names that change, or files. */
export type Offer =
  | { readonly _tag: "List"; readonly words: ReadonlyArray<string> }
  | { readonly _tag: "Names"; readonly kind: "profiles" | "keys" }
  | { readonly _tag: "Files" }
  | { readonly _tag: "Nothing" }

export interface Option {
  readonly names: ReadonlyArray<string>
  /** Undefined for a flag. */
  readonly value: Offer | undefined
}

export interface Place {
  /** `vibectl setup-proxy use`. */
  readonly path: string
  readonly commands: ReadonlyArray<{ readonly name: string; readonly about: string }>
  readonly options: ReadonlyArray<Option>
  /** The arguments, in their order. */
  readonly args: ReadonlyArray<Offer>
}

export const shells = ["bash", "zsh", "fish"] as const

export const places = (tree: CommandTree.Tree): ReadonlyArray<Place> =>
  CommandTree.places(tree).map(({ path, tree }) => ({
    path: path.join(" "),
    commands: tree.children.map(({ about, name }) => ({ name, about })),
    options: [
      ...tree.options.map((option) => ({
        names: option.names,
        value: option.placeholder === undefined ? undefined : offerOf(option)
      })),
      { names: path.length === 1 ? ["--help", "--version"] : ["--help"], value: undefined }
    ],
    args: tree.args.map(offerOf)
  }))

/** The command that prints names, one a line. */
export const listing = (kind: "profiles" | "keys"): string => `vibectl completions ${kind} 2>/dev/null`

/** In single quotes, as bash and zsh read them. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

// -- internals ---------------------------------------------------------------

const offerOf = ({ choices, placeholder }: CommandTree.Value): Offer => {
  if (choices.length > 0) return { _tag: "List", words: choices }
  switch (placeholder) {
    case "PROFILE":
      return { _tag: "Names", kind: "profiles" }
    case "KEY":
      return { _tag: "Names", kind: "keys" }
    case "SHELL":
      return { _tag: "List", words: shells }
    case "FILE":
      return { _tag: "Files" }
    default:
      return { _tag: "Nothing" }
  }
}
