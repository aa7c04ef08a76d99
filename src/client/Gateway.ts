/**
 * Answers of something in front of the server, such as nginx or a load balancer, that are no answers of the server.
 */
import { type CallFailed, Unreachable } from "../domain/ClientErrors.js"
import * as GrpcJs from "../grpc/GrpcJs.js"

/** Undefined for what the server has said itself, and for lost connections. */
export const find = (failure: CallFailed, address: string): Unreachable | undefined => {
  const { http, reset } = (failure.reason === failure.status ? GrpcJs.findMadeUp(failure.summary) : undefined) ?? {}
  if (http !== undefined) return new Unreachable({ reason: reasonOf(http), address, detail: `HTTP ${http}` })
  if (reset === undefined) return undefined
  return new Unreachable({ reason: "STREAM_RESET", address, detail: reset, begun: failure.begun ?? "maybe" })
}

// -- internals ---------------------------------------------------------------

const reasonOf = (http: number): Unreachable["reason"] =>
  http >= 300 && http < 400 ? "GATEWAY_REDIRECT" : reasons[http] ?? "GATEWAY_FAILED"

const reasons: { readonly [http: number]: Unreachable["reason"] } = {
  401: "GATEWAY_FORBIDDEN",
  403: "GATEWAY_FORBIDDEN",
  404: "GATEWAY_NO_ROUTE",
  413: "GATEWAY_TOO_LARGE",
  429: "GATEWAY_RATE_LIMITED",
  502: "GATEWAY_BAD_ANSWER",
  503: "GATEWAY_NO_SERVER",
  504: "GATEWAY_TIMEOUT"
}
