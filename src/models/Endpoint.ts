/**
 * How a vendor's HTTP API is reached: what the files that hold an SDK are made of.
 */
import { Redacted } from "effect"
import type { Trace } from "../telemetry/Traceparent.js"
import type { Provider } from "./Provider.js"
import type { MaxTokensField, SystemRole } from "./RequestShape.js"
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
  /** Fields that are never sent. */
  readonly omit?: ReadonlyArray<Omitted> | undefined
  /** Undefined leaves it to the kind of endpoint, and to what it refuses. */
  readonly maxTokensField?: MaxTokensField | undefined
  readonly systemRole?: SystemRole | undefined
  /** How long a model may take. */
  readonly timeouts: (model: string) => Timeouts
  readonly transport: Transport
}

/** Fields that the server adds to requests by itself, and can do without. */
export type Omitted = "stream_options" | "response_format" | "output_config"

/** What a vendor file gives; the rest of a provider does not depend on the vendor. */
export type Calls = Pick<Provider, "complete" | "stream" | "accepts" | "refused">

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
  headers: trace === undefined ? {} : headersOf(trace)
})

/** The SDKs refuse to work without a key; this one is sent to endpoints that want none. */
export const keyOf = (endpoint: Endpoint): string =>
  endpoint.apiKey === undefined ? "no-key-configured" : Redacted.value(endpoint.apiKey)

/** The SDKs log requests, and the variable `…_LOG` may turn it on: this leaves them nowhere to write. */
export const silent = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} }

/** As the vendor is told of the trace. */
export const headersOf = ({ traceparent, tracestate }: Trace): Record<string, string> =>
  tracestate === undefined ? { traceparent } : { traceparent, tracestate }
