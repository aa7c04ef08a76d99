/**
 * The server's log: events on stderr, for people or (one JSON object a line) for machines.
 *
 * The level can be changed while the server runs.
 */
import { Effect, Layer, Logger, LogLevel } from "effect"
import * as Level from "../telemetry/LogLevel.js"

export interface Options {
  readonly level: Level.Name
  readonly format: "pretty" | "json"
}

export const layer = (options: Options): Layer.Layer<Level.LogLevel> =>
  Layer.suspend(() => {
    let present = options.level
    const isSaid = (level: LogLevel.LogLevel) => level.ordinal >= levels[present].ordinal
    const change = (to: Level.Name) =>
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
    // Fibers keep the level they were started with: theirs is the lowest, and the one that holds is asked here.
    const logger = filtered(Logger.zip(formats[options.format], Logger.tracerLogger), isSaid)
    return Layer.mergeAll(
      Logger.replace(Logger.defaultLogger, logger),
      Logger.remove(Logger.tracerLogger),
      Logger.minimumLogLevel(LogLevel.Debug),
      Layer.succeed(Level.LogLevel, { get: Effect.sync(() => present), set: change })
    )
  })

// -- internals ---------------------------------------------------------------

const filtered = <Message, Output>(
  logger: Logger.Logger<Message, Output>,
  isSaid: (level: LogLevel.LogLevel) => boolean
): Logger.Logger<Message, void> =>
  Logger.make((event) => {
    if (isSaid(event.logLevel)) logger.log(event)
  })

const formats = {
  pretty: Logger.prettyLogger({ stderr: true }),
  json: Logger.withConsoleError(Logger.jsonLogger)
}

const levels: Record<Level.Name, LogLevel.LogLevel> = {
  DEBUG: LogLevel.Debug,
  INFO: LogLevel.Info,
  WARNING: LogLevel.Warning,
  ERROR: LogLevel.Error
}
