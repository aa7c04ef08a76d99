/**
 * The one layer graph of the server.
 *
 * Everything is settled before the port is opened: a bad setting, secret,
 * certificate or model name stops the start with one clear error, and nothing
 * is left half-started.
 */
import type { FileSystem } from "@effect/platform"
import { Context, Duration, Effect, Layer } from "effect"
import { getHeapStatistics } from "node:v8"
import * as Audit from "../audit/Audit.js"
import * as AccessRules from "../auth/AccessRules.js"
import * as Issuers from "../auth/Issuers.js"
import type { RevocationsUnusable } from "../auth/Revocations.js"
import * as SigningKey from "../auth/SigningKey.js"
import * as Tokens from "../auth/Tokens.js"
import { ServerConfig } from "../config/ServerConfig.js"
import { bytesInFlight, lameDuckSeconds, type Settings } from "../config/ServerSettings.js"
import * as Server from "../grpc/Server.js"
import type { LedgerInvalid } from "../limits/LedgerFile.js"
import type { Limits } from "../limits/Limits.js"
import type { RedisInvalid } from "../limits/RedisInvalid.js"
import type { Store } from "../limits/Store.js"
import type * as Catalog from "../models/Catalog.js"
import type { EgressInvalid } from "../network/Egress.js"
import type { OpsBindFailed } from "../ops/OpsServer.js"
import { LlmProxy } from "../proxy/LlmProxy.js"
import type * as Presented from "../tls/Presented.js"
import { catalog } from "./Models.js"
import { Ops } from "./Ops.js"
import * as ServerTls from "./ServerTls.js"
import * as Signals from "./Signals.js"
import * as StartChecks from "./StartChecks.js"
import * as State from "./State.js"

export { catalog } from "./Models.js"

/** Where the server can be called, for as long as the layer lives. */
export class Listening extends Context.Tag("vibectl/server/Listening")<Listening, {
  readonly host: string
  /** The port in use, also when the settings asked for any free one. */
  readonly port: number
  readonly tls: boolean
  readonly auth: boolean
  /** PEM file of the CA to trust, when the server made its own certificate. */
  readonly caFile: string | undefined
}>() {}

/** Why a server did not start. */
export type StartFailed =
  | SigningKey.SigningKeyInvalid
  | RevocationsUnusable
  | Issuers.IssuerInvalid
  | Audit.AuditUnusable
  | LedgerInvalid
  | RedisInvalid
  | OpsBindFailed
  | StartChecks.OpenAccessRefused
  | Presented.ReadFailed
  | Catalog.CatalogInvalid
  | EgressInvalid
  | Server.BindFailed

/** The callers this server trusts; none at all when it asks for no identity. */
export const tokens: Layer.Layer<
  Tokens.Tokens,
  SigningKey.SigningKeyInvalid | RevocationsUnusable | Issuers.IssuerInvalid | RedisInvalid,
  ServerConfig | Audit.Audit | FileSystem.FileSystem
> = Layer.unwrapScoped(Effect.gen(function*() {
  const settings = yield* ServerConfig
  const { auth, server } = settings
  if (!knowsCallers(settings)) return Tokens.Tokens.layerNone
  const issuers = yield* Issuers.make(auth.issuers)
  const { record } = yield* Audit.Audit
  return Tokens.Tokens.layerLive({
    signing: SigningKey.optionsOf(server),
    issuers,
    shared: yield* State.trust,
    onKept: (kept) => record({ event: "trust_kept", ...kept })
  })
}))

/** Listens with whatever proxy and tokens it is given. */
export const listening: Layer.Layer<
  Listening,
  StartFailed,
  ServerConfig | LlmProxy | Tokens.Tokens | Audit.Audit | Ops | FileSystem.FileSystem
> = Layer.scoped(
  Listening,
  Effect.gen(function*() {
    const settings = yield* ServerConfig
    const { access, server, tls } = settings
    yield* StartChecks.noOpenAccess(settings)
    const { caFile, credentials } = yield* ServerTls.make({ server, tls })
    const port = yield* Server.serve({
      host: server.host,
      port: server.port,
      credentials,
      proxy: yield* LlmProxy,
      tokens: knowsCallers(settings) ? yield* Tokens.Tokens : undefined,
      authenticate: server.enable_auth,
      access: AccessRules.make({ access, limits: server.limits }),
      audit: yield* Audit.Audit,
      maxMessageBytes: server.max_message_bytes,
      maxBytesInFlight: bytesInFlight(server, getHeapStatistics().heap_size_limit),
      maxStreamsPerConnection: server.max_streams_per_connection,
      clientIdentity: tls.client_identity,
      lameDuck: Duration.seconds(lameDuckSeconds(server)),
      drain: Duration.seconds(server.drain_seconds),
      hurried: yield* Signals.hurried,
      maxConnectionAge: seconds(server.max_connection_age_seconds),
      maxConnectionAgeGrace: seconds(server.max_connection_age_grace_seconds),
      heartbeat: Duration.seconds(server.heartbeat_seconds)
    })
    const ops = yield* Ops
    yield* ops.open(`${server.host.includes(":") ? `[${server.host}]` : server.host}:${port}`)
    // Before the calls that run now are waited for.
    yield* Effect.addFinalizer(() => ops.close)
    return {
      host: server.host,
      port,
      tls: tls.enabled,
      auth: server.enable_auth,
      caFile
    }
  })
)

/** A whole server, as the configuration says. */
export const layer: Layer.Layer<
  Listening | LlmProxy | Catalog.Catalog | Audit.Audit | Store | Ops,
  StartFailed,
  ServerConfig | FileSystem.FileSystem
> = Layer.suspend(() => proxying).pipe(
  Layer.provide(State.limits),
  Layer.provideMerge(Ops.layer),
  Layer.provideMerge(State.store),
  Layer.provideMerge(catalog)
)

/** What takes the calls, with whatever counts them and tells of them. */
export const proxying: Layer.Layer<
  Listening | LlmProxy | Audit.Audit,
  StartFailed,
  ServerConfig | FileSystem.FileSystem | Limits | Ops | Catalog.Catalog
> = listening.pipe(
  Layer.provide(tokens),
  Layer.provideMerge(Audit.Audit.layer),
  Layer.provideMerge(LlmProxy.layer)
)

// -- internals ---------------------------------------------------------------

const seconds = (given: number | undefined) => given === undefined ? undefined : Duration.seconds(given)

/** By a token or by a certificate: either can be revoked. */
const knowsCallers = ({ server, tls }: Settings): boolean => server.enable_auth || tls.client_identity === "identity"
