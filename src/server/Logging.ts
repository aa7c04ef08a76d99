/**
 * The server's log: events on stderr, for people or (one JSON object a line) for machines.
 */
import { Layer, Logger, LogLevel } from "effect"

export interface Options {
  readonly level: "DEBUG" | "INFO" | "WARNING" | "ERROR"
  readonly format: "pretty" | "json"
}

export const layer = (options: Options): Layer.Layer<never> =>
  Layer.merge(
    Logger.replace(Logger.defaultLogger, formats[options.format]),
    Logger.minimumLogLevel(levels[options.level])
  )

// -- internals ---------------------------------------------------------------

const formats = {
  pretty: Logger.prettyLogger({ stderr: true }),
  json: Logger.withConsoleError(Logger.jsonLogger)
}

const levels: Record<Options["level"], LogLevel.LogLevel> = {
  DEBUG: LogLevel.Debug,
  INFO: LogLevel.Info,
  WARNING: LogLevel.Warning,
  ERROR: LogLevel.Error
}
