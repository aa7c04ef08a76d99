/**
 * A small HTTP server for those who run this one: metrics, probes, what it
 * does, and its log level.
 *
 * Whatever a client does, it costs little: connections, headers, bodies and
 * times are bounded, and nothing of it outlives the scope.
 */
import { Data, Duration, Effect, Queue, type Scope, Stream } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Routes from "./Routes.js"

/** The address cannot be listened on; nothing was started. */
export class OpsBindFailed extends Data.TaggedError("OpsBindFailed")<{
  /** `host:port`. */
  readonly address: string
  /** The system's own word, e.g. `EADDRINUSE`. */
  readonly code: string
}> {
  get summary() {
    const why = this.code === "EADDRINUSE" ? "another program is using it" : this.code
    return `Cannot listen on ${this.address} for metrics and probes: ${why}.`
  }
  get remedy() {
    return "Choose another address with server.metrics_host and server.metrics_port; 0 is no such port at all."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The port where `server.metrics_port` says nothing. */
export const defaultPort = 9095

export interface Options extends Routes.Sources {
  readonly host: string
  /** 0 asks the operating system for a free port. */
  readonly port: number
}

/** Listens until the scope closes, and yields the port in use. What is being answered then gets a second to leave. */
export const serve = (options: Options): Effect.Effect<number, OpsBindFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const answer = Routes.make(options)
    // Begun before the server, so that it ends after it.
    const lane = Effect.flatMap(Queue.dropping<Exchange>(most.waiting), (exchanges) =>
      Effect.as(
        Effect.forkScoped(
          Stream.runDrain(
            Stream.mapEffect(Stream.fromQueue(exchanges), (exchange) => handle(answer, exchange), {
              concurrency: most.atOnce,
              unordered: true
            })
          )
        ),
        exchanges
      ))
    // Whoever keeps the other paths busy does not keep probes waiting.
    const lanes = { probes: yield* lane, others: yield* lane }
    const server = yield* Effect.acquireRelease(Effect.sync(() => make(lanes)), close)
    return yield* listen(server, options)
  })

// -- internals ---------------------------------------------------------------

interface Exchange {
  readonly server: Http.Server
  readonly request: Http.IncomingMessage
  readonly response: Http.ServerResponse
}

interface Lanes {
  readonly probes: Queue.Enqueue<Exchange>
  readonly others: Queue.Enqueue<Exchange>
}

const most = { connections: 64, waiting: 64, atOnce: 8, headerBytes: 8192, answer: Duration.seconds(5) }

const seconds = { headers: 5, request: 10, silence: 15, keepAlive: 5 }

const make = (lanes: Lanes): Http.Server => {
  const server: Http.Server = Http.createServer({
    maxHeaderSize: most.headerBytes,
    headersTimeout: seconds.headers * 1000,
    requestTimeout: seconds.request * 1000,
    keepAliveTimeout: seconds.keepAlive * 1000,
    connectionsCheckingInterval: 1000
  }, (request, response) => {
    // A client that breaks off is nobody's failure.
    request.on("error", () => {})
    response.on("error", () => {})
    const exchange = { server, request, response }
    const { socket } = request
    answering.add(socket)
    response.once("close", () => answering.delete(socket))
    const lane = Routes.probes.has(pathOf(request)) ? lanes.probes : lanes.others
    if (!lane.unsafeOffer(exchange)) send(exchange, busy)
  })
  const answering = new Set<Net.Socket>()
  const connections = new Set<Net.Socket>()
  server.on("connection", (socket) => {
    connections.add(socket)
    socket.once("close", () => connections.delete(socket))
    if (connections.size > most.connections) dispensable(connections, answering)?.destroy()
  })
  // Also of a client that does not read its answer.
  server.setTimeout(seconds.silence * 1000)
  return server
}

/**
 * The connection that makes room for a new one: the oldest that waits for no answer, of the address that has most of
 * these. Connections that only wait cannot keep a probe out.
 */
const dispensable = (
  connections: ReadonlySet<Net.Socket>,
  answering: ReadonlySet<Net.Socket>
): Net.Socket | undefined => {
  const idle = [...connections].filter((socket) => !answering.has(socket))
  const byAddress = new Map<string, Array<Net.Socket>>()
  for (const socket of idle) {
    const address = socket.remoteAddress ?? ""
    byAddress.set(address, [...byAddress.get(address) ?? [], socket])
  }
  const [largest] = [...byAddress.values()].sort((one, other) => other.length - one.length)
  return largest?.[0] ?? [...connections][0]
}

const listen = (server: Http.Server, { host, port }: Options) =>
  Effect.async<number, OpsBindFailed>((resume) => {
    const address = `${host.includes(":") ? `[${host}]` : host}:${port}`
    server.on("error", (error: NodeJS.ErrnoException) =>
      resume(new OpsBindFailed({ address, code: error.code ?? error.message })))
    server.listen(port, host, () => {
      const bound = server.address()
      resume(Effect.succeed(typeof bound === "object" && bound !== null ? bound.port : port))
    })
  })

/** A finalizer is uninterruptible, so a timeout inside one must be made interruptible to take effect. */
const close = (server: Http.Server): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
  }).pipe(
    Effect.interruptible,
    Effect.timeoutOption(Duration.seconds(1)),
    Effect.zipRight(Effect.sync(() => server.closeAllConnections()))
  )

const handle = (answer: ReturnType<typeof Routes.make>, exchange: Exchange): Effect.Effect<void> => {
  const { headers, method = "", socket } = exchange.request
  const asked = {
    method,
    path: pathOf(exchange.request),
    peer: socket.remoteAddress ?? "",
    host: headers.host,
    origin: headers.origin,
    body: body(exchange.request)
  }
  return answer(asked).pipe(
    Effect.timeoutTo({ duration: most.answer, onSuccess: (reply) => reply, onTimeout: () => late }),
    Effect.catchAllDefect((defect) =>
      Effect.as(
        Effect.annotateLogs(Effect.logError("a request of an operator failed by a defect", defect), {
          path: asked.path
        }),
        failed
      )
    ),
    Effect.flatMap((reply) => Effect.sync(() => send(exchange, reply)))
  )
}

/** Without a query. */
const pathOf = ({ url = "" }: Http.IncomingMessage): string => url.split("?", 1).join("")

const busy = Routes.text(503, "Too many requests are waiting.")
const late = Routes.text(503, "The answer took too long.")
const failed = Routes.text(500, "This is a bug in vibectl; the log has the cause.")

/** Nothing is kept of a request whose body was not read, nor of one that comes when the server is closing. */
const send = ({ request, response, server }: Exchange, { body, headers, status, type }: Routes.Reply): void => {
  if (!server.listening || !request.complete) response.setHeader("connection", "close")
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...headers
  })
  response.end(body)
}

/** Up to the bound; a client that does not send all of it is cut off by the time that a request may take. */
const body = (request: Http.IncomingMessage): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const pieces: Array<Buffer> = []
    let length = 0
    const onData = (piece: Buffer) => {
      length += piece.length
      pieces.push(piece)
      if (length > Routes.mostBody) finish(undefined)
    }
    const onEnd = () => finish(Buffer.concat(pieces).toString())
    const onClose = () => finish("")
    const finish = (text: string | undefined) => {
      request.off("data", onData).off("end", onEnd).off("close", onClose)
      resume(Effect.succeed(text))
    }
    request.on("data", onData).on("end", onEnd).on("close", onClose)
  })
