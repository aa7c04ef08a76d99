/**
 * `vibectl-server revoke-token` and `vibectl-server revocations`
 *
 * A running server refuses what was revoked within a second, and ends its open
 * streams.
 */
import { Args, Command, Options } from "@effect/cli"
import type { FileSystem } from "@effect/platform"
import { Console, DateTime, Effect, type Layer, Option } from "effect"
import { Audit } from "../../audit/Audit.js"
import * as Claims from "../../auth/Claims.js"
import * as Issuers from "../../auth/Issuers.js"
import * as Revocations from "../../auth/Revocations.js"
import type { Env } from "../../config/Environment.js"
import { ServerConfig } from "../../config/ServerConfig.js"
import * as Table from "../../terminal/Table.js"
import { UsageInvalid } from "../../terminal/UsageInvalid.js"
import * as GivenToken from "./givenToken.js"
import { config, output, settings } from "./options.js"
import * as SharedTrust from "./sharedTrust.js"

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
      const config = ServerConfig.layer({ file: Option.getOrUndefined(input.config), kinds, secrets: "signing" })
      const { id, kind } = yield* targetOf(input.id, Option.getOrUndefined(input.as), config)
      if (input.block && (input.undo || kind === "token")) {
        return yield* new UsageInvalid({
          summary: input.undo
            ? "--block and --undo say opposite things."
            : `--block is for subjects, and ${Table.visible(id)} is a token.`,
          remedy: "Leave one of them out, or say --as subject."
        })
      }
      const action = input.undo ? "restore" : input.block ? "block" : "revoke"
      // A token that was issued in the second of an earlier revocation says that it is of the next one.
      const present = yield* Revocations.load
      const earliest = kind === "subject" ? Revocations.earliest(present, id) : 0
      const known = yield* SharedTrust.known(config, Revocations.keyOf(kind, id))
      const at = DateTime.max(
        DateTime.max(yield* DateTime.now, DateTime.unsafeMake(earliest * 1000)),
        DateTime.unsafeMake(Revocations.latestOf(known) + 1)
      )
      yield* Revocations.add({ at, action, kind, id })
      // First of all it must hold, also while the configuration is being repaired.
      yield* Effect.flatMap(Audit, (audit) => audit.record({ event: "token_revoked", kind, id, action })).pipe(
        Effect.provide(settings(kinds, input.config)),
        Effect.catchAll((error) => Console.error(`Warning: this is not in the audit log. ${error.message}`))
      )
      const { records } = yield* Revocations.load
      const own = [...records].filter(([key]) => key === Revocations.keyOf(kind, id))
      const where = yield* SharedTrust.announce(config, new Map(own))
      const done = input.undo ? "Trusted again" : input.block ? "Blocked" : "Revoked"
      const what = kind === "token" ? "the token" : input.block || input.undo ? "the subject" : "every token so far of"
      const everywhere = where === undefined ? "" : ` (at every server that shares ${where})`
      yield* Console.error(`${done}: ${what} ${Table.visible(id)}${everywhere}`)
      if (action === "revoke" && kind === "subject" && Revocations.isBlocked(present, id)) {
        yield* Console.error("It stays blocked, with every token, until --undo.")
      }
    })).pipe(Command.withDescription("Refuse a token, or a subject's tokens, from now on"))

export const revocations = Command.make("revocations", { output }, (input) =>
  Effect.gen(function*() {
    const { damaged, entries } = yield* Revocations.load
    const rows = entries.map(({ action, at, id, kind }) => ({ kind, id, action, at: DateTime.formatIso(at) }))
    if (damaged.length > 0) yield* Console.error(`Warning: damaged in line ${damaged.join(", ")}.`)
    if (input.output === "json") return yield* Console.log(JSON.stringify({ revocations: rows }, undefined, 2))
    const cells = rows.map(({ action, at, id, kind }) => [kind, id, refused(kind, action), at])
    yield* Table.print(["What", "Id", "Refused", "Since"], cells)
  })).pipe(Command.withDescription("Show what is revoked"))

// -- internals ---------------------------------------------------------------

/** The ids that this server gives its tokens; in any case, so that one that was typed in another is not taken for a name. */
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const ownTokens = { subjectClaim: "sub", tokenIdClaim: "jti", subjectPrefix: "" }

/** What is meant by what was typed. */
const targetOf = <E>(
  typed: string,
  as: "token" | "subject" | undefined,
  config: Layer.Layer<ServerConfig, E, Env | FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const text = typed === "-" ? yield* GivenToken.fromStdin : typed
    const contents = GivenToken.read(text)
    if (contents === undefined) {
      if (typed === "-") return yield* new GivenToken.NotAToken({ summary: "There is no token on stdin." })
      if (as === undefined && uuid.test(text) && text !== text.toLowerCase()) {
        return yield* new UsageInvalid({
          summary: "This looks like the id of a token, and this server writes them in lower case.",
          remedy: "Write it as the token has it, or say --as token or --as subject."
        })
      }
      const isToken = uuid.test(text) || Claims.isHash(text)
      return { kind: as ?? (isToken ? "token" as const : "subject" as const), id: text }
    }
    const kind = as ?? "token"
    // Without the configuration, a token is taken for one of this server's own.
    const issuers = yield* Effect.orElseSucceed(
      Effect.map(Effect.provide(ServerConfig, config), ({ auth }) => Object.entries(auth.issuers)),
      () => []
    )
    const [name, issuer] = issuers.find(([, { issuer }]) => issuer === contents.claims.iss) ?? []
    const { subjectClaim, subjectPrefix, tokenIdClaim } = name === undefined || issuer === undefined
      ? ownTokens
      : Issuers.expectedOf(name, issuer)
    const id = kind === "token"
      ? Claims.tokenIdOf(text, contents.claims, { tokenIdClaim })
      : contents.claims[subjectClaim]
    if (typeof id !== "string" || id === "") {
      const claim = kind === "token" ? tokenIdClaim ?? "" : subjectClaim
      return yield* new GivenToken.NotAToken({ summary: `This token has no claim ${claim}.` })
    }
    return { kind, id: kind === "token" ? id : subjectPrefix + id }
  })

const refused = (kind: string, action: string) =>
  kind === "token" ? "the token" : action === "block" ? "every token" : "tokens issued until then"
