/**
 * The name of a call in logs and on every chunk of its answer.
 */
import { Effect, Random } from "effect"
import { InvalidRequest } from "../domain/Errors.js"

/** The client's own name for the call, or a fresh UUID when it gave none. */
export const settle = (given: string): Effect.Effect<string, InvalidRequest> => {
  if (given === "") return make
  return acceptable.test(given) ? Effect.succeed(given) : new InvalidRequest({
    reason: "INVALID_REQUEST",
    field: "request_id",
    summary: "request_id is longer than 128 characters or holds characters that are not printable ASCII.",
    remedy: "Send a shorter one, or none: the server then makes a UUID."
  })
}

/** A random UUID, version 4 (RFC 9562, section 5.4). */
export const make: Effect.Effect<string> = Effect.map(
  Effect.replicateEffect(Random.nextIntBetween(0, 0x1_0000), 8),
  (words) => {
    const hex = words.map((word, index) => {
      if (index === 3) return 0x4000 | (word & 0x0fff)
      return index === 4 ? 0x8000 | (word & 0x3fff) : word
    }).map((word) => word.toString(16).padStart(4, "0"))
    return `${hex[0]}${hex[1]}-${hex[2]}-${hex[3]}-${hex[4]}-${hex[5]}${hex[6]}${hex[7]}`
  }
)

// -- internals ---------------------------------------------------------------

/** It is echoed to the client and written to logs. */
const acceptable = /^[\x20-\x7e]{1,128}$/
