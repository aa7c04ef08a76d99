import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc } from "effect"
import { fitted, Memory } from "../../src/assistant/Memory.js"
import { person } from "../support/Client.js"
import * as Property from "../support/Property.js"

describe("Memory.fitted", () => {
  it("cuts at the end of a line, else of a word, else anywhere", () => {
    assert.deepStrictEqual(fitted("one\ntwo \n\n", 100), { text: "one\ntwo", cut: 0 })
    assert.deepStrictEqual(fitted("first line\nsecond line", 15), { text: "first line", cut: 12 })
    assert.deepStrictEqual(fitted("first line\nsecond line", 10), { text: "first line", cut: 12 })
    assert.deepStrictEqual(fitted("a\nsecond line is long", 15), { text: "a\nsecond line", cut: 8 })
    assert.deepStrictEqual(fitted("a b cdefghijklmnop", 10), { text: "a b cdefgh", cut: 8 })
    assert.deepStrictEqual(fitted("😀😀😀😀", 3), { text: "😀😀😀", cut: 1 })
  })

  it("keeps a beginning of the text, no longer than it may be, and at least half of that", async () => {
    await Property.check(
      fc.property(fc.string({ unit: fc.constantFrom("a", " ", "\n", "😀", "é") }), fc.nat(30), (text, most) => {
        const { cut, text: kept } = fitted(text, most)
        const [all, got] = [[...text.trimEnd()], [...kept]]
        assert.isTrue(text.startsWith(kept))
        assert.isAtMost(got.length, most)
        assert.strictEqual(kept, kept.trimEnd())
        assert.strictEqual(cut, all.length - got.length)
        if (all.length <= most) assert.strictEqual(cut, 0)
        const head = all.slice(0, most).join("")
        assert.isAtLeast(kept.length, Math.min(head.trimEnd().length, Math.floor(head.length / 2)))
      })
    )
  })
})

const memory = (directory: string, mostCharacters = 100) =>
  Effect.provide(Memory, Memory.layerFile({ file: `${directory}/client/memory.md`, mostCharacters }))

const inDirectory = <A, E>(
  use: (files: FileSystem.FileSystem, directory: string) => Effect.Effect<A, E, FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    return yield* use(files, yield* files.makeTempDirectoryScoped())
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

describe("Memory", () => {
  it.effect("is empty, kept for its owner only, and forgotten", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const { clear, file, read, write } = yield* memory(directory)
        assert.strictEqual(yield* read, "")
        yield* clear
        yield* write("we use namespace shop  ")
        assert.strictEqual(yield* read, "we use namespace shop\n")
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
        assert.strictEqual((yield* files.stat(`${directory}/client`)).mode & 0o777, 0o700)
        yield* clear
        assert.isFalse(yield* files.exists(file))
      })
    ))

  it.effect("is never longer than it may be, whoever wrote it", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const { file, read, write } = yield* memory(directory, 5)
        yield* write("1234567")
        assert.strictEqual(yield* files.readFileString(file), "12345\n")
        yield* files.writeFileString(file, "abcdefgh")
        assert.strictEqual(yield* read, "abcde\n")
      })
    ))

  it.effect("says what is wrong with its file", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const { clear, file, read, write } = yield* memory(directory)
        yield* files.makeDirectory(`${file}/x`, { recursive: true })
        for (const failing of [read, write("x"), clear]) {
          const { remedy, summary } = yield* Effect.flip(failing)
          assert.include(summary, `The memory ${file} cannot be `)
          assert.include(remedy, "assistant.memory")
        }
      })
    ))
})

describe("vibectl memory", () => {
  it.scoped("sets, shows and clears", () =>
    Effect.gen(function*() {
      const { home, type } = yield* person()
      const file = `${home}/client/memory.md`
      assert.deepStrictEqual(yield* type("memory", "show"), {
        stdout: "",
        stderr: `The memory is empty (${file}).\n`,
        failed: undefined
      })
      const set = yield* type("memory", "set", "prod", "is", "eu-1")
      assert.deepStrictEqual(set, {
        stdout: "",
        stderr: `✓ Memory saved (12 characters) in ${file}.\n`,
        failed: undefined
      })
      assert.deepStrictEqual(yield* type("memory", "show"), { stdout: "prod is eu-1\n", stderr: "", failed: undefined })
      assert.strictEqual((yield* type("memory", "set", " ")).failed?.exitCode, 2)
      assert.strictEqual((yield* type("memory", "clear")).stderr, "✓ The memory is empty.\n")
      assert.strictEqual((yield* type("memory", "show")).stdout, "")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says what was cut off, and that it is not used", () =>
    Effect.gen(function*() {
      const { type } = yield* person({
        env: { VIBECTL_ASSISTANT__MEMORY: "false", VIBECTL_ASSISTANT__MEMORY_MAX_CHARS: "100" }
      })
      const { stderr } = yield* type("memory", "set", "x".repeat(103))
      assert.include(stderr, "✓ Memory saved (100 characters)")
      assert.include(stderr, "Warning: 3 characters at the end were cut off: assistant.memory_max_chars is 100.")
      assert.include(stderr, "Warning: assistant.memory is false")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("gives a terminal no orders, and another program the text as it is", () =>
    Effect.gen(function*() {
      for (const terminal of [true, false]) {
        const { type } = yield* person({ terminal })
        yield* type("memory", "set", "a\u001b[2Jb")
        assert.strictEqual((yield* type("memory", "show")).stdout, terminal ? "a[2Jb\n" : "a\u001b[2Jb\n")
      }
    }).pipe(Effect.provide(NodeContext.layer)))
})
