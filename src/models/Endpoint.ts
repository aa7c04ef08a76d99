/**
 * How a vendor's HTTP API is reached: what the files that hold an SDK are made of.
 */
import { Duration, Redacted } from "effect"
import type { Patience } from "./EventPieces.js"
import type { Provider } from "./Provider.js"

export interface Endpoint {
  /** The provider's name in the configuration. */
  readonly name: string
  /** Undefined for an endpoint that wants none, e.g. Ollama. */
  readonly apiKey: Redacted.Redacted | undefined
  /** Undefined means the vendor's own. */
  readonly baseUrl: string | undefined
  /** Undefined means the vendor's limit, or ours where the vendor demands one. */
  readonly maxOutputTokens: number | undefined
  /** From the request to the head of its response; undefined means ten minutes. */
  readonly timeout: Duration.Duration | undefined
  /** From the head of a stream to its first text; undefined means two minutes. */
  readonly firstToken: Duration.Duration | undefined
  /** From one text of a stream to the next; undefined means one minute. */
  readonly betweenTokens: Duration.Duration | undefined
}

/** What a vendor file gives; the rest of a provider does not depend on the vendor. */
export type Calls = Pick<Provider, "complete" | "stream">

/** Until the head of the response: the SDKs' own default, in milliseconds. */
export const defaultTimeoutMs = 600_000

/** How long the texts of a stream may take. */
export const patienceOf = ({ betweenTokens, firstToken }: Endpoint): Patience => ({
  first: firstToken === undefined ? 120_000 : Duration.toMillis(firstToken),
  between: betweenTokens === undefined ? 60_000 : Duration.toMillis(betweenTokens)
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
export const ownHeaders = (key: string): typeof fetch => (input, init) => {
  const headers = new Headers(init?.headers)
  for (const name of [...headers.keys()]) {
    if (!ours.has(name) && !name.startsWith("x-stainless-")) headers.delete(name)
  }
  headers.set("authorization", `Bearer ${key}`)
  return fetch(input, { ...init, headers })
}

// -- internals ---------------------------------------------------------------

const ours = new Set(["accept", "content-type", "user-agent", "anthropic-version"])
