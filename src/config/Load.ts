/**
 * One configuration from its four sources: flag over environment over file
 * over default. All problems are reported at once.
 *
 * Null in any source means unset: the default applies, whatever weaker sources
 * say. A relative path in the file is relative to the file's directory, any
 * other to the working directory; `~/` is the home directory.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, Either, ParseResult, type Schema } from "effect"
import * as NodePath from "node:path"
import { emptyNarrowing, Env, settings as fromEnvironment } from "./Environment.js"
import type { Variables } from "./Interpolate.js"
import * as Issues from "./Issues.js"
import * as Problem from "./Problem.js"
import * as Shape from "./Shape.js"
import * as Tree from "./Tree.js"
import * as YamlFile from "./YamlFile.js"

/** What one program's configuration is. */
export interface Description<A, I> {
  readonly schema: Schema.Schema<A, I>
  readonly defaults: Tree.Plain
  /** Sections of the other program: variables for them are not ours to check, and they belong into its own file. */
  readonly foreign: ReadonlyArray<string>
  /** Adds what follows from the rest of the configuration or from other variables. */
  readonly complete?: (given: Tree.Node, variables: Variables) => Effect.Effect<Completed>
  /** Whether the setting takes something away from callers: it must not be there without a value. */
  readonly narrows?: (path: ReadonlyArray<string>) => boolean
  /** What a schema cannot say: rules across keys, for a tree that may be wrong in other ways too. */
  readonly check?: (root: Tree.Node) => ReadonlyArray<Problem.Problem>
}

export interface Completed {
  readonly root: Tree.Node
  readonly problems: ReadonlyArray<Problem.Problem>
}

export interface Loaded<A> {
  readonly value: A
  /** Where each value that is set comes from, by key path: `default`, `file:line`, a variable or a flag. */
  readonly sources: ReadonlyMap<string, string>
  readonly file: string
  /** The same with line and column, for problems found later. */
  readonly places: ReadonlyMap<string, string>
}

/** By key path, e.g. `server.port`; undefined and null values are as if the flag were absent. */
export type Flags = ReadonlyMap<string, { readonly flag: string; readonly value: Tree.Plain | undefined }>

export interface Options {
  readonly file: string
  /** Whether the user named the file, so that it must exist. */
  readonly named: boolean
  readonly flags?: Flags
}

export const load = <A, I>(
  description: Description<A, I>,
  options: Options
): Effect.Effect<Loaded<A>, Problem.ConfigInvalid, Env | FileSystem.FileSystem> =>
  Effect.flatMap(YamlFile.read(options.file, options.named), (text) => loadText(description, text, options))

/** As {@link load}, of a file that holds `text`. */
export const loadText = <A, I>(
  description: Description<A, I>,
  text: string,
  options: Options
): Effect.Effect<Loaded<A>, Problem.ConfigInvalid, Env | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const variables = yield* Env
    const shape = Shape.of(description.schema)
    const isText = (path: ReadonlyArray<string>) => {
      const own = Shape.at(shape, path)
      return own?._tag === "Leaf" && own.isText
    }
    const file = YamlFile.parse(text, options.file, { variables, isText })
    const defaults = Tree.from(description.defaults, { _tag: "Default" })
    const known = file.root === undefined ? defaults : Tree.merge(defaults, file.root)
    const environment = fromEnvironment({
      shape,
      known,
      foreign: description.foreign,
      variables,
      narrows: description.narrows
    })
    const early = [...file.problems, ...environment.problems]
    if (file.root === undefined) return yield* new Problem.ConfigInvalid({ problems: early })

    const takesNull = (path: ReadonlyArray<string>) => {
      const own = Shape.at(shape, path)
      return own?._tag === "Leaf" && own.takesNull
    }
    const layers = [environment.root, fromFlags(options.flags ?? new Map())]
    const whole = layers.reduce(Tree.merge, file.root)
    const empty: Array<Problem.Problem> = []
    Tree.mapLeaves(whole, (leaf, path) => {
      if (leaf.content === null && description.narrows?.(path) === true && !takesNull(path)) {
        empty.push(Problem.make(Problem.place(leaf.keySource), path, emptyNarrowing))
      }
      return leaf
    })
    const given = Tree.withoutNulls(whole, takesNull)
    const completed = description.complete === undefined
      ? { root: given, problems: [] }
      : yield* description.complete(given, variables)
    const root = Tree.mapLeaves(Tree.merge(defaults, completed.root), absolutePaths(shape, variables))

    const decoded = ParseResult.decodeUnknownEither(description.schema)(Tree.toPlain(root), {
      errors: "all",
      onExcessProperty: "error"
    })
    const late = (Either.isLeft(decoded) ? Issues.toProblems(decoded.left, shape, root) : []).map((problem) =>
      description.foreign.includes(problem.key) ? Problem.make(problem.source, [problem.key], misplaced) : problem
    )
    const explained = new Set(early.map((problem) => problem.key))
    const problems = [
      ...early,
      ...empty,
      ...completed.problems,
      ...late.filter((problem) => !explained.has(problem.key)),
      ...description.check?.(root) ?? []
    ]
    if (Either.isLeft(decoded) || problems.length > 0) return yield* new Problem.ConfigInvalid({ problems })
    const leaves = leavesOf(root)
    return {
      value: decoded.right,
      sources: new Map(leaves.map(([key, leaf]) => [key, Problem.origin(leaf.source)])),
      file: options.file,
      places: new Map(leaves.map(([key, leaf]) => [key, Problem.place(leaf.source)]))
    }
  })

// -- internals ---------------------------------------------------------------

const misplaced =
  "this section belongs into another file: vibectl-server reads server/config.yaml, and vibectl client/config.yaml."

const fromFlags = (flags: Flags): Tree.Node => {
  let root = Tree.empty({ _tag: "Default" })
  for (const [key, { flag, value }] of flags) {
    if (value === undefined || value === null) continue
    root = Tree.merge(root, Tree.only(key.split("."), Tree.from(value, { _tag: "Flag", flag })))
  }
  return root
}

const leavesOf = (root: Tree.Node): ReadonlyArray<readonly [key: string, leaf: Tree.Node]> => {
  const leaves: Array<readonly [string, Tree.Node]> = []
  Tree.mapLeaves(root, (leaf, path) => {
    leaves.push([Problem.keyOf(path), leaf])
    return leaf
  })
  return leaves
}

const absolutePaths =
  (shape: Shape.Shape, variables: Variables) => (leaf: Tree.Node, path: ReadonlyArray<string>): Tree.Node => {
    const own = Shape.at(shape, path)
    if (Tree.isList(leaf.content)) {
      const absolute = absolutePaths(shape, variables)
      return { ...leaf, content: leaf.content.map((item, index) => absolute(item, [...path, String(index)])) }
    }
    if (own?._tag !== "Leaf" || !own.isPath || typeof leaf.content !== "string" || leaf.content === "") return leaf
    const base = leaf.source._tag === "File" ? NodePath.dirname(leaf.source.file) : "."
    const expanded = variables["HOME"] === undefined
      ? leaf.content
      : leaf.content.replace(/^~(?=\/|$)/, () => variables["HOME"] ?? "~")
    return { ...leaf, content: NodePath.resolve(base, expanded) }
  }
