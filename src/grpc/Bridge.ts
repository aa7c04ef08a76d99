/**
 * Effect programs as `@grpc/grpc-js` handlers; besides the two `main.ts` the
 * only module that starts fibers.
 *
 * Promises to the transport: one fiber per call, and none for a call that is
 * answered without waiting; a slow client slows the answer; a client that leaves interrupts its call's fiber; a handler that
 * throws is contained; and every call ends with exactly one status. Closing
 * the scope interrupts the calls still running; they end with `SHUTTING_DOWN`.
 * So does a caller that is trusted no longer, with the error that says so.
 */
import type * as Grpc from "@grpc/grpc-js"
import {
  Cause,
  type Clock,
  Context,
  Effect,
  Exit,
  FiberId,
  FiberSet,
  identity,
  RuntimeFlags,
  RuntimeFlagsPatch,
  type Scope
} from "effect"
import * as Claims from "../auth/Claims.js"
import type { Call } from "../call/Call.js"
import * as Deadlines from "../call/Deadlines.js"
import type { ProxyError } from "../domain/Errors.js"
import { flatMapEager, isExit, matchCauseEffectEager, suspendEager } from "../effect/Eager.js"
import type * as LogLine from "../telemetry/LogLine.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Admission from "./Admission.js"
import * as CallLog from "./CallLog.js"
import * as CallSpan from "./CallSpan.js"
import * as Status from "./Status.js"

/** The last part of `/package.Service/Method`. */
export const methodOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** Starts and owns the fibers of one server. */
export interface Bridge {
  readonly tracing: CallSpan.Tracing
  readonly deadlines: Deadlines.Deadlines
  readonly clock: Clock.Clock
  readonly log: CallLog.CallLog
  /** Starts a fiber; what it returns interrupts it. */
  readonly fork: (effect: Effect.Effect<unknown>) => () => void
  /** Starts a fiber only for what is not over already. */
  readonly run: (effect: Effect.Effect<unknown>) => void
  /** Completes when no call runs. */
  readonly idle: Effect.Effect<void>
}

export const make: Effect.Effect<Bridge, never, Scope.Scope> = Effect.gen(function*() {
  const fibers = yield* FiberSet.make()
  const tracing = yield* CallSpan.make
  const clock = yield* Effect.clock
  const start = yield* FiberSet.runtime(fibers)().pipe(
    // Spans that nobody sees are not made, and fibers that nobody asks for not counted.
    tracing.active ? identity : Effect.withTracerEnabled(false),
    Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.disable(RuntimeFlags.RuntimeMetrics)),
    // All that a call needs was given to the layers.
    Effect.mapInputContext((_: Context.Context<never>) => Context.empty())
  )
  const fork: Bridge["fork"] = (effect) => {
    const fiber = start(effect)
    return () => fiber.unsafeInterruptAsFork(FiberId.none)
  }
  return {
    tracing,
    deadlines: Deadlines.make(clock, fork),
    clock,
    log: yield* CallLog.make,
    fork,
    run: (effect) => {
      if (!isExit(effect) || Exit.isFailure(effect)) fork(effect)
    },
    idle: FiberSet.awaitEmpty(fibers)
  }
})

/** A handler that answers with one message. */
export const unary = <Request, Response>(
  bridge: Bridge,
  handler: (request: Request, call: Call) => Effect.Effect<Response, ProxyError>
): Grpc.handleUnaryCall<Request, Response> =>
(call, respond) => {
  const answer = (exit: Exit.Exit<Response, ProxyError>) => {
    if (Exit.isSuccess(exit)) respond(null, exit.value)
    else respond(Status.fromCause(exit.cause).status)
  }
  start(bridge, call, handler, answer)
}

/** Where a streaming handler puts its messages. */
export interface Outgoing<Response> {
  /** Waits while the client is slow. */
  readonly write: Write<Response>
  /**
   * The last messages and the status OK, in one step that nothing can come between: a call whose answer is complete
   * does not fail any more. The handler must end after it.
   */
  readonly finish: (...messages: ReadonlyArray<Response>) => Effect.Effect<void>
}

export type Write<Response> = (message: Response) => Effect.Effect<void>

/**
 * A handler that answers with a stream of messages. `inBand` is the last message of a call that fails; its
 * request id is empty when the call failed before it had one.
 */
export const serverStream = <Request, Response>(
  bridge: Bridge,
  handler: (request: Request, call: Call, out: Outgoing<Response>) => Effect.Effect<void, ProxyError>,
  inBand: (requestId: string, error: ProxyError) => Response
): Grpc.handleServerStreamingCall<Request, Response> =>
(call) => {
  let finished = false
  const out: Outgoing<Response> = {
    // A sign of life that was due in the moment of the end is not written after it.
    write: (message) => Effect.suspend(() => finished ? Effect.void : write(call, message)),
    finish: (...messages) =>
      Effect.sync(() => {
        for (const message of messages) call.write(message)
        call.end()
        finished = true
      })
  }
  const end = (exit: Exit.Exit<void, ProxyError>, requestId: string) => {
    if (finished) return
    if (Exit.isSuccess(exit)) return call.end()
    const { error, status } = Status.fromCause(exit.cause)
    if (error !== undefined) call.write(inBand(requestId, error))
    // grpc-js sends what was written first, then this status.
    call.emit("error", status)
  }
  start(bridge, call, (request: Request, own) => handler(request, own, out), end, () => finished)
}

// -- internals ---------------------------------------------------------------

const start = <Request, A>(
  bridge: Bridge,
  incoming: Grpc.ServerUnaryCall<Request, unknown> | Grpc.ServerWritableStream<Request, unknown>,
  handler: (request: Request, call: Call) => Effect.Effect<A, ProxyError>,
  end: (exit: Exit.Exit<A, ProxyError>, requestId: string) => void,
  finished: () => boolean = () => false
): void => {
  const call = Admission.callOf(incoming.metadata)
  if (call === undefined) return end(Exit.fail(Claims.refused("no_token")), "")
  const { rpc, span } = call.face
  const method = methodOf(rpc)
  const startedAt = call.now()
  let because: ProxyError | undefined
  call.deadline = Number(incoming.getDeadline())
  Metrics.running.unsafe([method], 1)

  const conclude = (interrupted: Exit.Exit<A, ProxyError>): Effect.Effect<void> => {
    const exit = because === undefined || Exit.isSuccess(interrupted) ? interrupted : Exit.fail(because)
    const left = incoming.cancelled
    if (!left) end(exit, call.requestId)
    // A timer may be early by the fraction of a millisecond that it cannot count.
    const gone = !left ? undefined : call.now() + 1 >= call.deadline ? "DEADLINE_EXCEEDED" : "CANCELLED"
    const outcome = outcomeOf(exit, gone, finished())
    Metrics.running.unsafe([method], -1)
    Metrics.calls.unsafe([method, outcome.name])
    const ended = { durationMs: call.now() - startedAt, outcome: outcome.name }
    const values: LogLine.Values = Object.assign({}, annotationsOf(call), call.fields, ended)
    if (outcome.name === "INTERNAL") {
      return Effect.annotateLogs(Effect.logError("call failed by a defect", outcome.cause), values)
    }
    const detailed = outcome.detail === undefined ? values : { detail: outcome.detail, ...values }
    bridge.log.line("call ended", detailed)
    return Exit.void
  }
  const close = (exit: Exit.Exit<A, ProxyError>): Effect.Effect<void> =>
    matchCauseEffectEager(call.close(exit), {
      onSuccess: () => conclude(exit),
      onFailure: (cause) => conclude(Exit.zipLeft(exit, Exit.failCause(cause)))
    })

  const worked = suspendEager(() => flatMapEager(call.face.recheck(), () => handler(incoming.request, call)))
  if (isExit(worked)) return bridge.run(close(worked))
  // Here once for the whole call, instead of at each of its steps: its interruptible part, and its end.
  const annotated = Effect.zipRight(bridge.log.annotate(annotationsOf(call)), worked)
  let isOver = false
  const program = Effect.uninterruptible(Effect.flatMap(Effect.exit(Effect.interruptible(annotated)), (exit) => {
    isOver = true
    incoming.off("cancelled", cancel)
    return close(exit)
  }))
  // The fiber may be over before it can be interrupted.
  const cancel = () => interrupt()
  const interrupt = bridge.fork(span === undefined ? program : Effect.withParentSpan(program, span))
  if (isOver) return
  call.onStop((error) => {
    because ??= error
    interrupt()
  })
  if (incoming.cancelled) interrupt()
  else incoming.on("cancelled", cancel)
}

/** Added to every line of the call's log. */
const annotationsOf = ({ face: { peer, rpc, span }, requestId, subject }: Call): CallLog.Annotations =>
  Object.assign(
    { rpc, peer },
    span && { traceId: span.traceId },
    { subject },
    requestId === "" ? undefined : { requestId }
  )

type Outcome =
  | { readonly name: "OK" | "CANCELLED" | "DEADLINE_EXCEEDED" | ProxyError["reason"]; readonly detail?: string }
  | { readonly name: "INTERNAL"; readonly cause: Cause.Cause<ProxyError> }

/** `gone` is how the client left; `finished` whether it has all of its answer. */
const outcomeOf = <A>(
  exit: Exit.Exit<A, ProxyError>,
  gone: "CANCELLED" | "DEADLINE_EXCEEDED" | undefined,
  finished: boolean
): Outcome => {
  if (Exit.isSuccess(exit) || finished) return { name: "OK" }
  if (Cause.isInterruptedOnly(exit.cause) && gone !== undefined) return { name: gone }
  const { error } = Status.fromCause(exit.cause)
  return error === undefined ? { name: "INTERNAL", cause: exit.cause } : { name: error.reason, detail: error.summary }
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
