/**
 * Effect programs as `@grpc/grpc-js` handlers; besides the two `main.ts` the
 * only module that starts fibers.
 *
 * Promises to the transport: one fiber per call; a slow client slows the
 * answer; a client that leaves interrupts its call's fiber; a handler that
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
  Scheduler,
  Scope
} from "effect"
import type { ProxyError } from "../domain/Errors.js"
import * as Deadlines from "../proxy/Deadlines.js"
import type * as LogLine from "../telemetry/LogLine.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Admission from "./Admission.js"
import * as CallLog from "./CallLog.js"
import * as CallScheduler from "./CallScheduler.js"
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
  readonly fork: <A>(effect: Effect.Effect<A>) => { readonly interrupt: () => void }
  /** Starts a fiber only for what is not over already. */
  readonly run: (effect: Effect.Effect<unknown>) => void
  /** Completes when no call runs. */
  readonly idle: Effect.Effect<void>
}

export const make: Effect.Effect<Bridge, never, Scope.Scope> = Effect.gen(function*() {
  const fibers = yield* FiberSet.make()
  const tracing = yield* CallSpan.make
  const deadlines = yield* Deadlines.make
  const fork = yield* FiberSet.runtime(fibers)().pipe(
    // Spans that nobody sees are not made, and fibers that nobody asks for not counted.
    tracing.active ? identity : Effect.withTracerEnabled(false),
    Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.disable(RuntimeFlags.RuntimeMetrics)),
    Effect.withScheduler(yield* scheduler),
    // All that a call needs was given to the layers: it has no services to copy when it adds its own.
    Effect.mapInputContext((_: Context.Context<never>) => Context.empty())
  )
  const start: Bridge["fork"] = (effect) => {
    const fiber = fork(effect)
    return { interrupt: () => fiber.unsafeInterruptAsFork(FiberId.none) }
  }
  return {
    tracing,
    deadlines,
    clock: yield* Effect.clock,
    log: yield* CallLog.make,
    fork: start,
    run: (effect) => {
      if (!Exit.isExit(effect) || Exit.isFailure(effect)) start(effect)
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
  /** Ends the call now, with this error. */
  readonly cut: (error: ProxyError) => void
  /** What is to be done when the call ends. */
  readonly closing: Deadlines.Closing
}

/** A call as the bridge runs it: what to do, and how to speak of it in the log. */
export interface Call<A> {
  readonly run: Effect.Effect<A, ProxyError, Scope.Scope>
  readonly annotations: CallLog.Annotations
  /** What else the line that ends the call says. */
  readonly summary?: () => LogLine.Values
}

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
  start(bridge, call, (incoming) => handler(call.request, incoming), answer)
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
  handler: (request: Request, incoming: Incoming, out: Outgoing<Response>) => Effect.Effect<Call<void>, ProxyError>,
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
  const end = (exit: Exit.Exit<void, ProxyError>, annotations: CallLog.Annotations) => {
    if (finished) return
    if (Exit.isSuccess(exit)) return call.end()
    const { error, status } = Status.fromCause(exit.cause)
    if (error !== undefined) call.write(inBand(annotations["requestId"] ?? "", error))
    // grpc-js sends what was written first, then this status.
    call.emit("error", status)
  }
  start(bridge, call, (incoming) => handler(call.request, incoming, out), end, () => finished)
}

// -- internals ---------------------------------------------------------------

/** That of the program, where it has chosen one. */
const scheduler: Effect.Effect<Scheduler.Scheduler> = Effect.withFiberRuntime(({ currentScheduler }) =>
  Effect.succeed(currentScheduler === Scheduler.defaultScheduler ? CallScheduler.make() : currentScheduler)
)

const start = <A>(
  bridge: Bridge,
  call: Grpc.ServerUnaryCall<unknown, unknown> | Grpc.ServerWritableStream<unknown, unknown>,
  handler: (incoming: Incoming) => Effect.Effect<Call<A>, ProxyError>,
  end: (exit: Exit.Exit<A, ProxyError>, annotations: CallLog.Annotations) => void,
  finished: () => boolean = () => false
): void => {
  const path = call.getPath()
  const peer = call.getPeer()
  const admitted = Admission.of(call.metadata)
  const span = admitted?.span
  let annotations: CallLog.Annotations = { rpc: path, peer, ...span && { traceId: span.traceId } }
  let summary: Call<A>["summary"]
  let startedAt = 0
  let because: ProxyError | undefined
  let over = false
  const interrupt = (): void => fiber.interrupt()
  const cut = (error: ProxyError): void => {
    because ??= error
    interrupt()
  }
  const method = methodOf(path)
  const now = () => bridge.clock.unsafeCurrentTimeMillis()
  const closing: Deadlines.Closing = []
  const work = (scope: Scope.Scope) =>
    Effect.flatMap(
      handler({ path, peer, metadata: call.metadata, deadline: Number(call.getDeadline()), cut, closing }),
      (made) => {
        annotations = Object.assign({}, annotations, made.annotations)
        summary = made.summary
        const requestId = made.annotations["requestId"]
        if (span?._tag === "Span" && requestId !== undefined) span.attribute("vibectl.request_id", requestId)
        const begun = bridge.log.begin(scope, annotations)
        return Effect.zipRight(begun, made.run as Effect.Effect<A, ProxyError>)
      }
    )
  const conclude = (interrupted: Exit.Exit<A, ProxyError>) => {
    over = true
    for (const close of closing) close()
    // What is left of the call, Node and V8 keep for a while: not what it was, too.
    call.off("cancelled", interrupt)
    if (admitted !== undefined) admitted.cut = nothing
    const exit = because === undefined || Exit.isSuccess(interrupted) ? interrupted : Exit.fail(because)
    const left = call.cancelled
    if (!left) end(exit, annotations)
    // A timer may be early by the fraction of a millisecond that it cannot count.
    const gone = !left ? undefined : now() + 1 >= Number(call.getDeadline()) ? "DEADLINE_EXCEEDED" : "CANCELLED"
    const outcome = outcomeOf(exit, gone, finished())
    Metrics.running.unsafe([method], -1)
    Metrics.calls.unsafe([method, outcome.name])
    const ended = { durationMs: now() - startedAt, outcome: outcome.name }
    const told: LogLine.Values = Object.assign({}, annotations, summary?.(), ended)
    return outcome.name === "INTERNAL"
      ? Effect.annotateLogs(Effect.logError("call failed by a defect", outcome.cause), told)
      : bridge.log.line("call ended", outcome.detail === undefined ? told : { detail: outcome.detail, ...told })
  }
  // Here once for the whole call, instead of at each of its steps: its scope, its interruptible part, and its end.
  const program = Effect.uninterruptible(Effect.flatMap(Scope.make(), (scope) => {
    startedAt = now()
    Metrics.running.unsafe([method], 1)
    const worked = Effect.exit(Effect.interruptible(Effect.suspend(() => work(scope))))
    const closed = Effect.flatMap(worked, (exit) =>
      Effect.matchCause(Scope.close(scope, exit), {
        onSuccess: () => exit,
        onFailure: (cause) => Exit.zipLeft(exit, Exit.failCause(cause))
      }))
    return Effect.flatMap(span === undefined ? closed : Effect.withParentSpan(closed, span), conclude)
  }))
  const fiber = bridge.fork(program)
  if (over) return
  if (admitted !== undefined) admitted.cut = cut
  if (call.cancelled) interrupt()
  else call.on("cancelled", interrupt)
}

const nothing = (): void => undefined

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
