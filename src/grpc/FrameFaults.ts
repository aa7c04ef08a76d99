/**
 * What grpc-js says of frames and headers that it cannot take.
 *
 * It answers some of them with `INTERNAL`, which is our word for a defect of
 * ours, and repeats the header. They are the caller's to mend. The others have
 * their right status, but nobody would hear of them: no handler has run.
 * Source: `BaseServerInterceptingCall`, `StreamDecoder` and `handleUnary` in @grpc/grpc-js 1.14
 */
import * as Grpc from "@grpc/grpc-js"
import { InvalidRequest, type ProxyError, ServerBusy } from "../domain/Errors.js"
import * as RequestBytes from "./RequestBytes.js"
import * as Status from "./Status.js"

export interface Mended {
  /** Faults wait until this is called: who is not let in hears of nothing but that. True when one was waiting. */
  readonly admit: () => boolean
}

/**
 * Statuses of the innermost `call` that blame the server for a caller's fault are put right. `onFault` hears once of the
 * fault that ends the call, by its reason or, where we have none, by its status.
 */
export const mend = (
  call: Grpc.ServerInterceptingCallInterface,
  onFault: (outcome: string) => void
): Mended => {
  const send = call.sendStatus.bind(call)
  let admitted = false
  let ended = false
  let waiting: Sent | undefined
  // Every message of a call may be at fault, and only the first status goes out.
  const end = (status: Sent) => {
    const found = ended ? undefined : faultOf(status)
    ended = true
    if (found !== undefined) onFault(found.outcome)
    send(found?.error === undefined ? status : Status.fromError(found.error))
  }
  const sendStatus: typeof send = (status) => {
    if (admitted || faultOf(status) === undefined) end(status)
    else waiting = status
  }
  call.sendStatus = sendStatus
  // A handler of many messages may answer one while the next is at fault: grpc-js would write after the end, and the
  // stream would neither send its status nor close.
  const sendMessage = call.sendMessage.bind(call)
  const sendUnlessEnded: typeof sendMessage = (message, sent) => {
    if (!ended) sendMessage(message, sent)
  }
  call.sendMessage = sendUnlessEnded
  return {
    admit: () => {
      admitted = true
      if (waiting !== undefined) end(waiting)
      return waiting !== undefined
    }
  }
}

// -- internals ---------------------------------------------------------------

type Sent = Parameters<Grpc.ServerInterceptingCallInterface["sendStatus"]>[0]

interface Fault {
  readonly outcome: string
  /** What is sent instead; undefined when grpc-js found the right words. */
  readonly error: ProxyError | undefined
}

const faultOf = ({ code, details }: Sent): Fault | undefined => {
  const found = faults.find(([status, text]) => status === code && details?.startsWith(text))
  return typeof found?.[2] === "function" ? found[2]((details ?? "").slice(found[1].length)) : found?.[2]
}

const invalid = (field: string, summary: string, remedy: string): Fault => {
  const error = new InvalidRequest({ reason: "INVALID_REQUEST", field, summary, remedy })
  return { outcome: error.reason, error }
}

const passed = (status: Grpc.status): Fault => ({ outcome: Grpc.status[status], error: undefined })

const { INTERNAL, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED } = Grpc.status

/** A function makes it of what follows the text. */
const faults: ReadonlyArray<readonly [Grpc.status, string, Fault | ((rest: string) => Fault)]> = [
  [
    INTERNAL,
    "Error deserializing request",
    invalid("request", "The request is not a message of this method.", "Encode it as the published .proto file says.")
  ],
  [
    INTERNAL,
    "Failed to decompress message",
    invalid(
      "request",
      "The request cannot be decompressed.",
      "Compress it as grpc-encoding says, or send it uncompressed."
    )
  ],
  [
    INTERNAL,
    "Invalid grpc-timeout value",
    invalid(
      "grpc-timeout",
      "The grpc-timeout header is not a time.",
      "Send up to 8 digits and one of the units H, M, S, m, u and n, e.g. 30S."
    )
  ],
  [
    INVALID_ARGUMENT,
    `${RequestBytes.tooManyFields}: `,
    (field) =>
      invalid(
        field,
        `The request has more than ${RequestBytes.mostFields.toLocaleString("en-US")} fields and fragments.`,
        "Join the texts into fewer fragments."
      )
  ],
  [RESOURCE_EXHAUSTED, RequestBytes.busy, { outcome: "SERVER_BUSY", error: new ServerBusy() }],
  [RESOURCE_EXHAUSTED, "Received message larger than max", passed(RESOURCE_EXHAUSTED)],
  [RESOURCE_EXHAUSTED, "Received message that decompresses to", passed(RESOURCE_EXHAUSTED)],
  [UNIMPLEMENTED, "Received message compressed with unsupported encoding", passed(UNIMPLEMENTED)],
  [UNIMPLEMENTED, "Received a second request message", passed(UNIMPLEMENTED)],
  [UNIMPLEMENTED, "Received no request message", passed(UNIMPLEMENTED)]
]
