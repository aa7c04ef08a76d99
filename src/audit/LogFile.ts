/**
 * A file of lines that several processes add to, mode 0600.
 *
 * It is opened anew for each addition. So a file that was renamed or emptied,
 * by us or by logrotate, is never written to again, and no line is lost.
 */
import { Error, FileSystem } from "@effect/platform"
import { Data, Effect, Option } from "effect"
import * as NodePath from "node:path"
import * as Files from "../config/Files.js"
import * as Rotation from "./Rotation.js"

export type Options = Rotation.Options

export interface LogFile {
  /** Adds whole lines of UTF-8: the first at least. Yields the number of bytes taken, to be called again with the rest. */
  readonly append: (lines: Uint8Array) => Effect.Effect<number, Error.PlatformError>
  /** Waits until the disk has everything. */
  readonly sync: Effect.Effect<void, Error.PlatformError>
}

/** The audit log cannot be written, so that nothing may be done that belongs into it. */
export class AuditUnusable extends Data.TaggedError("AuditUnusable")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Makes the file and its directory, where they are missing. */
export const open = (options: Options): Effect.Effect<LogFile, AuditUnusable, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { file } = options
    const files = yield* FileSystem.FileSystem
    const openToAdd = Effect.zipLeft(
      files.open(file, { flag: "a", mode: 0o600 }),
      Effect.provideService(Files.adopt(file), FileSystem.FileSystem, files)
    )
    // Asked before it is opened: a pipe without a reader would never open.
    if (yield* isSpecial(files, file)) return yield* unusable(file, "is not a regular file")
    yield* Effect.mapError(
      Files.privateDirectory(NodePath.dirname(file)).pipe(Effect.zipRight(Effect.scoped(openToAdd))),
      (error) => unusable(file, `cannot be opened for writing (${reasonOf(error)})`)
    )
    const narrow = narrowing(files, file)
    yield* Effect.flatMap(look(files, file), narrow)
    const rotate = rotation(options)
    let torn = yield* endsTorn(files, file)

    const append: LogFile["append"] = (lines) =>
      Effect.gen(function*() {
        const first = lines.indexOf(newline) + 1
        const isFull = (size: number) => size > 0 && size + first > options.maxBytes
        let found = yield* look(files, file)
        if (isFull(found.size)) {
          yield* rotate(isFull)
          found = yield* look(files, file)
        }
        yield* narrow(found)
        // A file that cannot be rotated now gets too big: better than to lose lines.
        const fitting = isFull(found.size)
          ? lines.length
          : lines.lastIndexOf(newline, options.maxBytes - found.size - 1) + 1
        const chunk = lines.subarray(0, Math.max(first, fitting))
        const target = yield* openToAdd
        // The torn line may have gone with a rotation.
        const lead = Uint8Array.from(torn && found.size > 0 ? [newline] : [])
        const written = Number(yield* target.write(Buffer.concat([lead, chunk]))) - lead.length
        // A full disk may take a part. What it took of a line is junk; the line comes again, on one of its own.
        const whole = written > 0 ? chunk.lastIndexOf(newline, written - 1) + 1 : 0
        torn = written < 0 ? torn : written > whole
        return whole > 0 ? whole : yield* nothingWritten(file)
      }).pipe(Effect.scoped, Effect.provideService(FileSystem.FileSystem, files))

    return { append, sync: Effect.scoped(Effect.flatMap(openToAdd, (target) => target.sync)) }
  })

/** Short, and without the path. */
export const reasonOf = (error: Error.PlatformError): string => error._tag === "SystemError" ? error.reason : error._tag

// -- internals ---------------------------------------------------------------

const newline = 10

const isSpecial = (files: FileSystem.FileSystem, file: string) =>
  files.stat(file).pipe(Effect.map(({ type }) => type !== "File"), Effect.orElseSucceed(() => false))

/** A crash in the middle of a line must not spoil the next one. */
const endsTorn = (files: FileSystem.FileSystem, file: string): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    const target = yield* files.open(file, { flag: "r" })
    const { size } = yield* target.stat
    if (size === 0n) return false
    yield* target.seek(size - 1n, "start")
    const last = yield* target.readAlloc(1)
    return Option.isSome(last) && last.value[0] !== newline
  }).pipe(Effect.scoped, Effect.orElseSucceed(() => false))

interface Found {
  readonly size: number
  readonly mode: number
}

/** What cannot be looked at now will be told when it is opened. */
const look = (files: FileSystem.FileSystem, file: string): Effect.Effect<Found> =>
  files.stat(file).pipe(
    Effect.map(({ mode, size }) => ({ mode, size: Number(size) })),
    Effect.orElseSucceed(() => ({ mode: 0, size: 0 }))
  )

/** Takes from others what they may do with the file, whoever made it; told once. */
const narrowing = (files: FileSystem.FileSystem, file: string) => {
  let told = false
  return ({ mode }: Found) =>
    Effect.gen(function*() {
      if ((mode & 0o077) === 0) return
      const done = yield* Effect.isSuccess(files.chmod(file, 0o600))
      if (told) return
      told = true
      yield* Effect.annotateLogs(
        Effect.logWarning(
          done
            ? "others could read or write the audit log; now only its owner can"
            : "others can read or write the audit log, and this user may not change that"
        ),
        { file }
      )
    })
}

/** What cannot be rotated is told once, until it works again. */
const rotation = (options: Options) => {
  let told = false
  return (isFull: (size: number) => boolean) =>
    Rotation.rotate(options, isFull).pipe(
      Effect.tap(() => Effect.sync(() => told = false)),
      Effect.catchAll((error) => {
        if (told) return Effect.void
        told = true
        return Effect.annotateLogs(Effect.logError("the full audit log cannot be renamed, and grows"), {
          file: options.file,
          reason: reasonOf(error)
        })
      })
    )
}

const nothingWritten = (file: string) =>
  new Error.SystemError({ module: "FileSystem", method: "write", reason: "WriteZero", pathOrDescriptor: file })

const unusable = (file: string, problem: string) =>
  new AuditUnusable({
    summary: `The audit log ${file} ${problem}.`,
    remedy:
      "Make it and its directory writable for this user, name another file in audit.file, or set audit.destination to stdout or off."
  })
