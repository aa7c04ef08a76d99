import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, Deferred, Effect, Fiber, Logger, Redacted } from "effect"
import * as Logging from "../../src/server/Logging.js"
import { LogLevel } from "../../src/telemetry/LogLevel.js"

/** What the JSON log says while `use` runs at this level, parsed. */
const logged = (level: Logging.Options["level"], use: Effect.Effect<void, never, LogLevel>) =>
  Effect.gen(function*() {
    const lines: Array<Record<string, unknown>> = []
    const present = yield* Console.consoleWith(Effect.succeed)
    const error = (text: string) => {
      for (const line of text.split("\n")) lines.push(JSON.parse(line) as Record<string, unknown>)
    }
    yield* use.pipe(
      Effect.provide(Logging.layer({ level, format: "json" })),
      Effect.withConsole({ ...present, unsafe: { ...present.unsafe, error } })
    )
    return [...lines]
  })

const levels = ["DEBUG", "INFO", "WARNING", "ERROR"] as const

const each = Effect.gen(function*() {
  yield* Effect.logDebug("DEBUG")
  yield* Effect.logInfo("INFO")
  yield* Effect.logWarning("WARNING")
  yield* Effect.logError("ERROR")
})

describe("Logging.layer", () => {
  for (const [index, level] of levels.entries()) {
    it.effect(`at ${level}, says what is not below it`, () =>
      Effect.gen(function*() {
        const lines = yield* logged(level, each)
        assert.deepStrictEqual<ReadonlyArray<unknown>>(lines.map(({ message }) => message), levels.slice(index))
      }))
  }

  it.effect("says what Effect's own JSON logger says", () =>
    Effect.gen(function*() {
      const say = Effect.gen(function*() {
        yield* Effect.annotateLogs(Effect.logInfo("text"), { rpc: "/a/b", durationMs: 7, ok: true, none: undefined })
        yield* Effect.annotateLogs(Effect.logInfo("text"), { key: Redacted.make("canary"), list: ["a", 1] })
        yield* Effect.logError("a defect", new TypeError("told"))
        yield* Effect.logError("a cause", Cause.fail(new RangeError("told")))
        yield* Effect.logInfo({ object: true }, 7)
        yield* Effect.withLogSpan(Effect.logInfo("in a span"), "span")
      })
      const lines = yield* logged("INFO", say)
      const expected: Array<Record<string, unknown>> = []
      const reference = Logger.make((line) =>
        void expected.push(JSON.parse(Logger.jsonLogger.log(line)) as Record<string, unknown>)
      )
      yield* Effect.provide(say, Logger.replace(Logger.defaultLogger, reference))
      const comparable = (all: ReadonlyArray<Record<string, unknown>>) =>
        all.map(({ fiberId: _, timestamp: __, ...line }) => line)
      assert.deepStrictEqual(comparable(lines), comparable(expected))
      assert.notInclude(JSON.stringify(lines), "canary")
      assert.include(JSON.stringify(lines[2]), "TypeError")
    }))

  it.effect("a change of level holds at once, in fibers that run already", () =>
    Effect.gen(function*() {
      const lines = yield* logged(
        "WARNING",
        Effect.gen(function*() {
          const level = yield* LogLevel
          const go = yield* Deferred.make<void>()
          const running = yield* Effect.fork(
            Effect.zipRight(Effect.logDebug("before"), Deferred.await(go)).pipe(
              Effect.zipRight(Effect.logDebug("after"))
            )
          )
          yield* Effect.yieldNow()
          assert.strictEqual(yield* level.get, "WARNING")
          yield* level.set("DEBUG")
          assert.strictEqual(yield* level.get, "DEBUG")
          yield* Deferred.succeed(go, undefined)
          yield* Fiber.join(running)
          yield* level.set("ERROR")
          yield* Effect.logWarning("too late")
        })
      )
      assert.deepStrictEqual(
        lines.map(({ annotations, message }) => [message, annotations]),
        [
          ["log level changed", { from: "WARNING", to: "DEBUG" }],
          ["after", {}],
          ["log level changed", { from: "DEBUG", to: "ERROR" }]
        ]
      )
    }))

  it.effect("says nothing of a change to what holds already", () =>
    Effect.map(
      logged("INFO", Effect.flatMap(LogLevel, (level) => level.set("INFO"))),
      (lines) => assert.deepStrictEqual(lines, [])
    ))
})
