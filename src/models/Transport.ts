/**
 * The connections to one provider's endpoint.
 *
 * Kept alive between calls, and closed with the scope. undici is used as a
 * package and not as Node's built-in `fetch`, because only its own classes can
 * be told how long connecting may take, because the built-in one gives up
 * after five silent minutes whatever the configuration says, and because a
 * `fetch` costs several times what a request and its answer do.
 * Source: https://undici.nodejs.org/#/docs/api/Dispatcher
 */
import { Effect, type Scope } from "effect"
import { Agent, type buildConnector, Client, type Dispatcher, Pool } from "undici"
import * as Connector from "../network/Connector.js"
import * as Egress from "../network/Egress.js"
import * as Abort from "./Abort.js"
import * as Reply from "./Reply.js"
import * as Rush from "./Rush.js"
import { TooLate } from "./Timeouts.js"

export interface Transport {
  /**
   * What the SDKs need of a `fetch`: its responses are each a {@link Reply.Reply}. Needs a `dispatcher`, see
   * {@link Transport.pool}; fails with {@link TooLate} when no connection stands in time. `onSent` as in {@link Post}.
   */
  readonly fetch: (...args: [...Parameters<typeof fetch>, onSent?: () => void]) => Promise<Response>
  /** The same for a request whose parts are known. */
  readonly post: (request: Post) => Promise<Response>
  /** The connections that must stand within `connect` milliseconds. */
  readonly pool: (connect: number) => Pooled
}

export interface Post {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
  readonly abort: Abort.Aborted
  readonly dispatcher: Pooled
  /** Called when a connection stands and the first byte is about to be written to it. */
  readonly onSent: (() => void) | undefined
}

// undici's types come twice, with the package and with Node's own; the SDKs want the latter.
type Pooled = NonNullable<RequestInit["dispatcher"]>

/**
 * The connections are closed with the scope, whatever still happens on them. They go through the proxy that the
 * environment names; dies when that is none, which the server's start has checked.
 */
export const make: Effect.Effect<Transport, never, Scope.Scope> = Effect.zipWith(
  Effect.acquireRelease(
    Effect.sync(() => new Map<number, Agent>()),
    (agents) => Effect.promise(() => Promise.all([...agents.values()].map((agent) => agent.destroy())))
  ),
  Effect.orDie(Egress.load),
  (agents, egress) => {
    const rush = Rush.make()
    const answer = (dispatcher: Pooled, request: Request): Promise<Response> =>
      send(dispatcher as unknown as Agent, request) as Promise<unknown> as Promise<Response>
    const transport: Transport = {
      fetch: (input, init, onSent) => {
        if (init?.dispatcher === undefined) return Promise.reject(new TypeError("a request needs a dispatcher"))
        const { body, dispatcher, headers, method = "GET", signal } = init
        return answer(dispatcher, {
          url: typeof input === "string" ? input : input instanceof URL ? input.href : input.url,
          method,
          headers: recordOf(headers),
          body: typeof body === "string" ? body : null,
          abort: Abort.ofSignal(signal ?? undefined),
          isBusy: rush.isOn,
          onSent,
          hops: 0
        })
      },
      post: ({ abort, body, dispatcher, headers, onSent, url }) =>
        answer(dispatcher, { url, method: "POST", headers, body, abort, isBusy: rush.isOn, onSent, hops: 0 }),
      pool: (connect) => {
        const agent = agents.get(connect) ?? pools(Connector.make({ egress, timeout: connect }))
        agents.set(connect, agent)
        return agent as unknown as Pooled
      }
    }
    return transport
  }
)

// -- internals ---------------------------------------------------------------

interface Request {
  readonly url: string
  readonly method: string
  readonly headers: Record<string, string>
  readonly body: string | null
  readonly abort: Abort.Aborted
  readonly isBusy: () => boolean
  readonly onSent: (() => void) | undefined
  /** How often it was sent elsewhere already. */
  readonly hops: number
}

const send = (agent: Agent, request: Request): Promise<Reply.Reply> =>
  new Promise((resolve, reject) => {
    const { body, headers, method, url } = request
    if (request.abort.isOver) return reject(request.abort.reason)
    const waiter: Waiter = { isOver: false, leave: undefined }
    let control: Dispatcher.DispatchController | undefined
    let interim = 0
    let answer: Pick<Reply.Reply, "push" | "end" | "fail"> | undefined
    const abort = () => {
      const { reason } = request.abort
      waiter.isOver = true
      waiter.leave?.()
      control?.abort(reason)
      answer?.fail(reason)
      reject(reason)
    }
    const over = () => {
      // It was sent elsewhere, and who listens now is the request there.
      if (waiter.isOver) return
      waiter.isOver = true
      request.abort.listen(undefined)
    }
    const failed = (error: unknown) => {
      over()
      const failure = new TypeError("fetch failed", { cause: error })
      answer?.fail(failure)
      reject(told(failure))
    }
    request.abort.listen(abort)

    const { origin, path } = placeOf(url)
    dispatching = waiter
    try {
      agent.dispatch({ origin, path, method: method, headers, body }, {
        onRequestStart: (controller) => {
          control = controller
          if (waiter.isOver) return controller.abort(request.abort.reason)
          // The connection stands, and undici writes as soon as this returns.
          request.onSent?.()
        },
        onResponseStart: (controller, status, fields) => {
          // What comes before the answer says nothing of it.
          if (status < 200) {
            if (++interim > maxInterim) controller.abort(tooManyInterim())
            return
          }
          const next = elsewhere(request, status, fields["location"])
          if (next !== undefined) {
            over()
            resolve(send(agent, next))
            return controller.abort(new Error("redirected"))
          }
          const reply = new Reply.Reply(url, status, fields, controller, request.isBusy)
          answer = Reply.sink(reply)
          resolve(reply)
        },
        onResponseData: (_, chunk) => answer?.push(chunk),
        onResponseEnd: () => {
          over()
          answer?.end()
        },
        onResponseError: (_, error) => failed(error)
      })
    } catch (error) {
      failed(error)
    } finally {
      dispatching = undefined
    }
  })

/** Responses of 1xx that may come before the answer: hints and signs of life, which may be sent for as long as it takes. */
const maxInterim = 100

const tooManyInterim = (): Error =>
  Object.assign(new Error("too many interim responses"), { code: "TOO_MANY_INTERIM_RESPONSES" })

const recordOf = (headers: RequestInit["headers"]): Record<string, string> =>
  headers === undefined || headers instanceof Headers || Array.isArray(headers)
    ? Object.fromEntries(new Headers(headers))
    : headers as Record<string, string>

/** Each endpoint has a few URLs, and every call one of them. */
const places = new Map<string, { readonly origin: string; readonly path: string }>()

const placeOf = (url: string) => {
  const known = places.get(url)
  if (known !== undefined) return known
  const { origin, pathname, search } = new URL(url)
  if (places.size >= 1000) places.clear()
  const place = { origin, path: pathname + search }
  places.set(url, place)
  return place
}

/** What to ask instead, as browsers do: our key does not go to another origin. Undefined without a redirection. */
const elsewhere = (request: Request, status: number, location: unknown): Request | undefined => {
  const again = status === 307 || status === 308
  if (!again && (status < 301 || status > 303) || typeof location !== "string" || request.hops >= 20) return undefined
  if (!URL.canParse(location, request.url)) return undefined
  const url = new URL(location, request.url)
  const isElsewhere = url.origin !== new URL(request.url).origin
  // However they are written: not every caller writes them as the SDKs do.
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) =>
      !(isElsewhere && secrets.has(name.toLowerCase())) && (again || name.toLowerCase() !== "content-type")
    )
  )
  return {
    url: url.href,
    method: again ? request.method : "GET",
    headers,
    body: again ? request.body : null,
    abort: request.abort,
    isBusy: request.isBusy,
    onSent: request.onSent,
    hops: request.hops + 1
  }
}

const secrets: ReadonlySet<string> = new Set(["authorization", "x-api-key", "api-key", "cookie"])

const pools = (connect: Connector.Connect): Agent =>
  new Agent({
    // The answer's timeouts are kept by `HttpBody`, which knows the phase.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
    factory: (origin, options) =>
      new Pool(
        origin,
        Object.assign({}, options, {
          factory: (origin: URL, options: object) => new Connection(origin, options, connect)
        })
      )
  })

/** A call, as its connection knows it. */
interface Waiter {
  isOver: boolean
  /** To be called when the call is over; set while it may wait for a connection. */
  leave: (() => void) | undefined
}

/** The call that is being dispatched right now; undici hands no such thing down to its connections. */
let dispatching: Waiter | undefined

/**
 * A connection that is given up when the call that waits for it is over: undici would go on connecting.
 *
 * It outlives its calls and may connect again for a later one, so an abort counts only if it is of the call that was
 * handed over last. A pool hands over one at a time.
 */
class Connection extends Client {
  private readonly attempt: { pending: Connector.Attempt | undefined; waiter: Waiter | undefined }

  constructor(origin: string | URL, options: object, connect: Connector.Connect) {
    const attempt: Connection["attempt"] = { pending: undefined, waiter: undefined }
    const connecting: buildConnector.connector = (target, callback) => {
      attempt.pending = connect(target, (...result) => {
        attempt.pending = undefined
        callback(...result)
      })
    }
    super(origin, Object.assign({}, options, { connect: connecting }))
    this.attempt = attempt
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { attempt } = this
    const waiter = dispatching
    attempt.waiter = waiter
    if (waiter !== undefined) {
      const leave = () => {
        if (attempt.waiter === waiter) attempt.pending?.destroy(new Error("the call is over"))
      }
      waiter.leave = leave
    }
    return super.dispatch(options, handler)
  }
}

/** The SDKs take whatever sounds like a timeout for their own, and forget the cause. */
const told = (failure: TypeError): Error => {
  const cause: NodeJS.ErrnoException | undefined = failure.cause instanceof Error ? failure.cause : undefined
  if (cause?.code === "UND_ERR_CONNECT_TIMEOUT") return new TooLate({ limit: "connect" })
  if (cause?.code !== "ETIMEDOUT") return failure
  // Of several addresses, none of which answered, there is no one system call.
  if (cause.syscall === "connect" || cause instanceof AggregateError) return new TooLate({ limit: "connect" })
  // The system gave up a connection that stood.
  return new TypeError("fetch failed", { cause: Object.assign(new Error("lost"), { code: "UND_ERR_SOCKET" }) })
}
