/**
 * The audit log: who was let in, who was not, and what was changed.
 *
 * To record an event costs the caller no more than to make its line; it is
 * written a moment later, and when the layer's scope closes at the latest.
 */
import type { FileSystem } from "@effect/platform"
import { Console, Context, Effect, Layer } from "effect"
import { paths } from "../config/Paths.js"
import { ServerConfig } from "../config/ServerConfig.js"
import type { Moment } from "../effect/Eager.js"
import type { Event } from "./Event.js"
import * as LogFile from "./LogFile.js"
import * as Writer from "./Writer.js"

export { AuditUnusable } from "./LogFile.js"

export class Audit extends Context.Tag("vibectl/audit/Audit")<Audit, {
  /**
   * Adds the event to the log, with the Effect clock's time where no moment is given. A log that cannot be written fails no
   * call.
   */
  readonly record: (event: Event, moment?: Moment) => Effect.Effect<void>
}>() {
  /** Fails when the file cannot be written at the start. */
  static readonly layerFile = (
    options: LogFile.Options
  ): Layer.Layer<Audit, LogFile.AuditUnusable, FileSystem.FileSystem> =>
    Layer.scoped(
      this,
      Effect.gen(function*() {
        const file = yield* LogFile.open(options)
        return yield* Writer.make({ name: options.file, ...file })
      })
    )

  static readonly layerStdout: Layer.Layer<Audit> = Layer.scoped(this, printing("stdout", Console.log))

  static readonly layerStderr: Layer.Layer<Audit> = Layer.scoped(this, printing("stderr", Console.error))

  /** Records nothing. */
  static readonly layerNone: Layer.Layer<Audit> = Layer.succeed(this, { record: () => Effect.void })

  /** As the section `audit` of the configuration says: for the server. */
  static readonly layer: Layer.Layer<Audit, LogFile.AuditUnusable, ServerConfig | FileSystem.FileSystem> = Layer
    .suspend(
      () => configured(Audit.layerStdout)
    )

  /**
   * The same for a command, whose stdout is its answer, e.g. a token: where the
   * server writes to stdout, a command writes to stderr.
   */
  static readonly layerCommand: Layer.Layer<Audit, LogFile.AuditUnusable, ServerConfig | FileSystem.FileSystem> = Layer
    .suspend(() => configured(Audit.layerStderr))
}

// -- internals ---------------------------------------------------------------

const configured = (stdout: Layer.Layer<Audit>) =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const { audit } = yield* ServerConfig
    const { auditLog } = yield* paths
    switch (audit.destination) {
      case "off":
        return Audit.layerNone
      case "stdout":
        return stdout
      case "file":
        return Audit.layerFile({
          file: audit.file ?? auditLog,
          maxBytes: audit.max_megabytes * 1_000_000,
          keepFiles: audit.keep_files
        })
    }
  }))

/**
 * The console ends the last line itself. So few bytes at a time reach a pipe whole, also where other processes write to
 * it too.
 */
function printing(name: string, print: (text: string) => Effect.Effect<void>) {
  return Writer.make({
    name,
    append: (lines) => {
      const end = lines.lastIndexOf(newline, mostAtOnce - 1)
      const taken = lines.subarray(0, (end < 0 ? lines.indexOf(newline) : end) + 1)
      return Effect.as(print(new TextDecoder().decode(taken.subarray(0, -1))), taken.length)
    },
    sync: Effect.void
  })
}

const newline = 10

/** `PIPE_BUF` of Linux. */
const mostAtOnce = 4096
