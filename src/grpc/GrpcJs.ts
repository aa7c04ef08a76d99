/**
 * What grpc-js says of a call only in its own words: everything that leans on its texts is here.
 *
 * Read in @grpc/grpc-js 1.14.7 (`resolver-dns.js`, `load-balancer-pick-first.js`, `picker.js`, `subchannel-call.js`); the dependency is pinned
 * with `~`, and test/integration/grpcTexts.test.ts fails when one of them changes.
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

const unsent = /^(No connection established|Name resolution failed for target |Stream refused by server$)/

/** Whether a call whose deadline passed never had a connection: of one that had, grpc-js names the peer. */
export const hadNoConnection = ({ code, details }: Grpc.StatusObject): boolean =>
  code === Grpc.status.DEADLINE_EXCEEDED && !details.includes("remote_addr=")
