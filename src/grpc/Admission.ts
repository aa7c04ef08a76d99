/**
 * Calls that were let in, for as long as they run: a caller that is trusted no
 * longer has them ended.
 */
import type * as Grpc from "@grpc/grpc-js"
import { Effect, type Tracer } from "effect"
import type { Caller } from "../domain/Answer.js"
import type { ProxyError, Unauthenticated } from "../domain/Errors.js"

export interface Admitted {
  readonly caller: Caller
  /** `/package.Service/Method`. */
  readonly rpc: string
  readonly peer: string
  /** What the handler's spans belong to; undefined when nobody traces. */
  readonly span: Tracer.AnySpan | undefined
  /** Fails when the caller is trusted no longer. */
  readonly recheck: () => Effect.Effect<void, Unauthenticated>
  /** Ends the call now. Whoever runs the call puts a way of its own here, to say goodbye properly. */
  cut: (error: ProxyError) => void
}

/** The call with this metadata object, which grpc-js hands from the interceptors to the handler as it is. */
export const of = (metadata: Grpc.Metadata): Admitted | undefined => (metadata as Carrier)[admission]

export interface Running {
  readonly add: (metadata: Grpc.Metadata, admitted: Admitted) => void
  readonly remove: (metadata: Grpc.Metadata) => void
  /** Cuts the calls whose caller is trusted no longer, and yields them. */
  readonly recheck: Effect.Effect<ReadonlyArray<Admitted>>
  /** Ends the calls of one connection. */
  readonly cut: (peer: string, error: ProxyError) => void
}

/** The calls of one server. */
export const running = (): Running => {
  const calls = new Set<Admitted>()
  return {
    add: (metadata, admitted) => {
      const carrier: Carrier = metadata
      carrier[admission] = admitted
      calls.add(admitted)
    },
    remove: (metadata) => {
      const admitted = of(metadata)
      if (admitted !== undefined) calls.delete(admitted)
    },
    cut: (peer, error) => {
      for (const admitted of calls) if (admitted.peer === peer) admitted.cut(error)
    },
    recheck: Effect.suspend(() =>
      Effect.filter([...calls], (admitted) =>
        Effect.match(Effect.suspend(admitted.recheck), {
          onSuccess: () => false,
          onFailure: (error) => {
            calls.delete(admitted)
            admitted.cut(error)
            return true
          }
        }).pipe(
          // One call that cannot be ended must not save the others.
          Effect.catchAllCause((cause) => Effect.as(Effect.logError("a call could not be ended", cause), false))
        ))
    )
  }
}

// -- internals ---------------------------------------------------------------

/**
 * On the object itself: to a minor garbage collection, what an old WeakMap holds is alive, with the whole call that hangs
 * on it, which it would copy.
 */
const admission = Symbol("vibectl/grpc/Admission")

interface Carrier extends Grpc.Metadata {
  [admission]?: Admitted
}
