import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import * as Backlog from "../../src/limits/RedisBacklog.js"
import { Failed } from "../../src/limits/RedisConnection.js"

const logging = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ message }) => void lines.push(String(message)))
  return { lines, layer: Logger.replace(Logger.defaultLogger, logger) }
}

describe("RedisBacklog", () => {
  it.effect("writes in order, some at a time, and keeps what could not be written", () =>
    Effect.gen(function*() {
      const backlog = Backlog.make<string>()
      yield* backlog.empty
      const all = Array.from({ length: 450 }, (_, index) => `${index}`)
      yield* Effect.forEach(all, backlog.add)
      const waiting = yield* Effect.fork(backlog.empty)
      const written: Array<string> = []
      const write = (request: string) => Effect.sync(() => written.push(request))
      assert.isTrue(yield* backlog.write(write))
      const away = new Failed({ reason: "gone", when: "unknown" })
      assert.isFalse(yield* backlog.write((request) => Number(request) < 300 ? write(request) : away))
      assert.deepStrictEqual(written, all.slice(0, 300))
      assert.isNull(waiting.unsafePoll())
      assert.isFalse(yield* backlog.write(write))
      assert.deepStrictEqual(written, all)
      yield* Fiber.join(waiting)
    }))

  it.effect("loses the oldest when too many wait, and says so once until all are written", () => {
    const { layer, lines } = logging()
    return Effect.gen(function*() {
      const backlog = Backlog.make<string>(3)
      yield* Effect.forEach(["a", "b", "c", "d", "e"], backlog.add)
      const written: Array<string> = []
      yield* backlog.write((request) => Effect.sync(() => written.push(request)))
      assert.deepStrictEqual(written, ["c", "d", "e"])
      assert.deepStrictEqual(lines, ["too much usage waits for Redis; the oldest is lost"])
      yield* Effect.forEach(["a", "b", "c", "d"], backlog.add)
      assert.strictEqual(lines.length, 2)
      yield* backlog.close
      assert.strictEqual(lines[2], "usage is lost that Redis could not be told")
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not try forever what Redis refuses", () => {
    const { layer, lines } = logging()
    return Effect.gen(function*() {
      const backlog = Backlog.make<string>()
      yield* backlog.add("a")
      yield* backlog.write(() => new Failed({ reason: "WRONGTYPE", when: "refused" }))
      yield* backlog.empty
      assert.deepStrictEqual(lines, ["usage of a call is lost: Redis refused it"])
    }).pipe(Effect.provide(layer))
  })
})
