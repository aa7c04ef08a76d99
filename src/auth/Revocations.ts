/**
 * Tokens and subjects that are refused though their tokens are well signed.
 *
 * Kept in a file to which every `revoke-token` adds one line, so that two of
 * them at once lose nothing, and a revocation that was confirmed is on disk.
 * A revoked subject is refused with every token issued until then; a blocked
 * one with every token.
 */
import { FileSystem } from "@effect/platform"
import { Data, DateTime, Effect, Either, Schema } from "effect"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import type { Refusal } from "../domain/Errors.js"

/** What a line says; the last line about the same token or subject counts. */
export const Revocation = Schema.Struct({
  at: Schema.DateTimeUtc,
  action: Schema.Literal("revoke", "block", "restore"),
  kind: Schema.Literal("token", "subject"),
  /** The token's `jti`, or the subject. */
  id: Schema.NonEmptyString
})
export type Revocation = typeof Revocation.Type

export interface Holder {
  readonly subject: string
  readonly tokenId: string
  /** Whole seconds since the epoch; undefined for a token that does not say. */
  readonly issuedAt: number | undefined
}

export interface Revocations {
  /** Why this token is refused; undefined when it is not. */
  readonly refusal: (holder: Holder) => Extract<Refusal, `revoked_${string}`> | undefined
  /** What is revoked now, in the order of its revocation. */
  readonly entries: ReadonlyArray<Revocation>
  /** Characters of the file. */
  readonly size: number
  /** Lines of the file that say nothing, counted from 1. */
  readonly damaged: ReadonlyArray<number>
}

/** The file cannot be read or added to, or a line of it is damaged. */
export class RevocationsUnusable extends Data.TaggedError("RevocationsUnusable")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Nothing is revoked. */
export const none: Revocations = { refusal: () => undefined, entries: [], size: 0, damaged: [] }

/** Damaged lines are told, and the others hold. */
export const load: Effect.Effect<Revocations, RevocationsUnusable, FileSystem.FileSystem> = Effect.gen(function*() {
  const { revocations: file } = yield* paths
  const text = yield* Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(file)).pipe(
    Effect.catchIf(
      (error) => error._tag === "SystemError" && error.reason === "NotFound",
      () => Effect.succeed("")
    ),
    Effect.mapError((error) => unusable(file, error._tag === "SystemError" ? error.reason : error._tag))
  )
  return parse(text)
})

/** Of a file with no damaged line: a server must not start while it may be that it trusts what was revoked. */
export const loadWhole: Effect.Effect<Revocations, RevocationsUnusable, FileSystem.FileSystem> = Effect.flatMap(
  Effect.all([load, paths]),
  ([revocations, { revocations: file }]) =>
    revocations.damaged.length === 0
      ? Effect.succeed(revocations)
      : new RevocationsUnusable({
        summary: `${file} is damaged in line ${revocations.damaged.join(", ")}.`,
        remedy: "Correct or remove what stands there, and repeat the revocation it was meant to be."
      })
)

/** On disk when it completes. */
export const add = (
  revocation: Revocation
): Effect.Effect<void, RevocationsUnusable, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { revocations: file } = yield* paths
    const line = yield* Effect.orDie(Schema.encode(Schema.parseJson(Revocation))(revocation))
    // The newline in front keeps it apart from a line that a crash left half-written.
    yield* Effect.mapError(
      Files.appendPrivate(file, `\n${line}\n`),
      (error) => unusable(file, error._tag === "SystemError" ? error.reason : error._tag)
    )
  })

export const parse = (text: string): Revocations => {
  const damaged: Array<number> = []
  const present = new Map<string, Revocation>()
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const read = decode(line)
    if (Either.isLeft(read)) damaged.push(index + 1)
    else {
      const key = `${read.right.kind} ${read.right.id}`
      present.delete(key)
      if (read.right.action !== "restore") present.set(key, read.right)
    }
  }
  const refusal: Revocations["refusal"] = ({ issuedAt, subject, tokenId }) => {
    if (present.has(`token ${tokenId}`)) return "revoked_token"
    const subjects = present.get(`subject ${subject}`)
    if (subjects === undefined) return undefined
    return subjects.action === "block" || issuedAt === undefined || issuedAt <= secondsOf(subjects)
      ? "revoked_subject"
      : undefined
  }
  return { refusal, entries: [...present.values()], size: text.length, damaged }
}

/** Refuses what either of them refuses. */
export const both = (one: Revocations, other: Revocations): Revocations => ({
  ...one,
  refusal: (holder) => one.refusal(holder) ?? other.refusal(holder)
})

/** The earliest `iat` that a revocation of this subject lets pass. */
export const earliest = ({ entries }: Revocations, subject: string): number =>
  Math.max(
    0,
    ...entries.filter(({ id, kind }) => kind === "subject" && id === subject).map((entry) => secondsOf(entry) + 1)
  )

// -- internals ---------------------------------------------------------------

const decode = Schema.decodeEither(Schema.parseJson(Revocation))

/** Tokens count whole seconds, so one of the same second counts as issued before. */
const secondsOf = ({ at }: Revocation): number => Math.floor(DateTime.toEpochMillis(at) / 1000)

const unusable = (file: string, reason: string) =>
  new RevocationsUnusable({
    summary: `${file} cannot be read or written (${reason}).`,
    remedy: "Make it and its directory readable and writable for the user of the server."
  })
