/**
 * The connections of one server: whether their clients are still there, and
 * how each of them ends without losing a call.
 *
 * grpc-js has settings for both, which are not used: after GOAWAY Node's
 * `ping()` sends nothing and returns undefined, which grpc-js takes for a dead
 * connection, so that it cuts the calls that drain.
 *
 * Leans on one private field of grpc-js 1.14, `Server.http2Servers`; all the
 * rest is Node's public API.
 */
import type * as Grpc from "@grpc/grpc-js"
import { Duration, Effect } from "effect"
import { randomInt } from "node:crypto"
import type * as Http2 from "node:http2"
import * as Net from "node:net"
import * as Timeouts from "./Timeouts.js"

export interface Options {
  /** A connection that does not answer when it is asked after this time is closed. */
  readonly keepalive: Duration.Duration
  /** How long it may take to answer. */
  readonly keepaliveTimeout: Duration.Duration
  /** Connections older than this, give or take a tenth, are closed when their calls have ended; undefined is never. */
  readonly maxAge: Duration.Duration | undefined
  /** How long the calls of such a connection may take to end; undefined is as long as they like. */
  readonly maxAgeGrace: Duration.Duration | undefined
  /** Ends the calls of the connection from this address, whose grace is over. */
  readonly cut: (peer: string) => void
  /** A client that could not connect, and the code of Node or OpenSSL that says why. */
  readonly refused: (peer: string, code: string) => void
}

export interface Connections {
  /** Closes connections that carry no call; further ones are accepted. */
  readonly retireIdle: Effect.Effect<void>
  /** Accepts no more connections, and closes each one when its calls have ended. Completes when all have GOAWAY. */
  readonly retireAll: Effect.Effect<void>
  /** Completes when clients have every byte of the answers that were begun, and `idle` says that no other call runs. */
  readonly settled: (idle: Effect.Effect<void>) => Effect.Effect<void>
  /** Completes when there is no connection left. */
  readonly gone: Effect.Effect<void>
}

/** Between 0.9 and 1.1, so that connections that were opened together do not close together. */
const jitter = (): number => 0.9 + randomInt(1_000_000) / 5_000_000

/** Of a server that listens. */
export const watch = (server: Grpc.Server, options: Options): Connections => {
  const connections = new Map<Http2.Http2Session, Connection>()
  /** Sockets whose TLS handshake is not over, by the address of the client. */
  const handshakes = new Set<string>()
  let leaving = false
  let waiters: Array<() => void> = []
  const changed = () => {
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  }
  const until = (holds: () => boolean): Effect.Effect<void> =>
    Effect.async<void>((resume) => {
      const look = () => {
        if (holds()) resume(Effect.void)
        else waiters.push(look)
      }
      look()
    })

  /** Whether nothing of a begun answer is on its way. A request that is not answered yet is its handler's matter. */
  const quiet = () =>
    handshakes.size === 0
    && [...connections.values()].every(({ session, streams }) =>
      session.closed && streams.size > 0 && [...streams].every(({ headersSent }) => !headersSent)
    )
  const settled: Connections["settled"] = (idle) =>
    Effect.flatMap(idle, () => quiet() ? Effect.void : Effect.flatMap(until(quiet), () => settled(idle)))

  const opened = (session: Http2.ServerHttp2Session): void => {
    if (connections.has(session)) return
    const connection: Connection = {
      session,
      peer: peerOf(session.socket),
      streams: new Set(),
      timers: new Set(),
      openedAt: performance.now(),
      used: false,
      retiring: false,
      onStream: undefined
    }
    connections.set(session, connection)
    session.once("close", () => {
      connections.delete(session)
      for (const timer of connection.timers) clearTimeout(timer)
      changed()
    })
    beat(connection, options)
    if (options.maxAge !== undefined) age(connection, options.maxAge)
    if (leaving) retire(connection, changed)
  }

  const age = (connection: Connection, maxAge: Duration.Duration): void =>
    void later(connection, Duration.toMillis(maxAge) * jitter(), () => {
      retire(connection, changed)
      if (options.maxAgeGrace === undefined) return
      later(connection, Duration.toMillis(options.maxAgeGrace), () => {
        options.cut(connection.peer)
        later(connection, farewellMillis, () => connection.session.destroy())
      })
    })

  const servers = serversOf(server)
  for (const http2Server of servers) {
    http2Server.on("session", opened)
    http2Server.prependListener("stream", (stream: Http2.ServerHttp2Stream, headers: Http2.IncomingHttpHeaders) => {
      Timeouts.bound(headers)
      const connection = stream.session === undefined ? undefined : connections.get(stream.session)
      if (connection === undefined) return
      connection.streams.add(stream)
      connection.used = true
      connection.onStream?.()
      stream.once("close", () => {
        connection.streams.delete(stream)
        changed()
      })
    })
    http2Server.on("connection", (socket: Net.Socket) => {
      // The only sign of a client that is lost while its connection closes, when HTTP/2 has no PING for it.
      socket.setKeepAlive(true, Duration.toMillis(options.keepalive))
      if (!isTls(http2Server)) return
      const peer = peerOf(socket)
      handshakes.add(peer)
      socket.once("close", () => {
        handshakes.delete(peer)
        changed()
      })
    })
    http2Server.on("secureConnection", (socket: Net.Socket) => {
      handshakes.delete(peerOf(socket))
      changed()
    })
    http2Server.on(
      "tlsClientError",
      (error: NodeJS.ErrnoException, socket: Net.Socket) => options.refused(peerOf(socket), error.code ?? error.message)
    )
    http2Server.on("sessionError", (error: NodeJS.ErrnoException, session: Http2.ServerHttp2Session) => {
      // A session that has never understood its client: what it sends is no HTTP/2.
      const connection = connections.get(session)
      if (error.code === "ERR_HTTP2_ERROR" && connection?.streams.size === 0) {
        options.refused(connection.peer, error.code)
      }
    })
  }

  return {
    settled,
    gone: until(() => connections.size === 0),
    retireIdle: Effect.sync(() => {
      for (const connection of connections.values()) if (connection.streams.size === 0) retire(connection, changed)
    }),
    retireAll: Effect.async<void>((resume) => {
      // All connections that the system has made by now are accepted before: those that wait would be reset.
      setImmediate(() => {
        leaving = true
        // That of Node's own HTTP/2 server may close the connections too, in one step.
        for (const http2Server of servers) Net.Server.prototype.close.call(http2Server)
        for (const connection of connections.values()) retire(connection, changed)
        setTimeout(() => {
          handshakes.clear()
          changed()
        }, handshakeMillis).unref()
        resume(until(() => [...connections.values()].every(({ session }) => session.closed)))
      })
    })
  }
}

// -- internals ---------------------------------------------------------------

interface Connection {
  readonly session: Http2.ServerHttp2Session
  /** `host:port` of the client. */
  readonly peer: string
  /** Of calls; those that are open. */
  readonly streams: Set<Http2.ServerHttp2Stream>
  readonly timers: Set<NodeJS.Timeout>
  readonly openedAt: number
  /** Whether there ever was a call. */
  used: boolean
  retiring: boolean
  /** When a call comes. */
  onStream: (() => void) | undefined
}

/** How long a TLS handshake may take that had begun when the server stopped. */
const handshakeMillis = 2000

/** How long the last messages of a connection may take to leave. */
const farewellMillis = 1000

/** How long a connection may be without a call before it counts as one that waits for nothing. */
const freshMillis = 1000

/**
 * With GOAWAY, after which Node closes the connection when its last call has ended. A request that the client has sent
 * before it knows is above the number in GOAWAY, and gRPC clients send it again by themselves. The first request of a
 * new connection is waited for: it is on its way, and proxies that make a connection for each call do not repeat it.
 *
 * The two steps of RFC 9113, section 6.8, cannot be made with Node: once it has sent any GOAWAY, it ignores new
 * requests, and reads nothing more on a connection without calls.
 */
const retire = (connection: Connection, changed: () => void): void => {
  const { session } = connection
  if (connection.retiring || session.destroyed) return
  connection.retiring = true
  const close = () => {
    connection.onStream = undefined
    if (!session.destroyed) session.close()
    changed()
  }
  const age = performance.now() - connection.openedAt
  if (connection.used || age >= freshMillis) return close()
  // After this turn: grpc-js has not seen the call yet.
  connection.onStream = () => void setImmediate(close)
  later(connection, freshMillis - age, close)
}

/** Asks now and then whether the client is still there, until the connection closes: Node cannot ask after that. */
const beat = (connection: Connection, options: Options): void =>
  void later(connection, Duration.toMillis(options.keepalive), () => {
    const { session } = connection
    if (session.closed || session.destroyed) return
    const silent = later(connection, Duration.toMillis(options.keepaliveTimeout), () => session.destroy())
    session.ping((error) => {
      connection.timers.delete(silent)
      clearTimeout(silent)
      if (error === null) beat(connection, options)
      else if (!session.closed) session.destroy()
    })
  })

const later = (connection: Connection, millis: number, run: () => void): NodeJS.Timeout => {
  const timer = setTimeout(() => {
    connection.timers.delete(timer)
    run()
  }, millis)
  connection.timers.add(timer.unref())
  return timer
}

const peerOf = (
  { remoteAddress = "unknown", remotePort = 0 }: Pick<Net.Socket, "remoteAddress" | "remotePort">
): string => `${remoteAddress}:${remotePort}`

const isTls = (server: Http2.Http2Server | Http2.Http2SecureServer): boolean => "setSecureContext" in server

/** Throws rather than serve connections that are not watched. */
const serversOf = (server: Grpc.Server): ReadonlyArray<Http2.Http2Server | Http2.Http2SecureServer> => {
  // grpc-js keeps it private.
  const { http2Servers } = server as unknown as { readonly http2Servers: unknown }
  const found: ReadonlyArray<unknown> = http2Servers instanceof Map ? [...http2Servers.keys()] : []
  const servers = found.filter((one): one is Http2.Http2Server => one instanceof Net.Server)
  if (servers.length === 0) throw new Error("this version of @grpc/grpc-js does not show its HTTP/2 servers")
  return servers
}
