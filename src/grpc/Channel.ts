/**
 * The client's end of a connection: calls as Effects.
 *
 * Interrupting a call cancels it on the wire at once.
 */
import * as Grpc from "@grpc/grpc-js"
import { Clock, Duration, Effect, type Option, Redacted, type Scope } from "effect"
import type { Feature } from "../domain/Answer.js"
import type { CallFailed } from "../domain/ClientErrors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import type * as Egress from "../network/Egress.js"
import * as Traceparent from "../telemetry/Traceparent.js"
import type { Certificate } from "../tls/Certificate.js"
import * as ClientMetadata from "./ClientMetadata.js"
import * as Credentials from "./Credentials.js"
import * as Draining from "./Draining.js"
import * as Proto from "./Proto.js"
import * as Status from "./Status.js"

export interface Options {
  /** `host:port`, an IPv6 host in brackets. */
  readonly address: string
  /** Without brackets. */
  readonly host: string
  readonly tls: boolean
  /** PEM of the CAs to trust; undefined means those that Node trusts. */
  readonly roots: string | undefined
  /** For a server that asks its clients for one. */
  readonly clientCertificate: Certificate | undefined
  /** To go through with CONNECT; undefined goes straight to the server. */
  readonly proxy: Egress.Proxy | undefined
  readonly token: Redacted.Redacted | undefined
  /** Wire extensions to ask for. */
  readonly features: ReadonlyArray<Feature>
  /** How often to ask a silent server whether it is still there, while a call runs. */
  readonly keepaliveTime: Duration.Duration
  /** How long to wait for its answer before the connection counts as lost. */
  readonly keepaliveTimeout: Duration.Duration
}

export type Method = "GetServerInfo" | "Execute" | "StreamExecute"

export interface Channel {
  /** One answer within `timeout`. */
  readonly unary: (
    method: Method,
    message: object,
    timeout: Duration.Duration
  ) => Effect.Effect<unknown, CallFailed>
  /**
   * Opens a stream of answers that must end within `timeout`, and yields a pull:
   * the next message, or none when the server ended the stream with OK.
   */
  readonly serverStream: (
    method: Method,
    message: object,
    timeout: Duration.Duration
  ) => Effect.Effect<Effect.Effect<Option.Option<unknown>, CallFailed>, never, Scope.Scope>
}

/** Connects on the first call; closing the scope closes the connection. */
export const make = (options: Options): Effect.Effect<Channel, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const { credentials, options: forTls } = Credentials.channel(options)
        const dialled = options.proxy === undefined ? options.address : options.proxy.where
        const client = new Grpc.Client(dialled, credentials, Object.assign({}, channelOptions(options), forTls))
        Draining.spare(client)
        return client
      }),
      (client) => Effect.sync(() => client.close())
    ),
    (client) => {
      const standing = metadataOf(options)
      const begin = (timeout: Duration.Duration) =>
        Effect.zipWith(deadline(timeout), Traceparent.current, (deadline, trace) => ({
          deadline,
          metadata: trace === undefined ? standing : traced(standing, trace)
        }))

      return {
        unary: (method, message, timeout) =>
          Effect.flatMap(begin(timeout), ({ deadline, metadata }) =>
            Effect.async<unknown, CallFailed>((resume) => {
              const { path, requestSerialize, responseDeserialize } = definition(method)
              const call = client.makeUnaryRequest<object, unknown>(
                path,
                requestSerialize,
                responseDeserialize,
                message,
                metadata,
                { deadline },
                (error, answer) =>
                  resume(error === null ? Effect.succeed(answer) : Effect.fail(Status.toCallFailed(error)))
              )
              return Effect.sync(() => call.cancel())
            })),

        serverStream: (method, message, timeout) =>
          Effect.flatMap(begin(timeout), ({ deadline, metadata }) => {
            const { path, requestSerialize, responseDeserialize } = definition(method)
            return Effect.acquireRelease(
              Effect.sync(() =>
                reader(client.makeServerStreamRequest<object, unknown>(
                  path,
                  requestSerialize,
                  responseDeserialize,
                  message,
                  metadata,
                  { deadline }
                ))
              ),
              ({ cancel }) => Effect.sync(cancel)
            ).pipe(Effect.map(({ pull }) => pull))
          })
      }
    }
  )

// -- internals ---------------------------------------------------------------

// grpc-js would print lines of its own for failures that are reported here.
Grpc.setLogVerbosity(Grpc.logVerbosity.NONE)

/** What grpc-js does where it reads the variables itself; but its no_proxy is another one, and knows no loopback. */
const through = ({ address, proxy }: Options): Grpc.ChannelOptions =>
  proxy === undefined ? {} : {
    "grpc.http_connect_target": `dns:${address}`,
    "grpc.default_authority": address,
    ...proxy.authorization && { "grpc.http_connect_creds": credentialsOf(Redacted.value(proxy.authorization)) }
  }

const credentialsOf = (basic: string): string => Buffer.from(basic.replace(/^Basic /, ""), "base64").toString()

const channelOptions = (options: Options): Grpc.ChannelOptions => ({
  "grpc.enable_http_proxy": 0,
  ...through(options),
  "grpc.keepalive_time_ms": Duration.toMillis(options.keepaliveTime),
  "grpc.keepalive_timeout_ms": Duration.toMillis(options.keepaliveTimeout),
  // Our own retries wait longer than this, so each of them is a real attempt to connect.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_receive_message_length": maxAnswerBytes
})

/** A whole answer can be larger than gRPC's default of 4 MiB. */
const maxAnswerBytes = 64 * 1024 * 1024

const metadataOf = (options: Options): Grpc.Metadata => {
  const metadata = new Grpc.Metadata()
  metadata.set(ClientMetadata.clientVersionKey, packageVersion)
  metadata.set(ClientMetadata.featuresKey, options.features.join(","))
  if (options.token !== undefined) metadata.set("authorization", `Bearer ${Redacted.value(options.token)}`)
  return metadata
}

/** The server's spans become those of the caller's trace. */
const traced = (standing: Grpc.Metadata, { traceparent, tracestate }: Traceparent.Trace): Grpc.Metadata => {
  const metadata = standing.clone()
  metadata.set("traceparent", traceparent)
  if (tracestate !== undefined) metadata.set("tracestate", tracestate)
  return metadata
}

const definition = (method: Method) => {
  const found = Proto.service[method]
  if (found === undefined) throw new Error(`llm_proxy.proto has no method ${method}`)
  return found
}

const deadline = (timeout: Duration.Duration): Effect.Effect<number> =>
  Effect.map(Clock.currentTimeMillis, (now) => now + Duration.toMillis(timeout))

/** Reads a stream at the pace of its pulls, so that a slow reader slows the server. */
const reader = (call: Grpc.ClientReadableStream<unknown>) => {
  let outcome: Effect.Effect<Option.Option<unknown>, CallFailed> | undefined
  let wake = () => {}
  const settle = (end: typeof outcome) => () => {
    outcome ??= end
    wake()
  }
  call.on("readable", () => wake())
  call.on("end", settle(Effect.succeedNone))
  call.on("error", (error: Grpc.ServiceError) => settle(Effect.fail(Status.toCallFailed(error)))())

  const pull = Effect.async<Option.Option<unknown>, CallFailed>((resume) => {
    const attempt = () => {
      const message: unknown = call.read()
      if (message !== null) resume(Effect.succeedSome(message))
      else if (outcome !== undefined) resume(outcome)
      else return
      wake = () => {}
    }
    wake = attempt
    attempt()
    return Effect.sync(() => {
      wake = () => {}
    })
  })
  return { pull, cancel: () => call.cancel() }
}
