/**
 * What grpc-js says of a call only in its own words: everything that leans on its texts is here.
 *
 * Read in @grpc/grpc-js 1.14.7 (`resolver-dns.js`, `load-balancer-pick-first.js`, `picker.js`, `subchannel-call.js`,
 * `transport.js`, `client.js`, `retrying-call.js`); the dependency is pinned
 * with `~`, and test/integration/grpcTexts.test.ts and gateways.test.ts fail when one of them changes.
 */
import * as Grpc from "@grpc/grpc-js"

/**
 * Whether the call has surely not begun at the server: there was no connection to send it on, or the server's HTTP/2 refused
 * the stream (REFUSED_STREAM, also of an id above the last one of its GOAWAY; RFC 9113, 6.8 and 8.7). Every other
 * UNAVAILABLE may come after the request.
 */
export const hasNotBegun = ({ code, details, metadata }: Grpc.StatusObject): boolean =>
  code === Grpc.status.UNAVAILABLE && metadata.get("grpc-status-details-bin").length === 0 &&
  unsent.test(details)

/**
 * Whether a call whose deadline passed never had a connection: of one that had, grpc-js names the peer. A server's own
 * DEADLINE_EXCEEDED, such as that of a provider that takes too long, has other words.
 */
export const hadNoConnection = ({ code, details, metadata }: Grpc.StatusObject): boolean =>
  code === Grpc.status.DEADLINE_EXCEEDED && metadata.get("grpc-status-details-bin").length === 0 &&
  details.startsWith("Deadline exceeded after ") && !details.includes("remote_addr=")

/** A status that no server has sent: grpc-js makes it up, from an HTTP status, a reset stream or a lost connection. */
export interface MadeUp {
  /** `:status` of an answer that is not gRPC. */
  readonly http?: number
  /** Why the stream was reset, where it was. */
  readonly reset?: string
}

/** Undefined for the words of a server. */
export const findMadeUp = (details: string): MadeUp | undefined => {
  const http = /Received HTTP status code (\d{3})/.exec(details)?.[1]
  if (http !== undefined) return { http: Number(http) }
  const reset = resets.exec(details)
  if (reset !== null) return { reset: reset[1] === undefined ? String(reset[2]) : `RST_STREAM ${reset[1]}` }
  return others.test(details) ? {} : undefined
}

// -- internals ---------------------------------------------------------------

const unsent = /^(No connection established|Name resolution failed for target |Stream refused by server$)/

const resets = /Received RST_STREAM with code (\d+)|(Call cancelled|Stream refused by server|Bandwidth exhausted)/

const others =
  /^(?:Connection dropped|Cancelled on client|Protocol not secure enough|No connection established|Deadline exceeded after|Waiting for|Received message|Failed to |Name resolution failed|Channel closed|Error parsing|Response message parsing|Too many responses|No message received)/
