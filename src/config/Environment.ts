/**
 * Settings from the environment: `VIBECTL_SERVER__PORT` is `server.port`.
 *
 * Keys match in any case; in the names of providers, aliases and profiles,
 * `_` also stands for `-` and `.`. A variable that begins with `VIBECTL_` and
 * is none of ours is a problem, except what Kubernetes sets for a Service. One
 * that is empty is as if it were not set.
 */
import { ConfigProvider, Context, Layer } from "effect"
import { nearest } from "../domain/Nearest.js"
import type { Variables } from "./Interpolate.js"
import * as Problem from "./Problem.js"
import * as Service from "./Service.js"
import type * as Shape from "./Shape.js"
import * as Tree from "./Tree.js"
import * as YamlFile from "./YamlFile.js"

/** The variables of the process. */
export class Env extends Context.Tag("vibectl/config/Env")<Env, Variables>() {
  /**
   * The one place that reads the whole environment: configuration files may
   * name any variable, and mistyped `VIBECTL_…` names can only be found in the
   * full list, which `Config` does not give.
   */
  static readonly layer = Layer.sync(this, (): Variables => ({ ...process.env }))

  /** An environment of these variables only, for `Config` too. */
  static readonly layerTest = (variables: { readonly [name: string]: string }) =>
    Layer.merge(
      Layer.succeed(this, variables),
      Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
    )
}

export interface Settings {
  readonly root: Tree.Node
  readonly problems: ReadonlyArray<Problem.Problem>
}

/** The variable that sets the key at `path`. */
export const nameOf = (path: ReadonlyArray<string>): string => `${prefix}${path.map(toName).join("__")}`

/**
 * `known` is the tree of the file and the defaults, for the names of its
 * records; `foreign` are the sections of the other program.
 */
export const settings = (options: {
  readonly shape: Shape.Shape
  readonly known: Tree.Node
  readonly foreign: ReadonlyArray<string>
  readonly variables: Variables
  readonly narrows?: ((path: ReadonlyArray<string>) => boolean) | undefined
}): Settings => {
  const { foreign, known, narrows = () => false, shape, variables } = options
  const problems: Array<Problem.Problem> = []
  const setBy = new Map<string, string>()
  let root = Tree.empty({ _tag: "Default" })
  for (const [name, value] of Object.entries(variables).sort(([a], [b]) => a < b ? -1 : 1)) {
    const rest = name.startsWith(prefix) ? name.slice(prefix.length) : ""
    if (value === undefined || rest === "" || withoutSetting.has(name)) continue
    if (value === "") {
      const match = rest.includes("__") ? find(shape, known, rest) : undefined
      if (match?._tag === "Found" && narrows(match.path)) problems.push(Problem.make(name, match.path, emptyNarrowing))
      continue
    }
    const match: Match = rest.includes("__") ? find(shape, known, rest) : { _tag: "Unknown" }
    if (match._tag === "Unknown") {
      if (Service.sets(rest, value) || foreign.some((section) => rest.toLowerCase().startsWith(`${section}_`))) continue
      problems.push(Problem.unknown(name, [], "unknown variable", meant(shape, known, name), undefined))
      continue
    }
    const key = Problem.keyOf(match.path)
    if (match._tag === "Ambiguous") {
      const text = `the variable may mean ${match.candidates.join(" or ")}; set it in the file instead.`
      problems.push(Problem.make(name, match.path, text))
      continue
    }
    const other = setBy.get(key)
    if (other !== undefined) {
      problems.push(Problem.make(name, match.path, `${other} sets the same key; keep one of them.`))
      continue
    }
    setBy.set(key, name)
    const read = readValue(name, value, match.shape)
    problems.push(...read.problems)
    if (read.root !== undefined) root = Tree.merge(root, Tree.only(match.path, read.root))
  }
  return { root, problems }
}

/** Of a setting that narrows and has no value: to ignore it would allow more than its author meant. */
export const emptyNarrowing = "it is empty, and it would allow everything: give it a value, or take it away."

// -- internals ---------------------------------------------------------------

const prefix = "VIBECTL_"

/** Variables of ours that are no settings. */
const withoutSetting: ReadonlySet<string> = new Set(
  ["CONFIG_DIR", "JWT_SECRET", "JWT_SECRET_FILE", "WORKER"].map((rest) => `${prefix}${rest}`)
)

/** The names that a mistyped variable may stand for, best first. */
const meant = (shape: Shape.Shape, known: Tree.Node, name: string): ReadonlyArray<string> => {
  const rest = name.slice(prefix.length)
  const path = split(shape, known, rest.toUpperCase().replace(/_+/g, "_"))
  if (path !== undefined) return [nameOf(path)]
  return nearest(name, [...names(shape, known, rest.split("__")), ...withoutSetting], 1)
}

/** The key that `rest` names where each `_` may be the border between two keys; undefined when there is none. */
const split = (
  shape: Shape.Shape,
  known: Tree.Node | undefined,
  rest: string,
  path: ReadonlyArray<string> = []
): ReadonlyArray<string> | undefined => {
  if (shape._tag === "Leaf") return rest === "" ? path : undefined
  const words = rest.split("_")
  const keys: ReadonlyArray<readonly [string, Shape.Shape]> = shape._tag === "Struct"
    ? [...shape.fields]
    : [
      ...keysOf(known),
      ...words.map((_, index) => words.slice(0, index + 1).join("_").toLowerCase()).filter((key) => key !== "")
    ].map((key) => [key, shape.value])
  for (const [key, inner] of keys) {
    if (!`${rest}_`.startsWith(`${toName(key)}_`)) continue
    const found = split(inner, Tree.at(known, [key]), rest.slice(toName(key).length + 1), [...path, key])
    if (found !== undefined) return found
  }
  return undefined
}

const toName = (key: string): string => key.toUpperCase().replace(/[^A-Z0-9_]/g, "_")

type Match =
  | { readonly _tag: "Found"; readonly path: ReadonlyArray<string>; readonly shape: Shape.Shape }
  | { readonly _tag: "Ambiguous"; readonly path: ReadonlyArray<string>; readonly candidates: ReadonlyArray<string> }
  | { readonly _tag: "Unknown" }

/** Walks down `shape` along `rest`, the variable's name after its prefix. */
const find = (
  shape: Shape.Shape,
  known: Tree.Node | undefined,
  rest: string,
  path: ReadonlyArray<string> = []
): Match => {
  if (rest === "") return path.length > 0 ? { _tag: "Found", path, shape } : { _tag: "Unknown" }
  if (shape._tag === "Leaf") return { _tag: "Unknown" }
  const into = (key: string, inner: Shape.Shape) =>
    find(inner, Tree.at(known, [key]), rest.slice(key.length + 2), [...path, key])
  if (shape._tag === "Struct") {
    for (const [key, inner] of shape.fields) {
      if (leads(rest, toName(key))) return into(key, inner)
    }
    return { _tag: "Unknown" }
  }
  const existing = keysOf(known).filter((key) => leads(rest, toName(key)))
  const longest = existing.reduce((most, key) => Math.max(most, key.length), 0)
  const best = existing.filter((key) => key.length === longest)
  const exact = best.find((key) => rest.toLowerCase().startsWith(key.toLowerCase()))
  const chosen = exact ?? best[0]
  if (chosen === undefined) {
    const fresh = rest.split("__", 1).join("").toLowerCase()
    return fresh === "" ? { _tag: "Unknown" } : into(fresh, shape.value)
  }
  if (exact === undefined && best.length > 1) return { _tag: "Ambiguous", path: [...path, chosen], candidates: best }
  return into(chosen, shape.value)
}

/** Whether `rest` is the name, or goes on below it. */
const leads = (rest: string, name: string): boolean => {
  const upper = rest.toUpperCase()
  return upper === name || upper.startsWith(`${name}__`)
}

const keysOf = (node: Tree.Node | undefined): ReadonlyArray<string> =>
  Tree.isBranch(node) ? [...node.content.keys()] : []

/** Every variable name that would be valid; in a record, for its keys and for the one the user wrote. */
const names = (
  shape: Shape.Shape,
  known: Tree.Node | undefined,
  typed: ReadonlyArray<string>,
  path: ReadonlyArray<string> = []
): ReadonlyArray<string> => {
  if (shape._tag === "Leaf") return [nameOf(path)]
  const inner: ReadonlyArray<readonly [string, Shape.Shape]> = shape._tag === "Struct"
    ? [...shape.fields]
    : [...keysOf(known), typed[path.length] ?? ""].map((key) => [key, shape.value])
  return inner.flatMap(([key, value]): ReadonlyArray<string> =>
    names(value, Tree.at(known, [key]), typed, [...path, key])
  )
}

/** Text is taken to the letter, so that no secret loses its `#` or its zeros; all else is YAML. */
const readValue = (name: string, value: string, shape: Shape.Shape): YamlFile.Parsed => {
  const source: Problem.Source = { _tag: "Variable", name }
  if (shape._tag === "Leaf" && shape.isText) {
    const content = YamlFile.readScalar(value) === null ? null : value
    return { root: { content, source, keySource: source, shown: undefined }, problems: [] }
  }
  return YamlFile.parseValue(value, { sourceAt: () => source, variables: undefined, isText: () => false })
}
