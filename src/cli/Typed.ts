/**
 * What the user typed, as the command line takes it: `kubectl vibe …` (the
 * program `kubectl-vibe`) is `vibectl vibe …`, and a request for nothing is a
 * request for help.
 */
import * as NodePath from "node:path"
import type { Tree } from "./CommandTree.js"

export interface Typed {
  /** As the user knows it. */
  readonly program: string
  /** The runtime, the script, then the words. */
  readonly argv: ReadonlyArray<string>
  /** The command that help is asked for, and the words it is typed with. */
  readonly help: { readonly tree: Tree; readonly typed: ReadonlyArray<string> } | undefined
}

export const of = (argv: ReadonlyArray<string>, tree: Tree): Typed => {
  const [runtime = "", script = "", ...words] = argv
  const isPlugin = /^kubectl[-_]vibe(?:\.[a-z]+)?$/.test(NodePath.basename(script))
  const given = isPlugin ? ["vibe", ...words] : words
  const program = isPlugin ? "kubectl vibe" : "vibectl"
  const path = pathTo(tree, given)
  const found = path.at(-1) ?? tree
  // A command that does something by itself is asked for nothing only if it is `vibe` without a request.
  const asksNothing = given.length === path.length - 1 && (found.children.length > 0 || found.name === "vibe")
  const ends = given.indexOf("--")
  const asksForHelp = given.slice(0, ends < 0 ? undefined : ends).some((word) => word === "--help" || word === "-h")
  const typed = isPlugin ? ["kubectl", "vibe"] : path.map(({ name }) => name)
  return {
    program,
    argv: [runtime, script, ...given],
    help: asksNothing || asksForHelp ? { tree: found, typed } : undefined
  }
}

// -- internals ---------------------------------------------------------------

/** The commands that the words lead to, one below the other, the program first. */
const pathTo = (tree: Tree, [word, ...rest]: ReadonlyArray<string>): ReadonlyArray<Tree> => {
  const child = tree.children.find(({ name }) => name === word)
  return child === undefined ? [tree] : [tree, ...pathTo(child, rest)]
}
