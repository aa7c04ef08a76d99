/**
 * Settings before they are decoded: every value with the place it came from.
 */
import type { Source } from "./Problem.js"

export type Scalar = string | number | boolean | null
export type Plain = Scalar | ReadonlyArray<Plain> | { readonly [key: string]: Plain }

export interface Node {
  readonly content: Scalar | ReadonlyArray<Node> | ReadonlyMap<string, Node>
  /** Where the value stands. */
  readonly source: Source
  /** Where its key stands. */
  readonly keySource: Source
  /** What to show instead of a value that came from a variable, e.g. `${PORT}`. */
  readonly shown: string | undefined
}

/** A mapping. */
export interface Branch extends Node {
  readonly content: ReadonlyMap<string, Node>
}

export const isBranch = (node: Node | undefined): node is Branch => node?.content instanceof Map

export const empty = (source: Source): Node => from({}, source)

/** A tree whose every value came from `source`. */
export const from = (plain: Plain, source: Source): Node => ({
  content: isList(plain)
    ? plain.map((item) => from(item, source))
    : isMapping(plain)
    ? new Map(Object.entries(plain).map(([key, value]) => [key, from(value, source)]))
    : plain,
  source,
  keySource: source,
  shown: undefined
})

/** A tree that holds `node` at `path` and nothing else. */
export const only = (path: ReadonlyArray<string>, node: Node): Node =>
  path.reduceRight<Node>((inner, key) => ({ ...node, shown: undefined, content: new Map([[key, inner]]) }), node)

/** `higher` over `lower`: mappings are joined, anything else is replaced, null too. */
export const merge = (lower: Node, higher: Node): Node => {
  if (!isBranch(lower) || !isBranch(higher)) return higher
  const content = new Map(lower.content)
  for (const [key, node] of higher.content) {
    const below = lower.content.get(key)
    content.set(key, below === undefined ? node : merge(below, node))
  }
  return { ...higher, content }
}

/** Without the keys whose value is null, except where null is a value: elsewhere it means unset. */
export const withoutNulls = (
  node: Node,
  takesNull: (path: ReadonlyArray<string>) => boolean,
  path: ReadonlyArray<string> = []
): Node => {
  if (!isBranch(node)) return node
  const content = new Map<string, Node>()
  for (const [key, child] of node.content) {
    const below = [...path, key]
    if (child.content !== null || takesNull(below)) content.set(key, withoutNulls(child, takesNull, below))
  }
  return { ...node, content }
}

export const at = (node: Node | undefined, path: ReadonlyArray<string>): Node | undefined =>
  path.reduce<Node | undefined>((parent, key) => {
    if (isBranch(parent)) return parent.content.get(key)
    return parent !== undefined && isList(parent.content) ? parent.content[Number(key)] : undefined
  }, node)

/** The node at `path`, or the one nearest above it. */
export const nearestAt = (root: Node, path: ReadonlyArray<string>): Node =>
  at(root, path) ?? (path.length === 0 ? root : nearestAt(root, path.slice(0, -1)))

/** `root` with `node` at `path`; the mappings above it are there already, and stay where they came from. */
export const set = (root: Node, [key, ...rest]: ReadonlyArray<string>, node: Node): Node => {
  if (key === undefined) return node
  if (!isBranch(root)) return root
  return { ...root, content: new Map(root.content).set(key, set(root.content.get(key) ?? node, rest, node)) }
}

/** `node` with every value that is not a mapping replaced. */
export const mapLeaves = (
  node: Node,
  f: (leaf: Node, path: ReadonlyArray<string>) => Node,
  path: ReadonlyArray<string> = []
): Node =>
  isBranch(node)
    ? { ...node, content: new Map([...node.content].map(([key, child]) => [key, mapLeaves(child, f, [...path, key])])) }
    : f(node, path)

/** As a schema decodes it. */
export const toPlain = (node: Node): unknown => {
  if (isBranch(node)) return Object.fromEntries([...node.content].map(([key, child]) => [key, toPlain(child)]))
  return isList(node.content) ? node.content.map(toPlain) : node.content
}

// -- internals ---------------------------------------------------------------

/** `Array.isArray` does not narrow readonly arrays. */
export const isList = <A, B>(value: A | ReadonlyArray<B>): value is ReadonlyArray<B> => Array.isArray(value)

const isMapping = (plain: Plain): plain is { readonly [key: string]: Plain } =>
  typeof plain === "object" && plain !== null && !isList(plain)
