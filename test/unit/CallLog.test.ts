import { assert, describe, it } from "@effect/vitest"
import { Effect, HashMap, Logger, LogLevel } from "effect"
import * as CallLog from "../../src/grpc/CallLog.js"
import * as LogLine from "../../src/telemetry/LogLine.js"

/** What a logger sees of `work`, which runs where all is annotated with `around`. */
const seen = (around: Record<string, unknown>, work: (log: CallLog.CallLog) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const lines: Array<{ message: unknown; map: Record<string, unknown>; values: unknown }> = []
    const logger = Logger.make<unknown, void>((line) => {
      const map = Object.fromEntries(HashMap.toEntries(line.annotations))
      lines.push({ message: line.message, map, values: LogLine.valuesOf(line) })
    })
    yield* Effect.flatMap(CallLog.make, work).pipe(
      Effect.annotateLogs(around),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    return lines
  })

describe("CallLog", () => {
  it.effect("says the same to loggers that read the map of annotations and to those that take the values", () =>
    Effect.gen(function*() {
      const lines = yield* seen(
        { site: "north", worker: 2 },
        (log) => Effect.sync(() => log.line("call ended", { outcome: "OK", retries: 0 }))
      )
      const all = { site: "north", worker: 2, outcome: "OK", retries: 0 }
      assert.deepStrictEqual(lines, [{ message: ["call ended"], map: all, values: all }])
    }))

  it.effect("has what a call says within its annotations, those around the server, and no other call's", () =>
    Effect.gen(function*() {
      const call = (log: CallLog.CallLog, annotations: CallLog.Annotations) =>
        Effect.fork(
          Effect.zipRight(log.annotate(annotations), Effect.logInfo("another attempt"))
        ).pipe(Effect.flatMap((fiber) => fiber.await))
      const lines = yield* seen({ site: "north" }, (log) =>
        Effect.gen(function*() {
          yield* call(log, { rpc: "/a", subject: "ann", requestId: "1", traceId: "t" })
          yield* call(log, { rpc: "/a", subject: "ann", requestId: "2" })
          yield* call(log, { rpc: "/a", subject: "bob", requestId: "3" })
          yield* call(log, { rpc: "/a" })
        }))
      assert.deepStrictEqual(lines.map(({ map }) => map), [
        { site: "north", rpc: "/a", subject: "ann", requestId: "1", traceId: "t" },
        { site: "north", rpc: "/a", subject: "ann", requestId: "2" },
        { site: "north", rpc: "/a", subject: "bob", requestId: "3" },
        { site: "north", rpc: "/a" }
      ])
    }))

  it.effect("says nothing where less than warnings is not asked for", () =>
    Effect.gen(function*() {
      const lines = yield* Logger.withMinimumLogLevel(
        seen({}, (log) => Effect.sync(() => log.line("call ended", {}))),
        LogLevel.Warning
      )
      assert.deepStrictEqual(lines, [])
    }))
})
