/**
 * The proxy client over gRPC.
 *
 * Every call has a deadline. A call that cannot have begun (there was no
 * connection, or the server's HTTP/2 refused the stream) is tried again; one that
 * may have begun is not, because the provider may already be charging for it.
 * Before its first call a connection asks for the server's version, once for all
 * calls that wait for it, and refuses a server that cannot work with this client.
 */
import {
  Deferred,
  Duration,
  Effect,
  Either,
  Exit,
  FiberId,
  Option,
  type Redacted,
  Schedule,
  type Scope,
  Stream
} from "effect"
import type { AnswerEvent, AnswerRequest } from "../domain/Answer.js"
import { CallFailed, type ClientError, Unreachable, VersionMismatch } from "../domain/ClientErrors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import type { ServerInfo } from "../domain/ServerInfo.js"
import * as Channel from "../grpc/Channel.js"
import * as GrpcJs from "../grpc/GrpcJs.js"
import * as Wire from "../grpc/Wire.js"
import * as RequestId from "../proxy/RequestId.js"
import type { Certificate } from "../tls/Certificate.js"
import * as Compatibility from "../versions/Compatibility.js"
import * as ClientEgress from "./ClientEgress.js"
import * as Diagnose from "./Diagnose.js"
import * as Gateway from "./Gateway.js"
import type { ClientRequest, ProxyClient } from "./ProxyClient.js"

export interface Options {
  /** Without brackets for IPv6. */
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** PEM of the CAs to trust; undefined means those that Node trusts. */
  readonly roots?: string | undefined
  /** For a server that asks its clients for one. */
  readonly clientCertificate?: Certificate | undefined
  readonly token?: Redacted.Redacted | undefined
  /** For a whole call, streams included. Default: 300 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
  /** For the question what the server is. Default: 10 seconds, or `timeout` when that is shorter. */
  readonly infoTimeout?: Duration.DurationInput | undefined
  /** Further attempts after the first. Default: 3. */
  readonly retryAttempts?: number | undefined
  /** Whether a stream says `Heartbeat` while nothing else is to be said. Default: false. */
  readonly heartbeats?: boolean | undefined
  /** Default: 30 seconds; see {@link Channel.Options}. */
  readonly keepaliveTime?: Duration.DurationInput | undefined
  /** Default: 10 seconds. */
  readonly keepaliveTimeout?: Duration.DurationInput | undefined
}

/** Connects on the first call; closing the scope closes the connection and cancels its calls. */
export const make = (options: Options): Effect.Effect<ProxyClient["Type"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const address = `${options.host.includes(":") ? `[${options.host}]` : options.host}:${options.port}`
    const timeout = Duration.decode(options.timeout ?? Duration.seconds(300))
    const infoTimeout = Duration.decode(options.infoTimeout ?? Duration.min(timeout, Duration.seconds(10)))
    const egress = yield* Effect.either(ClientEgress.find(options))
    const proxy = Either.getOrUndefined(egress)
    const usable = Either.isRight(egress)
      ? Effect.void
      : new Unreachable({ reason: "PROXY_FAILED", address, detail: egress.left.summary.replace(/\.$/, "") })
    const channel = yield* Channel.make({
      proxy,
      address,
      host: options.host,
      tls: options.tls,
      roots: options.roots,
      clientCertificate: options.clientCertificate,
      token: options.token,
      features: options.heartbeats === true ? ["start", "restart", "heartbeat"] : ["start", "restart"],
      keepaliveTime: Duration.decode(options.keepaliveTime ?? Duration.seconds(30)),
      keepaliveTimeout: Duration.decode(options.keepaliveTimeout ?? Duration.seconds(10))
    })
    const target = {
      host: options.host,
      port: options.port,
      tls: options.tls,
      roots: options.roots,
      clientCertificate: options.clientCertificate,
      proxy,
      address
    }
    const explain = explaining(target)
    const retried = retrying(options.retryAttempts ?? 3)

    const asked = channel.unary("GetServerInfo", {}, infoTimeout).pipe(
      Effect.catchAll(explain),
      retried(isWorthAsking),
      Effect.flatMap(decodeInfo),
      Effect.map(Wire.toServerInfo),
      Effect.tap(checkVersion),
      Effect.withSpan("ProxyClient.serverInfo", { kind: "client" })
    )

    const serverInfo = Effect.zipRight(usable, asked)

    const scope = yield* Effect.scope
    let checking: Deferred.Deferred<void, ClientError> | "done" | undefined
    /** One for all calls that wait for it; not ended by one of them that leaves, and made again after it failed. */
    const check = Effect.suspend(() => {
      if (checking === "done") return Effect.void
      if (checking !== undefined) return Deferred.await(checking)
      const shared = Deferred.unsafeMake<void, ClientError>(FiberId.none)
      checking = shared
      const end = (exit: Exit.Exit<void, ClientError>) =>
        Effect.suspend(() => {
          checking = Exit.isSuccess(exit) ? "done" : undefined
          return Deferred.done(shared, exit)
        })
      const asking = Effect.flatMap(Effect.exit(Effect.asVoid(serverInfo)), end)
      return Effect.zipRight(Effect.forkIn(asking, scope), Deferred.await(shared))
    })

    const execute = Effect.fn("ProxyClient.execute", { kind: "client" })(function*(request: ClientRequest) {
      yield* check
      const message = Wire.fromAnswerRequest(yield* complete(request))
      const answer = yield* channel.unary("Execute", message, timeout).pipe(
        Effect.catchAll(explain),
        retried(cannotHaveBegun)
      )
      const { error, success } = yield* decodeAnswer(answer)
      if (success !== undefined) return Wire.toAnswer(success)
      return yield* error === undefined ? incomplete : inBand(error)
    })

    /** Opens a stream up to its first event. Until then nothing was lost, so it may be tried again. */
    const open = (request: AnswerRequest) =>
      Effect.gen(function*() {
        const pull = yield* channel.serverStream("StreamExecute", Wire.fromAnswerRequest(request), timeout)
        const next: Next = Effect.flatMap(
          Effect.catchAll(pull, explain),
          Option.match({
            onNone: () => Effect.succeedNone,
            onSome: (message) =>
              Effect.flatMap(decodeChunk(message), (chunk): Next => {
                // The status that follows says more than the chunk; an older server follows it with OK.
                if (chunk.error !== undefined) return Effect.zipRight(pull, inBand(chunk.error))
                const event = Wire.toEvent(chunk)
                return Option.isSome(event) ? Effect.succeed(event) : next
              })
          })
        )
        return [yield* next, next] as const
      })

    const stream = (request: ClientRequest): Stream.Stream<AnswerEvent, ClientError> =>
      Stream.unwrapScoped(Effect.gen(function*() {
        yield* check
        const [first, next] = yield* retried(cannotHaveBegun)(open(yield* complete(request)))
        let completed = false
        let hasText = false
        const step = (taken: Option.Option<AnswerEvent>) =>
          Effect.gen(function*() {
            if (Option.isNone(taken)) return completed ? Option.none() : yield* incomplete
            completed ||= taken.value._tag === "Done"
            if (taken.value._tag === "Text") hasText = true
            else if (taken.value._tag === "Restart") hasText = false
            return Option.some([taken.value, hasText && !completed ? Effect.mapError(next, cutOff) : next] as const)
          })
        const start: Next = Effect.succeed(first)
        return Stream.unfoldEffect(start, (taken) => Effect.flatMap(taken, step))
      }))

    return { execute, stream, serverInfo }
  })

// -- internals ---------------------------------------------------------------

type Next = Effect.Effect<Option.Option<AnswerEvent>, ClientError>

const decodeInfo = Wire.decode(Wire.GetServerInfoResponse)
const decodeAnswer = Wire.decode(Wire.ExecuteResponse)
const decodeChunk = Wire.decode(Wire.StreamChunk)

const complete = (request: ClientRequest): Effect.Effect<AnswerRequest> =>
  Effect.map(request.requestId === undefined ? RequestId.make : Effect.succeed(request.requestId), (requestId) => ({
    requestId,
    model: request.model,
    system: request.system ?? [],
    user: request.user,
    responseSchema: request.responseSchema
  }))

const checkVersion = (info: ServerInfo): Effect.Effect<void, VersionMismatch> => {
  const verdict = Compatibility.compare(packageVersion, info.version)
  if (verdict._tag === "Compatible") return Effect.void
  if (verdict._tag === "Warning") return Effect.logWarning(verdict.message)
  if (Compatibility.speaksBaseContract(info.version, info.features)) {
    return Effect.logDebug("the server speaks the base contract only").pipe(
      Effect.annotateLogs({ serverVersion: info.version })
    )
  }
  const { remedy, summary } = verdict.error
  return new VersionMismatch({ summary, remedy })
}

/** A status without details did not come from a vibectl server's handler: look at the connection itself. */
const explaining = (target: Diagnose.Target) => (failure: CallFailed): Effect.Effect<never, ClientError> => {
  const gateway = Gateway.find(failure, target.address)
  if (gateway !== undefined) return gateway
  if (failure.reason === "UNAVAILABLE" && GrpcJs.findMadeUp(failure.summary) !== undefined) {
    // What the socket says now explains the failure, and decides nothing: the server may have died, or come up, meanwhile.
    return Effect.flatMap(Diagnose.diagnose(target), ({ address, detail, reason }) =>
      failure.begun === "no"
        ? new Unreachable({ address, begun: "no", ...reason === "CONNECTION_LOST" ? refused : { detail, reason } })
        : new Unreachable({
          address,
          begun: "maybe",
          ...isAway.has(reason) ? { reason: "CONNECTION_LOST", detail: undefined } : { detail, reason }
        }))
  }
  if (failure.unconnected === true) {
    return new Unreachable({ reason: "NO_ANSWER", address: target.address, detail: undefined })
  }
  return Effect.fail(failure)
}

/** No connection stood, and one can be made now: nothing listened when it was tried. */
const refused = { reason: "REFUSED", detail: "ECONNREFUSED" } as const

/** What a connection looks like whose server went away, before or after it had the request. */
const isAway: ReadonlySet<Unreachable["reason"]> = new Set([
  "REFUSED",
  "NAME_NOT_FOUND",
  "NO_ANSWER",
  "CONNECTION_LOST"
])

/** Only what cannot have begun is sent again, and only where a server may be there next time. */
const cannotHaveBegun = (error: ClientError): boolean =>
  error._tag === "Unreachable"
    ? error.begun === "no" && (error.reason === "REFUSED" || error.reason === "STREAM_RESET")
    : error._tag === "CallFailed" && error.begun === "no"

/** A question that costs nothing may be asked twice. */
const isWorthAsking = (error: ClientError): boolean =>
  cannotHaveBegun(error) ||
  error._tag === "Unreachable" && error.reason === "CONNECTION_LOST" ||
  error._tag === "CallFailed" && error.reason === "SHUTTING_DOWN"

const retrying =
  (attempts: number) =>
  (isWorthIt: (error: ClientError) => boolean) =>
  <A, E extends ClientError, R>(call: Effect.Effect<A, E, R>) =>
    Effect.retry(call, {
      schedule: Schedule.jittered(Schedule.exponential(Duration.millis(200))),
      times: attempts,
      while: isWorthIt
    })

/** What ends a stream after some of its text. */
const cutOff = (error: ClientError): ClientError => {
  const text = "the text received so far is incomplete"
  switch (error._tag) {
    case "Unreachable":
      return new Unreachable({ ...error, detail: error.detail === undefined ? text : `${error.detail}; ${text}` })
    case "CallFailed":
      return error.summary.includes("incomplete")
        ? error
        : new CallFailed({ ...error, summary: `${error.summary} T${text.slice(1)}.` })
    case "VersionMismatch":
      return error
  }
}

/** An error inside an OK answer, as older servers send it, and the first face of one on a stream. */
const inBand = (error: Wire.ExecuteError): Effect.Effect<never, CallFailed> =>
  new CallFailed({
    reason: error.error_code,
    status: "OK",
    summary: error.error_message,
    remedy: error.error_details ?? inBandAdvice[error.error_code] ?? "Look at the server's log.",
    retryAfter: undefined
  })

/** The deployed server's two codes. */
const inBandAdvice: { readonly [code: string]: string } = {
  NO_MODEL: "Name a model with --model; `vibectl setup-proxy test` lists what the server offers.",
  EXECUTION_FAILED: "Check the model name, or ask the operator to look at the server's log."
}

const incomplete = new CallFailed({
  reason: "STREAM_INTERRUPTED",
  status: "OK",
  summary: "The server ended its answer without saying that it was complete; the text received so far is incomplete.",
  remedy: "Send the request again.",
  retryAfter: undefined
})
