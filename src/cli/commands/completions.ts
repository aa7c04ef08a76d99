/**
 * `vibectl completions bash|zsh|fish`: a script that completes what is typed after `vibectl`.
 *
 * The scripts themselves call it with `profiles` and `keys`, which print the names that there are now, one a line.
 */
import { Args, Command } from "@effect/cli"
import { Effect } from "effect"
import type { Tree } from "../../commandline/CommandTree.js"
import { ClientConfig } from "../../config/ClientConfig.js"
import * as ClientKey from "../../config/ClientKey.js"
import { Output } from "../../terminal/Output.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import { fish } from "../completions/Fish.js"
import { bash, zsh } from "../completions/Posix.js"
import { places, shells } from "../completions/Words.js"

/** `tree` is the whole program; it is asked for when a script is printed. */
export const make = (tree: () => Tree) =>
  Command.make("completions", {
    shell: Args.text({ name: "SHELL" }).pipe(Args.withDescription("bash, zsh or fish"))
  }, ({ shell }) =>
    Effect.gen(function*() {
      const { line, write } = yield* Output
      switch (shell) {
        case "bash":
          return yield* write(bash(places(tree())))
        case "zsh":
          return yield* write(zsh(places(tree())))
        case "fish":
          return yield* write(fish(places(tree())))
        case "profiles":
        case "keys": {
          const { value } = yield* (yield* ClientConfig).load
          const names = shell === "profiles" ? Object.keys(value.proxy.profiles) : ClientKey.all(value)
          return yield* Effect.forEach(names, line, { discard: true })
        }
        default:
          return yield* new UsageInvalid({
            summary: `There are no completions for ${JSON.stringify(shell)}.`,
            remedy: `Name one of ${shells.join(", ")}, e.g. \`source <(vibectl completions bash)\`.`
          })
      }
    })).pipe(Command.withDescription("Print a script that completes commands in bash, zsh or fish"))
