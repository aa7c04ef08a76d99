/**
 * Clients that cannot even connect, in the server's log: nobody else hears why.
 *
 * Anybody can fail as often as the network allows, so one line a minute and kind says how many they were.
 */
import { Effect } from "effect"

export interface RefusedConnections {
  /** `code` is that of Node or OpenSSL. */
  readonly note: (peer: string, code: string) => void
  /** Writes down what came after a line; runs as long as the server. */
  readonly report: Effect.Effect<never>
}

/** `fork` runs what writes to the log. */
export const make = (fork: (report: Effect.Effect<void>) => unknown): RefusedConnections => {
  /** By what is wrong, since the last line about it. */
  const kinds = new Map<string, { readonly since: string; count: number }>()
  return {
    note: (peer, code) => {
      const sentence = sentences[code]
      if (sentence === undefined) return
      const kind = kinds.get(sentence)
      if (kind !== undefined) {
        kind.count++
        return
      }
      kinds.set(sentence, { since: peer, count: 0 })
      fork(line(sentence, { peer, code }))
    },
    report: Effect.forever(Effect.delay(
      Effect.suspend(() => {
        const repeated = [...kinds].filter(([, { count }]) => count > 0)
        kinds.clear()
        return Effect.forEach(
          repeated,
          ([sentence, { count, since }]) => line(sentence, { peer: since, further: count }),
          {
            discard: true
          }
        )
      }),
      "1 minute"
    ))
  }
}

// -- internals ---------------------------------------------------------------

const line = (sentence: string, annotations: { readonly [key: string]: unknown }) =>
  Effect.annotateLogs(Effect.logWarning(`a client could not connect: ${sentence}`), annotations)

const tooOld =
  "it offers no version of TLS that this server accepts. Allow TLS 1.3 there (in nginx: grpc_ssl_protocols "
  + "TLSv1.3), or set tls.min_version to 1.2"
const noTls = "it speaks plaintext to a port with TLS. Use TLS there (in nginx: grpc_pass grpcs://…; in vibectl: "
  + "vibectl-server://…)"
const noHttp2 =
  "it speaks TLS, or another protocol than HTTP/2, to a port without TLS. Use plaintext HTTP/2 there (in nginx: "
  + "grpc_pass grpc://…; in vibectl: vibectl-server-insecure://…)"

/** Others are a broken network, or somebody who looks for open ports. */
const sentences: { readonly [code: string]: string } = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: tooOld,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: tooOld,
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: tooOld,
  ERR_SSL_HTTP_REQUEST: noTls,
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_HTTP2_ERROR: noHttp2
}
