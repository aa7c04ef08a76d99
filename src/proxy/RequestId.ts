/**
 * The name of a call in logs and on every chunk of its answer.
 */
import { Effect, Exit } from "effect"
import { randomUUID } from "node:crypto"
import { InvalidRequest } from "../domain/Errors.js"

/** The client's own name for the call, or a fresh UUID when it gave none. */
export const settle = (given: string): Effect.Effect<string, InvalidRequest> => {
  if (given === "") return Exit.succeed(randomUUID())
  return acceptable.test(given) ? Exit.succeed(given) : Exit.fail(
    new InvalidRequest({
      reason: "INVALID_REQUEST",
      field: "request_id",
      summary: "request_id is longer than 128 characters or holds characters that are not printable ASCII.",
      remedy: "Send a shorter one, or none: the server then makes a UUID."
    })
  )
}

/** A random UUID, version 4 (RFC 9562, section 5.4). */
export const make: Effect.Effect<string> = Effect.randomWith((random) => {
  // As many as a number holds well.
  const bits = random.nextIntBetween(0, 2 ** 48)
  return Effect.flatMap(bits, (one) => Effect.flatMap(bits, (two) => Effect.map(bits, (three) => of(one, two, three))))
})

// -- internals ---------------------------------------------------------------

const of = (...numbers: ReadonlyArray<number>): string => {
  const hex = numbers.map((number) => number.toString(16).padStart(12, "0")).join("")
  const variant = (8 | Number.parseInt(hex.charAt(16), 16) & 3).toString(16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${
    hex.slice(20, 32)
  }`
}

/** It is echoed to the client and written to logs. */
const acceptable = /^[\x20-\x7e]{1,128}$/
