/**
 * What grpc-js says of frames and headers that it cannot read.
 *
 * It answers some of them with `INTERNAL`, which is our word for a defect of
 * ours, and repeats the header. They are the caller's to mend.
 * Source: `BaseServerInterceptingCall` in @grpc/grpc-js 1.14
 */
import * as Grpc from "@grpc/grpc-js"
import { InvalidRequest } from "../domain/Errors.js"
import * as Status from "./Status.js"

/** Statuses of the innermost `call` that blame the server for a caller's fault are put right; `onFault` hears of each. */
export const mend = (
  call: Grpc.ServerInterceptingCallInterface,
  onFault: (error: InvalidRequest) => void
): void => {
  const send = call.sendStatus.bind(call)
  call.sendStatus = (status) => {
    const error = faultOf(status)
    if (error === undefined) return send(status)
    onFault(error)
    send(Status.fromError(error))
  }
}

// -- internals ---------------------------------------------------------------

type Sent = Parameters<Grpc.ServerInterceptingCallInterface["sendStatus"]>[0]

const faultOf = ({ code, details }: Sent): InvalidRequest | undefined =>
  code === Grpc.status.INTERNAL
    ? faults.find(([text]) => details?.startsWith(text))?.[1]
    : undefined

const fault = (field: string, summary: string, remedy: string) =>
  new InvalidRequest({ reason: "INVALID_REQUEST", field, summary, remedy })

const faults: ReadonlyArray<readonly [string, InvalidRequest]> = [
  [
    "Error deserializing request",
    fault("request", "The request is not a message of this method.", "Encode it as the published .proto file says.")
  ],
  [
    "Failed to decompress message",
    fault(
      "request",
      "The request cannot be decompressed.",
      "Compress it as grpc-encoding says, or send it uncompressed."
    )
  ],
  [
    "Invalid grpc-timeout value",
    fault(
      "grpc-timeout",
      "The grpc-timeout header is not a time.",
      "Send up to 8 digits and one of the units H, M, S, m, u and n, e.g. 30S."
    )
  ]
]
