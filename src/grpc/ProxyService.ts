/**
 * The three methods of `VibectlLLMProxy`: the wire around {@link LlmProxy}.
 */
import type * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import type { AnswerEvent, Caller } from "../domain/Answer.js"
import type { LlmProxy } from "../proxy/LlmProxy.js"
import * as RequestId from "../proxy/RequestId.js"
import { callerOf } from "./Authenticate.js"
import * as Bridge from "./Bridge.js"
import * as Wire from "./Wire.js"

type WireRequest = typeof Wire.ExecuteRequest.Type
type WireChunk = typeof Wire.StreamChunk.Type

/** Handlers for `Proto.service`. */
export const handlers = (
  bridge: Bridge.Bridge,
  proxy: LlmProxy["Type"]
): Grpc.UntypedServiceImplementation => ({
  GetServerInfo: Bridge.unary(bridge, (_request, incoming) =>
    Effect.map(callerOf(incoming.metadata), (caller) => ({
      run: Effect.map(proxy.serverInfo, Wire.fromServerInfo),
      annotations: { subject: caller.subject }
    }))),

  Execute: Bridge.unary(
    bridge,
    (message, incoming) =>
      Effect.map(receive(message, incoming), ({ annotations, caller, request }) => ({
        run: Effect.map(proxy.execute(request, caller), (answer) => Wire.fromAnswer(request.requestId, answer)),
        annotations
      }))
  ),

  StreamExecute: Bridge.serverStream<WireRequest, WireChunk>(
    bridge,
    (message, incoming, write) =>
      Effect.map(receive(message, incoming), ({ annotations, caller, request }) => ({
        run: Effect.flatMap(proxy.open(request, caller), (pull) => {
          let ended = false
          return Effect.whileLoop({
            while: () => !ended,
            body: () =>
              Effect.flatMap(pull, (event) => {
                ended = event._tag === "Metrics"
                return understood(event, caller) ? write(Wire.fromEvent(request.requestId, event)) : Effect.void
              }),
            step: () => undefined
          })
        }),
        annotations
      })),
    Wire.errorChunk
  )
})

// -- internals ---------------------------------------------------------------

const decodeRequest = Wire.decode(Wire.ExecuteRequest)

const receive = (message: unknown, incoming: Bridge.Incoming) =>
  Effect.gen(function*() {
    const caller = { ...yield* callerOf(incoming.metadata), deadline: incoming.deadline }
    const wire = yield* decodeRequest(message)
    const request = Wire.toAnswerRequest(wire, yield* RequestId.settle(wire.request_id))
    return { caller, request, annotations: { subject: caller.subject, requestId: request.requestId } }
  })

/** Chunks beyond the base contract go only to clients that declared them. */
const understood = (event: AnswerEvent, caller: Caller): boolean => {
  if (event._tag === "Start") return caller.features.has("start")
  return event._tag !== "Restart" || caller.features.has("restart")
}
