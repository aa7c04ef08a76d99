/**
 * A provider on a real port that answers with the bytes of a table's row, however odd they are.
 */
import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Zlib from "node:zlib"

/** What is written, one step after the other. An event that is a string ends with an empty line. */
export type Step =
  | string
  | { readonly waitMs: number }
  | { readonly reset: true }
  | { readonly raw: string }

export interface Reply {
  readonly contentType?: string | undefined
  readonly headers?: Record<string, string> | undefined
  /** All steps, compressed, come at once. */
  readonly gzip?: boolean | undefined
  /** First comes a redirection of this status. */
  readonly redirect?: number | undefined
  readonly steps: ReadonlyArray<Step>
}

export interface ScriptedVendor {
  /** Without a path: what follows it, up to the path of the API, is the key of the reply. */
  readonly url: string
  /** Requests by the key of their reply. */
  readonly requests: ReadonlyMap<string, number>
}

/** `reply` is asked with the key and whether a stream is asked for. */
export const make = (
  reply: (key: string, streamed: boolean) => Reply
): Effect.Effect<ScriptedVendor, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(listen(reply), ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })),
    ({ vendor }) => vendor
  )

// -- internals ---------------------------------------------------------------

const listen = (reply: (key: string, streamed: boolean) => Reply) =>
  Effect.async<{ readonly server: Http.Server; readonly vendor: ScriptedVendor }>((resume) => {
    const requests = new Map<string, number>()
    const server = Http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const key = request.url?.split("/")[1] ?? ""
        requests.set(key, (requests.get(key) ?? 0) + 1)
        const streamed = /"stream":true/.test(Buffer.concat(chunks).toString())
        const answer = reply(key, streamed)
        const { redirect, ...rest } = answer
        const isMoved = request.url?.endsWith("?moved") === true
        if (redirect === undefined || isMoved) return void play(rest, streamed, response)
        response.writeHead(redirect, { location: `${request.url}?moved` }).end()
      })
      // A client that leaves is part of the play.
      request.on("error", () => {})
      response.on("error", () => {})
    })
    server.on("connection", (socket) => socket.setNoDelay(true))
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      resume(Effect.succeed({ server, vendor: { url: `http://127.0.0.1:${port}`, requests } }))
    })
  })

const bytesOf = (steps: Reply["steps"]): string =>
  steps.map((step) => typeof step === "string" ? `${step}\n\n` : "raw" in step ? step.raw : "").join("")

const play = async ({ contentType, gzip, headers, steps }: Reply, streamed: boolean, response: Http.ServerResponse) => {
  response.writeHead(200, {
    "content-type": contentType ?? (streamed ? "text/event-stream" : "application/json"),
    ...gzip === true && { "content-encoding": "gzip" },
    ...headers
  })
  response.flushHeaders()
  if (gzip === true) return void response.end(Zlib.gzipSync(bytesOf(steps)))
  for (const step of steps) {
    if (response.destroyed) return
    if (typeof step === "string") response.write(`${step}\n\n`)
    else if ("raw" in step) response.write(step.raw)
    else if ("reset" in step) return void response.socket?.resetAndDestroy()
    else await new Promise((resolve) => setTimeout(resolve, step.waitMs))
  }
  response.end()
}
