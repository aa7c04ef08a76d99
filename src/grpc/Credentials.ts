/**
 * Certificates as grpc-js credentials, for both ends of a connection.
 */
import * as Grpc from "@grpc/grpc-js"
import { Redacted } from "effect"
import type { Certificate } from "../tls/Certificate.js"

/** Undefined means plaintext. */
export const server = (certificate: Certificate | undefined): Grpc.ServerCredentials =>
  certificate === undefined
    ? Grpc.ServerCredentials.createInsecure()
    : Grpc.ServerCredentials.createSsl(null, [{
      cert_chain: Buffer.from(certificate.certChain),
      private_key: Buffer.from(Redacted.value(certificate.key))
    }])

/** `roots` is PEM; undefined means the CAs that Node trusts. Without `tls` the connection is plaintext. */
export const channel = (
  options: { readonly tls: boolean; readonly roots: string | undefined }
): Grpc.ChannelCredentials =>
  options.tls
    ? Grpc.credentials.createSsl(options.roots === undefined ? null : Buffer.from(options.roots))
    : Grpc.credentials.createInsecure()
