/**
 * Where the server counts what callers use, as the configuration says.
 */
import { FileSystem } from "@effect/platform"
import { Console, Duration, Effect, Layer, Redacted, type Scope } from "effect"
import { X509Certificate } from "node:crypto"
import { createSecureContext } from "node:tls"
import * as Shared from "../auth/Shared.js"
import { paths } from "../config/Paths.js"
import { ServerConfig } from "../config/ServerConfig.js"
import { isRedis, type Settings } from "../config/ServerSettings.js"
import type { LedgerInvalid } from "../limits/LedgerFile.js"
import { Limits, type Options } from "../limits/Limits.js"
import { RedisInvalid } from "../limits/RedisInvalid.js"
import type { Store } from "../limits/Store.js"

/** In place of `state.file`: nothing outlives the process. A file of the configuration is an absolute path. */
export const inMemory = ":memory:"

type Chosen = Layer.Layer<Store, LedgerInvalid | RedisInvalid, FileSystem.FileSystem>

const recordOf = ({ state }: Pick<Settings, "state">) => Effect.map(paths, ({ usage }) => state.file ?? usage)

const chosen: Effect.Effect<Chosen, RedisInvalid, ServerConfig | FileSystem.FileSystem> = Effect.suspend(() =>
  Effect.gen(function*() {
    const { state } = yield* ServerConfig
    const { keep_days: keepDays, on_unavailable: onUnavailable } = state
    const redis = yield* redisOf({ state })
    if (redis !== undefined) {
      const RedisStore = yield* Effect.promise(() => import("../limits/RedisStore.js"))
      return RedisStore.layer({ ...redis, keepDays })
    }
    const Embedded = yield* Effect.promise(() => import("../limits/Embedded.js"))
    if (state.file === inMemory) return Embedded.layerMemory
    return Embedded.layer({ file: yield* recordOf({ state }), keepDays, onUnavailable })
  })
)

/** Only the store that is used is loaded: each brings a client of some size. */
export const store: Layer.Layer<
  Store,
  LedgerInvalid | RedisInvalid,
  ServerConfig | FileSystem.FileSystem
> = Layer.unwrapEffect(chosen)

/** The same for a look at what was used: where there is no file yet, none is made. */
export const toRead = (
  settings: Settings
): Layer.Layer<Store, LedgerInvalid | RedisInvalid, FileSystem.FileSystem> =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const file = yield* recordOf(settings)
    const isThere = yield* Effect.orElseSucceed(files.exists(file), () => true)
    if (isThere || isRedis(settings.state) || file === inMemory) {
      return Layer.provide(store, Layer.succeed(ServerConfig, settings))
    }
    yield* Console.error(`No usage yet: there is no ${file}; a server makes it when it starts.`)
    const Memory = yield* Effect.promise(() => import("../limits/Embedded.js"))
    return Memory.layerMemory
  }))

/** Revocations and keys that several servers share; by files alone without Redis. */
export const trust: Effect.Effect<
  Shared.Shared,
  RedisInvalid,
  ServerConfig | FileSystem.FileSystem | Scope.Scope
> = Effect.gen(function*() {
  const redis = yield* redisOf(yield* ServerConfig)
  if (redis === undefined) return Shared.alone
  const { make } = yield* Effect.promise(() => import("../limits/RedisTrust.js"))
  return yield* make(redis)
})

/** Where that is, and what it is trusted by; undefined without Redis. */
export const redisOf = ({ state }: Pick<Settings, "state">) =>
  Effect.gen(function*() {
    const { ca_file: caFile, prefix, timeout_seconds, url } = state
    if (url === undefined || !isRedis(state)) return undefined
    return {
      url,
      prefix,
      timeout: Duration.seconds(timeout_seconds),
      ca: caFile === undefined ? undefined : yield* caIn(caFile, url)
    }
  })

/** PEM. */
const caIn = (file: string, url: Redacted.Redacted) =>
  Effect.gen(function*() {
    const invalid = (problem: string, remedy: string) =>
      new RedisInvalid({ summary: `The file of state.ca_file, ${file}, ${problem}.`, remedy })
    // That of a URL in the configuration was refused before.
    if (!/^rediss:/i.test(Redacted.value(url))) {
      return yield* invalid(
        "is for TLS, and the URL is redis://",
        "Write rediss:// in the URL, or remove state.ca_file."
      )
    }
    const files = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      files.readFileString(file),
      () => invalid("cannot be read", "Make it readable for this user.")
    )
    return yield* Effect.try({
      try: () => {
        new X509Certificate(text)
        createSecureContext({ ca: text })
        return text
      },
      catch: () =>
        invalid("holds no PEM certificate", "Give the PEM file of the CAs that signed the certificate of Redis.")
    })
  })

export const limits: Layer.Layer<Limits, never, ServerConfig | Store> = Layer.suspend(() => limitsOf({}))

/** With what another process counts. */
export const limitsOf = (
  shared: Pick<Options, "inform">
): Layer.Layer<Limits, never, ServerConfig | Store> =>
  Layer.unwrapEffect(
    Effect.map(ServerConfig, ({ server, state }) =>
      Limits.layer({
        models: server.limits.models,
        queue: server.limits.queue,
        reserveOutputTokens: server.limits.reserve_output_tokens,
        onUnavailable: state.on_unavailable,
        ...shared
      }))
  )
