/**
 * How a vendor's HTTP API is reached: what the files that hold an SDK are made of.
 */
import { Redacted } from "effect"
import type { Trace } from "../telemetry/Traceparent.js"
import type { Provider } from "./Provider.js"
import type { Timeouts } from "./Timeouts.js"
import type { Transport } from "./Transport.js"

export interface Endpoint {
  /** The provider's name in the configuration. */
  readonly name: string
  /** Undefined for an endpoint that wants none, e.g. Ollama. */
  readonly apiKey: Redacted.Redacted | undefined
  /** Undefined means the vendor's own. */
  readonly baseUrl: string | undefined
  /** Undefined means the vendor's limit, or ours where the vendor demands one. */
  readonly maxOutputTokens: number | undefined
  /** How long a model may take. */
  readonly timeouts: (model: string) => Timeouts
  readonly transport: Transport
}

/** What a vendor file gives; the rest of a provider does not depend on the vendor. */
export type Calls = Pick<Provider, "complete" | "stream">

/** What both SDKs are told of each request; their own timer is there for the last resort. */
export const requestOptions = (
  { transport }: Endpoint,
  { connect, total }: Timeouts,
  signal: AbortSignal,
  trace: Trace | undefined
) => ({
  signal,
  timeout: total,
  fetchOptions: { dispatcher: transport.pool(connect) },
  ...trace && { headers: headersOf(trace) }
})

/** The SDKs refuse to work without a key; this one is sent to endpoints that want none. */
export const keyOf = (endpoint: Endpoint): string =>
  endpoint.apiKey === undefined ? "no-key-configured" : Redacted.value(endpoint.apiKey)

/** The SDKs log requests, and the variable `…_LOG` may turn it on: this leaves them nowhere to write. */
export const silent = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }

/**
 * A `fetch` that sends the SDK's own headers and no others, with our key.
 *
 * Both SDKs add the headers of `OPENAI_CUSTOM_HEADERS` and
 * `ANTHROPIC_CUSTOM_HEADERS` to every request, and have no option against it;
 * they would replace our key, and reach endpoints they are not meant for.
 */
export const ownHeaders = (endpoint: Endpoint): typeof fetch => (input, init) => {
  const headers: Record<string, string> = {}
  for (const [name, value] of init?.headers instanceof Headers ? init.headers : new Headers(init?.headers)) {
    if (ours.has(name) || name.startsWith("x-stainless-")) headers[name] = value
  }
  headers["authorization"] = `Bearer ${keyOf(endpoint)}`
  // Nothing that comes in small pieces is compressed well.
  headers["accept-encoding"] = "identity"
  return endpoint.transport.fetch(input, { ...init, headers })
}

// -- internals ---------------------------------------------------------------

const ours = new Set(["accept", "content-type", "user-agent", "anthropic-version", "traceparent", "tracestate"])

const headersOf = ({ traceparent, tracestate }: Trace): Record<string, string> =>
  tracestate === undefined ? { traceparent } : { traceparent, tracestate }
