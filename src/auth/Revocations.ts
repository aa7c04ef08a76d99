/**
 * Tokens and subjects that are refused though their tokens are well signed.
 *
 * Kept in a file to which every `revoke-token` adds one line, so that two of
 * them at once lose nothing, and a revocation that was confirmed is on disk.
 * A revoked subject is refused with every token issued until then; a blocked
 * one with every token. Only a `restore` ends a refusal.
 */
import { type FileSystem } from "@effect/platform"
import { Data, DateTime, Effect, Either, Schema } from "effect"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import * as ReadFile from "../config/ReadFile.js"
import type { Refusal } from "../domain/Errors.js"

/** One line: within the file, a later line about the same token or subject is later, whatever its clock says. */
export const Revocation = Schema.Struct({
  at: Schema.DateTimeUtc,
  action: Schema.Literal("revoke", "block", "restore"),
  kind: Schema.Literal("token", "subject"),
  /** The token's id, or the subject. */
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
  readonly records: Records
  /** Lines of the file that are not revocations, counted from 1. */
  readonly damaged: ReadonlyArray<number>
}

/** By {@link keyOf}. */
export type Records = ReadonlyMap<string, Standing>

/**
 * The latest time of each action on one token or subject, in milliseconds since the epoch; 0 for never.
 *
 * The times only grow, so that records from several places can be joined in any order, and only a restoration that is
 * later than a refusal ends it.
 */
export interface Standing {
  readonly revoked: number
  readonly blocked: number
  readonly restored: number
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

/** Damaged lines are listed, and the others hold. */
export const load: Effect.Effect<Revocations, RevocationsUnusable, FileSystem.FileSystem> = Effect.gen(function*() {
  const { revocations: file } = yield* paths
  const text = yield* ReadFile.text(file, ReadFile.maxBytes.log).pipe(
    Effect.catchIf(
      ReadFile.isMissing,
      () => Effect.succeed("")
    ),
    Effect.mapError((error) => unusable(file, ReadFile.problem(error)))
  )
  return parse(text)
})

/** Fails for a damaged line: a server that starts without it might trust what was revoked. */
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
  const records = new Map<string, Standing>()
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    const read = decode(line)
    if (Either.isLeft(read)) damaged.push(index + 1)
    else {
      const { action, at, id, kind } = read.right
      const key = keyOf(kind, id)
      const before = records.get(key) ?? never
      // A clock that was set back must not make a line of no effect.
      const millis = Math.max(1, DateTime.toEpochMillis(at), latest(before) + 1)
      records.set(key, { ...before, [past[action]]: millis })
    }
  }
  return of(records, damaged)
}

export const of = (records: Records, damaged: ReadonlyArray<number> = []): Revocations => ({
  refusal: ({ issuedAt, subject, tokenId }) => {
    if (records.size === 0) return undefined
    const token = records.get(keyOf("token", tokenId))
    if (token !== undefined && actionOf(token) !== undefined) return "revoked_token"
    const subjects = records.get(keyOf("subject", subject))
    const action = subjects && actionOf(subjects)
    if (subjects === undefined || action === undefined) return undefined
    return action === "block" || issuedAt === undefined || issuedAt <= secondsOf(subjects)
      ? "revoked_subject"
      : undefined
  },
  get entries() {
    return entriesOf(records)
  },
  records,
  damaged
})

/** Nothing is revoked. */
export const none: Revocations = of(new Map())

/** Refuses what either of them refuses, unless the other was told later to trust it again; `one` itself if nothing is new. */
export const join = (one: Records, other: Records): Records => {
  let joined: Map<string, Standing> | undefined
  for (const [key, { blocked, restored, revoked }] of other) {
    const before = one.get(key) ?? never
    if (blocked <= before.blocked && restored <= before.restored && revoked <= before.revoked) continue
    joined ??= new Map(one)
    joined.set(key, {
      revoked: Math.max(revoked, before.revoked),
      blocked: Math.max(blocked, before.blocked),
      restored: Math.max(restored, before.restored)
    })
  }
  return joined ?? one
}

/** How many tokens and subjects `records` refuses for a reason that `others` do not have. */
export const countMissing = (records: Records, others: Records): number => {
  let count = 0
  for (const [key, standing] of records) {
    const other = others.get(key) ?? never
    const isMissing = standing.blocked > other.blocked || standing.revoked > other.revoked
    if (isMissing && actionOf(standing) !== undefined) count++
  }
  return count
}

export const keyOf = (kind: Revocation["kind"], id: string): string => `${kind} ${id}`

export const isBlocked = ({ records }: Revocations, subject: string): boolean => {
  const standing = records.get(keyOf("subject", subject))
  return standing !== undefined && actionOf(standing) === "block"
}

/** The time of the latest action in these records, in milliseconds since the epoch; 0 for none. */
export const latestOf = (records: Records): number => Math.max(0, ...[...records.values()].map(latest))

/** The earliest `iat` that a revocation of this subject lets pass. */
export const earliest = ({ records }: Revocations, subject: string): number => {
  const standing = records.get(keyOf("subject", subject))
  return standing === undefined || actionOf(standing) === undefined ? 0 : secondsOf(standing) + 1
}

// -- internals ---------------------------------------------------------------

const decode = Schema.decodeEither(Schema.parseJson(Revocation))

const never: Standing = { revoked: 0, blocked: 0, restored: 0 }

const past = { revoke: "revoked", block: "blocked", restore: "restored" } as const

const latest = ({ blocked, restored, revoked }: Standing): number => Math.max(blocked, restored, revoked)

/** What refuses now; a later revocation does not end a block. */
const actionOf = ({ blocked, restored, revoked }: Standing): "revoke" | "block" | undefined => {
  if (blocked > 0 && blocked >= restored) return "block"
  return revoked > 0 && revoked >= restored ? "revoke" : undefined
}

/** Tokens count whole seconds, so one of the same second counts as issued before. */
const secondsOf = ({ blocked, revoked }: Standing): number => Math.floor(Math.max(blocked, revoked) / 1000)

const entriesOf = (records: Records): ReadonlyArray<Revocation> =>
  [...records].flatMap(([key, standing]) => {
    const action = actionOf(standing)
    const space = key.indexOf(" ")
    const kind = (["token", "subject"] as const).find((kind) => kind === key.slice(0, space))
    // Records of keys stand beside them.
    if (action === undefined || kind === undefined) return []
    return [{ at: DateTime.unsafeMake(standing[past[action]]), action, kind, id: key.slice(space + 1) }]
  }).sort((one, other) => DateTime.toEpochMillis(one.at) - DateTime.toEpochMillis(other.at))

const unusable = (file: string, reason: string) =>
  new RevocationsUnusable({
    summary: `${file} cannot be read or written (${reason}).`,
    remedy: "Make it and its directory readable and writable for the user of the server."
  })
