/**
 * Every setting of `vibectl-server`: its meaning, unit, default and limits.
 *
 * The names are those of `server/config.yaml`; the notes are what
 * `config init` writes and what the error messages say.
 */
import { Schema } from "effect"
import * as Access from "./AccessSettings.js"
import * as Fields from "./Fields.js"
import * as Limits from "./LimitsSettings.js"
import type { StateSection } from "./LimitsSettings.js"
import type { Description } from "./Load.js"
import { complete } from "./ProviderDefaults.js"
import { provider } from "./ProviderSettings.js"
import { check } from "./ServerChecks.js"
import * as Shape from "./Shape.js"

export type Settings = Schema.Schema.Type<ReturnType<typeof schema>>
type Encoded = Schema.Schema.Encoded<ReturnType<typeof schema>>
export type ServerSection = Settings["server"]
export type TlsSection = Settings["tls"]
export type { AccessSection, AuditSection, IssuerSettings } from "./AccessSettings.js"
export type { LimitsSection, PricesSection, StateSection } from "./LimitsSettings.js"
/** One provider; its name is its key in `providers`. */
export type ProviderSettings = Settings["providers"][string]

/** Whether what is used is counted in Redis, for several servers together. */
export const isRedis = ({ kind, url }: StateSection): boolean => url !== undefined && kind !== "embedded"

/** How long the server still takes calls when it is about to stop. */
export const lameDuckSeconds = ({ host, lame_duck_seconds }: ServerSection): number =>
  lame_duck_seconds ?? (isExposed(host) ? 5 : 0)

/** Whether other machines may reach what listens on this host. */
export const isExposed = (host: string): boolean => !/^(127\.\d+\.\d+\.\d+|::1|localhost)$/.test(host)

/** The configuration of a server that knows these kinds of providers. */
export const description = (kinds: ReadonlyArray<string>): Description<Settings, Encoded> => ({
  schema: schema(kinds),
  defaults,
  foreign: ["proxy", "assistant"],
  complete: complete(kinds),
  narrows: (path) => narrowing.test(path.join(".")),
  check
})

/** What applies where nothing is set. */
export const defaults = {
  server: {
    host: "127.0.0.1",
    port: 50051,
    workers: 1,
    enable_auth: true,
    log_level: "INFO",
    drain_seconds: 10,
    heartbeat_seconds: 15,
    max_message_bytes: 4_194_304,
    max_streams_per_connection: 1000,
    allow_open_access: false,
    metrics_host: "127.0.0.1",
    metrics_hosts: [],
    limits: {
      global: {},
      per_token: {},
      tenants: {},
      models: {},
      reserve_output_tokens: 1024,
      queue: { max_waiting: 0, max_wait_seconds: 10 }
    }
  },
  auth: { issuers: {} },
  access: { subjects: {}, roles: {}, tenants: {} },
  audit: { destination: "file", max_megabytes: 50, keep_files: 5 },
  state: { prefix: "vibectl", on_unavailable: "refuse", timeout_seconds: 1, keep_days: 400 },
  prices: {},
  tls: { enabled: true, min_version: "1.3", client_identity: "none" },
  providers: {},
  fallbacks: {},
  model_aliases: {
    "claude-4-sonnet": "anthropic/claude-sonnet-4-0",
    "gpt-4": "openai/gpt-4",
    "gpt-3.5-turbo": "openai/gpt-3.5-turbo"
  }
}

export const schema = (kinds: ReadonlyArray<string>) =>
  Schema.Struct({
    server,
    tls,
    auth: Access.auth,
    access: Access.access,
    audit: Access.audit,
    state: Limits.state,
    prices: Limits.prices,
    providers: Schema.Record({ key: Schema.String.pipe(Schema.pattern(providerName)), value: provider(kinds) })
      .annotations(Shape.note(providersNote, {
        example: "openai",
        names: "the name of a provider is made of letters, digits, - and _"
      })),
    model_aliases: Schema.Record({ key: Fields.name, value: modelName })
      .annotations(Shape.note("Short names for models. These come beside the ones that are built in.", {
        example: "fast",
        names: "the name of an alias is not empty and has no spaces"
      })),
    fallbacks: Schema.Record({ key: Fields.name, value: fallbackModels })
      .annotations(Shape.note("Models to try in this order when a model's provider fails before the first text.", {
        example: "openai/gpt-4o",
        names: "a model is provider/model or an alias"
      }))
  })

/** Bytes of requests that one process may hold at once. One that is packed counts as the largest while it is unpacked. */
export const bytesInFlight = (
  { max_bytes_in_flight, max_message_bytes }: ServerSection,
  heapBytes: number
): number => max_bytes_in_flight ?? Math.max(2 * max_message_bytes, Math.floor(heapBytes / 4))

// -- internals ---------------------------------------------------------------

const note = Shape.note

/** Who may call, with what and how much. The sections alone may be empty, as in the file that `config init` writes. */
const narrowing =
  /^(access\..+|tls\.client_(ca_file|identity)|server\.limits\.(global|per_token|tenants|models)\..+|auth\.issuers\..+)$/

/** `__proto__` cannot be the key of a plain object. */
const providerName = /^(?!__proto__$)[A-Za-z0-9_-]+$/

const server = Schema.Struct({
  host: Fields.text.annotations(note("Address to listen on; 0.0.0.0 is every IPv4 address of this machine.")),
  port: Fields.wholeNumber(0, 65_535).annotations(note("TCP port; 0 lets the system choose a free one.")),
  workers: Fields.wholeNumber(1, 128).annotations(
    note("Processes that take calls on that port; more than one use more than one processor.")
  ),
  enable_auth: Fields.boolean.annotations(note("Whether callers must send a token.")),
  log_level: Schema.compose(Schema.Uppercase, Fields.oneOf("DEBUG", "INFO", "WARNING", "ERROR"), { strict: false })
    .annotations(Shape.expects("DEBUG, INFO, WARNING or ERROR", { about: "DEBUG, INFO, WARNING or ERROR." })),
  log_format: Fields.optional(
    Fields.oneOf("pretty", "json").annotations(
      note("How log lines look: pretty or json.", { example: "pretty", unset: "pretty on a terminal, else json" })
    )
  ),
  jwt_secret: Fields.optional(Fields.secret.annotations(
    note("Signs the tokens; 32 bytes or more. Best given as a variable or in a file.", {
      secret: true,
      example: "\"${JWT_SECRET}\"",
      unset: "generated once, beside this file"
    })
  )),
  jwt_secret_file: Fields.optional(Fields.path.annotations(
    note("A file that holds the secret, instead of jwt_secret.", { path: true, example: "/run/secrets/jwt" })
  )),
  jwt_previous_secret_files: Fields.optional(
    Schema.Array(Fields.path).annotations(
      Shape.expects("a list of files", {
        about: "Files of secrets that signed before, whose tokens are still good.",
        example: "[/run/secrets/jwt-old]",
        unset: "what `keys rotate` kept"
      })
    )
  ),
  default_model: Fields.optional(Fields.text.annotations(
    note("The model of callers who choose none: provider/model or an alias.", {
      example: "openai/gpt-4o",
      unset: "the first provider's own default"
    })
  )),
  drain_seconds: Fields.seconds(3600).annotations(
    note("Seconds that running calls get when the server stops, 0 to 3600.")
  ),
  lame_duck_seconds: Fields.optional(
    Fields.seconds(3600).annotations(
      note("Seconds before that in which the server still takes calls, while balancers learn that it stops.", {
        example: "5",
        unset: "5, and 0 on an address that only this machine reaches"
      })
    )
  ),
  max_connection_age_seconds: Fields.optional(Fields.timeout.annotations(
    note("Age at which a connection closes after its last call, so that clients spread over new servers.", {
      example: "1800",
      unset: "connections may stay"
    })
  )),
  max_connection_age_grace_seconds: Fields.optional(Fields.timeout.annotations(
    note("Seconds that the calls of such a connection get.", { example: "600", unset: "as many as they need" })
  )),
  heartbeat_seconds: Fields.timeout.annotations(
    note("Seconds that a stream is silent before a client that asks for it gets a sign of life.")
  ),
  max_message_bytes: Fields.wholeNumber(1024, 2 ** 30).annotations(note("Size of one request on the wire.")),
  max_bytes_in_flight: Fields.optional(
    Fields.wholeNumber(2048, 2 ** 40).annotations(
      note("Bytes of all requests held at once, at least twice max_message_bytes; each worker has its share.", {
        example: "268435456",
        unset: "a quarter of the heap that Node may use"
      })
    )
  ),
  max_streams_per_connection: Fields.wholeNumber(1, 2 ** 31 - 1).annotations(
    note("Calls at the same time on one connection.")
  ),
  allow_open_access: Fields.boolean.annotations(
    note("Whether a server without authentication may listen beyond this machine.")
  ),
  metrics_port: Fields.optional(
    Fields.wholeNumber(0, 65_535).annotations(
      note("TCP port of /metrics, /healthz and /readyz, in plain HTTP; 0 is none.", {
        example: "9095",
        unset: "9095, if it is free"
      })
    )
  ),
  metrics_host: Fields.text.annotations(note("Address of that port; whoever reaches it reads the names of subjects.")),
  metrics_hosts: Schema.Array(Fields.text).annotations(
    Shape.expects("a list of host names", {
      about: "Names, beside localhost and IP addresses, by which that port may be asked for metrics.",
      example: "[vibectl.monitoring.svc]"
    })
  ),
  limits: Limits.limits
}).annotations(note("The server itself."))

const tls = Schema.Struct({
  enabled: Fields.boolean.annotations(note("false serves plaintext: only for a network that nobody else can read.")),
  cert_file: Fields.optional(Fields.path.annotations(note("PEM file with the certificate and its chain.", {
    path: true,
    example: "/etc/vibectl/tls.crt",
    unset: "a certificate for localhost, of a private CA, both made once"
  }))),
  key_file: Fields.optional(Fields.path.annotations(
    note("PEM file with the certificate's private key.", { path: true, example: "/etc/vibectl/tls.key" })
  )),
  min_version: Schema.compose(Fields.numberAsText, Fields.oneOf("1.3", "1.2"), { strict: false }).annotations(
    Shape.expects("1.3 or 1.2", { about: "The oldest version of TLS that clients may use: 1.3 or 1.2." })
  ),
  client_ca_file: Fields.optional(Fields.path.annotations(
    note("PEM file of the CAs of client certificates; with it, every client must have one.", {
      path: true,
      example: "/etc/vibectl/clients.crt",
      unset: "no client certificates"
    })
  )),
  client_identity: Fields.oneOf("none", "match", "identity").annotations(
    Shape.expects("none, match or identity", {
      about: "What the name (CN) of a client certificate is: none, match (the subject of the caller's token) or "
        + "identity (the caller, who then needs no token)."
    })
  )
}).annotations(note("Encryption of the connections."))

const modelName = Schema.String.pipe(Schema.pattern(/^[^/\s]+\/\S+$/)).annotations(
  Shape.expects("provider/model", { example: "openai/gpt-4o-mini" })
)

const fallbackModels = Schema.Array(Fields.text).annotations(
  Shape.expects("a list of models", { example: "[anthropic/claude-sonnet-4-6]" })
)

const providersNote =
  "Where models come from, by a name of your choice. With none here, OPENAI_API_KEY and ANTHROPIC_API_KEY are used if set."
