/**
 * Why a connection cannot be made, found out by making one by hand.
 *
 * gRPC reports every such trouble as UNAVAILABLE with a text; this looks at
 * the socket itself, so that a person learns which of them it is.
 */
import { type Duration, Effect } from "effect"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import { Unreachable } from "../domain/ClientErrors.js"

export interface Target {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** PEM of the CAs to trust; undefined means those that Node trusts. */
  readonly roots: string | undefined
  /** `host:port` as people write it. */
  readonly address: string
}

/** Tries `target` for at most `limit` and says what is wrong; `CONNECTION_LOST` when nothing is. */
export const diagnose = (target: Target, limit: Duration.DurationInput = "3 seconds"): Effect.Effect<Unreachable> =>
  Effect.async<Finding>((resume) => {
    const settle = (finding: Finding) => resume(Effect.succeed(finding))
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

const handshake = (target: Target, settle: (finding: Finding) => void): Net.Socket => {
  let connected = false
  const socket = NodeTls.connect({
    host: target.host,
    port: target.port,
    ...(Net.isIP(target.host) === 0 ? { servername: target.host } : {}),
    ALPNProtocols: ["h2"],
    ...(target.roots === undefined ? {} : { ca: target.roots })
  })
  socket.once("connect", () => {
    connected = true
  })
  socket.once("secureConnect", () => {
    socket.destroy()
    settle({ reason: socket.alpnProtocol === "h2" ? "CONNECTION_LOST" : "NOT_GRPC" })
  })
  socket.once("error", (error: NodeJS.ErrnoException) => {
    const code = codeOf(error)
    settle(
      certificateFaults[code]
        ?? (connected
          ? { reason: "SERVER_IS_PLAINTEXT" }
          : { reason: connectFaults[code] ?? "NO_ANSWER", detail: code })
    )
  })
  socket.once("end", () => settle({ reason: "SERVER_IS_PLAINTEXT" }))
  return socket
}

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
  INVALID_PURPOSE: untrusted
}
