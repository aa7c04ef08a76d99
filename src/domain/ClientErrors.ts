/**
 * Every way a call can end badly, as its client sees it.
 */
import { Data, type Duration } from "effect"
import type { Reason } from "./Errors.js"

export type ClientError = CallFailed | Unreachable | VersionMismatch

/**
 * The server answered, with a failure. `reason` is the server's own code: one
 * of {@link Reason}, a code of an older server such as `EXECUTION_FAILED`, or
 * the name of the gRPC status when there is none.
 */
export class CallFailed extends Data.TaggedError("CallFailed")<{
  readonly reason: Reason | (string & {})
  /** Name of the gRPC status, e.g. `UNAUTHENTICATED`. */
  readonly status: string
  readonly summary: string
  readonly remedy: string
  readonly retryAfter: Duration.Duration | undefined
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** No conversation took place. `detail` is the system's own word, e.g. `ECONNREFUSED`. */
export class Unreachable extends Data.TaggedError("Unreachable")<{
  readonly reason:
    | "REFUSED"
    | "NAME_NOT_FOUND"
    | "NO_ANSWER"
    | "CONNECTION_LOST"
    | "CERTIFICATE_UNTRUSTED"
    | "CERTIFICATE_EXPIRED"
    | "CERTIFICATE_WRONG_HOST"
    | "CLIENT_CERTIFICATE_REQUIRED"
    | "CLIENT_CERTIFICATE_REFUSED"
    | "TLS_VERSION_REFUSED"
    | "SERVER_IS_PLAINTEXT"
    | "SERVER_IS_TLS"
    | "NOT_GRPC"
  /** `host:port`. */
  readonly address: string
  readonly detail: string | undefined
}> {
  get summary() {
    const detail = this.detail === undefined ? "" : ` (${this.detail})`
    return `${connectionFacts[this.reason].summary.replace("{address}", this.address)}${detail}.`
  }
  get remedy() {
    return connectionFacts[this.reason].remedy
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Client and server cannot work together; found by the client. */
export class VersionMismatch extends Data.TaggedError("VersionMismatch")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const connectionFacts: Record<Unreachable["reason"], { readonly summary: string; readonly remedy: string }> = {
  REFUSED: {
    summary: "Nothing listens on {address}",
    remedy: "Start the server (`vibectl-server`) or correct the host and port of the proxy URL."
  },
  NAME_NOT_FOUND: {
    summary: "The host name of {address} does not resolve",
    remedy: "Check the spelling of the host in the proxy URL, and your network's DNS."
  },
  NO_ANSWER: {
    summary: "{address} does not answer",
    remedy: "Check that the server runs, that a firewall lets the port through, or allow more time with --timeout."
  },
  CONNECTION_LOST: {
    summary: "The connection to {address} broke",
    remedy: "Send the request again; if it happens every time, look at the server's log."
  },
  CERTIFICATE_UNTRUSTED: {
    summary: "The certificate of {address} is not signed by a CA this machine trusts",
    remedy: "Configure the profile with the server's CA: `vibectl setup-proxy configure URL --ca-bundle ca.crt`."
  },
  CERTIFICATE_EXPIRED: {
    summary: "The certificate of {address} is expired or not yet valid",
    remedy: "Ask the operator to renew it, and check the clock of this machine."
  },
  CERTIFICATE_WRONG_HOST: {
    summary: "The certificate of {address} is for another host name",
    remedy: "Use a host name that the certificate covers in the proxy URL."
  },
  CLIENT_CERTIFICATE_REQUIRED: {
    summary: "The server on {address} wants a client certificate, and the profile has none",
    remedy: "Ask the operator for one (`vibectl-server certs issue NAME --client`), and configure the profile with "
      + "--client-cert FILE --client-key FILE."
  },
  CLIENT_CERTIFICATE_REFUSED: {
    summary: "The server on {address} does not accept this client's certificate",
    remedy: "Ask the operator for one of the CA that the server trusts for its clients, and for clients."
  },
  TLS_VERSION_REFUSED: {
    summary: "The server on {address} and this client have no version of TLS in common",
    remedy: "Allow TLS 1.3 on this machine, or ask the operator to set tls.min_version to 1.2."
  },
  SERVER_IS_PLAINTEXT: {
    summary: "The server on {address} does not speak TLS",
    remedy: "If it is meant to be plaintext, use a `vibectl-server-insecure://` URL; else start it without --insecure."
  },
  SERVER_IS_TLS: {
    summary: "The server on {address} speaks TLS",
    remedy: "Use a `vibectl-server://` URL."
  },
  NOT_GRPC: {
    summary: "What listens on {address} is not a vibectl server",
    remedy: "Check the host and port of the proxy URL."
  }
}
