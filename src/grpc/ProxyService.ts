/**
 * The three methods of `VibectlLLMProxy`: the wire around {@link LlmProxy}.
 */
import type * as Grpc from "@grpc/grpc-js"
import { type Duration, Effect } from "effect"
import { effective } from "../domain/Access.js"
import type { AnswerEvent, Caller } from "../domain/Answer.js"
import { RequestTimeout } from "../domain/Errors.js"
import type * as Deadlines from "../proxy/Deadlines.js"
import type { AnswerPull, LlmProxy } from "../proxy/LlmProxy.js"
import * as RequestId from "../proxy/RequestId.js"
import { callerOf } from "./Authenticate.js"
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
  GetServerInfo: Bridge.unary(bridge, (_request, incoming) =>
    Effect.map(callerOf(incoming.metadata), (caller) => ({
      run: Effect.map(proxy.serverInfo(caller), Wire.fromServerInfo),
      annotations: { subject: caller.subject }
    }))),

  Execute: Bridge.unary(
    bridge,
    (message, incoming) =>
      Effect.map(receive(message, incoming), ({ annotations, caller, request }) => {
        const told = summary()
        return {
          run: Effect.map(proxy.execute(request, caller), (answer) => {
            told.take({ _tag: "Done", model: answer.model, finishReason: answer.finishReason })
            told.take(answer.metrics)
            return Wire.fromAnswer(request.requestId, answer)
          }),
          annotations,
          summary: told.give
        }
      })
  ),

  StreamExecute: Bridge.serverStream<WireRequest, WireChunk>(
    bridge,
    (message, incoming, out) =>
      Effect.map(receive(message, incoming), ({ annotations, caller, request }) => {
        const chunk = (event: AnswerEvent) => Wire.fromEvent(request.requestId, event)
        const told = summary()
        const sending = caller.features.has("heartbeat")
          ? beating(out.write, heartbeat, chunk)
          : Effect.succeed(out.write)
        const answer = (pull: AnswerPull, send: Bridge.Write<WireChunk>, startedAt: number) => {
          let done: AnswerEvent | undefined
          let ended = false
          const take = (event: AnswerEvent): Effect.Effect<void> => {
            if (event._tag !== "Text") told.take(event)
            else if (!told.hasText()) told.text(bridge.clock.unsafeCurrentTimeMillis() - startedAt)
            if (event._tag === "Done") {
              done = event
              return Effect.void
            }
            if (event._tag === "Metrics" && done !== undefined) {
              ended = true
              return out.finish(chunk(done), chunk(event))
            }
            return understood(event, caller) ? send(chunk(event)) : Effect.void
          }
          const step = Effect.flatMap(pull, take)
          return Effect.whileLoop({ while: () => !ended, body: () => step, step: () => undefined })
        }
        const run = Effect.flatMap(sending, (send) => {
          const startedAt = bridge.clock.unsafeCurrentTimeMillis()
          return Effect.zipRight(
            inTime(bridge.deadlines, incoming.closing, caller, startedAt),
            Effect.flatMap(proxy.open(request, caller), (pull) => answer(pull, send, startedAt))
          )
        })
        return { run, annotations, summary: told.give }
      }),
    Wire.errorChunk
  )
})

// -- internals ---------------------------------------------------------------

const decodeRequest = Wire.decode(Wire.ExecuteRequest)

const receive = (message: unknown, { cut, deadline, metadata }: Bridge.Incoming) =>
  Effect.flatMap(callerOf(metadata), (known) => {
    const caller: Caller = { cut, ...known, deadline }
    const wired = Wire.isExecuteRequest(message) ? Effect.succeed(message) : decodeRequest(message)
    return Effect.flatMap(wired, (wire) =>
      Effect.map(RequestId.settle(wire.request_id), (requestId) => ({
        caller,
        request: Wire.toAnswerRequest(wire, requestId),
        annotations: { subject: caller.subject, requestId }
      })))
  })

/** Also when it is the client that is slow: then the proxy is not asked for more, and does not see the time pass. */
const inTime = (
  deadlines: Deadlines.Deadlines,
  closing: Deadlines.Closing,
  { access, cut }: Caller,
  startedAt: number
): Effect.Effect<void> => {
  const seconds = effective(access).requestTimeoutSeconds
  return seconds === undefined || cut === undefined
    ? Effect.void
    : deadlines.add(closing, startedAt, seconds * 1000, () => cut(new RequestTimeout({ seconds })))
}

/** What the log says of an answer: who gave it, how, how soon, after how many attempts, and what it used. */
const summary = () => {
  const told: { [key: string]: string | number | boolean } = {}
  const take = (event: AnswerEvent): void => {
    if (event._tag === "Start") Object.assign(told, { model: event.model, tier: event.tier })
    else if (event._tag === "Done") {
      Object.assign(told, { model: event.model, finishReason: event.finishReason ?? "unknown" })
    } else if (event._tag === "Metrics") {
      const { costUsd, estimated, inputTokens, outputTokens, retryCount } = event
      Object.assign(told, {
        inputTokens,
        outputTokens,
        ...estimated && { estimated },
        ...costUsd !== undefined && { costUsd },
        retries: retryCount
      })
    }
  }
  return {
    take,
    hasText: () => told["firstTextMs"] !== undefined,
    text: (afterMs: number) => {
      told["firstTextMs"] = afterMs
    },
    give: () => told
  }
}

/** Chunks beyond the base contract go only to clients that declared them. */
const understood = (event: AnswerEvent, caller: Caller): boolean => {
  if (event._tag === "Start") return caller.features.has("start")
  return event._tag !== "Restart" || caller.features.has("restart")
}
