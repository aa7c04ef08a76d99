/**
 * A model provider on a real port: speaks the wire of OpenAI and of Anthropic,
 * does per request what a script says, and counts what happens to it.
 */
import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Usage } from "../domain/Answer.js"
import type * as VendorDialects from "./VendorDialects.js"
import { type Behaviour, type Fault, plan, whole } from "./VendorScript.js"
import * as VendorWire from "./VendorWire.js"

export { names as dialects } from "./VendorDialects.js"
export type { Behaviour, Fault } from "./VendorScript.js"

export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly body: unknown
  /** When its client went away before the answer was whole, in milliseconds of `performance.now()`. */
  abandonedAt: number | undefined
}

export interface FakeVendor {
  /** Base URL for kind `openai`. */
  readonly openai: string
  /** Base URL for kind `anthropic`. */
  readonly anthropic: string
  readonly port: number
  /** Base URL of a host that never lets a connection stand: it takes it, and is silent when TLS begins. */
  readonly unreachable: string
  /** What to do with the next requests, one each; after them, with all further ones. */
  readonly script: (...behaviours: ReadonlyArray<Behaviour>) => void
  readonly otherwise: (behaviour: Behaviour) => void
  readonly requests: ReadonlyArray<Seen>
  readonly counts: Counts
}

/** What it charges for a request that it began to answer. */
export interface Bill extends Usage {
  readonly path: string
  readonly model: string
  /** Whether these counts were written before the connection ended. */
  readonly reported: boolean
  /** Whether all of the answer was; if not, the output is the share of the pieces that were written. */
  readonly complete: boolean
}

export interface Counts {
  /** One for each, in the order in which they were answered; an answer that is still being given is billed so far. */
  readonly usage: ReadonlyArray<Bill>
  /** Bytes of bodies given to the operating system. */
  readonly bytesSent: number
  /** Answers that were sent whole. */
  readonly answered: number
  /** Requests whose client went away before the answer was whole. */
  readonly abandoned: number
  /** Requests that are neither answered nor abandoned yet. */
  readonly open: number
  /** Connections to {@link FakeVendor.unreachable} that were begun, and those of them that are still there. */
  readonly knocks: number
  readonly knocking: number
  /** When the last of them was given up, in milliseconds of `performance.now()`. */
  readonly knockedUntil: number
}

/** A good answer as this provider writes it; to be spread into a behaviour that says more. */
export const dialect = (name: VendorDialects.Name): Behaviour => ({ dialect: name })

/** Listens on a free port of this machine, or on `port`, until the scope closes. */
export const make = (port = 0): Effect.Effect<FakeVendor, never, Scope.Scope> =>
  Effect.gen(function*() {
    const counts: Counting = {
      usage: [],
      bytesSent: 0,
      answered: 0,
      abandoned: 0,
      open: 0,
      knocks: 0,
      knocking: 0,
      knockedUntil: 0
    }
    const wall = yield* Effect.acquireRelease(silent(counts), ({ close }) => Effect.sync(close))
    const unreachable = `https://127.0.0.1:${wall.port}/v1`
    const { vendor } = yield* Effect.acquireRelease(listen(port, counts, unreachable), ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }))
    return vendor
  })

// -- internals ---------------------------------------------------------------

type Open = { -readonly [key in keyof Bill]: Bill[key] }
type Counting = { -readonly [key in Exclude<keyof Counts, "usage">]: number } & { readonly usage: Array<Open> }

const portOf = (server: Net.Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const silent = (counts: Counting) =>
  Effect.async<{ readonly port: number; readonly close: () => void }>((resume) => {
    const sockets = new Set<Net.Socket>()
    const server = Net.createServer((socket) => {
      sockets.add(socket)
      counts.knocks += 1
      counts.knocking += 1
      // Nothing that comes is read as TLS, but a connection that is not read does not see its end.
      socket.on("error", () => {}).resume().once("close", () => {
        sockets.delete(socket)
        counts.knocking -= 1
        counts.knockedUntil = performance.now()
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const close = () => {
        server.close()
        for (const socket of sockets) socket.destroy()
      }
      resume(Effect.succeed({ port: portOf(server), close }))
    })
  })

const listen = (port: number, counts: Counting, unreachable: string) =>
  Effect.async<{ readonly server: Http.Server; readonly vendor: FakeVendor }>((resume) => {
    const requests: Array<Seen> = []
    let queue: Array<Behaviour> = []
    let standard: Behaviour = {}

    const server = Http.createServer((request, response) => {
      // It lists no models, and being asked for them is no call.
      if (request.method === "GET") return void response.writeHead(404).end()
      counts.open += 1
      let seen: Seen | undefined
      response.once("close", () => {
        counts.open -= 1
        if (response.writableFinished) counts.answered += 1
        else {
          counts.abandoned += 1
          if (seen !== undefined) seen.abandonedAt = performance.now()
        }
      })
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = parse(Buffer.concat(chunks).toString("utf8"))
        const path = request.url ?? ""
        seen = { method: request.method ?? "", path, headers: request.headers, body, abandonedAt: undefined }
        requests.push(seen)
        const send = writer(response, (bytes) => {
          counts.bytesSent += bytes
        })
        const bill = (open: Omit<Open, "path" | "reported" | "complete">): Open => {
          const opened = { ...open, path, reported: false, complete: false }
          counts.usage.push(opened)
          return opened
        }
        const next = queue[0] ?? standard
        if (!refusesSchema(next, body)) queue.shift()
        respond(next, { path, body, response, send, bill })
      })
      // A client that goes away is what these tests are about, not an error.
      request.on("error", () => {})
      response.on("error", () => {})
    })
    server.on("connection", (socket) => socket.setNoDelay(true))
    server.listen(port, "127.0.0.1", () => {
      const bound = portOf(server)
      const base = `http://127.0.0.1:${bound}`
      const vendor: FakeVendor = {
        openai: `${base}/v1`,
        anthropic: base,
        port: bound,
        unreachable,
        script: (...behaviours) => {
          queue = [...behaviours]
        },
        otherwise: (behaviour) => {
          standard = behaviour
        },
        requests,
        counts
      }
      resume(Effect.succeed({ server, vendor }))
    })
  })

interface Exchange {
  readonly path: string
  readonly body: { readonly [key: string]: unknown }
  readonly response: Http.ServerResponse
  /** Writes, and goes on when the client has room for more; what a client that went away misses is dropped. */
  readonly send: (text: string, behaviour: Behaviour) => Promise<boolean>
  readonly bill: (open: Omit<Open, "path" | "reported" | "complete">) => Open
}

const respond = (behaviour: Behaviour, exchange: Exchange): void => {
  const { body, path, response } = exchange
  const wire = VendorWire.ofPath(path) ?? "openai"
  const json = (status: number, value: unknown, headers: Record<string, string> = {}) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    void exchange.send(JSON.stringify(value), {}).then(() => response.end())
  }
  const { error, fault, refusesStreaming, requestId, retryAfter, status } = behaviour
  if (requestId !== undefined) response.setHeader(wire === "openai" ? "x-request-id" : "request-id", requestId)
  if (fault?.after === "request") return fault.how === "hang" ? undefined : void response.destroy()
  const streamed = body["stream"] === true
  if (refusesSchema(behaviour, body)) {
    return json(400, VendorWire.errorBody(wire, { type: "unsupported_value", param: "response_format" }))
  }
  if (status !== undefined) {
    const headers = retryAfter === undefined ? {} : { "retry-after": retryAfter }
    return json(status, VendorWire.errorBody(wire, { type: error ?? `error_${status}` }), headers)
  }
  if (streamed && refusesStreaming === true) {
    return json(400, VendorWire.errorBody(wire, { type: "unsupported_value", param: "stream" }))
  }
  const answer = {
    model: typeof body["model"] === "string" ? body["model"] : "fake",
    pieces: behaviour.pieces ?? ["Hello", ", ", "world"],
    usage: behaviour.usage ?? "late",
    tokens: { inputTokens: 7, outputTokens: 3, ...behaviour.tokens }
  }
  if (!streamed || behaviour.whole === true) {
    if (fault?.how === "error") return json(200, VendorWire.errorBody(wire, { type: "overloaded_error" }))
    const bill = exchange.bill({ model: answer.model, ...answer.tokens })
    const text = JSON.stringify(whole(wire, answer, behaviour))
    response.writeHead(200, { "content-type": "application/json" })
    const sent = fault === undefined ? text : text.slice(0, text.length / 2)
    return void exchange.send(sent, fault === undefined ? {} : behaviour).then((written) => {
      bill.complete = written && fault === undefined
      bill.reported = bill.complete && answer.usage !== "absent"
      finish(fault?.how, response)
    })
  }
  response.writeHead(200, { "content-type": "text/event-stream" })
  // A head without a body would wait for the first bytes of it.
  response.flushHeaders()
  void stream(wire, answer, behaviour, exchange)
}

const refusesSchema = ({ refusesSchemas }: Behaviour, body: Exchange["body"]): boolean =>
  refusesSchemas === true && ("response_format" in body || "output_config" in body)

const stream = async (wire: VendorWire.Wire, answer: VendorWire.Answer, behaviour: Behaviour, exchange: Exchange) => {
  const bill = exchange.bill({ model: answer.model, ...VendorWire.soFar(answer.tokens, 0) })
  for (const { reports, share, text } of plan(wire, answer, behaviour)) {
    if (!await exchange.send(text, behaviour)) return
    bill.reported ||= reports
    // What was reported is what is billed, however the answer goes on.
    Object.assign(bill, VendorWire.soFar(answer.tokens, bill.reported ? 1 : share))
  }
  bill.complete = behaviour.fault === undefined
  finish(behaviour.fault?.how, exchange.response)
}

const finish = (how: Fault | undefined, response: Http.ServerResponse): void => {
  if (how === "hang") return
  if (how === "reset") response.socket?.resetAndDestroy()
  else response.end()
}

const writer = (response: Http.ServerResponse, count: (bytes: number) => void): Exchange["send"] => {
  const write = (bytes: Buffer) =>
    new Promise<boolean>((resolve) => {
      if (response.destroyed) return resolve(false)
      count(bytes.length)
      const more = () => resolve(!response.destroyed)
      if (response.write(bytes)) return setImmediate(more)
      response.once("drain", more)
      response.once("close", more)
    })
  return async (text, { pace, split }) => {
    const bytes = Buffer.from(text)
    const size = split ?? bytes.length
    for (let at = 0; at < bytes.length; at += size) {
      if (!await write(bytes.subarray(at, at + size))) return false
      if (pace !== undefined) await new Promise((resolve) => setTimeout(resolve, pace))
    }
    return true
  }
}

const parse = (text: string): { readonly [key: string]: unknown } => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
