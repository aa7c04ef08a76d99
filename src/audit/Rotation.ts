/**
 * Begins a new log file when one is full: `audit.jsonl` becomes
 * `audit.jsonl.1`, that becomes `audit.jsonl.2`, and so on.
 *
 * Of several processes that find the file full, one renames it. Nobody waits:
 * the others add to the file they have, which is still whole under its new name.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Clock, Effect, Option, type Scope } from "effect"

export interface Options {
  readonly file: string
  /** Size in bytes at which a new file is begun; one line may be longer. */
  readonly maxBytes: number
  /** How many full files are kept; with 0, the full file is emptied. */
  readonly keepFiles: number
}

/** Does nothing when the file is no longer full, or another process is at it. */
export const rotate = (
  { file, keepFiles }: Options,
  isFull: (size: number) => boolean
): Effect.Effect<void, PlatformError, FileSystem.FileSystem> =>
  Effect.scoped(Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const nth = (n: number) => `${file}.${n}`
    if (!(yield* lock(`${file}.lock`))) return
    // Another process may have done it since we looked.
    if (!isFull(Number((yield* files.stat(file)).size))) return
    // Emptied and not removed: what another process is about to add must not go with it.
    if (keepFiles === 0) yield* files.truncate(file, 0)
    else {
      let last = 1
      while (last < keepFiles && (yield* files.exists(nth(last)))) last++
      for (let n = last; n > 1; n--) yield* files.rename(nth(n - 1), nth(n))
      yield* files.rename(file, nth(1))
    }
    for (let n = keepFiles + 1; yield* files.exists(nth(n)); n++) yield* files.remove(nth(n))
  }))

// -- internals ---------------------------------------------------------------

/** A rotation takes milliseconds; a lock of this age was left by a process that died. */
const longestMillis = 60_000

/** Whether this process may rotate, until the scope closes. */
const lock = (path: string): Effect.Effect<boolean, PlatformError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.acquireRelease(
      Effect.scoped(files.open(path, { flag: "wx", mode: 0o600 })).pipe(
        Effect.as(true),
        Effect.catchIf(
          (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
          () => Effect.as(Effect.ignore(removeLeft(files, path)), false)
        )
      ),
      (taken) => taken ? Effect.ignore(files.remove(path)) : Effect.void
    ))

const removeLeft = (files: FileSystem.FileSystem, path: string) =>
  Effect.gen(function*() {
    const { mtime } = yield* files.stat(path)
    const age = (yield* Clock.currentTimeMillis) - Option.match(mtime, { onNone: () => Infinity, onSome: Number })
    if (age > longestMillis) yield* files.remove(path)
  })
