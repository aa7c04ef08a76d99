/**
 * Effect programs as `@grpc/grpc-js` handlers; besides the two `main.ts` the
 * only module that starts fibers.
 *
 * Promises to the transport: one fiber per call; a slow client slows the
 * answer; a client that leaves interrupts its call's fiber; a handler that
 * throws is contained; and every call ends with exactly one status. Closing
 * the scope interrupts the calls still running; they end with `SHUTTING_DOWN`.
 */
import type * as Grpc from "@grpc/grpc-js"
import { Cause, Clock, Duration, Effect, Exit, FiberId, FiberSet, type Scope } from "effect"
import type { ProxyError } from "../domain/Errors.js"
import * as ProxyMetrics from "../proxy/ProxyMetrics.js"
import * as Status from "./Status.js"

/** The last part of `/package.Service/Method`. */
export const methodOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** Starts and owns the fibers of one server. */
export interface Bridge {
  readonly fork: <A>(effect: Effect.Effect<A>) => { readonly interrupt: () => void }
  /** Completes when no call runs. */
  readonly idle: Effect.Effect<void>
}

export const make: Effect.Effect<Bridge, never, Scope.Scope> = Effect.gen(function*() {
  const fibers = yield* FiberSet.make()
  const fork = yield* FiberSet.runtime(fibers)()
  return {
    fork: (effect) => {
      const fiber = fork(effect)
      return { interrupt: () => fiber.unsafeInterruptAsFork(FiberId.none) }
    },
    idle: FiberSet.awaitEmpty(fibers)
  }
})

/** What a handler may look at before it reads the request. */
export interface Incoming {
  /** `/package.Service/Method`. */
  readonly path: string
  /** Address of the client's end of the connection. */
  readonly peer: string
  readonly metadata: Grpc.Metadata
  /** Until when the client waits, in milliseconds since the epoch; Infinity when it did not say. */
  readonly deadline: number
}

/** A call as the bridge runs it: what to do, and how to speak of it in the log. */
export interface Call<A> {
  readonly run: Effect.Effect<A, ProxyError, Scope.Scope>
  readonly annotations: Annotations
  /** What else the line that ends the call says. */
  readonly summary?: () => { readonly [key: string]: string | number | boolean }
}

/** Added to every log line of the call; `requestId` once it is known. */
export type Annotations = { readonly [key: string]: string }

/** A handler that answers with one message. */
export const unary = <Request, Response>(
  bridge: Bridge,
  handler: (request: Request, incoming: Incoming) => Effect.Effect<Call<Response>, ProxyError>
): Grpc.handleUnaryCall<Request, Response> =>
(call, respond) => {
  const answer = (exit: Exit.Exit<Response, ProxyError>) => {
    if (Exit.isSuccess(exit)) respond(null, exit.value)
    else respond(Status.fromCause(exit.cause).status)
  }
  start(bridge, call, () => handler(call.request, incoming(call)), answer)
}

/** Where a streaming handler puts its messages; waits while the client is slow. */
export type Write<Response> = (message: Response) => Effect.Effect<void>

/**
 * A handler that answers with a stream of messages. `inBand` is the last message of a call that fails; its
 * request id is empty when the call failed before it had one.
 */
export const serverStream = <Request, Response>(
  bridge: Bridge,
  handler: (request: Request, incoming: Incoming, write: Write<Response>) => Effect.Effect<Call<void>, ProxyError>,
  inBand: (requestId: string, error: ProxyError) => Response
): Grpc.handleServerStreamingCall<Request, Response> =>
(call) => {
  const end = (exit: Exit.Exit<void, ProxyError>, annotations: Annotations) => {
    if (Exit.isSuccess(exit)) return call.end()
    const { error, status } = Status.fromCause(exit.cause)
    if (error !== undefined) call.write(inBand(annotations["requestId"] ?? "", error))
    // grpc-js sends what was written first, then this status.
    call.emit("error", status)
  }
  start(bridge, call, () => handler(call.request, incoming(call), (message) => write(call, message)), end)
}

// -- internals ---------------------------------------------------------------

const incoming = (
  call: Grpc.ServerUnaryCall<unknown, unknown> | Grpc.ServerWritableStream<unknown, unknown>
): Incoming => ({
  path: call.getPath(),
  peer: call.getPeer(),
  metadata: call.metadata,
  deadline: Number(call.getDeadline())
})

const start = <A>(
  bridge: Bridge,
  call: Grpc.ServerUnaryCall<unknown, unknown> | Grpc.ServerWritableStream<unknown, unknown>,
  handler: () => Effect.Effect<Call<A>, ProxyError>,
  end: (exit: Exit.Exit<A, ProxyError>, annotations: Annotations) => void
): void => {
  const path = call.getPath()
  let annotations: Annotations = { rpc: path, peer: call.getPeer() }
  let summary: Call<A>["summary"]
  const program = Effect.suspend(handler).pipe(
    Effect.flatMap((made) => {
      annotations = { ...annotations, ...made.annotations }
      summary = made.summary
      return Effect.annotateLogs(Effect.scoped(made.run), annotations)
    }),
    Effect.timed,
    Effect.onExit((exit) => {
      const left = call.cancelled
      if (!left) end(Exit.map(exit, ([, value]) => value), annotations)
      return Effect.flatMap(Clock.currentTimeMillis, (now) => {
        // A timer may be early by the fraction of a millisecond that it cannot count.
        const gone = !left ? undefined : now + 1 >= Number(call.getDeadline()) ? "DEADLINE_EXCEEDED" : "CANCELLED"
        return Effect.annotateLogs(report(path, exit, gone), { ...annotations, ...summary?.() })
      })
    }),
    Effect.exit
  )
  const fiber = bridge.fork(program)
  if (call.cancelled) fiber.interrupt()
  else call.on("cancelled", fiber.interrupt)
}

/** One line per call, and one count: how it ended. `gone` is how its client left. */
const report = <A>(
  path: string,
  exit: Exit.Exit<readonly [Duration.Duration, A], ProxyError>,
  gone: "CANCELLED" | "DEADLINE_EXCEEDED" | undefined
) => {
  const ended = (outcome: string, log: Effect.Effect<void>) =>
    Effect.zipRight(ProxyMetrics.calls(methodOf(path), outcome), Effect.annotateLogs(log, { outcome }))
  if (Exit.isSuccess(exit)) {
    const durationMs = Math.round(Duration.toMillis(exit.value[0]))
    return ended("OK", Effect.annotateLogs(Effect.logInfo("call ended"), { durationMs }))
  }
  if (Cause.isInterruptedOnly(exit.cause) && gone !== undefined) return ended(gone, Effect.logInfo("call ended"))
  const { error } = Status.fromCause(exit.cause)
  return error === undefined
    ? ended("INTERNAL", Effect.logError("call failed by a defect", exit.cause))
    : ended(error.reason, Effect.annotateLogs(Effect.logInfo("call ended"), { detail: error.summary }))
}

const write = <Response>(
  call: Grpc.ServerWritableStream<unknown, Response>,
  message: Response
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (call.write(message)) return Effect.void
    return Effect.async<void>((resume) => {
      const onDrain = () => resume(Effect.void)
      call.once("drain", onDrain)
      return Effect.sync(() => call.off("drain", onDrain))
    })
  })
