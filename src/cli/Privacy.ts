/**
 * What of a request is hidden, recorded and remembered, as a profile says.
 */
import { type FileSystem } from "@effect/platform"
import { Context, Effect, Layer, Option, Redacted, type Scope } from "effect"
import * as Crypto from "node:crypto"
import * as NodePath from "node:path"
import * as AuditFile from "../assistant/AuditLog.js"
import { AuditLog } from "../assistant/AuditLog.js"
import { Memory } from "../assistant/Memory.js"
import type { ClientSettings, Profile } from "../config/ClientSettings.js"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import { ConfigNotWritten } from "../config/Problem.js"
import * as ReadFile from "../config/ReadFile.js"
import * as Redactor from "../redaction/Redactor.js"

export interface Privacy {
  readonly redactor: Redactor.Redactor
  /** For what is recorded and remembered: replaces secrets also where `redactor` does not. */
  readonly veil: Redactor.Redactor
  /** Whether secrets are replaced at all. */
  readonly sanitized: boolean
  readonly audit: AuditLog["Type"]
  /** Undefined: nothing is remembered. */
  readonly memory: Memory["Type"] | undefined
}

/** A log or memory that cannot be written stops nobody; a machine that cannot keep its redaction key does. */
export const ofProfile = (
  { name, profile, settings }: {
    readonly name: string
    readonly profile: Profile
    readonly settings: ClientSettings
  }
): Effect.Effect<Privacy, ConfigNotWritten, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const { audit_logging: isLogged, sanitize_requests: sanitized } = profile.security
    const { memory, memory_max_chars: mostCharacters } = settings.assistant
    const log = isLogged ? AuditLog.layerFile({ file: yield* AuditFile.fileOf(name, profile) }) : AuditLog.layerNone
    const veil = Redactor.make({ key: yield* redactionKey })
    return {
      redactor: sanitized ? veil : Redactor.none,
      veil,
      sanitized,
      audit: Context.get(yield* Layer.build(log), AuditLog),
      memory: memory
        ? Context.get(yield* Layer.build(Memory.layerFile({ file: (yield* paths).memory, mostCharacters })), Memory)
        : undefined
    }
  })

// -- internals ---------------------------------------------------------------

/** Made once, so that a secret has the same placeholder in all requests of this machine. */
const redactionKey: Effect.Effect<Redacted.Redacted, ConfigNotWritten, FileSystem.FileSystem> = Effect.gen(function*() {
  const file = NodePath.join((yield* paths).clientDir, "redaction-key")
  const kept = yield* Effect.option(ReadFile.text(file, ReadFile.maxBytes.secret))
  const key = Option.isSome(kept) && kept.value.trim() !== ""
    ? kept.value
    : yield* Effect.mapError(
      Files.createPrivate(file, `${Crypto.randomBytes(32).toString("base64url")}\n`),
      (error) =>
        new ConfigNotWritten({
          summary: `The file ${file} could not be written (${error.message}).`,
          remedy: "Check that you may write to its directory and that the disk is not full."
        })
    )
  return Redacted.make(key.trim())
})
