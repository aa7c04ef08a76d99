/**
 * What a command says to the servers that share a Redis, where the configuration names one.
 *
 * A server with the same configuration directory passes it on too; a command does not rely on that one runs.
 */
import type { FileSystem } from "@effect/platform"
import { Data, Effect, type Layer } from "effect"
import type * as Revocations from "../../auth/Revocations.js"
import type { Env } from "../../config/Environment.js"
import { ServerConfig } from "../../config/ServerConfig.js"
import * as State from "../State.js"

/** It holds here, and other servers may not know. */
export class NotShared extends Data.TaggedError("NotShared")<{ readonly reason: string; readonly remedy: string }> {
  get summary() {
    return `This holds for the servers with this configuration directory only: ${this.reason}.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

interface Invalid {
  readonly message: string
}

type Config<E> = Layer.Layer<ServerConfig, E, Env | FileSystem.FileSystem>

/** What other servers know of one token, subject or key; nothing where none of them can be asked. */
export const known = <E extends Invalid>(config: Config<E>, key: string) =>
  Effect.flatMap(redis(config), (options) =>
    options === undefined
      ? Effect.succeed<Revocations.Records>(new Map())
      : Effect.scoped(Effect.flatMap(module, ({ find }) => find(options, key))).pipe(
        Effect.orElseSucceed((): Revocations.Records => new Map())
      )).pipe(Effect.orElseSucceed((): Revocations.Records => new Map()))

/** Every server knows it when this completes, with host and port of their Redis; undefined without one. */
export const announce = <E extends Invalid>(config: Config<E>, records: Revocations.Records) =>
  Effect.flatMap(redis(config), (options) =>
    options === undefined
      ? Effect.succeed(undefined)
      : Effect.scoped(Effect.flatMap(module, ({ announce }) => announce(options, records))).pipe(
        Effect.map(({ where }) => `Redis at ${where}`)
      )).pipe(
      Effect.mapError((error) =>
        error._tag === "NotShared" ? error : new NotShared({
          reason: `Redis did not take it (${error._tag === "RedisInvalid" ? error.message : error.reason})`,
          remedy:
            "Run the command again when Redis can be reached; a server that runs with this directory passes it on "
            + "by itself."
        })
      )
    )

// -- internals ---------------------------------------------------------------

const module = Effect.promise(() => import("../../limits/RedisTrust.js"))

/** A configuration that cannot be read may name a Redis. */
const redis = <E extends Invalid>(config: Config<E>) =>
  Effect.provide(ServerConfig, config).pipe(
    Effect.mapError(({ message }) =>
      new NotShared({
        reason: `whether others share a Redis cannot be told, because the configuration is refused (${message})`,
        remedy: "Mend the configuration, and run the command again."
      })
    ),
    Effect.flatMap(State.redisOf)
  )
