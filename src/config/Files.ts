/**
 * Files that may hold a secret: mode 0600, in directories of mode 0700, and
 * never half-written.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Data, Effect, Option, Random, Schedule, type Scope } from "effect"
import * as Fs from "node:fs"
import * as NodePath from "node:path"
import * as ReadFile from "./ReadFile.js"

/** Replaces `path` in one step; readers see the old or the new content, nothing between. */
export const writePrivate = (
  path: string,
  content: string
): Effect.Effect<void, PlatformError, FileSystem.FileSystem> =>
  withTemporary(path, content, (files, temporary) => files.rename(temporary, path))

/**
 * Creates `path` unless it exists, and yields the content it has now. Of two
 * processes that do this at once, one wins and both see its content.
 */
export const createPrivate = (
  path: string,
  content: string
): Effect.Effect<string, PlatformError, FileSystem.FileSystem> =>
  withTemporary(path, content, (files, temporary) =>
    files.link(temporary, path).pipe(
      Effect.catchIf(
        isTaken,
        () => Effect.void
      ),
      Effect.zipRight(ReadFile.text(path, ReadFile.maxBytes.keys))
    ))

/**
 * Adds `text` to the end of `path` and waits until the disk has it. Several
 * processes may do this at once: each addition stays whole.
 */
export const appendPrivate = (
  path: string,
  text: string
): Effect.Effect<void, PlatformError, FileSystem.FileSystem> =>
  Effect.scoped(Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    yield* privateDirectory(NodePath.dirname(path))
    const file = yield* files.open(path, { flag: "a", mode: 0o600 })
    yield* adopt(path)
    yield* file.writeAll(new TextEncoder().encode(text))
    yield* file.sync
  }))

/** While the scope is open, no other process that asks here edits `path`. Waits for at most 5 seconds. */
export const locked = (
  path: string
): Effect.Effect<void, PlatformError | FileBusy, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const lock = `${path}.lock`
    yield* privateDirectory(NodePath.dirname(path))
    const take = Effect.scoped(files.open(lock, { flag: "wx", mode: 0o600 })).pipe(
      Effect.retry({ while: isTaken, schedule: Schedule.spaced("50 millis"), times: 100 }),
      Effect.catchIf(isTaken, () => new FileBusy({ path, lock }))
    )
    yield* Effect.acquireRelease(take, () => Effect.ignore(files.remove(lock)))
  })

/** Another process edits the file, or one died while it did. */
export class FileBusy extends Data.TaggedError("FileBusy")<{ readonly path: string; readonly lock: string }> {
  get summary() {
    return `Another program is editing ${this.path}.`
  }
  get remedy() {
    return `Run the command again; if no other vibectl-server command runs, remove ${this.lock} first.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/**
 * Changes whenever the content of `path` was replaced or added to; `""` while there is no such file. It has the time of
 * the last change of the file itself (ctime) too, which no program can set.
 */
export const stamp = (path: string): Effect.Effect<string> =>
  Effect.promise(() =>
    Fs.promises.stat(path, { bigint: true }).then(
      ({ ctimeNs, dev, ino, mtimeNs, size }) => [dev, ino, mtimeNs, ctimeNs, size].join(" "),
      () => ""
    )
  )

/**
 * What root makes in a directory of another user is that user's: a server that
 * does not run as root must be able to read what an operator did as root.
 */
export const adopt = (path: string): Effect.Effect<void, PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (process.getuid?.() !== 0) return
    const files = yield* FileSystem.FileSystem
    const { gid, uid } = yield* files.stat(NodePath.dirname(path))
    const owner = Option.getOrElse(uid, () => 0)
    if (owner !== 0) yield* files.chown(path, owner, Option.getOrElse(gid, () => 0))
  })

/** Whether every user of the machine can read it; false while there is no such file. */
export const readableByAll = (path: string): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.stat(path)).pipe(
    Effect.map(({ mode }) => (mode & 0o004) !== 0),
    Effect.orElseSucceed(() => false)
  )

/** What to say of such a file, with the command that mends it. */
export const exposed = (path: string): string =>
  `${path} holds a secret, and every user of this machine can read it: \`chmod 600 ${path}\``

/** Makes `directory` and its missing parents, readable by the owner only. */
export const privateDirectory = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.makeDirectory(directory, { recursive: true, mode: 0o700 }))

// -- internals ---------------------------------------------------------------

const isTaken = (error: PlatformError) => error._tag === "SystemError" && error.reason === "AlreadyExists"

const withTemporary = <A>(
  path: string,
  content: string,
  use: (files: FileSystem.FileSystem, temporary: string) => Effect.Effect<A, PlatformError>
): Effect.Effect<A, PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    yield* privateDirectory(NodePath.dirname(path))
    const temporary = `${path}.${yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)}.tmp`
    const write = Effect.scoped(Effect.gen(function*() {
      const file = yield* files.open(temporary, { flag: "wx", mode: 0o600 })
      yield* adopt(temporary)
      yield* file.writeAll(new TextEncoder().encode(content))
      yield* file.sync
    }))
    return yield* Effect.zipRight(write, use(files, temporary)).pipe(
      // A rename has taken the temporary file away; a link or a failure leaves it.
      Effect.ensuring(Effect.ignore(files.remove(temporary, { force: true })))
    )
  })
