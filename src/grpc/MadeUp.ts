/**
 * Statuses that no server has sent: grpc-js makes them up, from an HTTP status, a reset stream or a lost connection.
 *
 * The texts are those of @grpc/grpc-js 1.14 (`subchannel-call.ts`, `transport.ts`, `client.ts`, `retrying-call.ts`).
 */

/** What is known of the other end. */
export interface MadeUp {
  /** `:status` of an answer that is not gRPC. */
  readonly http?: number
  /** Why the stream was reset, where it was. */
  readonly reset?: string
}

/** Undefined for the words of a server. */
export const read = (details: string): MadeUp | undefined => {
  const http = /Received HTTP status code (\d{3})/.exec(details)?.[1]
  if (http !== undefined) return { http: Number(http) }
  const reset = /Received RST_STREAM with code (\d+)|(Call cancelled|Stream refused by server|Bandwidth exhausted)/
    .exec(
      details
    )
  if (reset !== null) return { reset: reset[1] === undefined ? String(reset[2]) : `RST_STREAM ${reset[1]}` }
  return others.test(details) ? {} : undefined
}

// -- internals ---------------------------------------------------------------

const others =
  /^(?:Connection dropped|Cancelled on client|Protocol not secure enough|No connection established|Deadline exceeded after|Waiting for|Received message|Failed to |Name resolution failed|Channel closed|Error parsing|Response message parsing|Too many responses|No message received)/
