/**
 * A listening server around a scripted proxy, and a real grpc-js client of it.
 */
import * as Grpc from "@grpc/grpc-js"
import { Duration, Effect, Stream } from "effect"
import * as Net from "node:net"
import { unrestricted } from "../../src/domain/Access.js"
import type { AnswerEvent, Metrics } from "../../src/domain/Answer.js"
import { unlimited } from "../../src/domain/Limits.js"
import type { ServerInfo } from "../../src/domain/ServerInfo.js"
import * as Proto from "../../src/grpc/Proto.js"
import * as Server from "../../src/grpc/Server.js"
import type { LlmProxy } from "../../src/proxy/LlmProxy.js"

export const metrics: Metrics = {
  _tag: "Metrics",
  durationMs: 5,
  inputTokens: 1,
  outputTokens: 2,
  estimated: false,
  costUsd: undefined,
  retryCount: 0,
  timestamp: 1_700_000_000
}
export const done: AnswerEvent = { _tag: "Done", model: "fake/one" }
export const text = (value: string): AnswerEvent => ({ _tag: "Text", text: value })

type Proxy = LlmProxy["Type"]

/** What a small server says of itself. */
export const info: ServerInfo = {
  name: "x",
  version: "0.9.1",
  defaultModel: "fake/one",
  models: [],
  aliases: new Map(),
  limits: unlimited,
  features: []
}
export const serverInfo: Proxy["serverInfo"] = () => Effect.succeed(info)

/** A proxy of which a test scripts only what it needs. */
export const proxy = (script: Partial<Proxy>): Proxy => ({
  execute: () => Effect.dieMessage("not scripted"),
  open: () => Effect.dieMessage("not scripted"),
  stream: () => Stream.dieMessage("not scripted"),
  serverInfo: () => Effect.dieMessage("not scripted"),
  ...script
})

/** `open` that gives these results one after the other. */
export const script = (...steps: ReadonlyArray<Effect.Effect<AnswerEvent, never>>): Proxy["open"] => () =>
  Effect.sync(() => {
    const iterator = steps[Symbol.iterator]()
    return Effect.suspend(() => iterator.next().value ?? Effect.never)
  })

export const serve = (options: Partial<Server.Options> & { readonly proxy: Proxy }) =>
  Server.serve({
    host: "127.0.0.1",
    port: 0,
    credentials: Grpc.ServerCredentials.createInsecure(),
    tokens: undefined,
    authenticate: options.tokens !== undefined,
    access: () => unrestricted,
    audit: { record: () => Effect.void },
    maxMessageBytes: 4_194_304,
    maxBytesInFlight: 2 ** 30,
    maxStreamsPerConnection: 1000,
    clientIdentity: "none",
    drain: Duration.seconds(5),
    heartbeat: Duration.seconds(15),
    ...options
  })

export interface Ended {
  readonly chunks: ReadonlyArray<Record<string, unknown>>
  readonly status: Grpc.StatusObject
}

const definition = (method: string) => Proto.service[method]!

export interface Cable {
  readonly port: number
  readonly cut: () => void
  readonly silence: () => void
  readonly close: () => void
}

/** A TCP relay to `port` that can be cut like a cable, or go silent like a network that drops everything. */
export const cable = (port: number) =>
  Effect.acquireRelease(
    Effect.async<Cable>((resume) => {
      const sockets: Array<Net.Socket> = []
      let silent = false
      const relay = Net.createServer((near) => {
        const far = Net.connect(port, "127.0.0.1")
        sockets.push(near, far)
        for (const socket of [near, far]) socket.on("error", () => {})
        near.on("data", (bytes) => silent || far.write(bytes))
        far.on("data", (bytes) => silent || near.write(bytes))
        near.on("end", () => far.end())
        far.on("end", () => near.end())
      })
      const cut = () => sockets.forEach((socket) => socket.destroy())
      relay.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (relay.address() as Net.AddressInfo).port,
          cut,
          silence: () => {
            silent = true
          },
          close: () => relay.close()
        })))
    }),
    ({ close, cut }) =>
      Effect.sync(() => {
        cut()
        close()
      })
  )

/** A client for as long as the scope lives. */
export const client = (port: number, options: Grpc.ChannelOptions = {}) =>
  Effect.acquireRelease(
    Effect.sync(() => new Grpc.Client(`127.0.0.1:${port}`, Grpc.credentials.createInsecure(), options)),
    (client) => Effect.sync(() => client.close())
  )

export const streamCall = (
  client: Grpc.Client,
  message: object = { user_fragments: ["why?"], request_id: "r1" },
  metadata: Record<string, string> = {}
) => {
  const { path, requestSerialize, responseDeserialize } = definition("StreamExecute")
  return client.makeServerStreamRequest<object, Record<string, unknown>>(
    path,
    requestSerialize,
    responseDeserialize,
    message,
    metadataOf(metadata)
  )
}

/** Everything a stream gives, and its status, whichever it is. */
export const collect = (call: Grpc.ClientReadableStream<Record<string, unknown>>): Effect.Effect<Ended> =>
  Effect.async((resume) => {
    const chunks: Array<Record<string, unknown>> = []
    call.on("data", (chunk: Record<string, unknown>) => chunks.push(chunk))
    call.on("error", () => {})
    call.on("status", (status) => resume(Effect.succeed({ chunks, status })))
  })

export const unaryCall = (
  client: Grpc.Client,
  method: string,
  message: object = {},
  metadata: Record<string, string> = {}
): Effect.Effect<Record<string, unknown>, Grpc.ServiceError> =>
  Effect.async((resume) => {
    const { path, requestSerialize, responseDeserialize } = definition(method)
    client.makeUnaryRequest<object, Record<string, unknown>>(
      path,
      requestSerialize,
      responseDeserialize,
      message,
      metadataOf(metadata),
      (error, answer) => resume(error === null ? Effect.succeed(answer!) : Effect.fail(error))
    )
  })

export const metadataOf = (entries: Record<string, string>) => {
  const metadata = new Grpc.Metadata()
  for (const [key, value] of Object.entries(entries)) metadata.set(key, value)
  return metadata
}

/** Which member of a chunk's oneof is set. */
export const kind = (chunk: Record<string, unknown>): unknown => chunk["chunk_type"]
