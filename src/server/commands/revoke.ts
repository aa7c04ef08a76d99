/**
 * `vibectl-server revoke-token` and `vibectl-server revocations`
 *
 * A running server refuses what was revoked within a second, and ends its open
 * streams.
 */
import { Args, Command, Options } from "@effect/cli"
import { Console, DateTime, Effect, Option } from "effect"
import { Audit } from "../../audit/Audit.js"
import * as Revocations from "../../auth/Revocations.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as GivenToken from "./givenToken.js"
import { config, output, settings } from "./options.js"

/** `kinds` are the kinds of providers that the server knows. */
export const revokeToken = (kinds: ReadonlyArray<string>) =>
  Command.make("revoke-token", {
    id: Args.text({ name: "ID" }).pipe(
      Args.withDescription("A token's id (jti), a subject, a whole token, or - for a token on stdin")
    ),
    as: Options.choice("as", ["token", "subject"]).pipe(
      Options.withDescription("What ID is (default: a token if it looks like an id of this server, else a subject)"),
      Options.optional
    ),
    block: Options.boolean("block").pipe(
      Options.withDescription("Refuse the subject's future tokens too, not only those issued until now")
    ),
    undo: Options.boolean("undo").pipe(Options.withDescription("Trust it again")),
    config
  }, (input) =>
    Effect.gen(function*() {
      const text = input.id === "-" ? yield* GivenToken.fromStdin : input.id
      const contents = GivenToken.read(text)
      if (contents === undefined && input.id === "-") {
        return yield* new GivenToken.NotAToken({ summary: "There is no token on stdin." })
      }
      if (contents !== undefined && typeof contents.claims.jti !== "string") {
        return yield* new GivenToken.NotAToken({ summary: "This token has no id (jti)." })
      }
      const whole = contents?.claims.jti
      const id = whole ?? text
      const kind = whole !== undefined ? "token" : Option.getOrElse(input.as, () => uuid.test(id) ? "token" : "subject")
      if (input.block && (input.undo || kind === "token")) {
        return yield* new UsageInvalid({
          summary: input.undo
            ? "--block and --undo say opposite things."
            : `--block is for subjects, and ${id} is a token.`,
          remedy: "Leave one of them out, or say --as subject."
        })
      }
      const action = input.undo ? "restore" : input.block ? "block" : "revoke"
      yield* Revocations.add({ at: yield* DateTime.now, action, kind, id })
      // First of all it must hold, also while the configuration is being repaired.
      yield* Effect.flatMap(Audit, (audit) => audit.record({ event: "token_revoked", kind, id, action })).pipe(
        Effect.provide(settings(kinds, input.config)),
        Effect.catchAll((error) => Console.error(`Warning: this is not in the audit log. ${error.message}`))
      )
      yield* Console.error(
        kind === "token"
          ? `${input.undo ? "Trusted again" : "Revoked"}: the token ${id}.`
          : `${
            input.undo ? "Trusted again" : input.block ? "Blocked" : "Revoked every token issued until now to"
          }: the subject '${id}'.`
      )
    })).pipe(Command.withDescription("Refuse a token, or a subject's tokens, from now on"))

export const revocations = Command.make("revocations", { output }, (input) =>
  Effect.gen(function*() {
    const { damaged, entries } = yield* Revocations.load
    const rows = entries.map(({ action, at, id, kind }) => ({ kind, id, action, at: DateTime.formatIso(at) }))
    if (damaged.length > 0) yield* Console.error(`Warning: damaged in line ${damaged.join(", ")}.`)
    if (input.output === "json") return yield* Console.log(JSON.stringify({ revocations: rows }, undefined, 2))
    const cells = rows.map(({ action, at, id, kind }) => [kind, id, refused(kind, action), at])
    yield* Console.log(Table.render(["What", "Id", "Refused", "Since"], cells))
  })).pipe(Command.withDescription("Show what is revoked"))

// -- internals ---------------------------------------------------------------

/** The ids that this server gives its tokens. */
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const refused = (kind: string, action: string) =>
  kind === "token" ? "the token" : action === "block" ? "every token" : "tokens issued until then"
