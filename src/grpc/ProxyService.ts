/**
 * The three methods of `VibectlLLMProxy`: the wire around {@link LlmProxy}.
 */
import type * as Grpc from "@grpc/grpc-js"
import { type Duration, Effect, Exit, Scope } from "effect"
import type { Call } from "../call/Call.js"
import { effective } from "../domain/Access.js"
import type { AnswerEvent, AnswerRequest, Caller } from "../domain/Answer.js"
import { type InvalidRequest, RequestTimeout } from "../domain/Errors.js"
import { flatMapEager, mapEager } from "../effect/Eager.js"
import type { AnswerPull, LlmProxy } from "../proxy/LlmProxy.js"
import * as RequestId from "../proxy/RequestId.js"
import * as Bridge from "./Bridge.js"
import { beating } from "./Heartbeat.js"
import * as Wire from "./Wire.js"

type WireRequest = typeof Wire.ExecuteRequest.Type
type WireChunk = typeof Wire.StreamChunk.Type

/** Handlers for `Proto.service`; a stream is silent for no longer than `heartbeat` to a client that asks for it. */
export const handlers = (
  bridge: Bridge.Bridge,
  proxy: LlmProxy["Type"],
  heartbeat: Duration.Duration
): Grpc.UntypedServiceImplementation => ({
  GetServerInfo: Bridge.unary(bridge, (_request, call) => mapEager(proxy.serverInfo(call), Wire.fromServerInfo)),

  Execute: Bridge.unary(
    bridge,
    (message, call) =>
      flatMapEager(receive(message, call), (request) =>
        mapEager(proxy.execute(request, call), (answer) => {
          note(call, { _tag: "Done", model: answer.model, finishReason: answer.finishReason })
          note(call, answer.metrics)
          return Wire.fromAnswer(request.requestId, answer)
        }))
  ),

  StreamExecute: Bridge.serverStream<WireRequest, WireChunk>(
    bridge,
    (message, call, out) =>
      flatMapEager(receive(message, call), (request) => {
        const chunk = (event: AnswerEvent) => Wire.fromEvent(request.requestId, event)
        const startedAt = call.now()
        inTime(call, startedAt)
        const answer = (pull: AnswerPull, send: Bridge.Write<WireChunk>) => {
          let done: AnswerEvent | undefined
          let ended = false
          const take = (event: AnswerEvent): Effect.Effect<void> => {
            if (event._tag !== "Text") note(call, event)
            else call.fields["firstTextMs"] ??= call.now() - startedAt
            if (event._tag === "Done") {
              done = event
              return Effect.void
            }
            if (event._tag === "Metrics" && done !== undefined) {
              ended = true
              return out.finish(chunk(done), chunk(event))
            }
            return understood(event, call) ? send(chunk(event)) : Effect.void
          }
          const step = Effect.flatMap(pull, take)
          return Effect.whileLoop({ while: () => !ended, body: () => step, step: () => undefined })
        }
        const sending = call.features.has("heartbeat")
          ? Effect.flatMap(call.scope, (scope) => Scope.extend(beating(out.write, heartbeat, chunk), scope))
          : Exit.succeed(out.write)
        return flatMapEager(sending, (send) => flatMapEager(proxy.open(request, call), (pull) => answer(pull, send)))
      }),
    Wire.errorChunk
  )
})

// -- internals ---------------------------------------------------------------

const decodeRequest = Wire.decode(Wire.ExecuteRequest)

const receive = (message: unknown, call: Call): Effect.Effect<AnswerRequest, InvalidRequest> => {
  const wired = Wire.isExecuteRequest(message) ? Exit.succeed(message) : decodeRequest(message)
  return flatMapEager(wired, (wire) =>
    mapEager(RequestId.settle(wire.request_id), (requestId) => {
      call.requestId = requestId
      const { span } = call.face
      if (span?._tag === "Span") span.attribute("vibectl.request_id", requestId)
      return Wire.toAnswerRequest(wire, requestId)
    }))
}

/** Also when it is the client that is slow: then the proxy is not asked for more, and does not see the time pass. */
const inTime = (call: Call, startedAt: number): void => {
  const seconds = effective(call.access).requestTimeoutSeconds
  if (seconds !== undefined) call.limit(startedAt, seconds * 1000, () => call.end(new RequestTimeout({ seconds })))
}

/** What the log says of an answer: who gave it, how, after how many attempts, and what it used. */
const note = ({ fields }: Call, event: AnswerEvent): void => {
  if (event._tag === "Start") Object.assign(fields, { model: event.model, tier: event.tier })
  else if (event._tag === "Done") {
    Object.assign(fields, { model: event.model, finishReason: event.finishReason ?? "unknown" })
  } else if (event._tag === "Metrics") {
    const { costUsd, estimated, inputTokens, outputTokens, retryCount } = event
    Object.assign(fields, {
      inputTokens,
      outputTokens,
      ...estimated && { estimated },
      ...costUsd !== undefined && { costUsd },
      retries: retryCount
    })
  }
}

/** Chunks beyond the base contract go only to clients that declared them. */
const understood = (event: AnswerEvent, caller: Caller): boolean => {
  if (event._tag === "Start") return caller.features.has("start")
  return event._tag !== "Restart" || caller.features.has("restart")
}
