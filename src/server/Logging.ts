/**
 * The server's log: events on stderr, for people or (one JSON object a line) for machines.
 *
 * The level can be changed while the server runs; lines below it cost no more
 * than if it were fixed.
 */
import { Cause, Console, Effect, FiberId, HashMap, Layer, List, Logger, LogLevel } from "effect"
import * as Level from "../telemetry/LogLevel.js"
import * as LogLine from "../telemetry/LogLine.js"
import { noStyle } from "../terminal/Output.js"
import * as LogWriter from "./LogWriter.js"
import * as PrettyLog from "./PrettyLog.js"

export interface Options {
  readonly level: Level.Name
  readonly format: "pretty" | "json"
}

export const layer = (options: Options): Layer.Layer<Level.LogLevel> =>
  Layer.unwrapScoped(Effect.map(formats[options.format], (logger) => {
    let present = options.level
    // Every fiber has the level it was started with. All have this object, which Effect asks for its rank at every line.
    const minimum: LogLevel.LogLevel = {
      ...LogLevel.Info,
      get ordinal() {
        return levels[present].ordinal
      }
    }
    const set = (to: Level.Name) =>
      Effect.suspend(() => {
        const from = present
        if (from === to) return Effect.void
        const tell = Effect.annotateLogs(Effect.logInfo("log level changed"), { from, to })
        const apply = Effect.sync(() => {
          present = to
        })
        // Told while the more talkative of the two holds.
        return levels[to].ordinal < levels[from].ordinal ? Effect.zipRight(apply, tell) : Effect.zipRight(tell, apply)
      })
    return Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, logger),
      Logger.minimumLogLevel(minimum),
      Layer.succeed(Level.LogLevel, { get: Effect.sync(() => present), set })
    )
  }))

// -- internals ---------------------------------------------------------------

const formats = {
  pretty: Effect.gen(function*() {
    const console = yield* Console.consoleWith(Effect.succeed)
    // Where stderr is no terminal, the console takes the styles out.
    const colour = !(yield* noStyle)
    return Logger.make((line) => console.unsafe.error(PrettyLog.render(line, colour)))
  }),
  json: Effect.gen(function*() {
    const console = yield* Console.consoleWith(Effect.succeed)
    const writer = yield* LogWriter.make((text) => console.unsafe.error(text))
    return Logger.make((line) =>
      writer.add(plain(line) ?? Logger.jsonLogger.log(line), LogLevel.greaterThan(line.logLevel, LogLevel.Info))
    )
  })
}

/** The same, several times as fast, for a line that is all text; undefined for any other. */
const plain = (line: Logger.Logger.Options<unknown>): string | undefined => {
  const { cause, date, fiberId, logLevel, message, spans } = line
  if (!Cause.isEmpty(cause) || !Array.isArray(message) || message.length !== 1) return undefined
  if (typeof message[0] !== "string") return undefined
  const annotations = LogLine.valuesOf(line)
  if (annotations !== undefined && List.isNil(spans)) {
    return JSON.stringify({
      message: message[0],
      logLevel: logLevel.label,
      timestamp: date.toISOString(),
      annotations,
      spans: {},
      fiberId: FiberId.threadName(fiberId)
    })
  }
  if (HashMap.some(line.annotations, (value) => typeof value === "object")) return undefined
  return JSON.stringify(Logger.structuredLogger.log(line))
}

const levels: Record<Level.Name, LogLevel.LogLevel> = {
  DEBUG: LogLevel.Debug,
  INFO: LogLevel.Info,
  WARNING: LogLevel.Warning,
  ERROR: LogLevel.Error
}
