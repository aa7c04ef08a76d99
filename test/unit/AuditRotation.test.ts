import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope, TestClock } from "effect"
import { type Event, toLine } from "../../src/audit/Event.js"
import * as Support from "../support/AuditFiles.js"
import * as Patience from "../support/Patience.js"

const { accepted, options, recorded } = Support

const inDirectory = <A, E>(
  use: (files: FileSystem.FileSystem, directory: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    return yield* use(files, yield* files.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))

/** Subjects of the same length, so that every line has the same. */
const numbered = (from: number, to: number): ReadonlyArray<Event> =>
  Array.from({ length: to - from }, (_, index) => accepted(name(from + index)))
const name = (index: number) => String(index).padStart(5, "0")
const lineBytes = Buffer.byteLength(toLine(accepted(name(0)), 0))

/** The subjects in each file, by the end of its name. */
const all = (directory: string) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const found: Record<string, ReadonlyArray<string>> = {}
    for (const each of (yield* files.readDirectory(directory)).sort()) {
      found[each.replace("audit.jsonl", "")] = Support.subjects(yield* Support.read(`${directory}/${each}`))
    }
    return found
  })

describe("rotation by size", () => {
  it.scoped("begins a new file at the size and keeps as many as it should", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes * 3, keepFiles: 2 })
        yield* recorded(settings, ...numbered(0, 3))
        assert.deepStrictEqual(Object.keys(yield* all(directory)), [""], "full, and nothing more to add")
        yield* recorded(settings, ...numbered(3, 5))
        assert.deepStrictEqual(yield* all(directory), {
          "": ["00003", "00004"],
          ".1": ["00000", "00001", "00002"]
        })
        yield* recorded(settings, ...numbered(5, 13))
        assert.deepStrictEqual(yield* all(directory), {
          "": ["00012"],
          ".1": ["00009", "00010", "00011"],
          ".2": ["00006", "00007", "00008"]
        })
        for (const each of ["", ".1", ".2"]) {
          assert.strictEqual((yield* files.stat(`${settings.file}${each}`)).mode & 0o777, 0o600)
        }
      })
    ))

  it.scoped("keeps one, and none", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes, keepFiles: 1 })
        yield* recorded(settings, ...numbered(0, 4))
        assert.deepStrictEqual(yield* all(directory), { "": ["00003"], ".1": ["00002"] })
        yield* recorded({ ...settings, keepFiles: 0 }, ...numbered(4, 7))
        assert.deepStrictEqual(yield* all(directory), { "": ["00006"] }, "files of before go too")
      })
    ))

  it.scoped("writes a line that is longer than a file may be", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        yield* recorded(options(`${directory}/audit.jsonl`, { maxBytes: 10 }), ...numbered(0, 3))
        assert.deepStrictEqual(yield* all(directory), { "": ["00002"], ".1": ["00001"], ".2": ["00000"] })
      })
    ))

  it.scoped("fills a gap before it renames more, as a crash may leave one", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes, keepFiles: 3 })
        yield* recorded(settings, ...numbered(0, 4))
        yield* files.remove(`${settings.file}.2`)
        yield* recorded(settings, ...numbered(4, 5))
        assert.deepStrictEqual(yield* all(directory), {
          "": ["00004"],
          ".1": ["00003"],
          ".2": ["00002"],
          ".3": ["00000"]
        })
      })
    ))

  it.scoped("loses nothing while several rotate at once", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes * 40, keepFiles: 1000 })
        const one = (from: number) =>
          Effect.scoped(Effect.gen(function*() {
            const { record } = yield* Support.opened(settings)
            for (const event of numbered(from, from + 1000)) {
              yield* record(event)
              if (Math.random() < 0.2) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
            }
          }))
        yield* Effect.all([one(0), one(1000), one(2000)], { concurrency: "unbounded" })
        const found = yield* all(directory)
        const subjects = Object.values(found).flat()
        const missing = new Set(Array.from({ length: 3000 }, (_, index) => name(index)))
        for (const subject of subjects) missing.delete(subject)
        assert.deepStrictEqual([subjects.length, ...missing], [3000])
        assert.isAbove(Object.keys(found).length, 10)
      })
    ))

  it.scoped("waits for no lock, and removes one that was left", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes, keepFiles: 5 })
        const lock = `${settings.file}.lock`
        yield* files.writeFileString(lock, "")
        const now = Number((yield* files.stat(lock)).mtime.pipe((time) => time._tag === "Some" ? time.value : 0))
        yield* TestClock.setTime(now + 1000)
        yield* recorded(settings, ...numbered(0, 3))
        assert.deepStrictEqual((yield* all(directory))[""], ["00000", "00001", "00002"], "nothing is lost")
        assert.isTrue(yield* files.exists(lock), "it may be another's who is at it")
        yield* TestClock.setTime(now + 61_000)
        yield* recorded(settings, ...numbered(3, 4))
        yield* recorded(settings, ...numbered(4, 5))
        assert.deepStrictEqual(yield* all(directory), { "": ["00004"], ".1": ["00000", "00001", "00002", "00003"] })
      })
    ))

  it.scoped("goes on in the full file when it cannot be renamed, and says so once", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes })
        const fragile = yield* Support.fragile()
        fragile.state.broken = "rename"
        const { layer, logged } = Support.logging()
        const { record } = yield* Support.opened(settings).pipe(Effect.provide(Layer.merge(fragile.layer, layer)))
        const lines = (expected: number) =>
          Patience.eventually(Effect.map(Support.count(settings.file), (count) => count === expected))
        for (const [index, event] of numbered(0, 3).entries()) {
          yield* record(event)
          yield* lines(index + 1)
        }
        assert.deepStrictEqual(logged.map(({ level }) => level), ["ERROR"])
        fragile.state.broken = ""
        yield* record(accepted("after"))
        yield* lines(1)
        assert.deepStrictEqual(yield* all(directory), { "": ["after"], ".1": ["00000", "00001", "00002"] })
      })
    ))
})

describe("a line that a crash left half-written", () => {
  it.scoped("leaves no empty line behind when it has gone with a rotation", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const settings = options(`${directory}/audit.jsonl`, { maxBytes: lineBytes })
        yield* files.writeFileString(settings.file, "x".repeat(lineBytes))
        yield* recorded(settings, ...numbered(0, 2))
        assert.deepStrictEqual(Support.subjects(yield* Support.read(settings.file)), ["00001"])
        assert.deepStrictEqual(Support.subjects(yield* Support.read(`${settings.file}.1`)), ["00000"])
      })
    ))
})

describe("rotation by others", () => {
  it.scoped("goes on in a new file after a rename, and in the emptied one after a truncation", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        const { record } = yield* Support.opened(options(file))
        const written = (subject: string) =>
          Effect.zipRight(
            record(accepted(subject)),
            Patience.eventually(
              Effect.map(
                Effect.orElseSucceed(files.readFileString(file), () => ""),
                (text) => text.includes(subject)
              )
            )
          )
        yield* written("one")
        yield* files.rename(file, `${file}-old`)
        yield* written("two")
        yield* files.copyFile(file, `${file}-copy`)
        yield* files.truncate(file, 0)
        yield* written("three")
        yield* files.remove(file)
        yield* written("four")
        assert.deepStrictEqual(yield* all(directory), { "": ["four"], "-copy": ["two"], "-old": ["one"] })
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
      })
    ))

  it.scoped("takes others' permissions away from a file that somebody puts there", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        const { record } = yield* Support.opened(options(file))
        yield* files.rename(file, `${file}.1`)
        yield* files.writeFileString(file, "")
        yield* files.chmod(file, 0o644)
        yield* record(accepted("one"))
        yield* Patience.eventually(Effect.map(Support.count(file), (count) => count === 1))
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
      })
    ))
})
