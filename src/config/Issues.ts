/**
 * A schema's complaints as problems that name the place, the key, what was
 * found and what is allowed.
 */
import { Array as Arr, Order, type ParseResult, SchemaAST } from "effect"
import { nearest } from "../domain/Nearest.js"
import * as Problem from "./Problem.js"
import * as Shape from "./Shape.js"
import * as Tree from "./Tree.js"

/** In the order of the file, then of the schema; at most one per key. */
export const toProblems = (
  issue: ParseResult.ParseIssue,
  shape: Shape.Shape,
  root: Tree.Node
): ReadonlyArray<Problem.Problem> => {
  const faults = faultsOf(issue, [])
  const seen = new Set<string>()
  const own = faults.filter((fault) => {
    const id = JSON.stringify(fault.path)
    if (seen.has(id) || isMistyped(fault, faults, shape)) return false
    seen.add(id)
    return true
  })
  return Arr.sortWith(own, ({ path }) => orderOf(Tree.nearestAt(root, path)), Order.tuple(Order.number, Order.number))
    .map((fault) => toProblem(fault, shape, root))
}

/** The value at a key as it may be shown. */
export const found = (node: Tree.Node, shape: Shape.Shape | undefined): string => {
  const { content } = node
  if (content === null) return "nothing"
  if (Tree.isList(content)) return "a list"
  if (typeof content === "object") return "a mapping"
  // What stands in the place of a mapping may be anything, e.g. a key or a URL with a token.
  if (shape?._tag !== "Leaf") return typeof content === "string" ? "text" : `a ${typeof content}`
  if (shape.isPrivate) return "<redacted>"
  if (node.shown !== undefined) return node.shown
  return typeof content === "string" ? JSON.stringify(shortened(content)) : String(content)
}

// -- internals ---------------------------------------------------------------

interface Fault {
  readonly path: ReadonlyArray<string>
  readonly kind: "Unknown" | "Missing" | "Wrong"
}

const faultsOf = (issue: ParseResult.ParseIssue, path: ReadonlyArray<string>): ReadonlyArray<Fault> => {
  switch (issue._tag) {
    case "Pointer":
      return faultsOf(issue.issue, [...path, ...Arr.ensure(issue.path).map(String)])
    case "Composite": {
      const inner = Arr.ensure(issue.issues).flatMap((each) => faultsOf(each, path))
      // Of the members of a union, the ones that the value resembles say more.
      const deeper = inner.filter((fault) => fault.path.length > path.length)
      return SchemaAST.isUnion(issue.ast) && deeper.length > 0 ? deeper : inner
    }
    case "Refinement":
    case "Transformation":
      return faultsOf(issue.issue, path)
    case "Unexpected":
      return [{ path, kind: "Unknown" }]
    case "Missing":
      return [{ path, kind: "Missing" }]
    case "Type":
    case "Forbidden":
      return [{ path, kind: "Wrong" }]
  }
}

const toProblem = (fault: Fault, shape: Shape.Shape, root: Tree.Node): Problem.Problem => {
  const { kind, path } = fault
  const node = Tree.nearestAt(root, path)
  const parent = Shape.at(shape, path.slice(0, -1))
  if (kind === "Unknown") {
    const place = Problem.place(node.keySource)
    if (parent?._tag === "Record") return Problem.make(place, path, `${parent.names}.`, { allowed: parent.names })
    if (parent?._tag !== "Struct") return Problem.unknown(place, path, "unknown key", [], undefined)
    const known = [...parent.fields.keys()]
    return Problem.unknown(place, path, "unknown key", nearest(path.at(-1) ?? "", known), known.join(", "))
  }
  const own = Shape.at(shape, path)
  const allowed = own?.allowed ?? "another value"
  if (kind === "Missing") return Problem.wrong(Problem.place(node.keySource), path, undefined, allowed)
  const choices = own?._tag === "Leaf" && typeof node.content === "string" && node.shown === undefined
    ? nearest(node.content, own.choices, 1)
    : []
  return Problem.wrong(Problem.place(node.source), path, found(node, own), allowed, choices)
}

/** A missing key beside an unknown one that is very like it: one slip, one problem. */
const isMistyped = (missing: Fault, faults: ReadonlyArray<Fault>, shape: Shape.Shape): boolean => {
  const parent = missing.path.slice(0, -1)
  const struct = Shape.at(shape, parent)
  return missing.kind === "Missing" && struct?._tag === "Struct" &&
    faults.some(({ kind, path }) =>
      kind === "Unknown" && JSON.stringify(path.slice(0, -1)) === JSON.stringify(parent) &&
      nearest(path.at(-1) ?? "", struct.fields.keys()).includes(missing.path.at(-1) ?? "")
    )
}

/** Line and column of the key; what is not from the file comes last. */
const orderOf = ({ keySource }: Tree.Node): readonly [number, number] =>
  keySource._tag === "File" ? [keySource.line, keySource.column] : [Number.MAX_SAFE_INTEGER, 0]

const shortened = (text: string, most = 60): string => text.length <= most ? text : `${text.slice(0, most)}…`
