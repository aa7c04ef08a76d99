/**
 * What the user typed, as the command line takes it: `kubectl vibe …` (the
 * program `kubectl-vibe`) is `vibectl vibe …`, and a request for nothing is a
 * request for help.
 */
import { Console, Effect } from "effect"
import * as NodePath from "node:path"
import type { Tree } from "./CommandTree.js"

export interface Typed {
  /** As the user knows it. */
  readonly program: string
  /** The runtime, the script, then the words. */
  readonly argv: ReadonlyArray<string>
}

export const of = (argv: ReadonlyArray<string>): Typed => {
  const [runtime = "", script = "", ...words] = argv
  const isPlugin = /^kubectl[-_]vibe(?:\.[a-z]+)?$/.test(NodePath.basename(script))
  const given = isPlugin ? ["vibe", ...words] : words
  const asksNothing = given.length === 0 || given.length === 1 && given[0] === "vibe"
  return {
    program: isPlugin ? "kubectl vibe" : "vibectl",
    argv: [runtime, script, ...given, ...asksNothing ? ["--help"] : []]
  }
}

/** Help names a command as it is typed: the framework leaves out what stands before the last of its words. */
export const namingItself =
  ({ argv, program }: Typed, tree: Tree) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Console.consoleWith((console) => {
      const path = pathOf(tree, argv.slice(2))
      const before = program === "vibectl" ? path.slice(0, -1).join(" ") : "kubectl"
      if (before === "") return effect
      const usage = (text: unknown) => typeof text === "string" ? text.replace(/^\$ /m, () => `$ ${before} `) : text
      return Effect.withConsole(effect, {
        ...console,
        log: (...values: ReadonlyArray<unknown>) => console.log(...values.map(usage))
      })
    })

// -- internals ---------------------------------------------------------------

const pathOf = (tree: Tree, [word, ...rest]: ReadonlyArray<string>): ReadonlyArray<string> => {
  const child = tree.children.find(({ name }) => name === word)
  return child === undefined ? [tree.name] : [tree.name, ...pathOf(child, rest)]
}
