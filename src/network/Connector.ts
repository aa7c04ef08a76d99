/**
 * Connections for undici: direct ones, and tunnels through the proxy of the environment.
 *
 * undici's own `EnvHttpProxyAgent` hands out nothing by which a tunnel that is being made can be given up, has a limit of
 * its own for each part of it, and knows neither ranges of addresses in `NO_PROXY` nor that this machine needs no proxy.
 * Here one limit holds for proxy, tunnel and TLS together, and giving up closes whatever is open then. The certificate
 * that is checked is the one of the address behind the proxy.
 */
import { Redacted } from "effect"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import { buildConnector, errors } from "undici"
import type { Egress, Proxy } from "./Egress.js"

export interface Options {
  readonly egress: Egress
  /** Milliseconds until a connection must stand, TLS included. */
  readonly timeout: number
  /** PEM of the CAs of the addresses, where they are not those that Node trusts. */
  readonly ca?: string | undefined
}

/** An attempt to connect. */
export interface Attempt {
  readonly destroy: (error: Error) => void
}

export type Connect = (target: buildConnector.Options, callback: buildConnector.Callback) => Attempt

/** The proxy refused a tunnel. */
export class TunnelRefused extends Error {
  readonly code = "EPROXY"
}

export const make = ({ ca, egress, timeout }: Options): Connect => {
  // It returns the socket, which its type does not say.
  const connect = buildConnector({ timeout, ...ca === undefined ? {} : { ca } }) as (
    ...args: Parameters<buildConnector.connector>
  ) => Net.Socket
  return (target, callback) => {
    const proxy = egress.proxyFor(target)
    return proxy === undefined ? connect(target, callback) : tunnel(proxy, connect, timeout, target, callback)
  }
}

// -- internals ---------------------------------------------------------------

const tunnel = (
  proxy: Proxy,
  connect: (...args: Parameters<buildConnector.connector>) => Net.Socket,
  timeout: number,
  target: buildConnector.Options,
  callback: buildConnector.Callback
): Attempt => {
  const address = addressOf(target)
  /** What must be closed when it is given up. */
  let open: { readonly destroy: (error?: Error) => unknown }
  let isOver = false
  const end = (...[error, socket]: Parameters<buildConnector.Callback>) => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    if (error === null) callback(null, socket)
    else callback(error, null)
  }
  const giveUp = (error: Error) => {
    end(error, null)
    open.destroy(error)
  }
  const timer = setTimeout(
    () => giveUp(new errors.ConnectTimeoutError(`no connection through the proxy ${proxy.where} in time`)),
    timeout
  )
  const request = (proxy.secure ? Https : Http).request({
    host: proxy.hostname,
    port: proxy.port,
    method: "CONNECT",
    path: address,
    // One tunnel is one connection.
    agent: false,
    setHost: false,
    headers: {
      host: address,
      ...proxy.authorization === undefined ? {} : { "proxy-authorization": Redacted.value(proxy.authorization) }
    }
  })
  open = request
  request.on("connect", (response, socket: Net.Socket, head: Buffer) => {
    // It has no other listener between the request's and undici's.
    socket.on("error", giveUp)
    if (response.statusCode !== 200) {
      return giveUp(refused(proxy, address, response.statusCode ?? 0))
    }
    if (isOver) return socket.destroy()
    if (head.length > 0) socket.unshift(head)
    socket.setNoDelay(true).setKeepAlive(true, 60_000)
    open = socket
    if (target.protocol !== "https:") return end(null, socket)
    open = connect({ ...target, httpSocket: socket }, end)
    return undefined
  })
  request.on("response", (response) => giveUp(refused(proxy, address, response.statusCode ?? 0)))
  request.on("error", (error) => giveUp(withProxy(error, proxy)))
  request.end()
  // As a socket does it: not before who gives up has gone on.
  return { destroy: (error) => queueMicrotask(() => giveUp(error)) }
}

/** `host:port`, also where the port is the one of the protocol. */
const addressOf = ({ hostname, port, protocol }: buildConnector.Options): string =>
  `${hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname}:${
    port === "" ? (protocol === "https:" ? 443 : 80) : port
  }`

const refused = ({ variable, where }: Proxy, address: string, status: number): TunnelRefused =>
  new TunnelRefused(
    `the proxy ${where} (${variable}) answered ${status} to CONNECT ${address}${
      status === 407 ? ": it wants a user name and password, or another one" : ""
    }`
  )

/** The address that could not be reached is that of the proxy. */
const withProxy = (error: Error, { variable, where }: Proxy): Error =>
  Object.assign(error, { message: `the proxy ${where} (${variable}) cannot be reached: ${error.message}` })
