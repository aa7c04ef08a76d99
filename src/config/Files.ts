/**
 * Files that may hold a secret: mode 0600, in directories of mode 0700, and
 * never half-written.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Effect, Random } from "effect"
import * as NodePath from "node:path"

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
        (error) => error._tag === "SystemError" && error.reason === "AlreadyExists",
        () => Effect.void
      ),
      Effect.zipRight(files.readFileString(path))
    ))

/** Makes `directory` and its missing parents, readable by the owner only. */
export const privateDirectory = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.makeDirectory(directory, { recursive: true, mode: 0o700 }))

// -- internals ---------------------------------------------------------------

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
      yield* file.writeAll(new TextEncoder().encode(content))
      yield* file.sync
    }))
    return yield* Effect.zipRight(write, use(files, temporary)).pipe(
      // A rename has taken the temporary file away; a link or a failure leaves it.
      Effect.ensuring(Effect.ignore(files.remove(temporary, { force: true })))
    )
  })
