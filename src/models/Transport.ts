/**
 * The connections to one provider's endpoint.
 *
 * Kept alive between calls, and closed with the scope. undici is used as a
 * package and not as Node's built-in `fetch`, because only a dispatcher can be
 * told how long connecting may take, and because the built-in one gives up
 * after five silent minutes whatever the configuration says.
 * Source: https://undici.nodejs.org/#/docs/api/Client
 */
import { Effect, type Scope } from "effect"
import { Agent, fetch as undiciFetch } from "undici"

export interface Transport {
  /** Takes a `dispatcher`, see {@link Transport.pool}. */
  readonly fetch: typeof fetch
  /** The pool whose connections must stand within `connect` milliseconds. */
  readonly pool: (connect: number) => Pool
}

// undici's types come twice, with the package and with Node's own; the SDKs want the latter.
type Pool = NonNullable<RequestInit["dispatcher"]>

/** The pools, and whatever is still open in them, are closed with the scope. */
export const make: Effect.Effect<Transport, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => new Map<number, Agent>()),
    (pools) => Effect.promise(() => Promise.all([...pools.values()].map((pool) => pool.destroy())))
  ),
  (pools) => ({
    fetch: undiciFetch as unknown as typeof fetch,
    pool: (connect) => {
      const pool = pools.get(connect) ?? new Agent({ ...ours, connect: { timeout: connect } })
      pools.set(connect, pool)
      return pool as unknown as Pool
    }
  })
)

// -- internals ---------------------------------------------------------------

/** Timeouts of the answer are kept by `HttpBody`, which knows the phase; an idle connection is reused for half a minute. */
const ours = { headersTimeout: 0, bodyTimeout: 0, keepAliveTimeout: 30_000 } satisfies Agent.Options
