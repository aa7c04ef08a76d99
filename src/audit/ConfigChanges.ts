/**
 * Which settings changed since the server's last start.
 *
 * The last settings are kept as digests, keyed with a random key of the same
 * file: enough to see that a secret changed, and not to read it. Only the names
 * of settings ever leave this module.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Effect, Option, Redacted, Schema } from "effect"
import * as Crypto from "node:crypto"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import { keyOf } from "../config/Problem.js"
import * as ReadFile from "../config/ReadFile.js"
import { Audit } from "./Audit.js"

/** Settings as they were decoded, secrets included; or their texts by name. */
export type Settings = object | ReadonlyMap<string, string>

export interface Changes {
  /**
   * Names of what was changed, added or removed, e.g. `server.port`, in order;
   * undefined when it is not known what was before, as at the first start.
   */
  readonly keys: ReadonlyArray<string> | undefined
  /** From now on, these settings are the last ones. */
  readonly remember: Effect.Effect<void>
}

/** A file that is damaged or cannot be used is told in the log, and stops nobody. */
export const since = (settings: Settings): Effect.Effect<Changes, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const { configState: file } = yield* paths
    const last = yield* read(file)
    const key = last === undefined ? Redacted.make(Crypto.randomBytes(32).toString("base64url")) : last.key
    const now = new Map(
      [...texts(settings)].map(([name, text]) => [name, digest(key, name, text)] as const)
    )
    const before = new Map(Object.entries(last?.settings ?? {}))
    const names = [...new Set([...before.keys(), ...now.keys()])].sort()
    const save = Effect.flatMap(
      Effect.orDie(Schema.encode(State)({ version: 1, key, settings: Object.fromEntries(now) })),
      (text) => Files.writePrivate(file, `${text}\n`)
    )
    return {
      keys: last === undefined ? undefined : names.filter((name) => before.get(name) !== now.get(name)),
      remember: save.pipe(
        Effect.catchAll((error) => warn("the settings of this start cannot be remembered", file, error)),
        Effect.provideService(FileSystem.FileSystem, files)
      )
    }
  })

/** Records what changed, if anything did. After the start, so that a start that fails does not hide it from the next. */
export const record = (settings: Settings): Effect.Effect<void, never, Audit | FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const audit = yield* Audit
    const { keys = [], remember } = yield* since(settings)
    if (keys.length > 0) yield* audit.record({ event: "config_changed", keys })
    yield* remember
  })

// -- internals ---------------------------------------------------------------

const State = Schema.parseJson(
  Schema.Struct({
    version: Schema.Literal(1),
    key: Schema.Redacted(Schema.String.pipe(Schema.minLength(43))),
    settings: Schema.Record({ key: Schema.String, value: Schema.String })
  }),
  { space: 2 }
)

const read = (file: string): Effect.Effect<typeof State.Type | void> =>
  ReadFile.text(file, ReadFile.maxBytes.keys).pipe(
    Effect.flatMap((text) => Effect.option(Schema.decode(State)(text))),
    Effect.flatMap(Option.match({
      onNone: () =>
        Effect.as(
          Effect.annotateLogs(Effect.logWarning("what is kept of the last settings is damaged, and replaced"), {
            file
          }),
          undefined
        ),
      onSome: (state) => Effect.succeed(state)
    })),
    Effect.catchAll((error) =>
      error._tag === "SystemError" && error.reason === "NotFound"
        ? Effect.void
        : Effect.as(warn("what is kept of the last settings cannot be read", file, error), undefined)
    )
  )

const warn = (what: string, file: string, error: PlatformError) =>
  Effect.annotateLogs(Effect.logWarning(what), {
    file,
    reason: error._tag === "SystemError" ? error.reason : error._tag
  })

/** Under its name, so that two settings of the same value do not look the same. */
const digest = (key: Redacted.Redacted, name: string, text: string): string =>
  Crypto.createHmac("sha256", Redacted.value(key)).update(`${name}\0${text}`).digest("base64url")

const texts = (settings: Settings): ReadonlyMap<string, string> =>
  settings instanceof Map ? settings : new Map(flattened(settings, []))

/** A list is one setting; an empty mapping is none. */
const flattened = (value: unknown, path: ReadonlyArray<string>): ReadonlyArray<readonly [string, string]> => {
  if (value === undefined) return []
  if (isMapping(value)) {
    return Object.entries(value).flatMap(([name, inner]) => flattened(inner, [...path, name]))
  }
  return [[keyOf(path), JSON.stringify(revealed(value))]]
}

const isMapping = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !Redacted.isRedacted(value)

/** As JSON can hold it, with the text of secrets: for a digest, and for nothing else. */
const revealed = (value: unknown): unknown => {
  if (Redacted.isRedacted(value)) return revealed(Redacted.value(value))
  if (Array.isArray(value)) return value.map(revealed)
  return isMapping(value) ? flattened(value, []) : value
}
