/**
 * A listening gRPC server as a scoped resource.
 *
 * Release says NOT_SERVING and goes on as before for `lameDuck`, so that
 * balancers send their calls elsewhere; then it accepts no more connections,
 * gives running calls `drain` to finish and their last bytes to arrive, ends
 * the rest with `SHUTTING_DOWN`, and closes the connections.
 */
import * as Grpc from "@grpc/grpc-js"
import { ReflectionService } from "@grpc/reflection"
import { Data, Duration, Effect, Exit, Scope } from "effect"
import type { Audit } from "../audit/Audit.js"
import type { AccessRules } from "../auth/AccessRules.js"
import type { Tokens } from "../auth/Tokens.js"
import { ShuttingDown } from "../domain/Errors.js"
import type { LlmProxy } from "../proxy/LlmProxy.js"
import * as Authenticate from "./Authenticate.js"
import * as Bridge from "./Bridge.js"
import * as Connections from "./Connections.js"
import * as Descriptors from "./Descriptors.js"
import * as Health from "./Health.js"
import type { ClientIdentity } from "./Identify.js"
import * as Proto from "./Proto.js"
import * as ProxyService from "./ProxyService.js"
import * as RefusedConnections from "./RefusedConnections.js"
import * as RequestBytes from "./RequestBytes.js"

/** The address cannot be listened on; nothing was started. */
export class BindFailed extends Data.TaggedError("BindFailed")<{
  readonly address: string
  readonly code: string
}> {
  get summary() {
    return `Cannot listen on ${this.address}: ${bindFacts[this.code]?.summary ?? this.code}.`
  }
  get remedy() {
    return bindFacts[this.code]?.remedy ?? "Choose another address with --host and --port."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export interface Options {
  readonly host: string
  /** 0 asks the operating system for a free port. */
  readonly port: number
  readonly credentials: Grpc.ServerCredentials
  readonly proxy: LlmProxy["Type"]
  /** Whom to trust; undefined trusts everybody. */
  readonly tokens: Tokens["Type"] | undefined
  /** Whether a token is asked for; without, `tokens` only says which certificates' names were revoked. */
  readonly authenticate: boolean
  readonly access: AccessRules
  readonly audit: Audit["Type"]
  /** Of one request; a longer one ends with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number
  /** Of all requests that are held at once; one that there is no room for ends with `SERVER_BUSY`. */
  readonly maxBytesInFlight: number
  /** At the same time; HTTP/2 makes a client wait with more. */
  readonly maxStreamsPerConnection: number
  /** What the name in a client's certificate is: nothing, the subject of its token too, or the caller itself. */
  readonly clientIdentity: ClientIdentity
  /** How long the server still accepts connections and calls when it says already that it stops; 0 when not given. */
  readonly lameDuck?: Duration.Duration
  readonly drain: Duration.DurationInput
  /** Ends the lame duck and the drain when it completes. */
  readonly hurried?: Effect.Effect<void>
  /** How long a stream may be silent to a client that asks for heartbeats. */
  readonly heartbeat: Duration.Duration
  /** A connection that does not answer when it is asked after this time is closed; a minute when it is not given. */
  readonly keepalive?: Duration.Duration
  /** See {@link Connections.Options}. */
  readonly maxConnectionAge?: Duration.Duration | undefined
  readonly maxConnectionAgeGrace?: Duration.Duration | undefined
}

/** Listens until the scope closes, and yields the port in use. */
export const serve = (options: Options): Effect.Effect<number, BindFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const calls = yield* Scope.make()
    const bridge = yield* Scope.extend(Bridge.make, calls)
    const health = Health.make(["", Proto.serviceName])
    const requestBytes = RequestBytes.make({ most: options.maxBytesInFlight, mostOfOne: options.maxMessageBytes })
    const authentication = Authenticate.make(bridge, { requestBytes, ...options })
    const server = new Grpc.Server({
      interceptors: [authentication.interceptor],
      "grpc.max_receive_message_length": options.maxMessageBytes,
      "grpc.max_concurrent_streams": options.maxStreamsPerConnection
    })
    server.addService(Proto.service, ProxyService.handlers(bridge, options.proxy, options.heartbeat))
    health.addTo(server)
    reflection.addToServer(server)

    const address = `${options.host.includes(":") ? `[${options.host}]` : options.host}:${options.port}`
    const refusals = RefusedConnections.make((report) => bridge.fork(report))
    const listening = Effect.map(listen(server, address, options.credentials), (port) => {
      const keepalive = options.keepalive ?? Duration.minutes(1)
      const connections = Connections.watch(server, {
        // Node keeps a connection that broke HTTP/2's rules for ever, also when its client is gone: anybody could use
        // up the process's sockets. The same ends the calls of clients that the network has lost.
        keepalive,
        keepaliveTimeout: Duration.min(keepalive, Duration.seconds(20)),
        maxAge: options.maxConnectionAge,
        maxAgeGrace: options.maxConnectionAgeGrace,
        cut: (peer) => authentication.cut(peer, new ShuttingDown()),
        refused: refusals.note
      })
      return { port, connections }
    })
    const { port } = yield* Effect.acquireRelease(listening, ({ connections }) =>
      Effect.gen(function*() {
        health.set("NOT_SERVING")
        const hurried = options.hurried ?? Effect.never
        const lameDuck = options.lameDuck ?? Duration.zero
        if (!Duration.equals(lameDuck, Duration.zero)) {
          yield* connections.retireIdle
          yield* within(hurried, lameDuck)
        }
        yield* connections.retireAll
        health.end()
        yield* within(Effect.raceFirst(connections.settled(bridge.idle), hurried), options.drain)
        yield* Scope.close(calls, Exit.void)
        // What the interrupted calls still have to say needs a moment to leave.
        yield* within(connections.gone, farewell)
        server.forceShutdown()
      }))
    yield* Effect.forkScoped(refusals.report)
    yield* Effect.forkScoped(authentication.watch)
    return port
  })

// -- internals ---------------------------------------------------------------

const reflection = new ReflectionService(Descriptors.definition)

const farewell = Duration.seconds(1)

// grpc-js would print a second, rawer line of its own for every failure that is reported here.
Grpc.setLogVerbosity(Grpc.logVerbosity.NONE)

const listen = (server: Grpc.Server, address: string, credentials: Grpc.ServerCredentials) =>
  Effect.async<number, BindFailed>((resume) =>
    server.bindAsync(address, credentials, (cause, port) =>
      resume(
        cause === null
          ? Effect.succeed(port)
          : new BindFailed({ address, code: /\bE[A-Z]{4,}\b/.exec(cause.message)?.[0] ?? cause.message })
      ))
  )

/** A finalizer is uninterruptible, so a timeout inside one must be made interruptible to take effect. */
const within = <A>(effect: Effect.Effect<A>, limit: Duration.DurationInput) =>
  Effect.timeoutOption(Effect.interruptible(effect), limit)

const bindFacts: { readonly [code: string]: { readonly summary: string; readonly remedy: string } } = {
  EADDRINUSE: {
    summary: "another program is using it",
    remedy: "Stop that program, or choose another port with --port."
  },
  EACCES: {
    summary: "this user may not use it",
    remedy: "Choose a port above 1023 with --port, or give the program the right to use it."
  },
  EADDRNOTAVAIL: {
    summary: "this machine does not have that address",
    remedy: "Choose one of its own addresses with --host, or 0.0.0.0 for all of them."
  },
  ENOTFOUND: {
    summary: "the host name does not resolve",
    remedy: "Choose an address of this machine with --host."
  }
}
