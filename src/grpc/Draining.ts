/**
 * Calls of a client on connections that their server, or a proxy in front of it, has begun to close with GOAWAY.
 *
 * After GOAWAY Node's `ping()` sends nothing and returns undefined. grpc-js takes that for a dead connection at its next
 * keepalive and cuts the calls that still run there. So it stops to ask on such a connection; the call's deadline ends a
 * call whose network is lost.
 *
 * Leans on private fields of grpc-js 1.14, and does nothing where they are others: `Channel.internalChannel`,
 * `InternalChannel.wrappedSubchannels`, `Subchannel.transport`, and `keepaliveTimeMs`, `clearKeepaliveTimeout` and
 * `session` of `Http2Transport`.
 */
import * as Grpc from "@grpc/grpc-js"

/** For as long as the client is not closed. */
export const spare = (client: Grpc.Client): void => {
  const channel = client.getChannel()
  const look = (): void => {
    for (const transport of transportsOf(channel)) {
      if (seen.has(transport)) continue
      seen.add(transport)
      transport.session.once("goaway", () => {
        transport.keepaliveTimeMs = -1
        transport.clearKeepaliveTimeout()
      })
    }
  }
  const follow = (): void => {
    const state = channel.getConnectivityState(false)
    if (state === Grpc.connectivityState.SHUTDOWN) return
    // grpc-js sets the transport after it has said that it is ready.
    if (state === Grpc.connectivityState.READY) process.nextTick(look)
    channel.watchConnectivityState(state, Infinity, follow)
  }
  follow()
}

// -- internals ---------------------------------------------------------------

/** Clients of one address share their connections. */
const seen = new WeakSet<Transport>()

interface Transport {
  keepaliveTimeMs: number
  readonly clearKeepaliveTimeout: () => void
  readonly session: { readonly once: (event: "goaway", listener: () => void) => unknown }
}

const transportsOf = (channel: object): ReadonlyArray<Transport> => {
  const subchannels = get(get(channel, "internalChannel"), "wrappedSubchannels")
  if (!(subchannels instanceof Set)) return []
  return [...subchannels].map((wrapped) => get(get(wrapped, "child"), "transport")).filter(isTransport)
}

const get = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined

const isTransport = (value: unknown): value is Transport =>
  typeof get(value, "keepaliveTimeMs") === "number" && typeof get(value, "clearKeepaliveTimeout") === "function"
  && typeof get(get(value, "session"), "once") === "function"
