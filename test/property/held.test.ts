/**
 * Whatever comes when, and whoever is slow: the text of a stream is what the
 * provider said, all of it and in order, also while a busy server holds it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, type Fiber } from "effect"
import { afterEach, beforeEach, vi } from "vitest"
import * as EventPieces from "../../src/models/EventPieces.js"
import * as HttpBody from "../../src/models/HttpBody.js"
import { Reply } from "../../src/models/Reply.js"
import * as ChatReader from "../../src/models/vendors/ChatReader.js"
import * as Property from "../support/Property.js"

const say = fc.record({
  does: fc.constant("say" as const),
  events: fc.integer({ min: 1, max: 3 }),
  /** Where it is cut in two packets. */
  cut: fc.nat(12)
})
const pull = fc.record({ does: fc.constant("pull" as const) })
const pass = fc.record({ does: fc.constant("pass" as const), millis: fc.constantFrom(1, 5, 19, 20, 21, 60) })
const hurry = fc.record({ does: fc.constant("hurry" as const), busy: fc.boolean() })
const step = fc.oneof(
  { weight: 4, arbitrary: say },
  { weight: 4, arbitrary: pull },
  { weight: 3, arbitrary: pass },
  { weight: 1, arbitrary: hurry }
)

const settle = async () => {
  for (let turn = 0; turn < 30; turn++) await Promise.resolve()
}

describe("text that a busy server holds", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it("comes out as it went in", async () => {
    await Property.check(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), fc.boolean(), async (steps, isGivenUp) => {
        let busy = true
        const sender = { pause: () => {}, resume: () => {}, paused: false }
        const reply = new Reply("http://localhost/", 200, {}, sender, () => busy)
        const clock = { now: 0 }
        const story = Effect.gen(function*() {
          const timeouts = { connect: 1e6, firstToken: 1e6, betweenTokens: 1e6, total: 1e6 }
          const body = yield* HttpBody.open(
            () => Promise.resolve(reply as unknown as Response),
            { millis: 1e6, limit: "firstToken" }
          )
          const pull = EventPieces.make(
            {
              source: { provider: "openai", apiKey: undefined, isTimeout: () => false },
              reader: ChatReader.make(undefined)
            },
            { ...body, clock: { ...body.clock, unsafeCurrentTimeMillis: () => clock.now } },
            timeouts
          )
          let [said, heard, ended, count] = ["", "", false, 0]
          let pulling: Fiber.RuntimeFiber<unknown, unknown> | undefined
          const hear = Effect.map(pull, (piece) => {
            if (piece._tag === "Text") heard += piece.text
            else ended = true
          })
          const write = (text: string, cut: number) => {
            reply.push(Buffer.from(text.slice(0, cut)))
            reply.push(Buffer.from(text.slice(cut)))
          }
          const pass = (millis: number) =>
            Effect.promise(async () => {
              clock.now += millis
              vi.advanceTimersByTime(millis)
              await settle()
            })
          const start = Effect.gen(function*() {
            if (ended || pulling !== undefined && pulling.unsafePoll() === null) return
            pulling = yield* Effect.fork(hear)
            yield* Effect.promise(settle)
          })
          for (const one of steps) {
            if (one.does === "say") {
              const texts = Array.from({ length: one.events }, () => `<${count++}>`)
              said += texts.join("")
              write(texts.map((text) => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`).join(""), one.cut)
              yield* Effect.promise(settle)
            } else if (one.does === "pass") yield* pass(one.millis)
            else if (one.does === "pull") yield* start
            else busy = one.busy
          }
          if (isGivenUp) return yield* start
          write("data: [DONE]\n\n", 4)
          reply.end()
          for (let turn = 0; turn < 10 && !ended; turn++) {
            yield* start
            yield* pass(20)
          }
          assert.strictEqual(heard, said)
          assert.isTrue(ended)
        })
        await Effect.runPromise(Effect.scoped(story))
        assert.strictEqual(vi.getTimerCount(), 0, "no timer outlives the stream")
      }),
      300
    )
  })
})
