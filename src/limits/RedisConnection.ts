/**
 * One connection to Redis that nobody ever waits for longer than is configured.
 *
 * One late answer fails its question alone. Redis is away when it is not
 * reachable, cannot take writes, or leaves a question unanswered that was asked
 * after another one was late. Then questions fail at once, and one is asked
 * after the other to see whether it is back. The log has one line when Redis is
 * lost and one when it is back, with host and port, never the URL.
 */
import { createClient, ErrorReply } from "@redis/client"
import { Data, Duration, Effect, Either, Redacted, type Scope } from "effect"
import { diagnose, type RedisInvalid } from "./RedisInvalid.js"
import { scripts } from "./RedisScripts.js"

export type Client = ReturnType<typeof clientOf>

export interface Connection {
  /** Host and port. */
  readonly where: string
  /** Waits for the answer as long as is configured, without the time that this process was busy; not at all while Redis is away. */
  readonly ask: <A>(question: (client: Client) => Promise<A>) => Effect.Effect<A, Failed>
  /** Lets the next beat be now. */
  readonly nudge: () => void
}

export class Failed extends Data.TaggedError("Failed")<{
  /** Without credentials. */
  readonly reason: string
  /** `before`: Redis never saw it. `unknown`: it may have done it. `refused`: it answered that it cannot do this. */
  readonly when: "before" | "unknown" | "refused"
  /** Whether this is an answer of Redis. */
  readonly answered?: boolean
}> {}

/** A command, and why Redis refuses it; null when it refuses none. */
export type Unfit = readonly [command: string, reason: string] | null

export interface Options<Beat> {
  readonly url: Redacted.Redacted
  /** PEM of the CAs to trust instead of those of Node; for `rediss:` only. */
  readonly ca?: string | undefined
  /** What all keys begin with. */
  readonly base: string
  /** For one answer, and for one attempt to connect. */
  readonly timeout: Duration.Duration
  /** Asked every 5 seconds, and to see whether Redis is back. */
  readonly beat: (client: Client) => Promise<Beat>
  /** Done after each beat that was answered, one at a time. */
  readonly tend: (self: Connection, beat: Beat) => Effect.Effect<unknown>
  /** Tries every command that is needed, once, before the first question. */
  readonly probe?: (client: Client) => Promise<Unfit>
}

/**
 * Waits for Redis as long as for an answer, and then goes on connecting in the background. Fails when Redis answers
 * that it will never do what is needed.
 */
export const open = <Beat>(
  { base, beat, ca, probe, tend, timeout, url }: Options<Beat>
): Effect.Effect<Connection, RedisInvalid, Scope.Scope> =>
  Effect.gen(function*() {
    const { where, ...settings } = yield* settingsOf(url)
    const noticed = Effect.unsafeMakeLatch()
    let problem = new Failed({ reason: "not connected", when: "before" })
    let away: string | undefined
    /** When an answer was found to be late, if Redis has answered nothing since. */
    let lateAt: number | undefined

    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = clientOf({ ...settings, ca, timeout: Duration.toMillis(timeout) })
        made.on("ready", () => noticed.unsafeOpen())
        made.on("error", (cause: unknown) => {
          problem = failedOf(cause)
          noticed.unsafeOpen()
        })
        connect(made)
        return made
      }),
      (made) =>
        Effect.sync(() => {
          made.destroy()
          // One that was just being made.
          made.on("connect", () => made.destroy())
        })
    )

    const lose = ({ answered = false, reason }: Failed) =>
      Effect.suspend(() => {
        if (away !== undefined) return Effect.void
        away = reason
        noticed.unsafeOpen()
        const lasting = diagnose({ where, base, reason, answered })
        return Effect.annotateLogs(Effect.logWarning("Redis cannot be used; trying again until it can"), {
          redis: where,
          reason,
          ...lasting && { remedy: lasting.remedy }
        })
      })

    const found = Effect.suspend(() => {
      if (away === undefined) return Effect.void
      away = undefined
      return Effect.annotateLogs(Effect.logInfo("Redis can be used again"), { redis: where })
    })

    /** Also when nobody waits for it any more. */
    const heard = () => {
      lateAt = undefined
    }

    /** The first one that is late asks for a beat; Redis is lost when a later question is late too. */
    const late = (failed: Failed, askedAt: number) =>
      Effect.suspend(() => {
        if (lateAt !== undefined && askedAt >= lateAt) return lose(failed)
        lateAt ??= performance.now()
        noticed.unsafeOpen()
        return Effect.void
      })

    const ask: Connection["ask"] = (question) =>
      Effect.suspend(() => {
        if (away !== undefined) return new Failed({ reason: away, when: "before" })
        if (!client.isReady) {
          return Effect.zipRight(lose(problem), new Failed({ reason: problem.reason, when: "before" }))
        }
        const askedAt = performance.now()
        return Effect.tapError(answer(question(client), { timeout, heard }), (failed) => {
          if (failed.when === "refused") return Effect.void
          return failed.reason === silent ? late(failed, askedAt) : lose(failed)
        })
      })

    /** A silent Redis is asked once and not again, until it answers or the connection ends. */
    const look = Effect.suspend(() => {
      const askedAt = performance.now()
      const promise = beat(client)
      const isSilent = ({ reason }: Failed) => reason === silent
      const waiting = answer(promise, { timeout, heard })
      return Effect.catchIf(
        waiting,
        isSilent,
        (failed) =>
          Effect.zipRight(
            late(failed, askedAt),
            Effect.catchIf(
              answer(promise, { timeout, heard }),
              isSilent,
              (failed) => Effect.zipRight(lose(failed), answer(promise, { heard }))
            )
          )
      )
    })

    const self: Connection = { where, ask, nudge: () => noticed.unsafeOpen() }

    const step = Effect.gen(function*() {
      noticed.unsafeClose()
      if (!client.isReady) yield* lose(problem)
      else {
        const seen = yield* Effect.either(look)
        if (Either.isRight(seen)) yield* Effect.zipRight(found, tend(self, seen.right))
        else {
          yield* lose(seen.left)
          // It is a replica now; by its name, another one may be found.
          if (seen.left.reason.startsWith("READONLY") && client.isReady) {
            client.destroy()
            connect(client)
          }
        }
      }
      yield* Effect.raceFirst(noticed.await, Effect.sleep(away === undefined ? "5 seconds" : "1 second"))
    })

    yield* Effect.raceFirst(noticed.await, pause(timeout))
    const { command, failed } = client.isReady ? yield* unfit(client, timeout, probe) : { failed: problem }
    const lasting = failed && diagnose({
      where,
      base,
      reason: failed.reason,
      answered: failed.answered === true,
      ...command !== undefined && { command }
    })
    if (lasting !== undefined) return yield* lasting
    yield* Effect.forkScoped(Effect.forever(step))
    return self
  })

/** By the machine's clock, as everything that is about the network. */
export const pause = (duration: Duration.Duration): Effect.Effect<void> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration))
    return Effect.sync(() => clearTimeout(timer))
  })

// -- internals ---------------------------------------------------------------

const silent = "no answer in time"

interface Settings {
  readonly url: string
  readonly ca: string | undefined
  /** Milliseconds. */
  readonly timeout: number
}

const clientOf = ({ ca, timeout, url }: Settings) =>
  createClient({
    url,
    scripts,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    // It needs a right of its own, which Redis before 7.2 does not have.
    disableClientInfo: true,
    socket: {
      ...trusting(ca),
      connectTimeout: timeout,
      // Nothing is written while it is silent, so that this ends a connection whose other end is gone.
      socketTimeout: Math.max(15_000, 2 * timeout),
      reconnectStrategy: (retries) => Math.min(1000, 50 * 2 ** retries)
    }
  })

/** It fails only when the client is destroyed meanwhile; what goes wrong before is an event. */
const connect = (client: Client): void => void client.connect().catch(() => {})

const settingsOf = (url: Redacted.Redacted) =>
  Effect.suspend(() => {
    const text = Redacted.value(url)
    // The error of the parser would show it.
    if (!URL.canParse(text) || !/^rediss?:\/\/[^/]+(\/\d*)?$/i.test(text)) {
      return Effect.dieMessage("The URL of Redis is not redis[s]://[user:password@]host[:port][/number].")
    }
    const { hostname, port } = new URL(text)
    return Effect.succeed({ url: text, where: `${hostname}:${port === "" ? "6379" : port}` })
  })

/** Part of a client's options for its socket; that of a URL of another kind stays as it is. */
export const trusting = (ca: string | undefined) => ca === undefined ? {} : { tls: true as const, ca }

/** The command that it refuses, as far as that is known, and why. */
const unfit = (
  client: Client,
  timeout: Duration.Duration,
  probe: Options<unknown>["probe"]
): Effect.Effect<{ readonly command?: string; readonly failed?: Failed }> =>
  probe === undefined ? Effect.succeed({}) : Effect.match(answer(probe(client), { timeout }), {
    onFailure: (failed) => ({
      command: /'(\w+)' command/.exec(failed.reason)?.[1]?.toUpperCase() ?? "EVALSHA",
      failed
    }),
    onSuccess: (found) => {
      if (found === null) return {}
      const [command, reason] = found
      return { command, failed: new Failed({ reason, when: "refused", answered: true }) }
    }
  })

/** Parts of a timeout. */
const slices = 4

interface Waiting {
  /** Forever without it. */
  readonly timeout?: Duration.Duration
  /** When there is an answer, in time or not. */
  readonly heard?: () => void
}

/**
 * The time that this process was too busy to look counts as one part of the timeout, however long it was: the question
 * may have left only after it.
 */
const answer = <A>(promise: Promise<A>, { heard = () => {}, timeout }: Waiting): Effect.Effect<A, Failed> =>
  Effect.async((resume) => {
    // In this order, what came while the process was busy with something else is seen before it is said to be missing.
    const late = () => setImmediate(() => resume(new Failed({ reason: silent, when: "unknown" })))
    let timer: NodeJS.Timeout | undefined
    const wait = (left: number, millis: number) => {
      timer = setTimeout(left === 1 ? late : () => wait(left - 1, millis), millis)
    }
    if (timeout !== undefined) wait(slices, Duration.toMillis(timeout) / slices)
    promise.then(
      (value) => {
        clearTimeout(timer)
        heard()
        resume(Effect.succeed(value))
      },
      (cause: unknown) => {
        clearTimeout(timer)
        const failed = failedOf(cause)
        if (failed.answered === true) heard()
        resume(failed)
      }
    )
    return Effect.sync(() => clearTimeout(timer))
  })

const failedOf = (cause: unknown): Failed => {
  const reason = reasonOf(cause)
  if (cause instanceof ErrorReply) {
    // All others say that Redis as a whole cannot be used now, e.g. LOADING, OOM, READONLY.
    return new Failed({ reason, when: /^(ERR|WRONGTYPE)\b/.test(reason) ? "refused" : "unknown", answered: true })
  }
  return new Failed({ reason, when: "unknown" })
}

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown"
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}
