/**
 * What the audit log tells: one JSON object a line, with names and never with
 * tokens, keys or prompts.
 *
 * A line holds the fields named here and no others, whatever an event carries
 * beside them. No text is longer than 255 characters, and none can end a line
 * or drive a terminal.
 */
import { DateTime, Schema } from "effect"
import type { Refusal } from "../domain/Errors.js"

/** What can happen to a call before it is answered; wider than {@link Refusal} by what is no fault of the token. */
export type Refused = Refusal | "identity_unavailable" | "version_incompatible"

/** Longest text, in UTF-16 code units, and longest list. */
export const most = { characters: 255, items: 200 }

const Text = Schema.String.pipe(Schema.maxLength(most.characters))
const Texts = Schema.Array(Text).pipe(Schema.maxItems(most.items))
const { optional } = Schema

const event = <const Name extends string, Fields extends Schema.Struct.Fields>(name: Name, fields: Fields) =>
  Schema.Struct({ event: Schema.Literal(name), ...fields })

/** Whose token; the subject and the token's `jti`, unless a certificate alone says who it is. */
const holder = { subject: Text, token_id: optional(Text) }
/** Which call, and the address it came from. */
const call = { rpc: Text, peer: Text, request_id: optional(Text) }

/**
 * Whether the signature can have been good when a call was refused so. Where it
 * cannot, anybody may have put any subject into the token, so the log does not
 * repeat it, whoever passes it here.
 */
const signatureMayBeGood: Record<Refused, boolean> = {
  no_token: false,
  not_bearer: false,
  not_a_jwt: false,
  algorithm_none: false,
  wrong_algorithm: false,
  unknown_key: false,
  retired_key: true,
  unusable_key: false,
  bad_signature: false,
  unknown_issuer: true,
  wrong_audience: true,
  expired: true,
  not_yet_valid: true,
  issued_in_the_future: true,
  missing_exp: true,
  missing_sub: true,
  missing_jti: true,
  malformed_claims: true,
  subject_not_verified: true,
  revoked_token: true,
  revoked_subject: true,
  certificate_of_another: true,
  certificate_without_name: true,
  identity_unavailable: false,
  version_incompatible: true
}
// The type of Object.keys forgets that these are all the keys.
export const refusals = Object.keys(signatureMayBeGood) as Array<Refused>

export const Event = Schema.Union(
  event("token_issued", {
    ...holder,
    key_id: Text,
    expires_at: Schema.DateTimeUtc,
    tenant: optional(Text),
    roles: optional(Texts),
    models: optional(Texts)
  }),
  event("token_accepted", {
    ...holder,
    key_id: optional(Text),
    /** The issuer's name in the configuration; absent for this server's own tokens. */
    issuer: optional(Text),
    /** Whom the client's certificate names. */
    certificate: optional(Text),
    ...call
  }),
  event("token_refused", {
    refusal: Schema.Literal(...refusals),
    /** The error code that the caller saw. */
    reason: Schema.Literal(
      "TOKEN_MISSING",
      "TOKEN_MALFORMED",
      "TOKEN_EXPIRED",
      "TOKEN_UNTRUSTED",
      "TOKEN_REVOKED",
      "IDENTITY_UNAVAILABLE",
      "VERSION_INCOMPATIBLE"
    ),
    /** The claim that a token with a good signature lacks. */
    claim: optional(Text),
    /** Only written where the signature was good. */
    subject: optional(Text),
    token_id: optional(Text),
    certificate: optional(Text),
    ...call
  }),
  /** So many more were refused within about a second, without a good signature. */
  event("tokens_refused", { count: Schema.Int.pipe(Schema.positive()) }),
  event("token_revoked", {
    kind: Schema.Literal("token", "subject"),
    /** The token's `jti`, or the subject. */
    id: Text,
    action: Schema.Literal("revoke", "block", "restore")
  }),
  /** A running answer was ended because its token is no longer good. */
  event("stream_cut", { ...holder, ...call }),
  event("key_rotated", { key_id: Text, previous_key_id: Text }),
  event("key_retired", { key_id: Text }),
  /** A file of keys or revocations that lost something; what was read from it before holds until the server ends. */
  event("trust_kept", { file: Text, problem: Text }),
  /** Names of settings, e.g. `server.port`. */
  event("config_changed", { keys: Texts }),
  event("server_started", { version: Text, address: optional(Text), auth: Schema.Boolean, tls: Schema.Boolean }),
  event("server_stopped", {}),
  /** Events that could not be written and are missing here. */
  event("events_lost", { count: Schema.Int.pipe(Schema.positive()) })
)
export type Event = typeof Event.Type

/** A line of the log as a reader decodes it. */
export const Line = Schema.parseJson(Schema.extend(Schema.Struct({ time: Schema.DateTimeUtc }), Event))

/** The line of an event, with its line end; `millis` since the epoch is when it happened. */
export const toLine = (event: Event, millis: number): string => {
  const line: Record<string, unknown> = { time: DateTime.formatIso(DateTime.unsafeMake(millis)) }
  const anonymous = event.event === "token_refused" && !signatureMayBeGood[event.refusal]
  for (const name of fieldsOf.get(event.event) ?? []) {
    if (anonymous && name in holder) continue
    line[name] = shown(Reflect.get(event, name))
  }
  return `${harmless(JSON.stringify(line))}\n`
}

// -- internals ---------------------------------------------------------------

const fieldsOf = new Map<string, ReadonlyArray<string>>(
  Event.members.map((member) => [member.fields.event.literals[0], Object.keys(member.fields)])
)

const shown = (value: unknown): unknown => {
  if (typeof value === "string") return shortened(value)
  if (Array.isArray(value)) {
    const rest = value.length - most.items
    return rest <= 0
      ? value.map(shown)
      : [...value.slice(0, most.items - 1).map(shown), `… and ${rest + 1} more`]
  }
  return DateTime.isDateTime(value) ? DateTime.formatIso(value) : value
}

/** Half of a pair of code units would be a character that nobody wrote. */
const shortened = (text: string): string =>
  text.length <= most.characters ? text : `${text.slice(0, most.characters - 1).replace(/[\ud800-\udbff]$/, "")}…`

/**
 * JSON escapes most control characters; this escapes the others, and those that
 * reorder or hide text. A token can only be here by mistake, e.g. as a name.
 */
const harmless = (json: string): string => {
  const named = json.includes("eyJ") ? json.replace(/eyJ[\w-]{6,}\.[\w-]*(?:\.[\w-]*)?/g, "<token>") : json
  return /[^\x20-\x7e]/.test(named) ? named.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped) : named
}

const escaped = (character: string): string =>
  character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")
