/**
 * Calls that were let in, for as long as they run: a caller that is trusted no
 * longer has them ended.
 */
import * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import type { Call } from "../call/Call.js"
import type { ProxyError } from "../domain/Errors.js"

/**
 * The metadata that a handler gets in the place of the client's: grpc-js hands from the interceptors to the handler what
 * the interceptors gave it, and nothing else.
 */
export class Admitted extends Grpc.Metadata {
  constructor(readonly call: Call) {
    super()
  }
}

/** Undefined for a call that no interceptor let in. */
export const callOf = (metadata: Grpc.Metadata): Call | undefined =>
  metadata instanceof Admitted ? metadata.call : undefined

export interface Running {
  readonly add: (call: Call) => void
  readonly remove: (call: Call) => void
  /** Ends the calls whose caller is trusted no longer, and yields them. */
  readonly recheck: Effect.Effect<ReadonlyArray<Call>>
  /** Ends the calls of one connection. */
  readonly cut: (peer: string, error: ProxyError) => void
}

/** The calls of one server. */
export const running = (): Running => {
  const calls = new Set<Call>()
  return {
    add: (call) => void calls.add(call),
    remove: (call) => void calls.delete(call),
    cut: (peer, error) => {
      for (const call of calls) if (call.face.peer === peer) call.end(error)
    },
    recheck: Effect.suspend(() =>
      Effect.filter([...calls], (call) =>
        Effect.match(Effect.suspend(call.face.recheck), {
          onSuccess: () => false,
          onFailure: (error) => {
            calls.delete(call)
            call.end(error)
            return true
          }
        }).pipe(
          // One call that cannot be ended must not save the others.
          Effect.catchAllCause((cause) => Effect.as(Effect.logError("a call could not be ended", cause), false))
        ))
    )
  }
}
