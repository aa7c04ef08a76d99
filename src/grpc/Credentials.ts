/**
 * Certificates as grpc-js credentials, for both ends of a connection.
 */
import * as Grpc from "@grpc/grpc-js"
import { Redacted } from "effect"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import type { Certificate } from "../tls/Certificate.js"

/** Undefined means plaintext. */
export const server = (certificate: Certificate | undefined): Grpc.ServerCredentials =>
  certificate === undefined
    ? Grpc.ServerCredentials.createInsecure()
    : Grpc.ServerCredentials.createSsl(null, [{
      cert_chain: Buffer.from(certificate.certChain),
      private_key: Buffer.from(Redacted.value(certificate.key))
    }])

/**
 * `roots` is PEM; undefined means the CAs that Node trusts. Without `tls` the connection is plaintext.
 * `options` belong to the channel that uses the credentials.
 */
export const channel = (target: {
  readonly host: string
  readonly tls: boolean
  readonly roots: string | undefined
}): { readonly credentials: Grpc.ChannelCredentials; readonly options: Grpc.ChannelOptions } => {
  if (!target.tls) return { credentials: Grpc.credentials.createInsecure(), options: {} }
  const roots = target.roots === undefined ? null : Buffer.from(target.roots)
  if (Net.isIP(target.host) === 0) return { credentials: Grpc.credentials.createSsl(roots), options: {} }
  // An IP address must not be sent as server name (RFC 6066, section 3), and Node warns on the terminal when grpc-js
  // does. So a name is sent that says nothing, and the certificate is checked against the address.
  const checkServerIdentity = (_name: string, certificate: NodeTls.PeerCertificate) =>
    NodeTls.checkServerIdentity(target.host, certificate)
  return {
    credentials: Grpc.credentials.createSsl(roots, null, null, { checkServerIdentity }),
    options: { "grpc.ssl_target_name_override": "localhost" }
  }
}
