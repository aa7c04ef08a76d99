/**
 * The connections to one provider's endpoint.
 *
 * Kept alive between calls, and closed with the scope. undici is used as a
 * package and not as Node's built-in `fetch`, because only its own classes can
 * be told how long connecting may take, and because the built-in one gives up
 * after five silent minutes whatever the configuration says.
 * Source: https://undici.nodejs.org/#/docs/api/Client
 */
import { Effect, type Scope } from "effect"
import type * as Net from "node:net"
import { Agent, buildConnector, Client, type Dispatcher, fetch as undiciFetch, Pool } from "undici"
import { TooLate } from "./Timeouts.js"

export interface Transport {
  /** Needs a `dispatcher`, see {@link Transport.pool}; fails with {@link TooLate} when no connection stands in time. */
  readonly fetch: typeof fetch
  /** The connections that must stand within `connect` milliseconds. */
  readonly pool: (connect: number) => Pooled
}

// undici's types come twice, with the package and with Node's own; the SDKs want the latter.
type Pooled = NonNullable<RequestInit["dispatcher"]>

/** The connections are closed with the scope, whatever still happens on them. */
export const make: Effect.Effect<Transport, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new Map<number, Agent>()),
    (agents) => Effect.promise(() => Promise.all([...agents.values()].map((agent) => agent.destroy())))
  ),
  (agents) => ({
    fetch: (input, init) =>
      ownFetch(input, {
        ...init,
        ...init?.dispatcher && { dispatcher: tied(init.dispatcher, init.signal ?? undefined) }
      }).catch(rethrow),
    pool: (connect) => {
      const agent = agents.get(connect) ?? pools(connect)
      agents.set(connect, agent)
      return agent as unknown as Pooled
    }
  })
)

// -- internals ---------------------------------------------------------------

const ownFetch = undiciFetch as unknown as typeof fetch

const pools = (connect: number): Agent =>
  new Agent({
    // The answer's timeouts are kept by `HttpBody`, which knows the phase.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
    factory: (origin, options) =>
      new Pool(origin, {
        ...options,
        factory: (origin, options) => new Connection(origin, options, connect)
      })
  })

/** The call that is being dispatched right now; undici hands no such thing down to its connections. */
let dispatching: AbortSignal | undefined

/** Of a dispatcher, `fetch` uses no more than this. */
const tied = (pool: Pooled, signal: AbortSignal | undefined): Pooled =>
  ({
    dispatch: (...call: Parameters<Pooled["dispatch"]>) => {
      dispatching = signal
      try {
        return pool.dispatch(...call)
      } finally {
        dispatching = undefined
      }
    }
  }) as Pooled

/**
 * A connection that is given up when the call that waits for it is over: undici would go on connecting.
 *
 * It outlives its calls and may connect again for a later one, so an abort counts only if it is of the call that was
 * handed over last. A pool hands over one at a time.
 */
class Connection extends Client {
  private readonly attempt: { socket: Net.Socket | undefined; waiter: AbortSignal | undefined }

  constructor(origin: string | URL, options: object, timeout: number) {
    const attempt: Connection["attempt"] = { socket: undefined, waiter: undefined }
    // It returns the socket, which its type does not say.
    const connect = buildConnector({ timeout }) as (...args: Parameters<buildConnector.connector>) => Net.Socket
    super(origin, {
      ...options,
      connect: (target, callback) => {
        attempt.socket = connect(target, (...result) => {
          attempt.socket = undefined
          callback(...result)
        })
      }
    })
    this.attempt = attempt
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { attempt } = this
    const waiter = dispatching
    attempt.waiter = waiter
    waiter?.addEventListener("abort", () => {
      if (attempt.waiter === waiter) attempt.socket?.destroy(new Error("the call is over"))
    }, { once: true })
    return super.dispatch(options, handler)
  }
}

/** The SDKs take whatever sounds like a timeout for their own, and forget the cause. */
const rethrow = (error: unknown): never => {
  const cause: NodeJS.ErrnoException | undefined = error instanceof Error && error.cause instanceof Error
    ? error.cause
    : undefined
  if (cause?.code === "UND_ERR_CONNECT_TIMEOUT") throw new TooLate({ limit: "connect" })
  if (cause?.code !== "ETIMEDOUT") throw error
  // Of several addresses, none of which answered, there is no one system call.
  if (cause.syscall === "connect" || cause instanceof AggregateError) throw new TooLate({ limit: "connect" })
  // The system gave up a connection that stood.
  throw new TypeError("fetch failed", { cause: Object.assign(new Error("lost"), { code: "UND_ERR_SOCKET" }) })
}
