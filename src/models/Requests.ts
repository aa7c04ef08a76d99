/**
 * The requests to a vendor's one method, which differ in little but their body.
 *
 * The SDK makes the first of each kind. What it sent around the body, its URL
 * and its headers, is sent again with the next ones, because the SDK's way
 * through a request costs more than all that the proxy adds to it. What went
 * wrong is the SDK's own error either way.
 */
import { Data } from "effect"
import type { Abort } from "./Abort.js"
import { type Endpoint, headersOf, keyOf, requestOptions } from "./Endpoint.js"
import * as Json from "./Json.js"
import type { ProviderRequest } from "./Provider.js"
import { requestIdOf, type ResponseHead } from "./ResponseHead.js"
import type { Timeouts } from "./Timeouts.js"

export interface Requests {
  /**
   * For the SDK: sends its own headers and no others, with our key.
   *
   * Both SDKs add the headers of `OPENAI_CUSTOM_HEADERS` and `ANTHROPIC_CUSTOM_HEADERS` to every request, and have no
   * option against it; they would replace our key, and reach endpoints they are not meant for.
   */
  readonly fetch: typeof fetch
  /** A response with a status of success, its body unread; fails with an error of the SDK, or with {@link NotBuilt}. */
  readonly send: (request: Sending, first: First) => Promise<Response>
}

export interface Sending {
  /** What the SDK makes of it is JSON. */
  readonly body: object
  readonly stream: boolean
  readonly timeouts: Timeouts
  readonly abort: Abort
  readonly hooks: Hooks
}

/** What the request is for wants to know of it, or to have in it. */
export type Hooks = Pick<ProviderRequest, "onSent" | "onResponse" | "trace">

/**
 * A request could not be put together, so that nothing of it has left this machine: not the provider's doing, and the next
 * one would fail in the same way. The message names what is wrong, and holds nothing of the request or the key.
 */
export class NotBuilt extends Data.TaggedError("NotBuilt")<{
  /** The provider's name in the configuration. */
  readonly provider: string
  readonly problem: string
}> {
  override get message() {
    return `A request to the provider '${this.provider}' cannot be built: ${this.problem}.`
  }
}

/** Makes the request by the SDK, with these options. */
export type First = (options: ReturnType<typeof requestOptions>) => PromiseLike<Response>

/** The SDK's errors. */
export interface Errors {
  readonly ofStatus: (status: number, body: object | undefined, message: string | undefined, headers: Headers) => Error
  readonly ofConnection: (cause: Error) => Error
}

export const make = (endpoint: Endpoint, errors: Errors): Requests => {
  const known = new Map<string, Known>()
  /** Requests that the SDK is making, by what their header {@link requestHeader} holds. */
  const making = new Map<string, Making>()
  let made = 0

  const again = ({ headers, url }: Known, request: Sending, body: string): Promise<Response> => {
    const { abort, hooks: { onResponse, onSent, trace }, timeouts } = request
    return endpoint.transport.post({
      url,
      headers: trace === undefined ? headers : Object.assign({}, headers, headersOf(trace)),
      body,
      abort,
      dispatcher: endpoint.transport.pool(timeouts.connect),
      onSent
    }).then((response) => {
      if (onResponse !== undefined) onResponse(headOf(response))
      return response.ok ? response : refused(response)
    }, (thrown: unknown) => {
      throw isArgumentRefused(thrown) ? notBuilt(thrown) : errors.ofConnection(asError(thrown))
    })
  }

  const refused = async (response: Response): Promise<never> => {
    throw errors.ofStatus(response.status, await wholeOf(response), undefined, response.headers)
  }

  const bySdk = async (kind: string, request: Sending, first: First): Promise<Response> => {
    const options = requestOptions(endpoint, request.timeouts, request.abort.signal, request.hooks.trace)
    const id = String(made++)
    const own: Making = { kind, hooks: request.hooks, reachedFetch: false }
    making.set(id, own)
    try {
      return await first({ ...options, headers: { ...options.headers, [requestHeader]: id } })
    } catch (thrown) {
      // The SDK fails before it fetches only over what it was given, or because the call is over.
      throw isArgumentRefused(thrown) || !own.reachedFetch && !request.abort.isOver ? notBuilt(thrown) : thrown
    } finally {
      making.delete(id)
    }
  }

  const headOf = ({ headers, status }: Response): ResponseHead => ({
    status,
    requestId: requestIdOf((name) => headers.get(name), endpoint.apiKey && keyOf(endpoint))
  })

  const notBuilt = (thrown: unknown): NotBuilt =>
    new NotBuilt({
      provider: endpoint.name,
      problem: inHeaders.test(keyOf(endpoint))
        ? `it fails with ${asError(thrown).name}`
        : "the API key holds a line end or another character that no HTTP header may hold; correct api_key, or the file or "
          + "variable that it is read from"
    })

  return {
    fetch: (input, init) => {
      const sent = init?.headers instanceof Headers ? init.headers : new Headers(init?.headers)
      const headers: Record<string, string> = {}
      for (const [name, value] of sent) {
        if (ours.has(name) || name.startsWith("x-stainless-")) headers[name] = value
      }
      headers["authorization"] = `Bearer ${keyOf(endpoint)}`
      // Nothing that comes in small pieces is compressed well.
      headers["accept-encoding"] = "identity"
      const own = making.get(sent.get(requestHeader) ?? "")
      if (own !== undefined) {
        own.reachedFetch = true
        if (typeof input === "string" && init?.method?.toUpperCase() === "POST") {
          known.set(own.kind, { url: input, headers: withoutTrace(headers) })
        }
      }
      return endpoint.transport.fetch(input, { ...init, headers }, own?.hooks.onSent).then(async (response) => {
        if (own?.hooks.onResponse !== undefined) own.hooks.onResponse(headOf(response))
        return response.ok
          ? response
          : new Response(JSON.stringify(await wholeOf(response)), {
            status: response.status,
            headers: withoutLength(response.headers)
          })
      })
    },
    send: (request, first) => {
      // The SDKs tell the vendor how long they wait.
      const kind = `${request.stream} ${request.timeouts.total}`
      const before = known.get(kind)
      if (before === undefined) return bySdk(kind, request, first)
      let body: string
      try {
        body = JSON.stringify(request.body)
      } catch (thrown) {
        return Promise.reject(notBuilt(thrown))
      }
      return again(before, request, body)
    }
  }
}

// -- internals ---------------------------------------------------------------

/** A request that the SDK is making. */
interface Making {
  readonly kind: string
  readonly hooks: Hooks
  /** Whether the SDK has built it. */
  reachedFetch: boolean
}

/** A request of the SDK, but for its body. */
interface Known {
  readonly url: string
  readonly headers: Record<string, string>
}

const ours = new Set(["accept", "content-type", "user-agent", "anthropic-version", "traceparent", "tracestate"])

/**
 * The body of a refusal, whole, under `error`: of an error that stands elsewhere in it, the SDKs' own errors keep
 * nothing, or nothing but its text.
 */
const wholeOf = async (response: Response): Promise<{ readonly error: unknown }> => {
  const text = await response.text().catch((thrown: unknown) => asError(thrown).message)
  return { error: Json.parse(text) ?? text }
}

/** They describe the body as it came. */
const withoutLength = (headers: Headers): Headers => {
  const kept = new Headers(headers)
  for (const name of ["content-length", "content-encoding", "content-type", "transfer-encoding"]) kept.delete(name)
  return kept
}

/** Never leaves: names the request to our own `fetch`, as the SDKs hand nothing else through. */
const requestHeader = "x-vibectl-request"

/** RFC 9110, 5.5: what a field value may hold, and undici accepts. */
const inHeaders = /^[\t\x20-\x7e\x80-\xff]*$/

/** undici refuses the URL, the headers or the body before it looks for a connection. */
const isArgumentRefused = (thrown: unknown): boolean => {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 8; error = error.cause, depth++) {
    if ("code" in error && error.code === "UND_ERR_INVALID_ARG") return true
  }
  return false
}

const withoutTrace = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "traceparent" && name !== "tracestate"))

const asError = (thrown: unknown): Error => thrown instanceof Error ? thrown : new Error(String(thrown))
