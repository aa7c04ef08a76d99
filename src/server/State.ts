/**
 * Where the server counts what callers use, as the configuration says.
 */
import type { FileSystem } from "@effect/platform"
import { Duration, Effect, Layer, type Scope } from "effect"
import * as Shared from "../auth/Shared.js"
import { paths } from "../config/Paths.js"
import { ServerConfig } from "../config/ServerConfig.js"
import { isRedis, type Settings } from "../config/ServerSettings.js"
import type { LedgerInvalid } from "../limits/LedgerFile.js"
import { Limits, type Options } from "../limits/Limits.js"
import type { Store } from "../limits/Store.js"

/** In place of `state.file`: nothing outlives the process. A file of the configuration is an absolute path. */
export const inMemory = ":memory:"

/** Only the store that is used is loaded: each brings a client of some size. */
export const store: Layer.Layer<Store, LedgerInvalid, ServerConfig | FileSystem.FileSystem> = Layer.unwrapEffect(
  Effect.gen(function*() {
    const { state } = yield* ServerConfig
    const { keep_days: keepDays, prefix, timeout_seconds, url } = state
    if (url !== undefined && isRedis(state)) {
      const RedisStore = yield* Effect.promise(() => import("../limits/RedisStore.js"))
      return RedisStore.layer({ url, prefix, timeout: Duration.seconds(timeout_seconds), keepDays })
    }
    const Embedded = yield* Effect.promise(() => import("../limits/Embedded.js"))
    if (state.file === inMemory) return Embedded.layerMemory
    return Embedded.layer({ file: state.file ?? (yield* paths).usage, keepDays })
  })
)

/** Revocations and keys that several servers share; by files alone without Redis. */
export const trust: Effect.Effect<Shared.Shared, never, ServerConfig | Scope.Scope> = Effect.flatMap(
  ServerConfig,
  (settings) => {
    const options = redisOf(settings)
    return options === undefined
      ? Effect.succeed(Shared.alone)
      : Effect.flatMap(Effect.promise(() => import("../limits/RedisTrust.js")), ({ make }) => make(options))
  }
)

/** Where that is; undefined without Redis. */
export const redisOf = ({ state }: Settings) =>
  state.url !== undefined && isRedis(state)
    ? { url: state.url, prefix: state.prefix, timeout: Duration.seconds(state.timeout_seconds) }
    : undefined

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
