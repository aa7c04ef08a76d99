import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as LogWriter from "../../src/server/LogWriter.js"

const turn = Effect.async<void>((resume) => void setImmediate(() => setImmediate(() => resume(Effect.void))))

const writing = Effect.gen(function*() {
  const printed: Array<string> = []
  const before = process.listeners("exit")
  const scope = yield* Scope.make()
  const writer = yield* Scope.extend(LogWriter.make((text) => void printed.push(text)), scope)
  const onExit = process.listeners("exit").filter((listener) => !before.includes(listener))
  return { printed, writer, onExit, close: Scope.close(scope, Exit.void) }
})

describe("LogWriter", () => {
  it.effect("writes the lines of one turn together, in their order", () =>
    Effect.gen(function*() {
      const { printed, writer } = yield* writing
      for (const line of ["a", "b", "c"]) writer.add(line, false)
      assert.deepStrictEqual(printed, [])
      yield* turn
      assert.deepStrictEqual(printed, ["a\nb\nc"])
      writer.add("d", false)
      yield* turn
      assert.deepStrictEqual(printed, ["a\nb\nc", "d"])
    }))

  it.effect("writes what is urgent at once, after what came before it", () =>
    Effect.gen(function*() {
      const { printed, writer } = yield* writing
      writer.add("a", false)
      writer.add("urgent", true)
      assert.deepStrictEqual(printed, ["a\nurgent"])
      yield* turn
      assert.deepStrictEqual(printed, ["a\nurgent"])
    }))

  it.effect("writes no more at once than a pipe takes whole, but for a line that is longer", () =>
    Effect.gen(function*() {
      const { printed, writer } = yield* writing
      const lines = Array.from({ length: 30 }, (_, index) => `${index}:${(index % 2 === 0 ? "x" : "語").repeat(400)}`)
      lines.push("y".repeat(10_000), "z")
      for (const line of lines) writer.add(line, false)
      yield* turn
      assert.deepStrictEqual(printed.join("\n").split("\n"), lines)
      const long = printed.filter((text) => Buffer.byteLength(`${text}\n`) > 4096)
      assert.deepStrictEqual(long, ["y".repeat(10_000)])
      assert.isBelow(printed.length, 12)
    }))

  it.effect("keeps nothing back when the process exits, nor when it is closed, nor after that", () =>
    Effect.gen(function*() {
      const { close, onExit, printed, writer } = yield* writing
      assert.strictEqual(onExit.length, 1)
      writer.add("a", false)
      onExit[0]?.(0)
      assert.deepStrictEqual(printed, ["a"])
      writer.add("b", false)
      yield* close
      assert.deepStrictEqual(printed, ["a", "b"])
      writer.add("c", false)
      assert.deepStrictEqual(printed, ["a", "b", "c"])
      assert.notInclude(process.listeners("exit"), onExit[0])
    }))
})
