/**
 * A person at a terminal of their own, with an empty configuration directory: the `vibectl` command line in this process.
 */
import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Console, Effect, Exit, Layer } from "effect"
import { run } from "../../src/cli/Cli.js"
import { Connector } from "../../src/cli/Connector.js"
import { ClientConfig } from "../../src/config/ClientConfig.js"
import { Env } from "../../src/config/Environment.js"
import { unlimited } from "../../src/domain/Limits.js"
import type { ServerInfo } from "../../src/domain/ServerInfo.js"
import * as Failure from "../../src/terminal/Failure.js"
import { Output } from "../../src/terminal/Output.js"
import { Prompt } from "../../src/terminal/Prompt.js"

export interface Options {
  readonly info?: Partial<ServerInfo>
  readonly env?: Record<string, string>
  /** Whether stdout is a terminal. */
  readonly terminal?: boolean
  /** What the program is called by. */
  readonly script?: string
}

export interface Typed {
  readonly stdout: string
  readonly stderr: string
  /** What the program says of its failure; undefined when it succeeded. */
  readonly failed: Failure.Report | undefined
}

const info: ServerInfo = {
  name: "vibectl-llm-proxy",
  version: "0.9.1",
  defaultModel: "",
  models: [],
  aliases: new Map(),
  limits: unlimited,
  features: []
}

/** Every command sees what the ones before it left in the directory `home`. */
export const person = (options: Options = {}) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const home = yield* files.makeTempDirectoryScoped()
    const connector = Layer.succeed(Connector, {
      connect: () =>
        Effect.succeed({
          execute: () => Effect.dieMessage("unused"),
          stream: () => {
            throw new Error("unused")
          },
          serverInfo: Effect.succeed({ ...info, ...options.info })
        })
    })
    const type = (...words: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        let [stdout, stderr] = ["", ""]
        const present = yield* Console.consoleWith(Effect.succeed)
        const output = Layer.succeed(Output, {
          write: (text) => Effect.sync(() => void (stdout += text)),
          line: (text) => Effect.sync(() => void (stdout += `${text}\n`)),
          note: (text) => Effect.sync(() => void (stderr += `${text}\n`)),
          status: (text) => Effect.sync(() => void (stderr += text)),
          isTerminal: options.terminal ?? false,
          columns: options.terminal === true ? 120 : undefined,
          colour: false,
          notes: { isTerminal: false, columns: undefined, colour: false }
        })
        const nobody = Layer.succeed(Prompt, {
          available: false,
          choose: () => Effect.succeed(undefined),
          line: () => Effect.succeed(undefined)
        })
        const console = Console.setConsole({
          ...present,
          log: (text: unknown) => Effect.sync(() => void (stdout += `${String(text)}\n`)),
          error: (text: unknown) => Effect.sync(() => void (stderr += `${String(text)}\n`))
        })
        const layer = ClientConfig.layer().pipe(
          Layer.provideMerge(Env.layerTest({ VIBECTL_CONFIG_DIR: home, ...options.env })),
          Layer.provideMerge(Layer.mergeAll(NodeContext.layer, output, nobody, connector, console))
        )
        const argv = ["node", options.script ?? "/usr/bin/vibectl", ...words]
        const exit = yield* Effect.exit(Effect.provide(run(argv), layer))
        if (Exit.isFailure(exit) && exit.cause._tag === "Die") return yield* Effect.failCause(exit.cause)
        const failure: unknown = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
        const unknown = { lines: JSON.stringify(failure) ?? "?", exitCode: 2 }
        const failed = Exit.isSuccess(exit) ? undefined : Failure.report(failure) ?? unknown
        return { stdout, stderr, failed } satisfies Typed
      })
    const config = {
      file: `${home}/client/config.yaml`,
      read: Effect.orDie(files.readFileString(`${home}/client/config.yaml`)),
      write: (text: string) =>
        Effect.orDie(
          Effect.zipRight(
            files.makeDirectory(`${home}/client`, { recursive: true }),
            files.writeFileString(`${home}/client/config.yaml`, text, { mode: 0o600 })
          )
        )
    }
    return { type, config, files, home }
  })
