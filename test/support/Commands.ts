/**
 * Commands of a program, in this process, in a configuration directory of their own.
 */
import type { Command } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import * as Run from "../../src/commandline/Run.js"
import { Env } from "../../src/config/Environment.js"

export interface Executed {
  readonly stdout: string
  readonly stderr: string
  /** The failure's message; undefined for a command that succeeded. */
  readonly error: string | undefined
}

/** One command, as the only one of its program. */
export const program =
  <Name extends string, R, E, A>(command: Command.Command<Name, R, E, A>) => ([, , ...words]: ReadonlyArray<string>) =>
    Run.run(command, { print: (render) => Console.log(render({ columns: 80, colour: false })) })(words)

/** Runs `run` with these words, as typed after the program's name. */
export const executor = <E, R>(run: (argv: ReadonlyArray<string>) => Effect.Effect<void, E, R>) =>
(
  ...words: ReadonlyArray<string>
): Effect.Effect<Executed, never, R> =>
  Effect.gen(function*() {
    const [stdout, stderr]: [Array<string>, Array<string>] = [[], []]
    const error = yield* Effect.withConsole(
      Effect.match(run(["node", "t", ...words]), {
        onFailure: (failure) => failure instanceof Error ? failure.message : JSON.stringify(failure),
        onSuccess: () => undefined
      }),
      {
        ...yield* Console.consoleWith(Effect.succeed),
        log: (text: unknown) => Effect.sync(() => void stdout.push(String(text))),
        error: (text: unknown) => Effect.sync(() => void stderr.push(String(text)))
      }
    )
    return { stdout: stdout.join("\n"), stderr: stderr.join("\n"), error }
  })

/** `use` gets the path of the server's configuration file, which is not there yet. */
export const inDirectory = <A, E>(
  use: (file: string, files: FileSystem.FileSystem) => Effect.Effect<A, E, Env | NodeContext.NodeContext>,
  env: Record<string, string> = {}
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    return yield* Effect.provide(
      use(`${directory}/server/config.yaml`, files),
      Layer.merge(Env.layerTest({ VIBECTL_CONFIG_DIR: directory, ...env }), NodeContext.layer)
    )
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
