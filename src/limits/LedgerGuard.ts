/**
 * The file of what was used, kept open while the server runs, and noticed when
 * it is deleted or another one stands in its place.
 *
 * SQLite goes on in a file that has no name any more, and all of it would be
 * gone with the process. What is still open has everything: it is moved into the
 * file that is there then, which is made where there is none.
 * Source: https://www.sqlite.org/howtocorrupt.html, 4.2 (unlinking or renaming a database file while in use)
 */
import { FileSystem } from "@effect/platform"
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as LedgerFile from "./LedgerFile.js"
import * as Tables from "./LedgerTables.js"

export interface Guard {
  readonly connection: () => LedgerFile.Connection
  /** A look at the name of the file, of some microseconds. */
  readonly isLost: () => boolean
  /** Opens what is there now, made where there is nothing, with all that is known; the loss is logged once. */
  readonly restore: Effect.Effect<LedgerFile.Connection, LedgerFile.LedgerInvalid>
}

/** Closed with the scope. */
export const open = (
  file: string
): Effect.Effect<Guard, LedgerFile.LedgerInvalid, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    let db = yield* LedgerFile.opened(file)
    let own = identityOf(file)
    let isReported = false
    yield* Effect.addFinalizer(() => Effect.suspend(() => LedgerFile.close(db)))

    const isLost = () => {
      const found = identityOf(file)
      return found !== "unknown" && found !== own
    }
    const report = Effect.suspend(() => {
      if (isReported) return Effect.void
      isReported = true
      const { remedy, what } = identityOf(file) === "none" ? deleted : replaced
      return Effect.annotateLogs(Effect.logError(`the record of usage was ${what} while the server runs`), {
        file,
        remedy
      })
    })
    const found = LedgerFile.opened(file).pipe(
      Effect.provideService(FileSystem.FileSystem, files),
      Effect.tap((next) =>
        Effect.tapError(
          Effect.try({
            try: () => Tables.carryOver(db, file),
            catch: (cause) => LedgerFile.invalid(file, cause)
          }),
          () => LedgerFile.close(next)
        )
      )
    )
    const restore = Effect.uninterruptible(Effect.gen(function*() {
      yield* report
      const next = yield* found
      const before = db
      db = next
      own = identityOf(file)
      isReported = false
      yield* LedgerFile.close(before)
      yield* Effect.annotateLogs(Effect.logInfo("the record of usage has a file again, with all that was known"), {
        file
      })
      return next
    }))
    return { connection: () => db, isLost, restore }
  })

// -- internals ---------------------------------------------------------------

const deleted = {
  what: "deleted",
  remedy: "What was used is written to a new file. To begin a new record, stop the server before the file is removed."
}

const replaced = {
  what: "replaced by another file",
  remedy: "The larger of both counts stays. To put back a copy, stop the server first."
}

/** Device and inode; of a file system that cannot be asked just now, nothing is known. */
const identityOf = (file: string): string => {
  try {
    const found = Fs.statSync(file, { bigint: true, throwIfNoEntry: false })
    return found === undefined ? "none" : `${found.dev}:${found.ino}`
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "ENOTDIR" ? "none" : "unknown"
  }
}
