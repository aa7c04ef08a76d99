/**
 * Who is calling: settled from the metadata, before the request is read.
 *
 * Every method of the server passes through here, whichever package it comes
 * from; only health checks need no token. A handler gets the {@link Call} of a
 * call that passed, and of no other.
 */
import * as Grpc from "@grpc/grpc-js"
import { type Cause, Effect, Exit, Stream, type Tracer } from "effect"
import type { Audit } from "../audit/Audit.js"
import { Call } from "../call/Call.js"
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
    let left = false
    let admitted: Call | undefined
    return new Grpc.ServerInterceptingCall(call, {
      start: (listen) =>
        listen({
          onReceiveMetadata: (metadata, next) => {
            const told = { rpc, peer }
            const span = watch.begin(metadata)
            const arrivedAt = CallTimes.now(bridge.clock)
            const admit = ({ caller, holder, recheck }: Identify.Identified): Call => {
              const { clock, deadlines, log, tracing } = bridge
              const made = new Call(Object.assign(caller, { arrivedAt }), {
                rpc,
                peer,
                clock,
                span,
                isTracing: tracing.active,
                isDebugging: log.isDebugging,
                recheck,
                deadlines
              })
              made.onStop((error) => call.sendStatus(Status.fromError(error)))
              admitted = made
              if (!left) running.add(made)
              if (holder !== undefined) Metrics.authentications.unsafe(["accepted"])
              return made
            }
            const pass = (made: Call) => faults.admit() || next(new Admission.Admitted(made))
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
                  const made = admit(identified)
                  return identified.holder === undefined ? Exit.succeed(made) : mapEager(
                    audit.record({ event: "token_accepted", ...identified.holder, ...told }, moment),
                    () => made
                  )
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
              onSuccess: (settled) => {
                if (settled instanceof Call) pass(settled)
                else call.sendStatus(Status.fromError(settled))
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
        (call) => {
          const { peer, rpc } = call.face
          return audit.record({ event: "stream_cut", ...Identify.holderOf(call), rpc, peer })
        },
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
