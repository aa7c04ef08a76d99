/**
 * Runs what was typed: one way for every program, from its words to its command.
 */
import type { Command } from "@effect/cli"
import { Effect } from "effect"
import { packageVersion } from "../domain/PackageVersion.js"
import type { UsageInvalid } from "../terminal/UsageInvalid.js"
import * as CommandLine from "./CommandLine.js"
import * as CommandTree from "./CommandTree.js"
import * as Help from "./Help.js"

export interface Options<R> {
  /** What the program is called, and the commands below it that this name stands for: `kubectl vibe` is `vibe`. */
  readonly typed?: ReadonlyArray<string>
  readonly path?: ReadonlyArray<string>
  /** The command that options alone are for. */
  readonly alone?: string
  readonly overview?: Help.Overview
  /** Prints help, or the version, on stdout. */
  readonly print: (render: (screen: Help.Screen) => string) => Effect.Effect<void, never, R>
}

/** Takes the words after the program's name. */
export const run = <Name extends string, R, E, A, R2>(
  command: Command.Command<Name, R, E, A>,
  { alone, overview, path = [], print, typed }: Options<R2>
) =>
(words: ReadonlyArray<string>): Effect.Effect<void, E | UsageInvalid, R | R2 | CommandTree.Parsing> =>
  Effect.suspend(() => {
    const tree = CommandTree.ofProgram(command)
    const program: CommandLine.Program = { tree, typed: typed ?? [tree.name], path, alone }
    return Effect.flatMap(
      CommandLine.parse(program, words),
      (line): Effect.Effect<void, E | UsageInvalid, R | R2 | CommandTree.Parsing> => {
        switch (line._tag) {
          case "Version":
            return print(() => packageVersion)
          case "Help":
            return print((screen) => Help.render(line.place, { program, overview, ...screen }))
          case "Run":
            return CommandTree.run(command, line.given)
        }
      }
    )
  })
