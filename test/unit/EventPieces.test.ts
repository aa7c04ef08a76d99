import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { afterEach, beforeEach, vi } from "vitest"
import * as EventPieces from "../../src/models/EventPieces.js"
import * as HttpBody from "../../src/models/HttpBody.js"
import type { Piece } from "../../src/models/Provider.js"
import { Reply } from "../../src/models/Reply.js"
import * as ChatReader from "../../src/models/vendors/ChatReader.js"
import { settable } from "../support/Asks.js"

const timeouts = { connect: 1000, firstToken: 1000, betweenTokens: 1000, total: 10_000 }
const source = { provider: "openai", apiKey: undefined, isTimeout: () => false }

/** Each is a piece of text, but for `end`. */
const eventOf = (text: string) =>
  text === "end" ? "data: [DONE]\n\n" : `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`

const ended: Piece = { _tag: "End", usage: undefined, finishReason: "unknown" }

/** An answer that the test writes itself. */
const answer = (isBusy: () => boolean, limits = timeouts) =>
  Effect.gen(function*() {
    const sender = { pause: () => {}, resume: () => {}, paused: false }
    const reply = new Reply("http://localhost/", 200, {}, sender, isBusy)
    const patience = { millis: 1000, limit: "firstToken" } as const
    const body = yield* HttpBody.open(() => Promise.resolve(reply as unknown as Response), patience)
    return {
      pull: EventPieces.make({ source, reader: ChatReader.make(undefined) }, body, limits),
      say: (...texts: ReadonlyArray<string>) => reply.push(Buffer.from(texts.map(eventOf).join(""))),
      write: (text: string) => reply.push(Buffer.from(text)),
      hangUp: () => reply.end()
    }
  })

/** Until all that can happen without time has happened. */
const settle = Effect.promise(async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
})
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.zipLeft(Effect.fork(effect), settle)
const pass = (millis: number) => Effect.zipRight(Effect.sync(() => vi.advanceTimersByTime(millis)), settle)
const isDone = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => fiber.unsafePoll() !== null

describe("EventPieces", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it.scoped("gives text as it comes while there is time for it", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => false)
      for (const text of ["a", "b", "c"]) {
        const pulling = yield* start(pull)
        assert.isFalse(isDone(pulling))
        say(text)
        assert.deepStrictEqual(yield* Fiber.join(pulling), { _tag: "Text", text })
      }
    }))

  it.scoped("takes a wait that a failure names as a moment from the time of its clock", () =>
    Effect.gen(function*() {
      const { pull, write } = yield* answer(() => false)
      const pulling = yield* start(Effect.flip(pull))
      write("data: {\"error\":{\"code\":429,\"message\":\"slow down\",\"reset_at\":\"2026-11-30T12:01:30Z\"}}\n\n")
      const failure = yield* Fiber.join(pulling)
      assert.deepInclude(failure, { reason: "PROVIDER_RATE_LIMITED", retryAfter: Duration.seconds(90) })
      const whole = ChatReader.ofBody("{\"error\":{\"code\":429,\"resets_at\":1796040060}}", undefined)
      const other = yield* Effect.flip(EventPieces.whole(source, whole))
      assert.deepInclude(other, { reason: "PROVIDER_RATE_LIMITED", retryAfter: Duration.seconds(60) })
    }).pipe(Effect.withClock(settable(Date.UTC(2026, 10, 30, 12)).clock)))

  it.scoped("gives blanks with what follows them, and fails with blanks alone", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => false)
      const pulling = yield* start(pull)
      say(" ", "\\n")
      yield* settle
      assert.isFalse(isDone(pulling))
      say("a ")
      assert.deepStrictEqual(yield* Fiber.join(pulling), { _tag: "Text", text: " \na " })
      const blank = yield* answer(() => false)
      const failing = yield* start(Effect.flip(blank.pull))
      blank.say(" ", "\\n")
      blank.write("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
      assert.deepInclude(yield* Fiber.join(failing), { reason: "PROVIDER_EMPTY", detail: "no text" })
    }))

  it.scoped("gives together what comes soon after text when there is none, but for the first", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => true)
      const first = yield* start(pull)
      say("a")
      assert.deepStrictEqual(yield* Fiber.join(first), { _tag: "Text", text: "a" })

      say("b")
      const second = yield* start(pull)
      yield* pass(10)
      say("c")
      yield* pass(9)
      assert.isFalse(isDone(second))
      yield* pass(1)
      assert.deepStrictEqual(yield* Fiber.join(second), { _tag: "Text", text: "bc" })

      // What comes later waits for nothing.
      const third = yield* start(pull)
      yield* pass(30)
      assert.isFalse(isDone(third))
      say("d")
      assert.deepStrictEqual(yield* Fiber.join(third), { _tag: "Text", text: "d" })
    }))

  it.scoped("loses nothing that comes between two pulls", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => true)
      say("a")
      yield* pull
      say("b")
      const held = yield* start(pull)
      yield* pass(20)
      assert.deepStrictEqual(yield* Fiber.join(held), { _tag: "Text", text: "b" })
      // The client reads slowly.
      say("c")
      say("d", "end")
      const next = yield* start(pull)
      yield* pass(20)
      assert.deepStrictEqual(yield* Fiber.join(next), { _tag: "Text", text: "cd" })
      assert.deepStrictEqual(yield* pull, ended)
    }))

  it.scoped("waits for no more from a provider that has less time than that", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => true, { ...timeouts, betweenTokens: 15 })
      say("a")
      yield* pull
      say("b")
      assert.deepStrictEqual(yield* pull, { _tag: "Text", text: "b" })
    }))

  it.scoped("lets nobody wait for an end", () =>
    Effect.gen(function*() {
      const { hangUp, pull, say } = yield* answer(() => true)
      say("a")
      yield* pull
      say("b")
      const pulling = yield* start(pull)
      assert.isFalse(isDone(pulling))
      say("c", "end")
      hangUp()
      assert.deepStrictEqual(yield* Fiber.join(pulling), { _tag: "Text", text: "bc" })
      assert.deepStrictEqual(yield* pull, ended)
    }))

  it.scoped("gives a provider no more time than it has", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => true)
      say("a")
      yield* pull
      const pulling = yield* start(Effect.flip(pull))
      yield* pass(999)
      assert.isFalse(isDone(pulling))
      yield* pass(1)
      const failure = yield* Fiber.join(pulling)
      assert.deepInclude(failure, { reason: "PROVIDER_TIMEOUT", detail: "no next token in time" })
    }))

  it.scoped("has its time anew for each piece, however many there are", () =>
    Effect.gen(function*() {
      const { pull, say } = yield* answer(() => false)
      for (let piece = 0; piece < 8; piece++) {
        const pulling = yield* start(pull)
        yield* pass(900)
        say("x")
        assert.deepStrictEqual(yield* Fiber.join(pulling), { _tag: "Text", text: "x" })
      }
    }))
})
