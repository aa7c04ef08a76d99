/**
 * The requests to a vendor's one method, which differ in little but their body.
 *
 * The SDK makes the first of each kind. What it sent around the body, its URL
 * and its headers, is sent again with the next ones, because the SDK's way
 * through a request costs more than all that the proxy adds to it. What went
 * wrong is the SDK's own error either way.
 */
import type { Trace } from "../telemetry/Traceparent.js"
import type { Abort } from "./Abort.js"
import { type Endpoint, headersOf, keyOf, requestOptions } from "./Endpoint.js"
import * as Json from "./Json.js"
import type { Timeouts } from "./Timeouts.js"

export interface Requests {
  /**
   * For the SDK: sends its own headers and no others, with our key.
   *
   * Both SDKs add the headers of `OPENAI_CUSTOM_HEADERS` and `ANTHROPIC_CUSTOM_HEADERS` to every request, and have no
   * option against it; they would replace our key, and reach endpoints they are not meant for.
   */
  readonly fetch: typeof fetch
  /** A response with a status of success, its body unread; fails with an error of the SDK. */
  readonly send: (request: Sending, first: First) => Promise<Response>
}

export interface Sending {
  /** What the SDK makes of it is JSON. */
  readonly body: object
  readonly stream: boolean
  readonly timeouts: Timeouts
  readonly abort: Abort
  readonly trace: Trace | undefined
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

  const again = ({ headers, url }: Known, request: Sending): Promise<Response> => {
    const { abort, timeouts, trace } = request
    return endpoint.transport.post({
      url,
      headers: trace === undefined ? headers : Object.assign({}, headers, headersOf(trace)),
      body: JSON.stringify(request.body),
      abort,
      dispatcher: endpoint.transport.pool(timeouts.connect)
    }).then((response) => response.ok ? response : refused(response), (thrown: unknown) => {
      throw errors.ofConnection(asError(thrown))
    })
  }

  const refused = async (response: Response): Promise<never> => {
    throw errors.ofStatus(response.status, await wholeOf(response), undefined, response.headers)
  }

  const bySdk = async (kind: string, request: Sending, first: First): Promise<Response> => {
    const options = requestOptions(endpoint, request.timeouts, request.abort.signal, request.trace)
    return first({ ...options, headers: { ...options.headers, [kindHeader]: kind } })
  }

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
      const kind = sent.get(kindHeader)
      if (kind !== null && typeof input === "string" && init?.method?.toUpperCase() === "POST") {
        known.set(kind, { url: input, headers: withoutTrace(headers) })
      }
      return endpoint.transport.fetch(input, { ...init, headers }).then(async (response) =>
        response.ok
          ? response
          : new Response(JSON.stringify(await wholeOf(response)), {
            status: response.status,
            headers: withoutLength(response.headers)
          })
      )
    },
    send: (request, first) => {
      // The SDKs tell the vendor how long they wait.
      const kind = `${request.stream} ${request.timeouts.total}`
      const before = known.get(kind)
      try {
        return before === undefined ? bySdk(kind, request, first) : again(before, request)
      } catch (thrown) {
        // A schema may be too deep to be written down, which is no defect of ours.
        return Promise.reject(asError(thrown))
      }
    }
  }
}

// -- internals ---------------------------------------------------------------

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

/** Never leaves: says to our own `fetch` which kind of request the SDK makes. */
const kindHeader = "x-vibectl-kind"

const withoutTrace = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name !== "traceparent" && name !== "tracestate"))

const asError = (thrown: unknown): Error => thrown instanceof Error ? thrown : new Error(String(thrown))
