/**
 * Settings of who may call, what they may do, and what is recorded of it.
 */
import { Schema } from "effect"
import * as Fields from "./Fields.js"
import * as Shape from "./Shape.js"

/** An identity provider whose tokens are accepted beside the server's own. */
export type IssuerSettings = typeof issuer.Type
export type AuthSection = typeof auth.Type
export type AccessSection = typeof access.Type
export type AuditSection = typeof audit.Type

/** Signature algorithms of identity providers; each fits one type of key. Ed25519 is EdDSA by its newer name (RFC 9864). */
export const algorithms = ["EdDSA", "Ed25519", "ES256", "RS256"] as const

const note = Shape.note

const models = Schema.Array(Fields.text).annotations(
  Shape.expects("a list of models", {
    about: "provider/model or an alias; * stands for anything.",
    example: "[\"openai/gpt-4o*\", \"ollama/*\"]"
  })
)
const rule = Schema.Struct({ models })

export const access = Schema.Struct({
  default: Fields.optional(rule.annotations(note("Models of subjects for whom nothing else is said."))),
  subjects: Schema.Record({ key: Fields.name, value: rule }).annotations(
    note("Models of single subjects, instead of what their roles give.", {
      example: "ci-bot",
      names: "a subject is not empty and has no spaces"
    })
  ),
  roles: Schema.Record({ key: Fields.name, value: rule }).annotations(
    note("Models of the roles that a token names; several add up.", {
      example: "data-science",
      names: "a role is not empty and has no spaces"
    })
  ),
  tenants: Schema.Record({ key: Fields.name, value: rule }).annotations(
    note("Models of tenants; nobody of a tenant gets more.", {
      example: "acme",
      names: "a tenant is not empty and has no spaces"
    })
  )
}).annotations(note("Which models a caller may use. With nothing here, every caller may use all."))

const keyAddress = Schema.NonEmptyString.pipe(Schema.filter(isKeyAddress)).annotations(
  Shape.expects("an https URL without user name and password (http only to this machine)", { private: true })
)

const issuer = Schema.Struct({
  issuer: Fields.text.annotations(note("What its tokens have as `iss`.", { example: "https://login.example.com" })),
  audience: Fields.text.annotations(note("What its tokens for this server have as `aud`.", { example: "vibectl" })),
  jwks_url: Fields.optional(keyAddress.annotations(
    note("Where its keys are (JWKS).", { private: true, example: "https://login.example.com/.well-known/jwks.json" })
  )),
  jwks_token_file: Fields.optional(Fields.path.annotations(
    note("A file of the bearer token that jwks_url asks for; read at each download, and sent to that host only.", {
      path: true,
      example: "/var/run/secrets/kubernetes.io/serviceaccount/token",
      unset: "none"
    })
  )),
  ca_file: Fields.optional(Fields.path.annotations(
    note("A PEM file of the CAs that sign the certificate of jwks_url.", {
      path: true,
      example: "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
      unset: "those that Node trusts"
    })
  )),
  jwks_file: Fields.optional(Fields.path.annotations(
    note("A file of its keys (JWKS), instead of jwks_url.", { path: true, example: "/etc/vibectl/jwks.json" })
  )),
  key_file: Fields.optional(Fields.path.annotations(
    note("A PEM file of its one public key, instead of jwks_url.", { path: true, example: "/etc/vibectl/issuer.pem" })
  )),
  algorithms: Fields.optional(
    Schema.Array(Fields.oneOf(...algorithms)).pipe(Schema.minItems(1)).annotations(
      Shape.expects("a list of EdDSA, Ed25519, ES256 and RS256", {
        about: "How its tokens may be signed.",
        example: "[RS256]",
        unset: "EdDSA, Ed25519, ES256 and RS256"
      })
    )
  ),
  subject_claim: Fields.optional(
    Fields.text.annotations(note("The claim that says who it is.", { example: "email", unset: "sub" }))
  ),
  subject_verification: Fields.optional(
    Fields.oneOf("required", "unless_denied", "not_needed").annotations(
      note(
        "With the subject_claim email or phone_number: whether the token must say that it is verified (required), must "
          + "not say that it is not (unless_denied), or may say anything (not_needed).",
        { example: "unless_denied", unset: "required" }
      )
    )
  ),
  token_id: Fields.optional(
    Fields.oneOf("claim", "hash").annotations(
      note(
        "What names a token, to revoke it alone: token_id_claim, or a hash of the token where it has no such claim.",
        {
          example: "claim",
          unset: "claim"
        }
      )
    )
  ),
  token_id_claim: Fields.optional(
    Fields.text.annotations(note("The claim that names the token.", { example: "uti", unset: "jti" }))
  ),
  roles: Fields.optional(
    Schema.Array(Fields.text).annotations(
      Shape.expects("a list of roles", {
        about: "The roles of `access.roles` that its tokens may claim; others give them nothing.",
        example: "[dev]",
        unset: "none"
      })
    )
  ),
  subject_prefix: Fields.optional(
    Schema.String.annotations({
      ...Shape.expects("text"),
      ...note("Put before its subjects, so that they are nobody else's.", {
        example: "\"corp:\"",
        unset: "the issuer's name here, and a colon"
      })
    })
  )
})

export const auth = Schema.Struct({
  issuers: Schema.Record({
    key: Schema.String.pipe(Schema.pattern(/^(?!__proto__$)[A-Za-z0-9_-]+$/)),
    value: issuer
  }).annotations(note("Identity providers whose tokens are accepted, by a name of your choice.", {
    example: "corp",
    names: "the name of an issuer is made of letters, digits, - and _"
  }))
}).annotations(note("Who may call, beside the holders of this server's own tokens."))

export const audit = Schema.Struct({
  destination: Fields.oneOf("file", "stdout", "off").annotations(
    Shape.expects("file, stdout or off", { about: "Where it goes: file, stdout or off." })
  ),
  file: Fields.optional(Fields.path.annotations(
    note("The file, readable by the server's user only.", {
      path: true,
      example: "/var/log/vibectl/audit.jsonl",
      unset: "audit.jsonl, beside this file"
    })
  )),
  max_megabytes: Fields.wholeNumber(1).annotations(note("Size at which a new file is begun.")),
  keep_files: Fields.wholeNumber(0, 1000).annotations(note("How many full files are kept."))
}).annotations(note("The audit log: one JSON object a line for every token accepted, refused, issued or revoked."))

// -- internals ---------------------------------------------------------------

function isKeyAddress(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { hostname, password, protocol, username } = new URL(value)
  if (username !== "" || password !== "") return false
  return protocol === "https:" || (protocol === "http:" && ["localhost", "127.0.0.1", "[::1]"].includes(hostname))
}
