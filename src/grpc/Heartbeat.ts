/**
 * Signs of life on a stream that has nothing else to say, so that a model that
 * thinks for long does not look dead.
 */
import { Clock, Duration, Effect, type Scope } from "effect"
import type { Heartbeat } from "../domain/Answer.js"
import type { Write } from "./Bridge.js"

/**
 * Writes like `write`, and whenever it was silent for `every`, writes what `message` makes of a heartbeat. A client
 * that does not read gets none. Stops with the scope.
 */
export const beating = <Message>(
  write: Write<Message>,
  every: Duration.Duration,
  message: (heartbeat: Heartbeat) => Message
): Effect.Effect<Write<Message>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const interval = Duration.toMillis(every)
    const startedAt = yield* Clock.currentTimeMillis
    let writing = false
    let last = startedAt

    const watched: Write<Message> = (message) =>
      Effect.suspend(() => {
        writing = true
        return Effect.flatMap(write(message), () => Clock.currentTimeMillis)
      }).pipe(Effect.map((now) => {
        writing = false
        last = now
      }))

    const beat = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const silent = now - last
      if (writing) return Effect.sleep(interval)
      if (silent < interval) return Effect.sleep(interval - silent)
      return watched(message({ _tag: "Heartbeat", elapsedMs: now - startedAt }))
    })
    yield* Effect.forkScoped(Effect.forever(beat))
    return watched
  })
