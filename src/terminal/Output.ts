/**
 * Where a program writes: data to stdout, all else to stderr.
 *
 * Colour and cursor tricks only where a person looks: on a terminal that knows
 * them (`TERM` is not `dumb`), and without `NO_COLOR` (https://no-color.org).
 */
import { Config, Console, Context, Effect, Layer, Option } from "effect"
import type { Writable } from "node:stream"
import * as Width from "./Width.js"
import * as Wrap from "./Wrap.js"

export class Output extends Context.Tag("vibectl/terminal/Output")<Output, {
  /** To stdout as it is. A reader that has gone (`| head`) interrupts the program. */
  readonly write: (text: string) => Effect.Effect<void>
  /** A line to stdout. */
  readonly line: (text: string) => Effect.Effect<void>
  /** A line to stderr, on several ones where a terminal is narrower; above the line that `status` has begun, if it has. */
  readonly note: (text: string) => Effect.Effect<void>
  /** To stderr as it is. A line that is begun with it stays the last until it is ended or drawn over. */
  readonly status: (text: string) => Effect.Effect<void>
  /** Whether stdout is a terminal. */
  readonly isTerminal: boolean
  /** Of stdout at this moment; undefined if it is no terminal. */
  readonly columns: number | undefined
  /** Whether text on stdout may have styles. */
  readonly colour: boolean
  /** The same of stderr. */
  readonly notes: {
    readonly isTerminal: boolean
    readonly columns: number | undefined
    readonly colour: boolean
  }
}>() {
  /** The process's own streams. */
  static readonly layer = (streams: Streams): Layer.Layer<Output> =>
    Layer.effect(this, Effect.map(noStyle, (plain) => make(streams, plain)))
}

export interface Streams {
  readonly stdout: Screen
  readonly stderr: Screen
}

/** `columns` follows the window. */
export type Screen = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** The command line framework writes with colours always; here they are taken out where they do not belong. */
export const consoleLayer = (streams: Streams): Layer.Layer<never> =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const plain = yield* noStyle
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
export const withoutStyle = (text: string): string =>
  text.includes("\u001b") ? text.replace(/\u001b\[[0-9;]*m/g, "") : text

/**
 * Text of others without anything a terminal would obey: control characters other than newline and
 * tab, and those that turn the direction of writing, so that what is read is what is there.
 */
export const harmless = (text: string): string =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "")

/** A terminal that cannot go back in a line. */
export const isDumb: Effect.Effect<boolean> = Effect.map(
  Effect.orDie(Config.withDefault(Config.string("TERM"), "")),
  (term) => term === "dumb"
)

/** What takes the text of the line away, and leaves the cursor at its beginning. */
export const erased = (line: string, colour: boolean): string =>
  line === "" ? "" : colour ? "\r\u001b[2K" : `\r${" ".repeat(Width.of(withoutStyle(line)))}\r`

/** Whether styles do not belong on the terminal at all. */
export const noStyle: Effect.Effect<boolean> = Effect.zipWith(
  Effect.orDie(Config.option(Config.nonEmptyString("NO_COLOR"))),
  isDumb,
  (noColour, dumb) => Option.isSome(noColour) || dumb
)

// -- internals ---------------------------------------------------------------

const fitting = (text: string, columns: number | undefined): string =>
  columns === undefined ? text : Wrap.prose(text, columns)

/** For a terminal that does not say how wide it is. */
const usualColumns = 80

const make = ({ stderr, stdout }: Streams, plain: boolean): Output["Type"] => {
  // Without a listener, a reader that has gone would crash the program from outside of any Effect.
  stdout.on("error", () => {})
  stderr.on("error", () => {})
  const screen = (stream: Screen) => ({
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.isTTY === true ? stream.columns || usualColumns : undefined
    },
    colour: stream.isTTY === true && !plain
  })
  const [output, notes] = [screen(stdout), screen(stderr)]
  /** What stands in the last line of the terminal by `status`. */
  let drawn = ""
  const erase = () => erased(drawn, notes.colour)
  const write = (text: string): Effect.Effect<void> =>
    Effect.async((resume) => {
      if (drawn !== "" && output.isTerminal) {
        stderr.write(erase())
        drawn = ""
      }
      stdout.write(text, (error) => resume(error ? Effect.interrupt : Effect.void))
    })
  return {
    write,
    line: (text) => write(`${text}\n`),
    note: (text) => Effect.sync(() => stderr.write(`${erase()}${fitting(text, notes.columns)}\n${drawn}`)),
    status: (text) =>
      Effect.sync(() => {
        stderr.write(text)
        drawn = (drawn + text).split(/[\r\n]/).at(-1)?.replace("\u001b[2K", "") ?? ""
      }),
    isTerminal: output.isTerminal,
    colour: output.colour,
    get columns() {
      return output.columns
    },
    notes
  }
}
