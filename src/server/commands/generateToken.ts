/**
 * `vibectl-server generate-token <subject> [--expires-in <lifetime>] [--output <file>]`,
 * and what the token may do.
 *
 * Prints the bare token on stdout and nothing else, so that `$(…)` works.
 */
import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Console, Data, DateTime, Effect, Option, Redacted } from "effect"
import { Audit } from "../../audit/Audit.js"
import type { Event } from "../../audit/Event.js"
import * as Keyring from "../../auth/Keyring.js"
import * as Revocations from "../../auth/Revocations.js"
import * as SigningKey from "../../auth/SigningKey.js"
import * as Tokens from "../../auth/Tokens.js"
import * as Trust from "../../auth/Trust.js"
import * as Values from "../../commandline/Values.js"
import * as Files from "../../config/Files.js"
import { ServerConfig } from "../../config/ServerConfig.js"
import type { AccessSection } from "../../config/ServerSettings.js"
import type { Grants } from "../../domain/Access.js"
import * as Lifetime from "../../domain/Lifetime.js"
import * as GivenToken from "./givenToken.js"
import { config, settings } from "./options.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make(
    "generate-token",
    { subject, expiresIn, ...grantOptions, output, force, config },
    (input) =>
      Effect.gen(function*() {
        const lifetime = yield* Lifetime.parse(input.expiresIn)
        const grants = grantsOf(input)
        const { access, server } = yield* ServerConfig
        const file = Option.getOrUndefined(input.output)
        // Before a token is made, and is in the audit log.
        if (file !== undefined && !input.force && (yield* isTaken(file))) return yield* exists(file)
        const keyring = yield* Keyring.load(SigningKey.optionsOf(server))
        const revocations = yield* Revocations.load
        const tokens = Tokens.trusting(Trust.fixed(keyring, revocations))
        const text = Redacted.value(yield* tokens.issue(input.subject, lifetime, grants))
        yield* Effect.flatMap(Audit, ({ record }) => record(issued(text, input.subject, grants)))
        yield* Effect.forEach(doubts(access, revocations, input.subject, grants), (text) => Console.error(text), {
          discard: true
        })
        if (file === undefined) return yield* Console.log(text)
        const content = `${text}\n`
        const written = input.force
          ? Effect.as(Files.writePrivate(file, content), content)
          : Files.createPrivate(file, content)
        // Another program may have made it since.
        if ((yield* Effect.mapError(written, (error) => notWritten(file, error))) !== content) {
          return yield* exists(file)
        }
        yield* Console.error(`Token for ${input.subject}, good for ${input.expiresIn}, written to ${file}.`)
      }).pipe(Effect.provide(settings(kinds, input.config)))
  ).pipe(
    Command.withDescription("Issue a bearer token for a client")
  )

/** The token could not be kept. */
export class TokenNotWritten extends Data.TaggedError("TokenNotWritten")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const subject = Args.text({ name: "subject" }).pipe(Args.withDescription("Who the token is for, e.g. ci-bot"))

const expiresIn = Options.text("expires-in").pipe(
  Options.withDescription("How long it is good: a number and h, d, w, m (30 days) or y (365 days), e.g. 30d"),
  Options.withDefault("30d")
)

const output = Options.text("output").pipe(
  Options.withPseudoName("FILE"),
  Options.withDescription("Write the token to this file, readable by you only, instead of printing it"),
  Options.optional
)

const force = Options.boolean("force").pipe(Options.withDescription("Replace an existing file"))

const limit = (option: Options.Options<number>, description: string) =>
  option.pipe(
    Options.withPseudoName("N"),
    Options.withDescription(`${description}; it cannot be more than the configuration gives the subject`),
    Options.optional
  )

const count = (name: string, description: string) => limit(Values.wholeNumber(name, 1), description)

const amount = (name: string, most: number, description: string) => limit(Values.amount(name, most), description)

const mostDollars = 1_000_000

const words = (name: string, pseudoName: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName(pseudoName), Options.withDescription(description), Options.repeated)

const grantOptions = {
  models: words(
    "model",
    "PATTERN",
    "A model it may call, e.g. openai/gpt-4o or ollama/*; may be repeated (default: all)"
  ),
  tenant: Options.text("tenant").pipe(Options.withDescription("The tenant it belongs to"), Options.optional),
  roles: words("role", "ROLE", "A role it has; may be repeated"),
  maxRpm: count("max-rpm", "Requests in any 60 seconds"),
  maxConcurrent: count("max-concurrent", "Requests at the same time"),
  maxInputLength: count("max-input-length", "Characters of one request"),
  maxSeconds: amount("max-seconds", 86_400, "Seconds that one answer may take"),
  maxTpm: count("max-tpm", "Tokens, in and out, in any 60 seconds"),
  maxTokensPerDay: count("max-tokens-per-day", "Tokens, in and out, a day"),
  maxTokensPerMonth: count("max-tokens-per-month", "Tokens, in and out, a month"),
  maxUsdPerDay: amount("max-usd-per-day", mostDollars, "US dollars a day"),
  maxUsdPerMonth: amount("max-usd-per-month", mostDollars, "US dollars a month")
}

const grantsOf = (input: Command.Command.ParseConfig<typeof grantOptions>): Grants => ({
  models: input.models.length === 0 ? undefined : input.models,
  tenant: Option.getOrUndefined(input.tenant),
  roles: input.roles,
  limits: {
    maxRequestsPerMinute: Option.getOrUndefined(input.maxRpm),
    maxConcurrentRequests: Option.getOrUndefined(input.maxConcurrent),
    maxInputLength: Option.getOrUndefined(input.maxInputLength),
    requestTimeoutSeconds: Option.getOrUndefined(input.maxSeconds),
    maxTokensPerMinute: Option.getOrUndefined(input.maxTpm),
    maxTokensPerDay: Option.getOrUndefined(input.maxTokensPerDay),
    maxTokensPerMonth: Option.getOrUndefined(input.maxTokensPerMonth),
    maxUsdPerDay: Option.getOrUndefined(input.maxUsdPerDay),
    maxUsdPerMonth: Option.getOrUndefined(input.maxUsdPerMonth)
  }
})

const issued = (token: string, subject: string, { models, roles, tenant }: Grants): Event => {
  const { claims, header } = GivenToken.read(token) ?? { claims: {}, header: {} }
  return {
    event: "token_issued",
    subject,
    token_id: claims.jti,
    key_id: String(header["kid"]),
    expires_at: DateTime.unsafeMake((claims.exp ?? 0) * 1000),
    tenant,
    roles,
    models
  }
}

/** A token that was asked for is issued; but one may have meant another. */
const doubts = (
  { roles, subjects, tenants }: AccessSection,
  revocations: Revocations.Revocations,
  subject: string,
  grants: Grants
): ReadonlyArray<string> => {
  const blocked = Revocations.isBlocked(revocations, subject)
  const { tenant } = grants
  return [
    ...blocked
      ? [`Warning: '${subject}' is blocked; \`vibectl-server revoke-token ${subject} --undo\` lets it in again.`]
      : [],
    ...grants.roles.filter((role) => !Object.hasOwn(roles, role)).map((role) =>
      `Warning: the configuration says nothing of the role '${role}' (access.roles), so it gives nothing.`
    ),
    ...grants.roles.length > 0 && Object.hasOwn(subjects, subject)
      ? [`Warning: access.subjects names '${subject}', so its roles give nothing.`]
      : [],
    ...tenant !== undefined && !Object.hasOwn(tenants, tenant)
      ? [
        `Warning: the configuration says nothing of the tenant '${tenant}' (access.tenants), so ${
          Object.keys(tenants).length === 0 ? "it restricts nothing" : "the token may call no model"
        }.`
      ]
      : []
  ]
}

const isTaken = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.exists(file)).pipe(
    Effect.mapError((error) => notWritten(file, error))
  )

const exists = (file: string) =>
  new TokenNotWritten({
    summary: `The file ${file} exists already.`,
    remedy: "Replace it with --force, or name another one."
  })

const notWritten = (file: string, error: PlatformError) =>
  new TokenNotWritten({
    summary: `The token could not be written to ${file}: ${error.message}.`,
    remedy: "Name a file in a directory that you may write to."
  })
