/**
 * Certificates as grpc-js credentials, for both ends of a connection.
 */
import * as Grpc from "@grpc/grpc-js"
import { Redacted } from "effect"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import type { Certificate } from "../tls/Certificate.js"

export interface Serving {
  readonly certificate: Certificate
  /** PEM of the CAs whose client certificates are accepted; without it no client is asked for one. */
  readonly clientCa: string | undefined
  /** The oldest version of TLS that is spoken. */
  readonly minVersion: "1.2" | "1.3"
}

export const plaintext: Grpc.ServerCredentials = Grpc.ServerCredentials.createInsecure()

/**
 * TLS with a lowest version, which grpc-js has no option for, and with
 * certificates that can be replaced while the server runs.
 *
 * It leans on what grpc-js calls internal, and throws rather than serve with
 * settings that a newer grpc-js overlooks.
 */
export class ServerTls extends Grpc.ServerCredentials {
  readonly #asksClients: boolean

  /** A connection whose handshake takes longer than `handshakeMillis` is closed; Node's own bound is two minutes. */
  constructor(serving: Serving, handshakeMillis = 10_000) {
    const context = contextOf(serving)
    super(
      { requestCert: serving.clientCa !== undefined, rejectUnauthorized: true, handshakeTimeout: handshakeMillis },
      context
    )
    this.#asksClients = serving.clientCa !== undefined
    this.#check(context)
  }

  /**
   * For connections from now on; those that stand keep what they have. Throws, and changes nothing, when OpenSSL
   * refuses the new ones. Whether clients are asked for a certificate cannot change.
   */
  replace(serving: Serving): void {
    if (this.#asksClients !== (serving.clientCa !== undefined)) throw new Error("client certificates: on or off")
    const context = contextOf(serving)
    // grpc-js drops every connection from then on when the context turns out to be unusable.
    NodeTls.createSecureContext(context)
    this.updateSecureContextOptions(context)
    this.#check(context)
  }

  _equals(other: Grpc.ServerCredentials): boolean {
    return this === other
  }

  #check(context: NodeTls.SecureContextOptions): void {
    const options = this._getConstructorOptions()
    const obeys = this._isSecure() && this._getSecureContextOptions() === context
      && options?.requestCert === this.#asksClients && options.rejectUnauthorized === true
      && options.handshakeTimeout !== undefined
      && typeof this.updateSecureContextOptions === "function"
    if (!obeys) throw new Error("this version of @grpc/grpc-js does not take the server's TLS settings")
  }
}

/**
 * `roots` is PEM; undefined means the CAs that Node trusts. Without `tls` the connection is plaintext.
 * `options` belong to the channel that uses the credentials.
 */
export const channel = (target: {
  readonly host: string
  readonly tls: boolean
  readonly roots: string | undefined
  readonly clientCertificate: Certificate | undefined
}): { readonly credentials: Grpc.ChannelCredentials; readonly options: Grpc.ChannelOptions } => {
  if (!target.tls) return { credentials: Grpc.credentials.createInsecure(), options: {} }
  const { clientCertificate } = target
  const roots = target.roots === undefined ? null : Buffer.from(target.roots)
  const key = clientCertificate === undefined ? null : Buffer.from(Redacted.value(clientCertificate.key))
  const certChain = clientCertificate === undefined ? null : Buffer.from(clientCertificate.certChain)
  if (Net.isIP(target.host) === 0) {
    return { credentials: Grpc.credentials.createSsl(roots, key, certChain), options: {} }
  }
  // An IP address must not be sent as server name (RFC 6066, section 3), and Node warns on the terminal when grpc-js
  // does. So a name is sent that says nothing, and the certificate is checked against the address.
  const checkServerIdentity = (_name: string, certificate: NodeTls.PeerCertificate) =>
    NodeTls.checkServerIdentity(target.host, certificate)
  return {
    credentials: Grpc.credentials.createSsl(roots, key, certChain, { checkServerIdentity }),
    options: { "grpc.ssl_target_name_override": "localhost" }
  }
}

// -- internals ---------------------------------------------------------------

/** Complete: what is missing here at a replacement, Node takes for unset. */
const contextOf = ({ certificate, clientCa, minVersion }: Serving): NodeTls.SecureContextOptions => {
  const pair = {
    cert_chain: Buffer.from(certificate.certChain),
    private_key: Buffer.from(Redacted.value(certificate.key))
  }
  // Of grpc-js's own credentials, to keep what it takes from its environment (GRPC_SSL_CIPHER_SUITES).
  const { ciphers } = Grpc.ServerCredentials.createSsl(null, [pair])._getConstructorOptions() ?? {}
  return {
    cert: [pair.cert_chain],
    key: [pair.private_key],
    minVersion: `TLSv${minVersion}`,
    ...(clientCa === undefined ? {} : { ca: Buffer.from(clientCa) }),
    ...(ciphers === undefined ? {} : { ciphers })
  }
}
