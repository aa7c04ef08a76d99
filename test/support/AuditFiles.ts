import { FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { Context, Effect, Either, HashMap, Layer, Logger, Schema, type Scope } from "effect"
import { Audit, type AuditUnusable } from "../../src/audit/Audit.js"
import { type Event, Line } from "../../src/audit/Event.js"
import type { Options } from "../../src/audit/LogFile.js"

export const accepted = (subject: string): Event => ({
  event: "token_accepted",
  subject,
  token_id: "id",
  rpc: "/vibectl.LLMProxy/Execute",
  peer: "127.0.0.1:4711"
})

export const options = (file: string, given: Partial<Options> = {}): Options => ({
  file,
  maxBytes: 50_000_000,
  keepFiles: 5,
  ...given
})

/** Records in a layer of its own, which is closed when this completes. */
export const recorded = (
  settings: Options,
  ...events: ReadonlyArray<Event>
): Effect.Effect<void, AuditUnusable, FileSystem.FileSystem> =>
  Effect.flatMap(Audit, ({ record }) => Effect.forEach(events, (event) => record(event), { discard: true })).pipe(
    Effect.provide(Audit.layerFile(settings))
  )

/** As {@link recorded}, for as long as the test lasts. */
export const opened = (
  settings: Options
): Effect.Effect<Audit["Type"], AuditUnusable, FileSystem.FileSystem | Scope.Scope> =>
  Effect.map(Layer.build(Audit.layerFile(settings)), Context.get(Audit))

export const decode = Schema.decodeUnknownEither(Line)

/** Every line decoded; a line that cannot be is an error of the test. */
export const linesOf = (text: string) =>
  text.split("\n").slice(0, -1).map((line) => Either.getOrThrowWith(decode(line), () => new Error(`torn: ${line}`)))

export const read = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => Effect.map(files.readFileString(file), linesOf))

/** How many lines there are by now; none while a rotation has taken the file away. */
export const count = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(file)).pipe(
    Effect.map((text) => text.split("\n").length - 1),
    Effect.orElseSucceed(() => 0)
  )

export const subjects = (lines: ReadonlyArray<typeof Line.Type>) =>
  lines.map((line) => "subject" in line ? line.subject ?? "" : line.event)

export interface Logged {
  readonly level: string
  readonly text: string
}

/** What is logged, as text with all of its annotations. */
export const logging = () => {
  const logged: Array<Logged> = []
  const logger = Logger.make(({ annotations, cause, logLevel, message }) => {
    logged.push({
      level: logLevel.label,
      text: `${String(message)} ${JSON.stringify([...HashMap.toEntries(annotations), cause])}`
    })
  })
  return { logged, layer: Logger.replace(Logger.defaultLogger, logger) }
}

/** The real file system, until `broken` says which of its methods fail; `takes` is how much a write takes. */
export const fragile = () =>
  Effect.map(FileSystem.FileSystem, (files) => {
    const state = { broken: "", takes: Infinity }
    const fail = (method: string) =>
      new SystemError({ module: "FileSystem", method, reason: "Unknown", pathOrDescriptor: "x" })
    const orFail = <A, R>(method: string, effect: Effect.Effect<A, SystemError, R>) =>
      Effect.suspend(() => state.broken === method ? fail(method) : effect)
    const fake: FileSystem.FileSystem = {
      ...files,
      chmod: (path, mode) => orFail("chmod", files.chmod(path, mode) as Effect.Effect<void, SystemError>),
      rename: (from, to) => orFail("rename", files.rename(from, to) as Effect.Effect<void, SystemError>),
      open: (path, given) =>
        Effect.map(files.open(path, given), (file) =>
          new Proxy(file, {
            get: (target, name) => {
              if (name !== "write") {
                const value: unknown = Reflect.get(target, name)
                return typeof value === "function" ? value.bind(target) as unknown : value
              }
              return (bytes: Uint8Array) =>
                orFail(
                  "write",
                  Effect.suspend(() => {
                    const part = bytes.subarray(0, state.takes)
                    state.takes = Infinity
                    return target.write(part) as Effect.Effect<FileSystem.Size, SystemError>
                  })
                )
            }
          }))
    }
    return { state, layer: Layer.succeed(FileSystem.FileSystem, fake) }
  })
