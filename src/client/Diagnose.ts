/**
 * Why a connection cannot be made, found out by making one by hand.
 *
 * gRPC reports every such trouble as UNAVAILABLE with a text; this looks at
 * the socket itself, so that a person learns which of them it is.
 */
import { type Duration, Effect, Redacted } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import { Unreachable } from "../domain/ClientErrors.js"
import type * as Egress from "../network/Egress.js"
import type { Certificate } from "../tls/Certificate.js"

export interface Target {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** PEM of the CAs to trust; undefined means those that Node trusts. */
  readonly roots: string | undefined
  /** What the client shows to a server that asks for it. */
  readonly clientCertificate: Certificate | undefined
  /** What the connection goes through; undefined for a direct one. */
  readonly proxy: Egress.Proxy | undefined
  /** `host:port` as people write it. */
  readonly address: string
}

/** Tries `target` for at most `limit` and says what is wrong; `CONNECTION_LOST` when nothing is. */
export const diagnose = (target: Target, limit: Duration.DurationInput = "3 seconds"): Effect.Effect<Unreachable> =>
  Effect.async<Finding>((resume) => {
    const settle = (finding: Finding) => resume(Effect.succeed(finding))
    const { proxy } = target
    if (proxy !== undefined) return tunnel(target, proxy, settle)
    const socket = target.tls ? handshake(target, settle) : preface(target, settle)
    return Effect.sync(() => socket.destroy())
  }).pipe(
    Effect.timeoutTo({
      duration: limit,
      onSuccess: (finding) => finding,
      onTimeout: (): Finding => ({ reason: "NO_ANSWER" })
    }),
    Effect.map(({ detail, reason }) => new Unreachable({ reason, address: target.address, detail }))
  )

// -- internals ---------------------------------------------------------------

interface Finding {
  readonly reason: Unreachable["reason"]
  readonly detail?: string | undefined
}

/** Whether the proxy makes the connection; what is wrong behind it, only the server's own log tells. */
const tunnel = (target: Target, proxy: Egress.Proxy, settle: (finding: Finding) => void) => {
  const failed = (why: string) =>
    settle({ reason: "PROXY_FAILED", detail: `${proxy.variable} names ${proxy.where}: ${why}` })
  const request = Http.request({
    host: proxy.hostname,
    port: proxy.port,
    method: "CONNECT",
    path: target.address,
    headers: {
      host: target.address,
      ...proxy.authorization && { "proxy-authorization": Redacted.value(proxy.authorization) }
    }
  })
  request.once("connect", ({ statusCode }, socket) => {
    socket.destroy()
    if (statusCode === 200) settle({ reason: "CONNECTION_LOST", detail: `through ${proxy.variable}` })
    else failed(`HTTP ${statusCode}`)
  })
  request.once("response", ({ statusCode }) => failed(`HTTP ${statusCode}`))
  request.once("error", (error) => failed(codeOf(error)))
  request.end()
  return Effect.sync(() => request.destroy())
}

/**
 * With TLS 1.3 the handshake is over for the client before the server has looked at its certificate: so the first
 * bytes of the server, which speaks first in HTTP/2, are waited for.
 */
const handshake = (target: Target, settle: (finding: Finding) => void): Net.Socket => {
  const { clientCertificate } = target
  let phase: "connecting" | "shaking hands" | "secure" = "connecting"
  const socket = NodeTls.connect({
    host: target.host,
    port: target.port,
    ...(Net.isIP(target.host) === 0 ? { servername: target.host } : {}),
    ALPNProtocols: ["h2"],
    ...(target.roots === undefined ? {} : { ca: target.roots }),
    ...(clientCertificate === undefined
      ? {}
      : { cert: clientCertificate.certChain, key: Redacted.value(clientCertificate.key) })
  })
  const end = (finding: Finding) => {
    socket.destroy()
    settle(finding)
  }
  /** Without a word: what Node's own servers do with a certificate that they do not like. */
  const hungUp = (detail?: string): Finding =>
    phase !== "secure"
      ? { reason: "SERVER_IS_PLAINTEXT" }
      : clientCertificate === undefined
      ? { reason: "CONNECTION_LOST", detail }
      : { reason: "CLIENT_CERTIFICATE_REFUSED" }
  socket.once("connect", () => {
    phase = "shaking hands"
  })
  socket.once("secureConnect", () => {
    phase = "secure"
    if (socket.alpnProtocol !== "h2") return end({ reason: "NOT_GRPC" })
    // One that leaves the first word to the client has not refused it.
    socket.setTimeout(serversTurn, () => end({ reason: "CONNECTION_LOST" }))
  })
  socket.once("data", () => end({ reason: "CONNECTION_LOST" }))
  socket.once("error", (error: NodeJS.ErrnoException) => {
    const code = codeOf(error)
    const alert = clientFaults.test(code)
    settle(
      certificateFaults[code]
        ?? (alert && clientCertificate !== undefined ? { reason: "CLIENT_CERTIFICATE_REFUSED" } : undefined)
        ?? (phase === "connecting" ? { reason: connectFaults[code] ?? "NO_ANSWER", detail: code } : hungUp(code))
    )
  })
  socket.once("end", () => settle(hungUp()))
  return socket
}

/** How long the server may take for its first bytes, in milliseconds. */
const serversTurn = 1000

/** Says hello in HTTP/2 and looks at the first bytes of the answer. */
const preface = (target: Target, settle: (finding: Finding) => void): Net.Socket => {
  const socket = Net.connect({ host: target.host, port: target.port })
  socket.once("connect", () => socket.write(http2Preface))
  socket.once("data", (bytes) => {
    socket.destroy()
    settle({ reason: firstBytes(bytes) })
  })
  socket.once("error", (error: NodeJS.ErrnoException) => {
    const code = codeOf(error)
    settle({ reason: connectFaults[code] ?? "CONNECTION_LOST", detail: code })
  })
  // A TLS server that is spoken to in plaintext may also hang up without a word.
  socket.once("end", () => settle({ reason: "SERVER_IS_TLS" }))
  return socket
}

/** The connection preface and an empty SETTINGS frame (RFC 9113, sections 3.4 and 6.5). */
const http2Preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
])

const firstBytes = (bytes: Buffer): Unreachable["reason"] => {
  // A TLS alert record (RFC 8446, section 5.1).
  if (bytes[0] === 0x15) return "SERVER_IS_TLS"
  // An HTTP/2 SETTINGS frame.
  return bytes[3] === 4 ? "CONNECTION_LOST" : "NOT_GRPC"
}

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message

const connectFaults: { readonly [code: string]: Unreachable["reason"] } = {
  ECONNREFUSED: "REFUSED",
  ENOTFOUND: "NAME_NOT_FOUND",
  EAI_AGAIN: "NAME_NOT_FOUND",
  ECONNRESET: "CONNECTION_LOST",
  ETIMEDOUT: "NO_ANSWER",
  EHOSTUNREACH: "NO_ANSWER",
  ENETUNREACH: "NO_ANSWER"
}

const untrusted: Finding = { reason: "CERTIFICATE_UNTRUSTED" }
const outOfTime: Finding = { reason: "CERTIFICATE_EXPIRED" }

/** Source: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateFaults: { readonly [code: string]: Finding } = {
  CERT_HAS_EXPIRED: outOfTime,
  CERT_NOT_YET_VALID: outOfTime,
  ERR_TLS_CERT_ALTNAME_INVALID: { reason: "CERTIFICATE_WRONG_HOST" },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  CERT_UNTRUSTED: untrusted,
  CERT_REJECTED: untrusted,
  CERT_CHAIN_TOO_LONG: untrusted,
  INVALID_CA: untrusted,
  INVALID_PURPOSE: untrusted,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: { reason: "CLIENT_CERTIFICATE_REQUIRED" },
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: { reason: "TLS_VERSION_REFUSED" },
  ERR_SSL_UNSUPPORTED_PROTOCOL: { reason: "TLS_VERSION_REFUSED" }
}

/** What other servers say of a client's certificate (RFC 8446, section 6.2). */
const clientFaults = /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)$/
