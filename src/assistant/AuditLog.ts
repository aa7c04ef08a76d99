/**
 * The client's audit log: what the assistant sent, what it got, what it ran.
 *
 * Every entry is in the file when `record` returns. A log that cannot be
 * written is told once, and stops nobody.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Clock, Context, Effect, Layer } from "effect"
import * as NodePath from "node:path"
import * as LogFile from "../audit/LogFile.js"
import type { Profile } from "../config/ClientSettings.js"
import { paths } from "../config/Paths.js"
import { type Entry, toLine } from "./AuditEntry.js"

export type { Entry } from "./AuditEntry.js"

export class AuditLog extends Context.Tag("vibectl/assistant/AuditLog")<AuditLog, {
  readonly record: (entry: Entry) => Effect.Effect<void>
}>() {
  /** Nothing is made before the first entry. */
  static readonly layerFile = (
    options: { readonly file: string } & Partial<Omit<LogFile.Options, "file">>
  ): Layer.Layer<AuditLog, never, FileSystem.FileSystem> =>
    Layer.effect(this, make({ maxBytes, keepFiles, ...options }))

  /** Records nothing. */
  static readonly layerNone: Layer.Layer<AuditLog> = Layer.succeed(this, { record: () => Effect.void })
}

/** Size at which a new file is begun, and how many full ones are kept. */
export const maxBytes = 10_000_000
export const keepFiles = 3

/** The log of the profile of this name, which need not exist any more. */
export const fileOf = (name: string, profile: Profile | undefined): Effect.Effect<string> =>
  Effect.map(
    paths,
    ({ clientAuditDir }) => profile?.security.audit_log_path ?? NodePath.join(clientAuditDir, `${name}.jsonl`)
  )

// -- internals ---------------------------------------------------------------

const make = (options: LogFile.Options): Effect.Effect<AuditLog["Type"], never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const open = yield* Effect.cached(Effect.provideService(LogFile.open(options), FileSystem.FileSystem, files))
    let told = false

    const append = (file: LogFile.LogFile, bytes: Uint8Array): Effect.Effect<void, PlatformError> =>
      Effect.flatMap(
        file.append(bytes),
        (taken) => taken < bytes.length ? append(file, bytes.subarray(taken)) : Effect.void
      )

    const record = (entry: Entry) =>
      Effect.gen(function*() {
        const line = toLine(entry, yield* Clock.currentTimeMillis)
        yield* append(yield* open, new TextEncoder().encode(line))
      }).pipe(
        // A line that has been begun is ended.
        Effect.uninterruptible,
        Effect.catchAll((error) => {
          if (told) return Effect.void
          told = true
          const problem = error._tag === "AuditUnusable"
            ? error.summary
            : `The audit log ${options.file} cannot be written (${LogFile.reasonOf(error)}).`
          return Effect.logWarning(`${problem} What is done now is not recorded.`)
        })
      )
    return { record }
  })
