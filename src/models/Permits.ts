/**
 * At most so many calls to a provider at the same time; further ones wait in
 * line. A call holds its permit until its answer has ended, however it ends,
 * and one that is interrupted while it waits leaves the line.
 */
import { Effect } from "effect"
import type { Calls } from "./Endpoint.js"

/** `most` is 1 or more. */
export const limited = (most: number, calls: Calls): Calls => {
  const permits = Effect.unsafeMakeSemaphore(most)
  // Only the waiting may be interrupted: once the permit is taken, its way back is sure.
  const permit = Effect.uninterruptibleMask((restore) =>
    Effect.zipRight(restore(permits.take(1)), Effect.addFinalizer(() => permits.release(1)))
  )
  return {
    ...calls,
    complete: (request) => permits.withPermits(1)(calls.complete(request)),
    stream: (request) => Effect.zipRight(permit, calls.stream(request))
  }
}
