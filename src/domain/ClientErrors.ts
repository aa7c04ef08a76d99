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
  /** `no`: it surely never reached the server's handlers, and may be sent again without being paid for twice. */
  readonly begun?: "no" | "maybe"
  /** Whether it had no connection at its deadline. */
  readonly unconnected?: boolean
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
    | "PROXY_FAILED"
    | "STREAM_RESET"
    | "GATEWAY_REDIRECT"
    | "GATEWAY_FORBIDDEN"
    | "GATEWAY_NO_ROUTE"
    | "GATEWAY_TOO_LARGE"
    | "GATEWAY_RATE_LIMITED"
    | "GATEWAY_BAD_ANSWER"
    | "GATEWAY_NO_SERVER"
    | "GATEWAY_TIMEOUT"
    | "GATEWAY_FAILED"
  /** `host:port`. */
  readonly address: string
  readonly detail: string | undefined
  /** As that of {@link CallFailed}. */
  readonly begun?: "no" | "maybe"
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
  },
  PROXY_FAILED: {
    summary:
      "The connection to {address} goes through a proxy that a variable of the environment names, and fails there",
    remedy: "Correct the variable, or add the host to no_proxy."
  },
  STREAM_RESET: {
    summary: "The call to {address} was reset, by the server or by a proxy in front of it",
    remedy: "Send the request again; if it happens after the same time every time, raise that proxy's timeouts "
      + "(docs/proxies.md)."
  },
  GATEWAY_REDIRECT: {
    summary: "{address} answers with a redirection, as a proxy in front of the server does",
    remedy: "Use a `vibectl-server://` URL, and the host and port that the proxy serves with TLS and HTTP/2."
  },
  GATEWAY_FORBIDDEN: {
    summary: "A proxy in front of the server on {address} refuses this client",
    remedy: "The token is not at fault: ask the operator of that proxy what it wants from its clients."
  },
  GATEWAY_NO_ROUTE: {
    summary: "What answers on {address} has nothing for vibectl's calls",
    remedy: "Check the proxy URL; a proxy has to pass on /vibectl.llm_proxy.VibectlLLMProxy/ as gRPC."
  },
  GATEWAY_TOO_LARGE: {
    summary: "A proxy in front of the server on {address} takes no request of this size",
    remedy: "Send a shorter request, or ask its operator for a higher limit (in nginx: client_max_body_size)."
  },
  GATEWAY_RATE_LIMITED: {
    summary: "A proxy in front of the server on {address} limits the requests of its clients",
    remedy: "Wait and send the request again, or ask the operator of that proxy for a higher limit."
  },
  GATEWAY_BAD_ANSWER: {
    summary: "A proxy on {address} cannot talk to the server behind it",
    remedy: "Ask its operator to look whether the server runs, and at both logs: TLS or not (in nginx: grpcs:// or "
      + "grpc://), and TLS 1.3 (grpc_ssl_protocols TLSv1.3)."
  },
  GATEWAY_NO_SERVER: {
    summary: "A proxy on {address} has no server to send the call to",
    remedy: "Send the request again in a moment; if it happens every time, ask its operator whether the servers run."
  },
  GATEWAY_TIMEOUT: {
    summary: "A proxy on {address} did not wait for the answer of the server",
    remedy: "Ask its operator for longer timeouts (in nginx: grpc_read_timeout), or ask for heartbeats."
  },
  GATEWAY_FAILED: {
    summary: "What answers on {address} is not the server but something in front of it",
    remedy: "Ask the operator of that proxy; its log has the reason."
  }
}
