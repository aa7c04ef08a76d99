/**
 * What the user wants the assistant to know at every request: a text in a file
 * of the client's, mode 0600, replaced as a whole.
 *
 * It never has more characters than `assistant.memory_max_chars`, whoever wrote it.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Context, Data, Effect, Layer } from "effect"
import { ClientConfig } from "../config/ClientConfig.js"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import type { ConfigInvalid } from "../config/Problem.js"
import * as ReadFile from "../config/ReadFile.js"

/** The file of the memory cannot be read or written. */
export class MemoryUnusable extends Data.TaggedError("MemoryUnusable")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

export class Memory extends Context.Tag("vibectl/assistant/Memory")<Memory, {
  readonly file: string
  /** The text, with a newline at its end; empty when there is none. */
  readonly read: Effect.Effect<string, MemoryUnusable>
  /** Replaces the text; what is too long is cut as {@link fitted} cuts it. */
  readonly write: (text: string) => Effect.Effect<void, MemoryUnusable>
  /** Removes the file, if there is one. */
  readonly clear: Effect.Effect<void, MemoryUnusable>
}>() {
  static readonly layerFile = (options: Options): Layer.Layer<Memory, never, FileSystem.FileSystem> =>
    Layer.effect(this, make(options))

  /** The user's own, as long as their configuration allows. */
  static readonly layer: Layer.Layer<Memory, ConfigInvalid, ClientConfig | FileSystem.FileSystem> = Layer.unwrapEffect(
    Effect.gen(function*() {
      const { value: { assistant } } = yield* (yield* ClientConfig).load
      return Memory.layerFile({ file: (yield* paths).memory, mostCharacters: assistant.memory_max_chars })
    })
  )
}

export interface Options {
  readonly file: string
  /** Code points, the last newline not counted. */
  readonly mostCharacters: number
}

export interface Fitted {
  readonly text: string
  /** How many characters were cut off at the end. */
  readonly cut: number
}

/**
 * The beginning of `text`, without white space at its end: up to `most` code
 * points, cut at the end of a line, else of a word, as long as half is left.
 */
export const fitted = (text: string, most: number): Fitted => {
  const characters = [...text.trimEnd()]
  if (characters.length <= most) return { text: characters.join(""), cut: 0 }
  const head = characters.slice(0, most).join("")
  // The cut may be at the very end of a line or of a word.
  const probe = `${head}${characters[most] ?? ""}`
  const kept = [/\n[^\n]*$/, /\s\S*$/]
    .map((last) => head.slice(0, Math.max(0, probe.search(last))).trimEnd())
    .find((beginning) => beginning.length >= Math.floor(head.length / 2)) ?? head.trimEnd()
  return { text: kept, cut: characters.length - [...kept].length }
}

// -- internals ---------------------------------------------------------------

const make = ({ file, mostCharacters }: Options): Effect.Effect<Memory["Type"], never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (files) => {
    const whole = (text: string) => {
      const kept = fitted(text, mostCharacters).text
      return kept === "" ? "" : `${kept}\n`
    }
    const failing = (what: string) =>
      Effect.mapError((error: PlatformError) =>
        new MemoryUnusable({
          summary: `The memory ${file} cannot be ${what} (${
            error._tag === "SystemError" ? error.reason : error._tag
          }).`,
          remedy: "Check that it is a file that you may read and write, or set assistant.memory to false."
        })
      )
    return Memory.of({
      file,
      read: ReadFile.text(file, ReadFile.maxBytes.config).pipe(
        Effect.catchIf(isMissing, () => Effect.succeed("")),
        Effect.map(whole),
        failing("read")
      ),
      write: (text) =>
        Files.writePrivate(file, whole(text)).pipe(
          Effect.provideService(FileSystem.FileSystem, files),
          failing("written")
        ),
      clear: files.remove(file).pipe(Effect.catchIf(isMissing, () => Effect.void), failing("removed"))
    })
  })

const isMissing = (error: PlatformError) => error._tag === "SystemError" && error.reason === "NotFound"
