/**
 * `vibectl-server generate-token <subject> [--expires-in <lifetime>] [--output <file>]`
 *
 * Prints the bare token on stdout and nothing else, so that `$(…)` works.
 */
import { Args, Command, Options } from "@effect/cli"
import type { PlatformError } from "@effect/platform/Error"
import { Console, Data, Effect, Option, Redacted } from "effect"
import * as SigningKey from "../../auth/SigningKey.js"
import * as Tokens from "../../auth/Tokens.js"
import * as Files from "../../config/Files.js"
import { ServerConfig } from "../../config/ServerConfig.js"
import * as Lifetime from "../../domain/Lifetime.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("generate-token", { subject, expiresIn, output, config }, (input) =>
    Effect.gen(function*() {
      const lifetime = yield* Lifetime.parse(input.expiresIn)
      const { server } = yield* ServerConfig
      const tokens = Tokens.make(
        yield* SigningKey.resolve({
          secret: server.jwt_secret,
          secretFile: server.jwt_secret_file
        })
      )
      const token = Redacted.value(yield* tokens.issue(input.subject, lifetime))
      if (Option.isNone(input.output)) return yield* Console.log(token)
      const file = input.output.value
      yield* Effect.mapError(Files.writePrivate(file, `${token}\n`), (error) => notWritten(file, error))
      yield* Console.error(`Token for ${input.subject}, good for ${input.expiresIn}, written to ${file}.`)
    }).pipe(Effect.provide(
      ServerConfig.layer({ file: Option.getOrUndefined(input.config), kinds, secrets: "signing" })
    ))).pipe(Command.withDescription("Issue a bearer token for a client"))

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

const config = Options.text("config").pipe(
  Options.withPseudoName("FILE"),
  Options.withDescription("The server's configuration file"),
  Options.optional
)

const notWritten = (file: string, error: PlatformError) =>
  new TokenNotWritten({
    summary: `The token could not be written to ${file}: ${error.message}.`,
    remedy: "Name a file in a directory that you may write to."
  })
