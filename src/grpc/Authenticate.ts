/**
 * Who is calling: settled from the metadata, before the request is read.
 *
 * Every method of the server passes through here, whichever package it comes
 * from; only health checks need no token. A handler learns its caller with
 * {@link callerOf}, which knows only calls that passed.
 */
import * as Grpc from "@grpc/grpc-js"
import { type Cause, Effect, Exit, Stream, type Tracer } from "effect"
import type { Audit } from "../audit/Audit.js"
import * as Claims from "../auth/Claims.js"
import type { Caller } from "../domain/Answer.js"
import type { ProxyError, Unauthenticated } from "../domain/Errors.js"
import { mapEager, matchCauseEffectEager, matchEffectEager, suspendEager } from "../effect/Eager.js"
import * as CallTimes from "../proxy/CallTimes.js"
import * as Metrics from "../telemetry/Metrics.js"
import * as Admission from "./Admission.js"
import { type Bridge, methodOf } from "./Bridge.js"
import * as FrameFaults from "./FrameFaults.js"
import * as Identify from "./Identify.js"
import * as PeerCertificate from "./PeerCertificate.js"
import * as Refusals from "./Refusals.js"
import type { RequestBytes } from "./RequestBytes.js"
import * as Status from "./Status.js"

export interface Options extends Identify.Options {
  readonly audit: Audit["Type"]
  readonly requestBytes: RequestBytes
}

export interface Authentication {
  readonly interceptor: Grpc.ServerInterceptor
  /** Ends the calls of callers that are trusted no longer; runs as long as the server. */
  readonly watch: Effect.Effect<unknown>
  /** Ends the calls of one connection. */
  readonly cut: Admission.Running["cut"]
}

export const make = (bridge: Bridge, options: Options): Authentication => {
  const running = Admission.running()
  const refusals = Refusals.make(options.audit)
  const { audit, clientIdentity } = options
  const certificateOf = (call: Grpc.ServerInterceptingCallInterface) =>
    clientIdentity === "none" ? undefined : PeerCertificate.nameOf(call)

  const refused = (rpc: string, peer: string, outcome: string) =>
    Effect.logInfo("call refused").pipe(
      Effect.annotateLogs({ rpc, peer, outcome }),
      Effect.zipRight(Metrics.calls([methodOf(rpc), outcome]))
    )

  const interceptor: Grpc.ServerInterceptor = ({ path: rpc }, call) => {
    // Later the connection may be gone, and its address with it.
    const peer = call.getPeer()
    const watch = rpc.startsWith(healthPrefix) ? undefined : bridge.tracing.watch(rpc, call)
    options.requestBytes.watch(call, rpc)
    const faults = FrameFaults.mend(call, (outcome) => bridge.fork(refused(rpc, peer, outcome)))
    if (watch === undefined) {
      faults.admit()
      return new Grpc.ServerInterceptingCall(call)
    }
    let [left, admitted] = [false, undefined as Grpc.Metadata | undefined]
    return new Grpc.ServerInterceptingCall(call, {
      start: (listen) =>
        listen({
          onReceiveMetadata: (metadata, next) => {
            const told = { rpc, peer }
            const span = watch.begin(metadata)
            const arrivedAt = CallTimes.now(bridge.clock)
            const admit = ({ caller, holder, recheck }: Identify.Identified) => {
              const cut = (error: ProxyError) => call.sendStatus(Status.fromError(error))
              admitted = metadata
              running.add(metadata, { caller: { arrivedAt, ...caller }, rpc, peer, span, recheck, cut })
              if (left) running.remove(metadata)
              if (holder !== undefined) Metrics.authentications.unsafe(["accepted"])
            }
            const pass = () => faults.admit() || next(metadata)
            // Whatever goes wrong here, nobody is let in, and nobody is left waiting.
            const failed = (cause: Cause.Cause<never>) =>
              Effect.logError("call failed by a defect", cause).pipe(
                Effect.annotateLogs({ rpc, peer, outcome: "INTERNAL" }),
                Effect.zipRight(Metrics.calls([methodOf(rpc), "INTERNAL"])),
                Effect.zipRight(Effect.sync(() => call.sendStatus(Status.fromCause(cause).status)))
              )
            const settled = suspendEager(() => {
              const moment = { at: bridge.clock.unsafeCurrentTimeMillis() }
              const identifying = () => Identify.identify(metadata, certificateOf(call), options, moment)
              return matchEffectEager(inSpan(identifying, span), {
                onSuccess: (identified) => {
                  admit(identified)
                  return identified.holder === undefined
                    ? Exit.void
                    : audit.record({ event: "token_accepted", ...identified.holder, ...told }, moment)
                },
                onFailure: ({ error, holder }) => {
                  const refusal = Identify.refusalOf(error)
                  return refusals.record({
                    event: "token_refused",
                    refusal,
                    reason: error.reason,
                    ...error._tag === "Unauthenticated" && error.claim !== undefined ? { claim: error.claim } : {},
                    ...holder,
                    ...told
                  }).pipe(
                    Effect.zipRight(Metrics.authentications([refusal])),
                    Effect.zipRight(refused(rpc, peer, error.reason)),
                    Effect.as(error)
                  )
                }
              })
            })
            bridge.run(matchCauseEffectEager(settled, {
              onFailure: failed,
              onSuccess: (error) => {
                if (error === undefined) pass()
                else call.sendStatus(Status.fromError(error))
                return Exit.void
              }
            }))
          },
          onCancel: () => {
            left = true
            watch.left()
            if (admitted !== undefined) running.remove(admitted)
          }
        })
    })
  }

  const sweep = Effect.flatMap(
    running.recheck,
    (cut) =>
      Effect.forEach(
        cut,
        ({ caller, peer, rpc }) => audit.record({ event: "stream_cut", ...Identify.holderOf(caller), rpc, peer }),
        { discard: true }
      )
  )

  // A change that nobody listened to yet is noticed at the next tick.
  const ticking = Effect.forever(Effect.delay(Effect.zipRight(sweep, refusals.flush), "1 second"))
  const changes = options.tokens === undefined ? Effect.void : Stream.runForEach(options.tokens.changes, () => sweep)
  return {
    interceptor,
    cut: running.cut,
    watch: Effect.ensuring(Effect.zip(ticking, changes, { concurrent: true }), refusals.flush)
  }
}

/** The caller of a call that passed the interceptor, and is trusted still. */
export const callerOf = (metadata: Grpc.Metadata): Effect.Effect<Caller, Unauthenticated> => {
  const admitted = Admission.of(metadata)
  return admitted === undefined
    ? Exit.fail(Claims.refused("no_token"))
    : mapEager(admitted.recheck(), () => admitted.caller)
}

// -- internals ---------------------------------------------------------------

const healthPrefix = "/grpc.health.v1.Health/"

/** In a span of its own, where the call has one. Who is refused made the mistake: the span has not failed. */
const inSpan = (
  identify: () => Effect.Effect<Identify.Identified, Identify.NotIdentified>,
  parent: Tracer.AnySpan | undefined
): ReturnType<typeof identify> =>
  parent?._tag !== "Span" ? identify() : Effect.suspend(identify).pipe(
    Effect.tapError(({ error }) => Effect.annotateCurrentSpan("vibectl.refusal", Identify.refusalOf(error))),
    Effect.exit,
    Effect.withSpan("authenticate", { parent, captureStackTrace: false }),
    Effect.flatten
  )
