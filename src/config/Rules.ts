/**
 * Rules about two keys of the same section.
 */
import * as Problem from "./Problem.js"
import * as Tree from "./Tree.js"

type Rule = (root: Tree.Node, path: ReadonlyArray<string>, one: string, other: string) => ReadonlyArray<Problem.Problem>

/** At most one of them. */
export const notBoth: Rule = (root, path, one, other) => {
  const [first, second] = [Tree.at(root, [...path, one]), Tree.at(root, [...path, other])]
  if (first === undefined || second === undefined) return []
  const text = `it is set together with ${one} (${Problem.origin(first.keySource)}); keep one of them.`
  return [Problem.make(Problem.place(second.keySource), [...path, other], text)]
}

/** Both or neither. */
export const together: Rule = (root, path, one, other) => [
  ...needs(root, path, one, other),
  ...needs(root, path, other, one)
]

// -- internals ---------------------------------------------------------------

/** `given` needs `needed`. */
const needs: Rule = (root, path, given, needed) => {
  const node = Tree.at(root, [...path, given])
  if (node === undefined || Tree.at(root, [...path, needed]) !== undefined) return []
  const text = `it is missing, and ${given} is set; set both or neither.`
  return [Problem.make(Problem.place(node.keySource), [...path, needed], text)]
}
