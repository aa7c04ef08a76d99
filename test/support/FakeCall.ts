/**
 * What grpc-js hands to the handlers, without the network:
 * a client that reads at its own pace, may leave, and waits until its deadline.
 *
 * It behaves as grpc-js' `ServerWritableStream` was seen to: `write` says false
 * while the buffer is full and `drain` comes when it is empty, `cancelled` is
 * set before the event, and a deadline ends the call with its own status.
 */
import * as Grpc from "@grpc/grpc-js"
import { EventEmitter } from "node:events"
import type * as VirtualTime from "./VirtualTime.js"

export interface Options {
  readonly method: "Execute" | "StreamExecute"
  readonly request: Record<string, unknown>
  readonly metadata: Grpc.Metadata
  /** Milliseconds since the epoch, or Infinity. */
  readonly deadline: number
  /** Milliseconds that the client takes for one message; 0 reads at once. */
  readonly pace: number
}

export interface Seen {
  /** In the order of their writing, with the time. */
  readonly chunks: Array<{ readonly at: number; readonly chunk: Record<string, unknown> }>
  /** Every status that was sent; there must be one, or none to a client that left. */
  readonly statuses: Array<{ readonly at: number; readonly code: Grpc.status }>
  /** When the client went away. */
  leftAt: number | undefined
}

type Message = Record<string, unknown>
type Call = Parameters<Grpc.handleServerStreamingCall<Message, Message>>[0]

export interface FakeCall {
  readonly seen: Seen
  /** Lets the call pass the interceptor and hands it to its method's handler, as grpc-js does. */
  readonly start: (interceptor: Grpc.ServerInterceptor, handlers: Grpc.UntypedServiceImplementation) => void
  readonly leave: () => void
}

/** Messages that fit into the buffer. */
const capacity = 2

export const make = (time: VirtualTime.VirtualTime, options: Options): FakeCall => {
  const seen: Seen = { chunks: [], statuses: [], leftAt: undefined }
  const call = new EventEmitter() as EventEmitter & { cancelled: boolean }
  call.cancelled = false
  let buffered = 0

  const status = (code: Grpc.status) => seen.statuses.push({ at: time.now(), code })
  const read = () => {
    buffered -= 1
    if (buffered > 0) time.after(options.pace, read)
    else call.emit("drain")
  }
  const leave = () => {
    if (call.cancelled || seen.statuses.length > 0) return
    seen.leftAt = time.now()
    call.cancelled = true
    call.emit("cancelled", "cancelled")
  }
  call.on("error", ({ code }: Grpc.StatusObject) => status(code))
  if (options.deadline !== Infinity) {
    time.after(options.deadline - time.now(), () => {
      if (seen.statuses.length > 0) return
      if (!call.cancelled) status(Grpc.status.DEADLINE_EXCEEDED)
      call.cancelled = true
      seen.leftAt ??= time.now()
      call.emit("cancelled", "cancelled")
    })
  }

  Object.assign(call, {
    request: options.request,
    metadata: options.metadata,
    getPath: () => `/vibectl.llm_proxy.VibectlLLMProxy/${options.method}`,
    getPeer: () => "127.0.0.1:1",
    getDeadline: () => options.deadline,
    write: (chunk: Record<string, unknown>) => {
      seen.chunks.push({ at: time.now(), chunk })
      if (options.pace === 0) return true
      buffered += 1
      if (buffered === 1) time.after(options.pace, read)
      return buffered < capacity
    },
    end: () => status(Grpc.status.OK)
  })
  const respond: Grpc.sendUnaryData<Message> = (error, message) => {
    if (message) seen.chunks.push({ at: time.now(), chunk: message })
    status(error?.code ?? Grpc.status.OK)
  }
  const start: FakeCall["start"] = (interceptor, handlers) => {
    const handler = handlers[options.method] as (call: unknown, respond: Grpc.sendUnaryData<Message>) => void
    pass(interceptor, call as unknown as Call, (metadata) => handler(Object.assign(call, { metadata }), respond))
  }
  return { seen, start, leave }
}

// -- what a message holds ----------------------------------------------------

/** Which of its kinds a message of the server is. */
export const kind = (message: Message): string =>
  Object.keys(message).find((key) => key !== "request_id" && message[key] !== undefined) ?? "empty"

/** The text of the answer in a message; empty when it has none. */
export const text = (message: Message): string =>
  typeof message["text_chunk"] === "string"
    ? message["text_chunk"]
    : ((message["success"] as { response_text: string } | undefined)?.response_text ?? "")

export const startOf = (message: Message) =>
  message["start"] as { readonly tier: string; readonly attempt: number; readonly provider: string } | undefined

export const metrics = (message: Message | undefined) =>
  (message?.["final_metrics"] ?? (message?.["success"] as { metrics: unknown } | undefined)?.metrics) as
    | { readonly retry_count: number }
    | undefined

// -- internals ---------------------------------------------------------------

const pass = (interceptor: Grpc.ServerInterceptor, call: Call, handle: (metadata: Grpc.Metadata) => void): void => {
  let started: Grpc.FullServerListener | undefined
  const next = {
    start: (listener: Grpc.FullServerListener) => {
      started = listener
    },
    getPeer: () => call.getPeer(),
    // The fake call takes its messages itself.
    sendMessage: () => {},
    sendStatus: (status: Grpc.StatusObject) => call.emit("error", status)
  } as unknown as Grpc.ServerInterceptingCallInterface
  const method = { path: call.getPath() } as Grpc.ServerMethodDefinition<unknown, unknown>
  // The listener of the handler; its methods take one argument each, which is how grpc-js tells the two kinds apart.
  const listener = { onReceiveMetadata: (metadata: Grpc.Metadata) => handle(metadata) }
  interceptor(method, next).start(listener as unknown as Parameters<Grpc.ServerInterceptingCall["start"]>[0])
  started?.onReceiveMetadata(call.metadata, () => {})
}
