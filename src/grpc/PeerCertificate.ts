/**
 * Who the client is by its certificate, when the server asks for one.
 */
import type * as Grpc from "@grpc/grpc-js"

/** What a call, and what an interceptor wraps around it, know of their connection. */
export type Call = Pick<Grpc.ServerInterceptingCall, "getAuthContext">

/**
 * The name (CN) in the client's certificate, which one of the CAs in
 * `tls.client_ca_file` has signed; undefined without a certificate, and when
 * it does not have exactly one name that is one readable line.
 */
export const nameOf = (call: Call): string | undefined => {
  const name = commonName(call)
  if (typeof name !== "string" || name.trim() === "" || name.length > 255) return undefined
  return /[\p{Cc}\u2028\u2029]/u.test(name) ? undefined : name
}

// -- internals ---------------------------------------------------------------

/** Node has a list here when there are several, whatever its types say; who would be meant by it, nobody knows. */
const commonName = (call: Call): unknown => {
  try {
    return call.getAuthContext().sslPeerCertificate?.subject.CN
  } catch {
    // The connection is gone, and Node throws when its socket is asked anything.
    return undefined
  }
}
