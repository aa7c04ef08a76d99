/**
 * A forward proxy on the loopback that knows CONNECT, for tests over real sockets.
 */
import { Effect } from "effect"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"

export interface ConnectProxy {
  readonly port: number
  /** The addresses that were asked for, as they were written. */
  readonly asked: ReadonlyArray<string>
  /** `Proxy-Authorization` of each. */
  readonly credentials: ReadonlyArray<string | undefined>
  /** Tunnels that stand now. */
  readonly open: () => number
  /** What it does from now on: tunnels, a status of its own, or no answer. */
  readonly answer: (how: "tunnel" | "silence" | number) => void
}

/** Whatever host is asked for, tunnels lead to `target` on this machine. */
export const make = (target: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const asked: Array<string> = []
        const credentials: Array<string | undefined> = []
        const sockets = new Set<Net.Socket>()
        let [how, open] = ["tunnel" as "tunnel" | "silence" | number, 0]
        const server = Http.createServer((_, response) => void response.writeHead(501).end())
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("error", () => {}).on("close", () => sockets.delete(socket))
        })
        server.on("connect", (request, client: Net.Socket) => {
          asked.push(request.url ?? "")
          credentials.push(request.headers["proxy-authorization"])
          open++
          client.on("close", () => open--)
          if (how === "silence") {
            // Or the end of the other side would not be noticed.
            client.on("end", () => client.destroy()).resume()
            return
          }
          if (how !== "tunnel") {
            client.end(`HTTP/1.1 ${how} No\r\nContent-Length: 0\r\n\r\n`)
            return
          }
          const upstream = Net.connect(target, "127.0.0.1", () => {
            client.write("HTTP/1.1 200 Connection established\r\n\r\n")
            upstream.pipe(client)
            client.pipe(upstream)
          })
          upstream.on("error", () => client.destroy()).on("close", () => client.destroy())
          client.on("close", () => upstream.destroy())
        })
        server.listen(0, "127.0.0.1")
        await once(server, "listening")
        const proxy: ConnectProxy = {
          port: (server.address() as Net.AddressInfo).port,
          asked,
          credentials,
          open: () => open,
          answer: (next) => {
            how = next
          }
        }
        return { proxy, server, sockets }
      }),
      ({ server, sockets }) =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    ),
    ({ proxy }) => proxy
  )
