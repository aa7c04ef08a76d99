import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as ReadFile from "../../src/config/ReadFile.js"
import * as Temporary from "../support/Temporary.js"

const write = (content: string | Uint8Array): string => {
  const path = Path.join(Temporary.directory(), "file")
  Fs.writeFileSync(path, content)
  return path
}

const problemOf = (path: string, read: (path: string) => ReturnType<typeof ReadFile.text>) =>
  Effect.map(Effect.flip(read(path)), ReadFile.problem)

const text = (path: string) => ReadFile.text(path, 100)

describe("a file that is named in a configuration", () => {
  it.live("is refused by its kind, without a wait and without being opened as one", () =>
    Effect.gen(function*() {
      const directory = Temporary.directory()
      const at = (name: string) => Path.join(directory, name)
      execFileSync("mkfifo", [at("fifo")])
      const server = Net.createServer().listen(at("socket"))
      yield* Effect.async<void>((resume) => void server.once("listening", () => resume(Effect.void)))
      Fs.symlinkSync("nowhere", at("dangling"))
      Fs.symlinkSync("gone", at("directory"))
      Fs.symlinkSync("circle", at("circle"))
      for (
        const [path, problem] of [
          [at("fifo"), "cannot be read: it is a FIFO (pipe), not a regular file"],
          [at("socket"), "cannot be read: it is a socket, not a regular file"],
          [directory, "cannot be read: it is a directory, not a regular file"],
          ["/dev/zero", "cannot be read: it is a device, not a regular file"],
          ["/dev/null", "cannot be read: it is a device, not a regular file"],
          [at("dangling"), "is a link to nowhere, which does not exist"],
          [at("directory/config.yaml"), `cannot be read: ${at("directory")} is a link to gone, which does not exist`],
          [at("circle"), "cannot be read: its links lead in a circle"],
          [at("missing"), "does not exist"],
          [Path.join(write("x"), "below"), "cannot be read: a part of its path is not a directory"]
        ] as const
      ) {
        assert.strictEqual(yield* problemOf(path, text), problem, path)
        assert.strictEqual(yield* problemOf(path, ReadFile.secret), problem, path)
      }
      server.close()
    }))

  it.live("is read up to its bound, and no byte more", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* text(write("x".repeat(100))), "x".repeat(100))
      assert.strictEqual(yield* problemOf(write("x".repeat(101)), text), "is larger than 100 bytes")
      // Sparse: a file that was read whole would not fit.
      const huge = write("")
      Fs.truncateSync(huge, 2 ** 40)
      assert.strictEqual(yield* problemOf(huge, text), "is larger than 100 bytes")
      if (process.platform === "linux") {
        assert.strictEqual(yield* problemOf("/proc/kallsyms", text), "is larger than 100 bytes", "which has no size")
      }
    }))

  it.live("is UTF-8, with or without a byte order mark, or named with its first wrong byte", () =>
    Effect.gen(function*() {
      const bytes = (...parts: ReadonlyArray<string | number>) =>
        Buffer.concat(parts.map((part) => typeof part === "string" ? Buffer.from(part) : Buffer.from([part])))
      assert.strictEqual(yield* text(write("\ufeffa: ü€😀\ufffd\n")), "a: ü€😀\ufffd\n")
      for (
        const [content, at] of [
          [bytes("abc", 0xff), 3],
          [bytes("\ufffdü", 0xe9, "x"), 5],
          [bytes("€", 0xe2, 0x82), 3],
          [bytes(0xc0, 0x80), 0],
          [bytes("😀", 0xed, 0xa0, 0x80), 4]
        ] as const
      ) {
        assert.strictEqual(
          yield* problemOf(write(content), text),
          `is not valid UTF-8: byte ${at} is wrong; save it as UTF-8`
        )
      }
      assert.include(yield* problemOf(write(Buffer.from("\ufeffa: b", "utf16le")), text), "it seems to be UTF-16")
    }))

  it.live("holds one line where it holds a secret, whatever line ends are around it", () =>
    Effect.gen(function*() {
      for (const content of ["s3cret", "s3cret\n", "s3cret\r\n", "s3cret\r", "\ns3cret\n\n"]) {
        assert.strictEqual(yield* ReadFile.secret(write(content)), "s3cret")
      }
      for (
        const [content, fault] of [
          ["s3\ncret\n", "a line end after 2 characters"],
          ["s3\r\ncret", "a line end after 2 characters"],
          ["s\0cret", "a NUL byte after 1 character"],
          ["s3cret\x1b[0m", "a control character (U+001B) after 6 characters"],
          ["s3\u0085cret", "a control character (U+0085) after 2 characters"]
        ] as const
      ) {
        assert.strictEqual(
          yield* problemOf(write(content), ReadFile.secret),
          `holds ${fault}; it must hold one line of text`
        )
      }
      assert.strictEqual(yield* problemOf(write("x".repeat(20_000)), ReadFile.secret), "is larger than 16384 bytes")
    }))
})
