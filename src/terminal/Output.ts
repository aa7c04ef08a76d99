/**
 * Where a program writes: data to stdout, all else to stderr.
 *
 * Colour and cursor tricks only where a person looks: on a terminal, and
 * without `NO_COLOR` (https://no-color.org).
 */
import { Config, Console, Context, Effect, Layer, Option } from "effect"
import type { Writable } from "node:stream"

export class Output extends Context.Tag("vibectl/terminal/Output")<Output, {
  /** To stdout as it is. A reader that has gone (`| head`) interrupts the program. */
  readonly write: (text: string) => Effect.Effect<void>
  /** A line to stdout. */
  readonly line: (text: string) => Effect.Effect<void>
  /** A line to stderr. */
  readonly note: (text: string) => Effect.Effect<void>
  /** Whether stdout is a terminal. */
  readonly isTerminal: boolean
}>() {
  /** The process's own streams. */
  static readonly layer = (streams: Streams): Layer.Layer<Output> => Layer.sync(this, () => make(streams))
}

export interface Streams {
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable & { readonly isTTY?: boolean }
}

/** The command line framework writes with colours always; here they are taken out where they do not belong. */
export const consoleLayer = (streams: Streams): Layer.Layer<never> =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const plain = yield* noColour
    const present = yield* Console.consoleWith(Effect.succeed)
    const printer = (stream: Streams["stdout"]) => (...values: ReadonlyArray<unknown>) => {
      const text = values.map(String).join(" ")
      stream.write(`${plain || stream.isTTY !== true ? withoutStyle(text) : text}\n`)
    }
    const [log, error] = [printer(streams.stdout), printer(streams.stderr)]
    return Console.setConsole({
      ...present,
      log: (...values: ReadonlyArray<unknown>) => Effect.sync(() => log(...values)),
      error: (...values: ReadonlyArray<unknown>) => Effect.sync(() => error(...values)),
      unsafe: { ...present.unsafe, log, error }
    })
  }))

/** Text without the sequences that change colours. */
export const withoutStyle = (text: string): string => text.replace(/\u001b\[[0-9;]*m/g, "")

/** Text of others without anything a terminal would obey: control characters other than newline and tab. */
export const harmless = (text: string): string => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")

// -- internals ---------------------------------------------------------------

const noColour = Effect.map(Effect.orDie(Config.option(Config.nonEmptyString("NO_COLOR"))), Option.isSome)

const make = ({ stderr, stdout }: Streams): Output["Type"] => {
  // Without a listener, a reader that has gone would crash the program from outside of any Effect.
  stdout.on("error", () => {})
  stderr.on("error", () => {})
  const write = (text: string): Effect.Effect<void> =>
    Effect.async((resume) => {
      stdout.write(text, (error) => resume(error ? Effect.interrupt : Effect.void))
    })
  return {
    write,
    line: (text) => write(`${text}\n`),
    note: (text) => Effect.sync(() => stderr.write(`${text}\n`)),
    isTerminal: stdout.isTTY === true
  }
}
