/**
 * Tokens of one key, and revocations that a test makes.
 */
import { Effect, Queue, Redacted, Stream } from "effect"
import * as Keyring from "../../src/auth/Keyring.js"
import * as Revocations from "../../src/auth/Revocations.js"
import * as SigningKey from "../../src/auth/SigningKey.js"
import * as Tokens from "../../src/auth/Tokens.js"
import * as Trust from "../../src/auth/Trust.js"

export const make = Effect.gen(function*() {
  const key = yield* SigningKey.make(Redacted.make("a secret of more than thirty-two bytes"), "this test")
  const changes = yield* Queue.unbounded<void>()
  let revocations = Revocations.none
  const tokens = Tokens.trusting({
    ...Trust.fixed(Keyring.ofKey(key)),
    revocations: () => revocations,
    changes: Stream.fromQueue(changes)
  })
  /** This subject from now on, and no other any more. */
  const refuse = (action: "revoke" | "block", subject: string) =>
    Effect.suspend(() => {
      const at = new Date().toISOString()
      revocations = Revocations.parse(JSON.stringify({ at, action, kind: "subject", id: subject }))
      return Queue.offer(changes, undefined)
    })
  return { tokens, refuse }
})
