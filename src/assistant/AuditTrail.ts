/**
 * The client's audit log as it was written, the oldest entry first, over all
 * files of its rotation.
 *
 * A line that is torn or is no entry is left out, and counted.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Data, Effect, Option } from "effect"
import * as ReadFile from "../config/ReadFile.js"
import { decode, type Line } from "./AuditEntry.js"

export interface Trail {
  readonly lines: ReadonlyArray<Line>
  readonly damaged: number
}

export interface Part {
  readonly file: string
  readonly bytes: number
}

/** The log is there, and cannot be read. */
export class AuditUnreadable extends Data.TaggedError("AuditUnreadable")<{
  readonly file: string
  readonly reason: string
}> {
  get summary() {
    return `The audit log ${this.file} cannot be read (${this.reason}).`
  }
  get remedy() {
    return "Check that it is a file and that you may read it."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The files that there are of the log of this name, the oldest first; none while nothing was recorded. */
export const parts = (file: string): Effect.Effect<ReadonlyArray<Part>, AuditUnreadable, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const found: Array<Part> = []
    const current = yield* partAt(file)
    if (current !== undefined) found.unshift(current)
    for (let n = 1;; n++) {
      const part = yield* partAt(`${file}.${n}`)
      if (part === undefined) return found
      found.unshift(part)
    }
  })

/** All entries, or the last `tail` of them; files that hold only older ones are not read. */
export const read = (
  file: string,
  tail: number = Infinity
): Effect.Effect<Trail, AuditUnreadable, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const newestFirst: Array<Line> = []
    let damaged = 0
    for (const part of [...yield* parts(file)].reverse()) {
      const text = yield* Effect.mapError(ReadFile.text(part.file, ReadFile.maxBytes.log), unreadable(part.file))
      for (const line of text.split("\n").reverse()) {
        if (newestFirst.length >= tail) return { lines: newestFirst.reverse(), damaged }
        if (line === "") continue
        const entry = decode(line)
        if (Option.isSome(entry)) newestFirst.push(entry.value)
        else damaged++
      }
    }
    return { lines: newestFirst.reverse(), damaged }
  })

// -- internals ---------------------------------------------------------------

const partAt = (file: string): Effect.Effect<Part | undefined, AuditUnreadable, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.stat(file)).pipe(
    Effect.map(({ size }): Part => ({ file, bytes: Number(size) })),
    Effect.catchAll((error) => isMissing(error) ? Effect.succeed(undefined) : Effect.fail(unreadable(file)(error)))
  )

const isMissing = (error: PlatformError) => error._tag === "SystemError" && error.reason === "NotFound"

const unreadable = (file: string) => (error: PlatformError) =>
  new AuditUnreadable({ file, reason: ReadFile.problem(error) })
