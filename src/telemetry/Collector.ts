/**
 * The way to a collector, for exporters that know neither its secrets nor when
 * to be quiet.
 *
 * An error names the URL and a reason, and holds no header. The log hears once
 * that it cannot be reached, and once that it can again. Requests that have
 * begun go on when the exporter is told to stop, and no more than a few are
 * under way: what comes then is dropped, so that memory stays bounded.
 */
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { Data, Duration, Effect, Fiber, FiberSet, Redacted, type Scope } from "effect"
import * as Undici from "undici"
import * as Connector from "../network/Connector.js"
import * as Egress from "../network/Egress.js"
import type { Target } from "./OtlpSettings.js"

export interface Collector {
  readonly client: HttpClient.HttpClient
  /** From now on nothing is tried again: who waits for the end waits for one attempt. */
  readonly stop: Effect.Effect<void>
  /** Completes when no request is under way. */
  readonly idle: Effect.Effect<void>
}

/** `what` is what it is sent, for the log. */
export const make = (target: Target, what: string): Effect.Effect<Collector, never, Scope.Scope> =>
  Effect.gen(function*() {
    const fetching = yield* HttpClient.HttpClient
    const running = yield* FiberSet.make<HttpClientResponse.HttpClientResponse, HttpClientError.RequestError>()
    const watch = watching(target, what)
    let stopping = false

    const send = (request: HttpClientRequest.HttpClientRequest) =>
      fetching.execute(HttpClientRequest.setHeaders(request, Redacted.value(target.headers))).pipe(
        // A connection is used again only after the answer was read.
        Effect.tap((response) => Effect.ignore(response.arrayBuffer)),
        Effect.timeoutFail({ duration: target.timeout, onTimeout: () => new TimedOut() }),
        Effect.matchEffect({
          onFailure: (error) =>
            Effect.zipRight(
              watch(reasonOf(error)),
              Effect.suspend(() => stopping ? Effect.succeed(taken(request)) : unreachable(request, reasonOf(error)))
            ),
          onSuccess: ({ headers, status }) =>
            Effect.map(
              watch(status < 300 ? undefined : `HTTP ${status}`),
              () => stopping ? taken(request) : answer(request, status, headers["retry-after"])
            )
        }),
        Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })
      )

    const client = HttpClient.make((request) =>
      Effect.flatMap(
        FiberSet.size(running),
        (count) =>
          count >= most ? Effect.succeed(taken(request)) : Effect.flatMap(
            FiberSet.run(running, Effect.interruptible(send(request))),
            Fiber.join
          )
      )
    )
    const stop = Effect.sync(() => {
      stopping = true
    })
    return { client, stop, idle: FiberSet.awaitEmpty(running) }
  }).pipe(
    Effect.provide(FetchHttpClient.layer),
    Effect.provideServiceEffect(FetchHttpClient.Fetch, fetching(target))
  )

// -- internals ---------------------------------------------------------------

/** Through the proxy of the environment; the start of a server fails where that is none. */
const fetching = ({ timeout }: Target): Effect.Effect<typeof fetch, never, Scope.Scope> =>
  Effect.gen(function*() {
    const egress = yield* Effect.orElseSucceed(Egress.load, () => Egress.direct)
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Undici.Agent({ connect: Connector.make({ egress, timeout: Duration.toMillis(timeout) }) })),
      (agent) => Effect.promise(() => agent.destroy())
    )
    // The types of Node's own fetch and of the package's are two of the same.
    const through = (input: string | URL, init?: object) =>
      Undici.fetch(input, Object.assign({}, init, { dispatcher: agent }))
    return through as unknown as typeof fetch
  })

/** Requests at the same time, of up to 1000 spans each. */
const most = 4

class TimedOut extends Data.TaggedError("TimedOut") {}

const unreachable = (request: HttpClientRequest.HttpClientRequest, description: string) =>
  new HttpClientError.RequestError({ request, reason: "Transport", description })

/** What the exporter sees of an answer. */
const answer = (request: HttpClientRequest.HttpClientRequest, status: number, retryAfter: string | undefined) =>
  HttpClientResponse.fromWeb(
    request,
    new Response(null, { status, headers: retryAfter === undefined ? {} : { "retry-after": retryAfter } })
  )

/** What is lost needs no retry. */
const taken = (request: HttpClientRequest.HttpClientRequest) => answer(request, 200, undefined)

/** Tells the log of a collector that does not work (`fault`), or no more of that; only when it changes. */
const watching = ({ url }: Target, what: string) => {
  let working = true
  const collector = `${url.origin}${url.pathname}`
  return (fault: string | undefined) =>
    Effect.suspend(() => {
      if (working === (fault === undefined)) return Effect.void
      working = fault === undefined
      return fault === undefined
        ? Effect.annotateLogs(Effect.logInfo(`the collector takes ${what} again`), { collector })
        : Effect.annotateLogs(Effect.logWarning(`the collector does not take ${what}; they are lost until it does`), {
          collector,
          reason: fault
        })
    })
}

/** The code of the socket, if there is one, lies some causes deep. */
const reasonOf = (error: unknown, depth = 0): string => {
  if (error instanceof TimedOut) return "no answer in time"
  if (!(error instanceof Error) || depth > 5) return "no connection"
  return "code" in error && typeof error.code === "string" ? error.code : reasonOf(error.cause, depth + 1)
}
