/**
 * One connection to Redis that nobody ever waits for longer than is configured.
 *
 * While Redis is away (not reachable, silent, or not able to take writes),
 * questions fail at once, and one is asked after the other to see whether it is
 * back. That it is lost is told once, and so is that it is back; by host and
 * port, never by its URL.
 */
import { createClient, ErrorReply } from "@redis/client"
import { Data, Duration, Effect, Either, Redacted, type Scope } from "effect"
import { scripts } from "./RedisScripts.js"

export type Client = ReturnType<typeof clientOf>

export interface Connection {
  /** Host and port. */
  readonly where: string
  /** Waits for the answer as long as is configured; not at all while Redis is away. */
  readonly ask: <A>(question: (client: Client) => Promise<A>) => Effect.Effect<A, Failed>
  /** Lets the next beat be now. */
  readonly nudge: () => void
}

export class Failed extends Data.TaggedError("Failed")<{
  /** Without credentials. */
  readonly reason: string
  /** `before`: Redis never saw it. `unknown`: it may have done it. `refused`: it answered that it cannot do this. */
  readonly when: "before" | "unknown" | "refused"
}> {}

export interface Options {
  readonly url: Redacted.Redacted
  /** For one answer, and for one attempt to connect. */
  readonly timeout: Duration.Duration
  /** Asked every 5 seconds, and to see whether Redis is back. */
  readonly beat: (client: Client) => Promise<unknown>
  /** Done after each beat that was answered, one at a time. */
  readonly tend: (self: Connection) => Effect.Effect<unknown>
}

/** Waits for Redis as long as for an answer, and then goes on connecting in the background. */
export const open = ({ beat, tend, timeout, url }: Options): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { where, ...settings } = yield* settingsOf(url)
    const noticed = Effect.unsafeMakeLatch()
    let problem = "not connected"
    let away: string | undefined

    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = clientOf({ ...settings, timeout: Duration.toMillis(timeout) })
        made.on("ready", () => noticed.unsafeOpen())
        made.on("error", (cause: unknown) => {
          problem = failedOf(cause).reason
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

    const lose = (reason: string) =>
      Effect.suspend(() => {
        if (away !== undefined) return Effect.void
        away = reason
        noticed.unsafeOpen()
        return Effect.annotateLogs(Effect.logWarning("Redis cannot be used; trying again until it can"), {
          redis: where,
          reason
        })
      })

    const found = Effect.suspend(() => {
      if (away === undefined) return Effect.void
      away = undefined
      return Effect.annotateLogs(Effect.logInfo("Redis can be used again"), { redis: where })
    })

    const ask: Connection["ask"] = (question) =>
      Effect.suspend(() => {
        if (away !== undefined) return new Failed({ reason: away, when: "before" })
        if (!client.isReady) return Effect.zipRight(lose(problem), new Failed({ reason: problem, when: "before" }))
        return Effect.tapError(
          answer(question(client), timeout),
          ({ reason, when }) => when === "refused" ? Effect.void : lose(reason)
        )
      })

    /** A silent Redis is asked once and not again, until it answers or the connection ends. */
    const look = Effect.suspend(() => {
      const promise = beat(client)
      return Effect.catchIf(
        answer(promise, timeout),
        ({ reason }) => reason === silent,
        ({ reason }) => Effect.zipRight(lose(reason), answer(promise))
      )
    })

    const self: Connection = { where, ask, nudge: () => noticed.unsafeOpen() }

    const step = Effect.gen(function*() {
      noticed.unsafeClose()
      if (!client.isReady) yield* lose(problem)
      else {
        const seen = yield* Effect.either(look)
        if (Either.isRight(seen)) yield* Effect.zipRight(found, tend(self))
        else {
          yield* lose(seen.left.reason)
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
  /** Milliseconds. */
  readonly timeout: number
}

const clientOf = ({ timeout, url }: Settings) =>
  createClient({
    url,
    scripts,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    clientInfoTag: "vibectl",
    socket: {
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

const answer = <A>(promise: Promise<A>, timeout?: Duration.Duration): Effect.Effect<A, Failed> =>
  Effect.async((resume) => {
    // In this order, what came while the process was busy with something else is seen before it is said to be missing.
    const late = () => setImmediate(() => resume(new Failed({ reason: silent, when: "unknown" })))
    const timer = timeout === undefined ? undefined : setTimeout(late, Duration.toMillis(timeout))
    promise.then(
      (value) => {
        clearTimeout(timer)
        resume(Effect.succeed(value))
      },
      (cause: unknown) => {
        clearTimeout(timer)
        resume(failedOf(cause))
      }
    )
    return Effect.sync(() => clearTimeout(timer))
  })

const failedOf = (cause: unknown): Failed => {
  const reason = reasonOf(cause)
  if (cause instanceof ErrorReply) {
    // All others say that Redis as a whole cannot be used now, e.g. LOADING, OOM, READONLY.
    return new Failed({ reason, when: /^(ERR|WRONGTYPE)\b/.test(reason) ? "refused" : "unknown" })
  }
  return new Failed({ reason, when: "unknown" })
}

const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return "unknown"
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}
