/**
 * Revocations and retired keys in Redis, for several servers.
 *
 * A change is published, and every server asks for the latest revision twice a second, so that it is known everywhere
 * within a second also where nothing was published. A server sends all that Redis does not have: after a restart or a
 * flush of Redis the set is whole again as soon as one server that knows it is connected.
 *
 * Keys, all on one node of a cluster:
 * - `trust`: a hash; of each token, subject and key the latest times of revocation, block and restoration
 * - `trust-log`: its fields by the revision of their last change
 * - `trust-meta`: `revision`, and `epoch`, a random text of the database's beginning
 * Channel: `trust`, with the revision.
 */
import { createClient } from "@redis/client"
import { Duration, Effect, Logger, LogLevel, PubSub, Redacted, type Scope, Stream } from "effect"
import * as Crypto from "node:crypto"
import * as Revocations from "../auth/Revocations.js"
import type { Shared } from "../auth/Shared.js"
import * as Connection from "./RedisConnection.js"
import type { RedisInvalid } from "./RedisInvalid.js"

export interface Options {
  readonly url: Redacted.Redacted
  /** PEM of the CAs to trust instead of those of Node, for `rediss://`. */
  readonly ca?: string | undefined
  readonly prefix: string
  readonly timeout: Duration.Duration
}

/** More are kept by the servers that know them, and not shared. */
export const maxRecords = 100_000

/** Waits for the first answer of Redis as long as for any; runs while the scope is open. */
export const make = (options: Options): Effect.Effect<Shared, RedisInvalid, Scope.Scope> =>
  Effect.gen(function*() {
    const base = baseOf(options)
    const connection = yield* connect(options)
    const changes = yield* PubSub.sliding<void>(1)
    const wake = Effect.unsafeMakeLatch()
    let heard: Revocations.Records = new Map()
    let own: Revocations.Records = new Map()
    /** What Redis has, as far as it is known since the last whole look. */
    let stored: Revocations.Records = new Map()
    let [epoch, revision, lookedAt, wasFull] = ["", 0, -Infinity, false]
    let unknown: string | undefined = "it was not asked yet"
    let failing = false

    const pull = Effect.gen(function*() {
      const [now = "", last = "0"] = yield* connection.ask((client) =>
        client.hmGet(`${base}trust-meta`, ["epoch", "revision"])
      )
      const isWhole = now !== epoch || Number(last) < revision || Date.now() - lookedAt > wholeLookMillis
      let since = isWhole ? 0 : revision
      if (isWhole) {
        stored = new Map()
        lookedAt = Date.now()
      }
      epoch = now ?? ""
      while (since < Number(last)) {
        const page = yield* connection.ask((client) =>
          client.zRangeWithScores(`${base}trust-log`, `(${since}`, "+inf", {
            BY: "SCORE",
            LIMIT: { offset: 0, count: pageSize }
          })
        )
        const fields = page.map(({ value }) => value)
        if (fields.length === 0) break
        const values = yield* connection.ask((client) => client.hmGet(`${base}trust`, fields))
        const found = new Map(fields.flatMap((field, index) => {
          const standing = standingOf(values[index])
          return standing === undefined ? [] : [[field, standing] as const]
        }))
        stored = Revocations.join(stored, found)
        since = page.at(-1)?.score ?? Number(last)
      }
      revision = Number(last)
      const before = heard
      heard = Revocations.join(heard, stored)
      if (heard !== before) yield* PubSub.publish(changes, undefined)
    })

    const push = Effect.gen(function*() {
      const all = Revocations.join(heard, own)
      const missing = [...all].filter(([key, standing]) =>
        Revocations.join(stored, new Map([[key, standing]])) !== stored
      )
      if (missing.length === 0) return
      const isFull = yield* send(connection, base, missing)
      stored = Revocations.join(stored, new Map(missing))
      if (isFull && !wasFull) {
        yield* Effect.logError("too many revocations in Redis: further ones hold only where they were made").pipe(
          Effect.annotateLogs({ redis: connection.where, most: maxRecords })
        )
      }
      wasFull = isFull
    })

    const sync = Effect.zipRight(pull, push).pipe(
      Effect.matchEffect({
        onFailure: ({ reason }) => {
          lookedAt = -Infinity
          if (unknown !== undefined) unknown = reason
          if (failing) return Effect.void
          failing = true
          return Effect.annotateLogs(
            Effect.logWarning(
              unknown === undefined
                ? "revocations are not shared with other servers now; those that are known hold"
                : "it is not known what other servers have revoked: calls are refused until it is"
            ),
            { redis: connection.where, reason }
          )
        },
        onSuccess: () => {
          unknown = undefined
          if (!failing) return Effect.void
          failing = false
          return Effect.annotateLogs(Effect.logInfo("revocations are shared with other servers again"), {
            redis: connection.where
          })
        }
      })
    )

    yield* sync
    yield* subscribed(options, `${base}trust`, () => wake.unsafeOpen())
    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      yield* Effect.raceFirst(wake.await, Effect.sleep(pollInterval))
      wake.unsafeClose()
      yield* sync
    })))
    return {
      records: () => heard,
      offer: (records) =>
        Effect.sync(() => {
          if (records === own) return
          own = records
          wake.unsafeOpen()
        }),
      unknown: () => unknown === undefined ? undefined : { store: `Redis at ${connection.where}`, cause: unknown },
      changes: Stream.fromPubSub(changes)
    }
  })

/** Once, for a command: these records are known to every server when it completes. */
export const announce = (
  options: Options,
  records: Revocations.Records
): Effect.Effect<{ readonly where: string }, Connection.Failed, Scope.Scope> =>
  Effect.gen(function*() {
    const connection = yield* Effect.mapError(connect(options), refused)
    const isFull = yield* send(connection, baseOf(options), [...records])
    if (isFull) {
      return yield* new Connection.Failed({ reason: `it holds ${maxRecords} revocations already`, when: "refused" })
    }
    return { where: connection.where }
  })

/** What is known of one token, subject or key. */
export const find = (
  options: Options,
  key: string
): Effect.Effect<Revocations.Records, Connection.Failed, Scope.Scope> =>
  Effect.gen(function*() {
    const connection = yield* Effect.mapError(connect(options), refused)
    const standing = standingOf(yield* connection.ask((client) => client.hGet(`${baseOf(options)}trust`, key)))
    return new Map(standing === undefined ? [] : [[key, standing]])
  })

// -- internals ---------------------------------------------------------------

const pollInterval = Duration.millis(500)

/** A database that was restored from a backup may have the same epoch and revision as before. */
const wholeLookMillis = 60_000

/** Records in one answer, and in one request. */
const pageSize = 500

/** What it logs is about limits; that of revocations is logged here. */
const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>) => Logger.withMinimumLogLevel(effect, LogLevel.None)

const baseOf = ({ prefix }: Options) => `{${prefix}}:`

const connect = (options: Options) =>
  quiet(Connection.open({
    ...options,
    base: baseOf(options),
    beat: (client) => client.ping(),
    tend: () => Effect.void
  }))

const refused = ({ message }: RedisInvalid) => new Connection.Failed({ reason: message, when: "refused" })

const send = (
  connection: Connection.Connection,
  base: string,
  records: ReadonlyArray<readonly [string, Revocations.Standing]>
): Effect.Effect<boolean, Connection.Failed> =>
  Effect.gen(function*() {
    let isFull = false
    const keys = ["trust", "trust-log", "trust-meta"].map((name) => base + name)
    for (let begin = 0; begin < records.length; begin += pageSize) {
      const values = records.slice(begin, begin + pageSize).flatMap(([key, { blocked, restored, revoked }]) =>
        [key, revoked, blocked, restored].map(String)
      )
      const argumentsOf = [Crypto.randomUUID(), String(maxRecords), ...values]
      const answer: unknown = yield* connection.ask((client) =>
        client.eval(mergeScript, { keys, arguments: argumentsOf })
      )
      isFull ||= answer !== 0
    }
    // Where that is not allowed, the others ask.
    yield* Effect.ignore(connection.ask((client) => client.publish(`${base}trust`, "")))
    return isFull
  })

/** Its keys are all given. Answers how many records there was no room for. A stored time only ever grows. */
export const mergeScript = `
redis.call('HSETNX', KEYS[3], 'epoch', ARGV[1])
local room = tonumber(ARGV[2]) - redis.call('HLEN', KEYS[1])
local refused = 0
for i = 3, #ARGV, 4 do
  local old = redis.call('HGET', KEYS[1], ARGV[i])
  local times = {'0', '0', '0'}
  if old then times = {string.match(old, '^(%d+) (%d+) (%d+)$')} end
  local grown = false
  for n = 1, 3 do
    local time = ARGV[i + n]
    if tonumber(time) > tonumber(times[n] or '0') then times[n], grown = time, true end
    times[n] = times[n] or '0'
  end
  if grown and not old and room <= 0 then
    refused = refused + 1
  elseif grown then
    if not old then room = room - 1 end
    redis.call('HSET', KEYS[1], ARGV[i], table.concat(times, ' '))
    redis.call('ZADD', KEYS[2], redis.call('HINCRBY', KEYS[3], 'revision', 1), ARGV[i])
  end
end
return refused
`

const standingOf = (text: string | null | undefined): Revocations.Standing | undefined => {
  const [, revoked, blocked, restored] = /^(\d{1,16}) (\d{1,16}) (\d{1,16})$/.exec(text ?? "") ?? []
  return revoked === undefined
    ? undefined
    : { revoked: Number(revoked), blocked: Number(blocked), restored: Number(restored) }
}

/** A connection of its own, as subscribers need; without it, or the right to subscribe, changes are heard by asking. */
const subscribed = (
  { ca, timeout, url }: Options,
  channel: string,
  heard: () => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => {
      const client = createClient({
        url: Redacted.value(url),
        RESP: 2,
        maintNotifications: "disabled",
        disableClientInfo: true,
        pingInterval: 10_000,
        socket: {
          ...Connection.trusting(ca),
          connectTimeout: Duration.toMillis(timeout),
          reconnectStrategy: (retries) => Math.min(1000, 50 * 2 ** retries)
        }
      })
      client.on("error", () => {})
      // A change may have been missed while it was away.
      client.on("ready", heard)
      client.connect().then(() => client.subscribe(channel, heard)).catch(() => {})
      return client
    }),
    (client) => Effect.sync(() => client.destroy())
  ))
