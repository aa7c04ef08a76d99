import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import type { Event } from "../../src/audit/Event.js"
import * as Refusals from "../../src/grpc/Refusals.js"

const stage = () => {
  const written: Array<Event> = []
  const refusals = Refusals.make({ record: (event) => Effect.sync(() => void written.push(event)) })
  return { written, refusals }
}
const refused = (more: object = {}) =>
  ({
    event: "token_refused",
    refusal: "bad_signature",
    reason: "TOKEN_UNTRUSTED",
    rpc: "/x/Y",
    peer: "10.0.0.7:1",
    ...more
  }) as const

describe("Refusals", () => {
  it.effect("are written one by one, and counted when they are very many", () =>
    Effect.gen(function*() {
      const { refusals, written } = stage()
      for (let count = 0; count < 1000; count++) yield* refusals.record(refused())
      assert.lengthOf(written, 10)
      yield* TestClock.adjust("1 seconds")
      yield* refusals.record(refused())
      assert.deepStrictEqual(written.slice(10).map((event) => event.event), ["tokens_refused", "token_refused"])
      assert.deepStrictEqual(written[10], { event: "tokens_refused", count: 990 })
      yield* refusals.flush
      assert.lengthOf(written, 12, "what is written is not counted again")
    }))

  it.effect("of a token with a good signature are all written", () =>
    Effect.gen(function*() {
      const { refusals, written } = stage()
      for (let count = 0; count < 100; count++) {
        yield* refusals.record(refused({ refusal: "revoked_token", subject: "ci", token_id: `j${count}` }))
      }
      assert.lengthOf(written, 100)
    }))
})
