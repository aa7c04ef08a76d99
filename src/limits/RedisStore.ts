/**
 * Limits and usage in Redis, for several servers that share them.
 *
 * Of any number of calls at all servers exactly as many pass as every bound
 * says. A server says every 5 seconds that it lives; the calls of one that has
 * not for 20 are booked by any other as they were estimated, and their places
 * are free. What is settled while Redis is away waits in memory and is written
 * when it is back.
 */
import { type Duration, Effect, Layer, Option, type Redacted, Schema, type Scope } from "effect"
import * as Crypto from "node:crypto"
import type { LimitType } from "../domain/LimitErrors.js"
import * as Backlog from "./RedisBacklog.js"
import * as Connection from "./RedisConnection.js"
import type { RedisInvalid } from "./RedisInvalid.js"
import * as Request from "./RedisRequest.js"
import type { Dead, Refused } from "./RedisScripts.js"
import { type Ask, type Booking, noCounts, type Refusal, Store, StoreUnavailable, type UsageRow } from "./Store.js"

export interface Options {
  /** `redis://` or `rediss://`, with user, password and the number of the database where they are needed. */
  readonly url: Redacted.Redacted
  /** PEM of the CAs to trust instead of those of Node, for `rediss://`. */
  readonly ca?: string | undefined
  /** What all keys begin with, in braces; servers that share their limits have the same. */
  readonly prefix: string
  /** How long Redis may take to answer. */
  readonly timeout: Duration.Duration
  /** Days that usage is kept. */
  readonly keepDays: number
}

/** Starts without Redis too, but not with one that refuses what is needed; dies only of a URL that is none. */
export const layer = (options: Options): Layer.Layer<Store, RedisInvalid> => Layer.scoped(Store, make(options))

// -- internals ---------------------------------------------------------------

const make = (
  { ca, keepDays, prefix, timeout, url }: Options
): Effect.Effect<Store["Type"], RedisInvalid, Scope.Scope> =>
  Effect.gen(function*() {
    const base = `{${prefix}}:`
    const owner = { base, server: yield* Effect.sync(() => Crypto.randomUUID()), keep: keepDays * 86_400 }
    const backlog = Backlog.make<Request.Question>()
    const burying = yield* Effect.makeSemaphore(1)
    /** Books what servers that died had; what fails now is tried again by whoever finds them next. */
    const bury = ({ ask }: Connection.Connection, dead: ReadonlyArray<string>) =>
      Effect.forEach(dead, (server) => buryOne(ask, base, server), { discard: true }).pipe(
        burying.withPermits(1),
        Effect.ignore,
        Effect.interruptible,
        Effect.raceFirst(Effect.interruptible(Connection.pause(timeout)))
      )
    const writing = ({ ask }: Connection.Connection) => (request: Request.Question) =>
      ask((client) => client.settle(request))
    const connection = yield* Connection.open({
      url,
      ca,
      base,
      timeout,
      probe: (client) => client.probe(Request.probe(base)),
      beat: (client) => client.renew(Request.renew(owner)),
      tend: (self, dead) =>
        Effect.zipRight(
          bury(self, dead),
          Effect.map(backlog.write(writing(self)), (more) => more && self.nudge())
        )
    })
    const { ask, nudge, where } = connection
    const write = writing(connection)
    const unavailable = ({ reason }: Connection.Failed) =>
      new StoreUnavailable({ store: `Redis at ${where}`, cause: reason })
    const read = <A>(question: (client: Connection.Client) => Promise<A>) => Effect.mapError(ask(question), unavailable)

    const later = (request: Request.Question) => Effect.zipRight(backlog.add(request), Effect.sync(nudge))

    /** Written in the end, now or later. */
    const settled = (request: Request.Question) =>
      Effect.catchAll(write(request), (failed) => {
        if (failed.when === "refused") return Backlog.lost(failed)
        return later(request)
      })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        yield* Effect.raceFirst(Effect.interruptible(backlog.empty), Effect.interruptible(Connection.pause(timeout)))
        yield* backlog.close
        yield* Effect.ignore(ask((client) => client.renew(Request.renew(owner, true))))
      })
    )

    const reserve = (wanted: Ask, first: boolean) =>
      ask((client) => client.reserve(Request.reserve(owner, wanted, first)))

    return Store.of({
      reserve: (wanted) =>
        Effect.uninterruptibleMask((restore) =>
          reserve(wanted, true).pipe(
            Effect.flatMap((refused) => {
              const dead = deadOf(refused)
              return dead.length === 0
                ? Effect.succeed(refused)
                : Effect.zipRight(bury(connection, dead), reserve(wanted, false))
            }),
            // It may have been taken, or still be when Redis wakes up.
            Effect.tapError(({ when }) => when === "before" ? Effect.void : later(Request.giveBack(owner, wanted))),
            Effect.mapError(unavailable),
            Effect.map((refused) => refusalOf(wanted, refused)),
            // Whoever was interrupted meanwhile never learns that it has it.
            Effect.tap((refusal) =>
              refusal === undefined
                ? Effect.onInterrupt(restore(Effect.void), () => settled(Request.giveBack(owner, wanted)))
                : Effect.void
            )
          )
        ),
      settle: (taken, settlement) =>
        Effect.uninterruptible(Effect.suspend(() => settled(Request.settle(owner, taken, settlement)))),
      progress: (all) => Effect.asVoid(read((client) => client.progress(Request.progress(owner, all)))),
      usage: ({ from, to }) =>
        Effect.gen(function*() {
          const days = yield* read((client) => client.zRange(Request.daysKey(base), 0, -1))
          const rows = yield* Effect.forEach(
            days.filter((day) => from <= day && day <= to).sort(),
            (day) => Effect.map(read((client) => client.hGetAll(Request.usageKey(base, day))), rowsOf(day)),
            { concurrency: 8 }
          )
          return rows.flat()
        }),
      outstanding: read(async (client) => {
        const servers = await client.zRange(Request.serversKey(base), 0, -1)
        const counts = await Promise.all(servers.map((server) => client.hLen(Request.openKey(base, server))))
        return counts.reduce((sum, count) => sum + count, 0)
      }),
      ready: Effect.asVoid(read((client) => client.ping()))
    })
  })

/** Pages, so that nothing holds Redis up for long. */
const buryOne = (ask: Connection.Connection["ask"], base: string, server: string) =>
  Effect.iterate("", {
    while: (cursor) => cursor !== "0",
    body: (cursor) =>
      ask((client) =>
        client.hScan(Request.openKey(base, server), cursor === "" ? "0" : cursor, { COUNT: buriedAtOnce })
      ).pipe(
        Effect.tap(({ entries }) => ask((client) => client.reap(Request.reap(base, server, entries)))),
        Effect.map(({ cursor }) => cursor)
      )
  })

/** About as many reservations as are booked in one go. */
const buriedAtOnce = 200

const isDead = (refused: Refused): refused is Dead => refused !== null && refused[0] === 0

const deadOf = (refused: Refused): ReadonlyArray<string> => isDead(refused) ? refused.slice(1).map(String) : []

const refusalOf = (ask: Ask, refused: Refused): Refusal | undefined => {
  if (refused === null || isDead(refused)) return undefined
  const [place, type, retryAfterMs] = refused
  const bound = ask.bounds[place - 1]
  return bound && { bound, type: type as LimitType, retryAfterMs }
}

const Field = Schema.parseJson(Schema.Tuple(Schema.String, Schema.String, Schema.String, Schema.String))
const decodeField = Schema.decodeUnknownOption(Field)

const rowsOf = (day: string) => (fields: Readonly<Record<string, string>>): ReadonlyArray<UsageRow> => {
  const rows = new Map<string, Booking>()
  for (const [field, count] of Object.entries(fields)) {
    const decoded = Option.getOrUndefined(decodeField(field))
    if (decoded === undefined) continue
    const [subject, tenant, model, name] = decoded
    // That of a later version, which shares this Redis.
    if (!(name in noCounts)) continue
    const key = JSON.stringify([subject, tenant, model])
    rows.set(key, { ...rows.get(key) ?? { ...noCounts, subject, tenant, model }, [name]: Number(count) })
  }
  return [...rows.values()].map((row) => ({ ...row, day }))
}
