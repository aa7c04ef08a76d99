/**
 * `vibectl-server keys list|rotate|retire`
 *
 * A running server follows them by itself.
 */
import { Args, Command } from "@effect/cli"
import { Console, DateTime, Effect, Option } from "effect"
import { Audit } from "../../audit/Audit.js"
import type { Event } from "../../audit/Event.js"
import * as Keyring from "../../auth/Keyring.js"
import * as Shared from "../../auth/Shared.js"
import * as SigningKey from "../../auth/SigningKey.js"
import { ServerConfig } from "../../config/ServerConfig.js"
import * as Table from "../../terminal/Table.js"
import { config, output, settings } from "./options.js"
import * as SharedTrust from "./sharedTrust.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("keys").pipe(
    Command.withDescription("Show, replace and retire the keys that sign and verify tokens"),
    Command.withSubcommands([list(kinds), rotate(kinds), retire(kinds)])
  )

// -- internals ---------------------------------------------------------------

const signing = Effect.map(ServerConfig, ({ server }) => SigningKey.optionsOf(server))

const record = (event: Event) => Effect.flatMap(Audit, (audit) => audit.record(event))

const list = (kinds: ReadonlyArray<string>) =>
  Command.make("list", { output, config }, (input) =>
    Effect.gen(function*() {
      const { keys, retired, signing: present } = yield* Effect.flatMap(signing, Keyring.load)
      const rows = [
        ...keys.map(({ createdAt, kid, source }) => ({
          key: kid,
          use: kid === present.kid ? "signs" : "verifies",
          created: createdAt === undefined ? undefined : DateTime.formatIso(createdAt),
          source
        })),
        ...[...retired].map(([kid, at]) => ({
          key: kid,
          use: "retired",
          created: undefined,
          source: `retired ${DateTime.formatIso(at)}`
        }))
      ]
      if (input.output === "json") return yield* Console.log(JSON.stringify({ keys: rows }, undefined, 2))
      const cells = rows.map(({ created, key, source, use }) => [key, use, created ?? "-", source])
      yield* Table.print(["Key", "Use", "Created", "Where it is from"], cells)
    }).pipe(Effect.provide(settings(kinds, input.config)))).pipe(
      Command.withDescription("Show the keys; never their secrets")
    )

const rotate = (kinds: ReadonlyArray<string>) =>
  Command.make("rotate", { config }, (input) =>
    Effect.gen(function*() {
      const { previous, signing: now } = yield* Effect.flatMap(signing, Keyring.rotate)
      yield* record({ event: "key_rotated", key_id: now.kid, previous_key_id: previous.kid })
      yield* Console.error(
        now.kid === previous.kid
          ? `Kept the key ${now.kid} (${now.source}) for its tokens. Now put a new secret in its place: `
            + "`openssl rand -base64 48` makes one. Tokens of the old one stay good until you retire it."
          : `The key ${now.kid} signs new tokens; those of ${previous.kid} stay good. When they have expired: `
            + `vibectl-server keys retire ${previous.kid}`
      )
      yield* Console.log(now.kid)
    }).pipe(Effect.provide(settings(kinds, input.config)))).pipe(
      Command.withDescription("Make a new key that signs from now on; the present one goes on verifying")
    )

const retire = (kinds: ReadonlyArray<string>) =>
  Command.make("retire", { key: Args.text({ name: "KEY" }), config }, (input) =>
    Effect.gen(function*() {
      const { kid } = yield* Effect.flatMap(signing, (options) => Keyring.retire(options, input.key))
      yield* record({ event: "key_retired", key_id: kid })
      const retired = { revoked: DateTime.toEpochMillis(yield* DateTime.now), blocked: 0, restored: 0 }
      const where = yield* SharedTrust.announce(
        ServerConfig.layer({ file: Option.getOrUndefined(input.config), kinds, secrets: "signing" }),
        new Map([[Shared.retiredKey(kid), retired]])
      )
      const everywhere = where === undefined ? "" : `, at every server that shares ${where}`
      yield* Console.error(
        `Retired the key ${kid}: tokens signed with it are refused${everywhere}, and its secret is forgotten.`
      )
    }).pipe(Effect.provide(settings(kinds, input.config)))).pipe(
      Command.withDescription("Refuse the tokens of a key from now on")
    )
