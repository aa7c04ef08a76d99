/**
 * The SQLite file of what was used: mode 0600, made where it is missing, and
 * refused with one clear error where it is not ours or is damaged.
 *
 * Several processes may have it open. What a process wrote outlives its death;
 * a machine that loses its power may lose the last moments, never the whole.
 * Sources: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html
 */
import { FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { Data, Effect, Schedule, type Scope } from "effect"
import Database from "libsql"
import * as NodePath from "node:path"
import * as Files from "../config/Files.js"

/** Synchronous. What it throws has a `code`, as SQLite names it, and may have the number of it as `rawCode`. */
export type Connection = Database.Database

/** What was used cannot be counted in this file. */
export class LedgerInvalid extends Data.TaggedError("LedgerInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/**
 * Closed with the scope. A file that another process keeps locked is tried for a second.
 *
 * Nothing but SQLite may open a file that this process has open: its locks are gone as soon as anything of the process
 * closes the file.
 */
export const open = (
  file: string
): Effect.Effect<Connection, LedgerInvalid, FileSystem.FileSystem | Scope.Scope> =>
  Effect.acquireRelease(opened(file), close)

/** The same, to be closed with {@link close}. */
export const opened = (file: string): Effect.Effect<Connection, LedgerInvalid, FileSystem.FileSystem> =>
  Effect.zipRight(
    prepare(file),
    Effect.try({ try: () => connected(file), catch: (cause) => new Unusable({ cause }) }).pipe(
      // To make a file ours, SQLite does not wait for others that do so.
      Effect.retry({
        while: ({ cause }) => isBusy(cause),
        schedule: Schedule.upTo(Schedule.spaced("50 millis"), "500 millis")
      }),
      Effect.mapError(({ cause }) => invalid(file, cause))
    )
  )

/** What is left in the log goes into the file, so that a copy of the file alone has everything. */
export const close = (db: Connection): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      db.pragma("wal_checkpoint(TRUNCATE)")
    } catch {
      // The next one that opens it does that.
    }
    db.close()
  })

/** Gone when nobody has it any more. */
export const memory: Effect.Effect<Connection> = Effect.sync(() => connected(":memory:"))

/** What to say of what was thrown while the file was used. */
export const invalid = (file: string, cause: unknown): LedgerInvalid => {
  if (cause instanceof Foreign) return new LedgerInvalid({ summary: `${file} ${cause.problem}.`, remedy: cause.remedy })
  switch (numberOf(cause)) {
    case code.corrupt:
    case code.notADatabase:
      return new LedgerInvalid({ summary: `${file} is damaged, or not a file of vibectl.`, remedy: afresh })
    case code.busy:
    case code.locked:
      return new LedgerInvalid({
        summary: `${file} is locked by another program.`,
        remedy: "Stop the program that has it open, or name another file in state.file."
      })
    default:
      return new LedgerInvalid({
        summary: `${file} cannot be used (${reasonOf(cause)}).`,
        remedy: "Make it and its directory writable for this user, or name another file in state.file."
      })
  }
}

/** All that `work` does, or nothing of it; no other process writes in between. */
export const within = <A>(db: Connection, work: () => A): A => {
  db.exec("BEGIN IMMEDIATE")
  try {
    const result = work()
    db.exec("COMMIT")
    return result
  } catch (cause) {
    rollBack(db)
    throw cause
  }
}

/** Whether it is what was to be written, and not the state of the file or the disk: it would fail again. */
export const isHopeless = (cause: unknown): boolean => numberOf(cause) === code.constraint

// -- internals ---------------------------------------------------------------

/** https://www.sqlite.org/rescode.html */
const code = { busy: 5, locked: 6, corrupt: 11, constraint: 19, notADatabase: 26 }

/** Without what SQLite adds to it. */
const numberOf = (cause: unknown): number => cause instanceof Database.SqliteError ? (cause.rawCode ?? 0) & 0xff : 0

/** Short, and without the path. */
const reasonOf = (cause: unknown): string => {
  if (cause instanceof SystemError) return cause.reason
  return cause instanceof Error ? cause.message : String(cause)
}

const isBusy = (cause: unknown) => numberOf(cause) === code.busy

class Unusable extends Data.TaggedError("Unusable")<{ readonly cause: unknown }> {}

/** A file of another version or another program. */
class Foreign extends Data.Error<{ readonly problem: string; readonly remedy: string }> {}

const afresh =
  "Put a copy of it in its place, or move it away: the server then begins a new one, and forgets what was used."

/** While it waits for another process, the whole server does. */
const busyMillis = 500

/** "vbct": says whose file it is. */
const application = 0x76626374

const version = 2

/**
 * A reservation: `tokens` and `cost` are what totals have for it, `keys` the bounds whose totals these are. If its server
 * dies, the list of rows in `abandoned` is booked and totals are charged what was `spent`; `booked` is when that was done,
 * in milliseconds since the epoch.
 */
const reservations = `
  CREATE TABLE reservations (
    id TEXT PRIMARY KEY, server TEXT NOT NULL, day TEXT NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
    keys TEXT NOT NULL, abandoned TEXT NOT NULL, spent_tokens INTEGER NOT NULL, spent_cost INTEGER NOT NULL, booked INTEGER
  ) STRICT, WITHOUT ROWID;
`

const tables = `
  CREATE TABLE totals (
    key TEXT NOT NULL, period TEXT NOT NULL, tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
    PRIMARY KEY (key, period)
  ) STRICT, WITHOUT ROWID;
  ${reservations}
  CREATE TABLE usage (
    day TEXT NOT NULL, subject TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,
    requests INTEGER NOT NULL, failures INTEGER NOT NULL, estimated INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_input_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL, cost INTEGER NOT NULL,
    unpriced_tokens INTEGER NOT NULL,
    PRIMARY KEY (day, subject, tenant, model)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE servers (id TEXT PRIMARY KEY, alive_until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${application};
  PRAGMA user_version = ${version};
`

/** Not in files of older versions. */
const added = `
  CREATE TABLE IF NOT EXISTS endings (
    day TEXT NOT NULL, subject TEXT NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,
    cut_off INTEGER NOT NULL, filtered INTEGER NOT NULL, refused INTEGER NOT NULL,
    PRIMARY KEY (day, subject, tenant, model)
  ) STRICT, WITHOUT ROWID;
`

/** From version 1, which had the row of a reservation in columns, all of it as input. */
const migration = `
  ALTER TABLE reservations RENAME TO former;
  ${reservations}
  INSERT INTO reservations SELECT id, server, day, tokens, cost, '[]',
    json_array(json_array(day, subject, tenant, model, 1, 1, 1, tokens, 0, 0, 0, 0, cost, 0)), tokens, cost, booked FROM former;
  DROP TABLE former;
  PRAGMA user_version = ${version};
`

/** Only looks where there is a file: to open it would break the locks of this process. */
const prepare = (file: string) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const found = yield* Effect.option(files.stat(file))
    if (found._tag === "None") return yield* create(file)
    if (found.value.type !== "File") return yield* new Foreign({ problem: "is not a regular file", remedy: elsewhere })
    for (const part of [file, `${file}-wal`, `${file}-shm`]) yield* narrow(part)
  }).pipe(Effect.mapError((error) => invalid(file, error)))

/** Another process may do so at the same time. */
const create = (file: string) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    yield* Files.privateDirectory(NodePath.dirname(file))
    // Those of a file that was deleted: a server may still have them open, and their locks and pages are not of this one.
    for (const part of ["-wal", "-shm"]) yield* files.remove(file + part, { force: true })
    yield* Effect.scoped(files.open(file, { flag: "wx", mode: 0o600 })).pipe(
      Effect.zipRight(Files.adopt(file)),
      Effect.catchIf((error) => error._tag === "SystemError" && error.reason === "AlreadyExists", () => Effect.void)
    )
  })

const elsewhere = "Move it away, or name another file in state.file."

/** Takes from others what they may do with it. SQLite gives the file's mode and owner to what it puts beside it. */
const narrow = (path: string) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const { mode } = yield* files.stat(path)
    if ((mode & 0o077) === 0) return
    const done = yield* Effect.isSuccess(files.chmod(path, 0o600))
    yield* Effect.annotateLogs(
      Effect.logWarning(
        done
          ? "others could read or write the record of usage; now only its owner can"
          : "others can read or write the record of usage, and this user may not change that"
      ),
      { file: path }
    )
  }).pipe(Effect.ignore)

const connected = (file: string): Connection => {
  const db = new Database(file, { timeout: busyMillis })
  try {
    db.pragma("journal_mode = WAL")
    db.pragma("synchronous = NORMAL")
    within(db, () => adoptTables(db))
    const faults = db.prepare("PRAGMA quick_check(1)").pluck().all()
    if (faults.length !== 1 || faults[0] !== "ok") throw new Foreign({ problem: "is damaged", remedy: afresh })
    return db
  } catch (cause) {
    db.close()
    throw cause
  }
}

const adoptTables = (db: Connection): void => {
  const found = numberIn(db, "user_version")
  const isEmpty = found === 0 && db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined
  if (!isEmpty && numberIn(db, "application_id") !== application) {
    throw new Foreign({ problem: "is a file of another program", remedy: elsewhere })
  }
  if (found > version) {
    throw new Foreign({
      problem:
        `was made by a newer version of vibectl-server (its tables have version ${found}, this knows ${version})`,
      remedy: "Run that version, or name another file in state.file."
    })
  }
  if (isEmpty) db.exec(tables)
  else if (found < version) db.exec(migration)
  db.exec(added)
}

/** A failure may have done it already. */
const rollBack = (db: Connection): void => {
  try {
    db.exec("ROLLBACK")
  } catch {
    // There is no transaction any more.
  }
}

const numberIn = (db: Connection, pragma: string): number =>
  Number(db.prepare(`PRAGMA ${pragma}`).pluck().all()[0] ?? 0)
