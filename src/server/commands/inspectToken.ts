/**
 * `vibectl-server inspect-token <TOKEN|->`
 *
 * What a token says, without its signature: what this prints can be shown to
 * others, and used by nobody.
 */
import { Args, Command, Options } from "@effect/cli"
import { Console, DateTime, Effect, Option, Redacted } from "effect"
import * as Claims from "../../auth/Claims.js"
import * as Issuers from "../../auth/Issuers.js"
import * as Keyring from "../../auth/Keyring.js"
import * as Revocations from "../../auth/Revocations.js"
import * as SigningKey from "../../auth/SigningKey.js"
import * as Tokens from "../../auth/Tokens.js"
import * as Trust from "../../auth/Trust.js"
import type { AuthSection } from "../../config/AccessSettings.js"
import { ServerConfig } from "../../config/ServerConfig.js"
import type { Unauthenticated } from "../../domain/Errors.js"
import * as Table from "../../terminal/Table.js"
import * as GivenToken from "./givenToken.js"
import { config, output } from "./options.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("inspect-token", { token, verify, output, config }, (input) =>
    Effect.gen(function*() {
      const text = input.token === "-" ? yield* GivenToken.fromStdin : input.token.trim()
      const contents = GivenToken.read(text)
      if (contents === undefined) return yield* new GivenToken.NotAToken({ summary: "This is not a token." })
      const settings = ServerConfig.layer({ file: Option.getOrUndefined(input.config), kinds, secrets: "signing" })
      const verdict = input.verify ? yield* Effect.provide(verdictOf(text), settings) : "not checked (--verify does)"
      if (input.output === "json") {
        return yield* Console.log(JSON.stringify({ ...contents, verdict }, undefined, 2))
      }
      const rows = [
        ...Object.entries(contents.header).map(([name, value]) => [`header ${name}`, cell(name, value)]),
        ...Object.entries(contents.claims).map(([name, value]) => [name, cell(name, value)]),
        ...contents.claims.jti === undefined ? [["no jti", lackingId(text)]] : [],
        ["verdict", verdict]
      ]
      yield* Table.print(["Claim", "Value"], rows)
    })).pipe(Command.withDescription("Show what a token says, without its signature"))

// -- internals ---------------------------------------------------------------

const lackingId = (text: string) => `an issuer with token_id: hash names it ${Claims.hashOf(text)}`

const token = Args.text({ name: "TOKEN" }).pipe(Args.withDescription("The token, or - for the one on stdin"))

const verify = Options.boolean("verify").pipe(
  Options.withDescription("Also say whether this server would accept it, and why not")
)

/** In the words of the audit log. */
const verdictOf = (text: string) =>
  Effect.gen(function*() {
    const { auth, server } = yield* ServerConfig
    const keyring = yield* Keyring.load(SigningKey.optionsOf(server))
    const issuers = yield* Issuers.make(auth.issuers)
    const tokens = Tokens.trusting({ ...Trust.fixed(keyring, yield* Revocations.load), issuers })
    return yield* Effect.match(tokens.verify(Redacted.make(text)), {
      onSuccess: ({ subject }) => `accepted as '${subject}'`,
      onFailure: (error) =>
        `refused: ${error._tag === "Unauthenticated" ? why(error, issuerOf(text, auth)) : error.message}`
    })
  })

/** The name of the issuer that a token claims to be of. */
const issuerOf = (text: string, { issuers }: AuthSection): string | undefined => {
  const iss = GivenToken.read(text)?.claims.iss
  return Object.entries(issuers).find(([, { issuer }]) => issuer === iss)?.[0]
}

/** In the words of the audit log, with the setting that changes it. */
const why = ({ claim, refusal }: Unauthenticated, issuer: string | undefined): string => {
  const lacks = claim === undefined ? refusal : `${refusal}: it has no claim ${claim}`
  if (issuer === undefined) return lacks
  if (refusal === "missing_jti") {
    return `${lacks}; auth.issuers.${issuer}.token_id_claim names another one, token_id: hash needs none`
  }
  if (refusal === "missing_sub") return `${lacks}; auth.issuers.${issuer}.subject_claim names another one`
  return refusal === "subject_not_verified"
    ? `${refusal}; see auth.issuers.${issuer}.subject_verification`
    : lacks
}

const times = ["exp", "iat", "nbf", "auth_time"]

const cell = (name: string, value: unknown): string => {
  if (typeof value === "string") return value
  const time = typeof value === "number" && times.includes(name) ? DateTime.make(value * 1000) : Option.none()
  return Option.match(time, {
    onNone: () => JSON.stringify(value),
    onSome: (at) => `${JSON.stringify(value)} (${DateTime.formatIso(at)})`
  })
}
