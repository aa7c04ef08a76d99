/**
 * A configuration file to start from: every key with its meaning and its
 * default, all commented out, so that the file changes nothing as it is.
 */
import * as Yaml from "yaml"
import type * as Shape from "./Shape.js"
import type * as Tree from "./Tree.js"

/** `header` is a comment for the top; its lines come without `#`. The text ends with a newline. */
export const render = (shape: Shape.Shape, defaults: Tree.Plain, header: ReadonlyArray<string>): string =>
  [...header.map(comment), "", ...body(shape, defaults)].join("\n") + "\n"

// -- internals ---------------------------------------------------------------

const comment = (text: string): string => text === "" ? "#" : `# ${text}`

/** `##` explains, `#` hides a setting. The sections stand uncommented: an empty section is valid, and a key below it only loses its `# `. */
const body = (shape: Shape.Shape, defaults: Tree.Plain): ReadonlyArray<string> =>
  shape._tag !== "Struct" ? [] : [...shape.fields].flatMap(([key, section], index) => [
    ...index === 0 ? [] : [""],
    ...section.about === "" ? [] : [comment(section.about)],
    `${key}:`,
    ...entries(section, below(defaults, key)).map((line) => line.startsWith("#") ? `  #${line}` : `  # ${line}`)
  ])

/** The keys of a section, not commented yet. */
const entries = (shape: Shape.Shape, defaults: Tree.Plain | undefined): ReadonlyArray<string> => {
  if (shape._tag === "Struct") {
    return [...shape.fields].flatMap(([key, field]) => setting(key, field, below(defaults, key)))
  }
  if (shape._tag === "Leaf") return []
  const given = Object.entries(isMapping(defaults) ? defaults : {}).map(([key, value]) =>
    `${key}: ${yaml(value)}   # default`
  )
  return [...given, ...setting(shape.example ?? "name", shape.value, undefined)]
}

const setting = (key: string, shape: Shape.Shape, value: Tree.Plain | undefined): ReadonlyArray<string> => {
  if (shape._tag !== "Leaf") return [`${key}:`, ...entries(shape, value).map((line) => `  ${line}`)]
  const example = value === undefined ? shape.example ?? "null" : yaml(value)
  const unset = value === undefined && shape.unset !== undefined ? ` Default: ${shape.unset}.` : ""
  const standard = value === undefined ? unset : ` Default: ${yaml(value)}.`
  const about = `${shape.about}${standard}`.trim()
  return [...about === "" ? [] : [`# ${about}`], `${key}: ${example}`]
}

const isMapping = (plain: Tree.Plain | undefined): plain is { readonly [key: string]: Tree.Plain } =>
  typeof plain === "object" && plain !== null && !Array.isArray(plain)

const below = (plain: Tree.Plain | undefined, key: string): Tree.Plain | undefined =>
  isMapping(plain) ? plain[key] : undefined

const yaml = (value: Tree.Plain): string => Yaml.stringify(value, { lineWidth: 0 }).trim()
