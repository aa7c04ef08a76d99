/**
 * `vibectl setup-proxy status`: what is configured. No connection is made.
 */
import { Command } from "@effect/cli"
import { DateTime, Effect, Option, Schema } from "effect"
import { ClientConfig } from "../../config/ClientConfig.js"
import { activeProfile, type SecuritySection } from "../../config/ClientSettings.js"
import * as ReadFile from "../../config/ReadFile.js"
import * as Show from "../../config/Show.js"
import { Output } from "../../terminal/Output.js"
import * as Table from "../../terminal/Table.js"
import * as Target from "../Target.js"
import { output } from "./options.js"

export const status = Command.make("status", { output }, (input) =>
  Effect.gen(function*() {
    const screen = yield* Output
    const config = yield* ClientConfig
    const { value: settings } = yield* config.load
    const active = yield* activeProfile(settings)
    const token = yield* tokenIn(active?.profile.jwt_path)
    const { retry_attempts, timeout_seconds } = settings.proxy
    if (input.output === "json") {
      const state = {
        enabled: active !== undefined,
        profile: active?.name ?? null,
        ...active === undefined ? {} : { ...active.profile, server_url: Show.address(active.profile.server_url) },
        token: token ?? null,
        timeout_seconds,
        retry_attempts,
        config_file: config.file
      }
      return yield* screen.line(JSON.stringify(state, undefined, 2))
    }
    if (active === undefined) {
      const names = Object.keys(settings.proxy.profiles)
      return yield* screen.note(
        names.length === 0
          ? Target.firstSteps
          : `The proxy is disabled; turn it on with \`vibectl setup-proxy use NAME\` (${names.join(", ")}).`
      )
    }
    const { name, profile } = active
    yield* screen.line(Table.render(["Property", "Value"], [
      ["Profile", name],
      ["Server", Show.address(profile.server_url)],
      ["CA", profile.ca_bundle_path ?? "the system's, and for this machine its own server's"],
      ...(profile.client_cert_path === undefined ? [] : [["Client certificate", profile.client_cert_path]]),
      ["Token", token === undefined ? "none" : `${token.subject ?? "unreadable"} (${token.file})`],
      ["Token expires", token?.expires ?? "—"],
      ...securityRows(profile.security),
      ["Timeout", `${timeout_seconds} s`],
      ["Retries", String(retry_attempts)],
      ["Configuration", config.file]
    ], { width: screen.columns }))
    if (token?.expired === true) {
      yield* screen.note("Warning: The token has expired; ask the operator of the server for a new one.")
    }
  })).pipe(Command.withDescription("Show what is configured"))

// -- internals ---------------------------------------------------------------

const securityRows = (security: SecuritySection): ReadonlyArray<ReadonlyArray<string>> => [
  ["Redaction", security.sanitize_requests ? "on" : "off: requests are sent as they are"],
  ["Audit log", security.audit_logging ? security.audit_log_path ?? "on" : "off"],
  ["Confirmation", security.confirmation_mode]
]

const Claims = Schema.Struct({ sub: Schema.String, exp: Schema.Number })

/** What a token says of itself; whether it is true, only the server knows. */
const tokenIn = (file: string | undefined) =>
  Effect.gen(function*() {
    if (file === undefined) return undefined
    const text = yield* ReadFile.text(file, ReadFile.maxBytes.token)
    const payload = Buffer.from(text.trim().split(".")[1] ?? "", "base64url").toString("utf8")
    const { exp, sub } = yield* Schema.decode(Schema.parseJson(Claims))(payload)
    const expires = DateTime.make(exp * 1000)
    const expired = yield* Option.match(expires, { onNone: () => Effect.succeed(false), onSome: DateTime.isPast })
    return { file, subject: sub, expires: Option.getOrUndefined(Option.map(expires, DateTime.formatIso)), expired }
  }).pipe(
    Effect.orElseSucceed(() =>
      file === undefined ? undefined : { file, subject: undefined, expires: undefined, expired: false }
    )
  )
