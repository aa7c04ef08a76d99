/**
 * A provider on a real port that answers each request as a function says, byte by byte where it must be.
 */
import { Effect, type Scope } from "effect"
import * as Http from "node:http"

export interface Asked {
  readonly path: string
  readonly body: { readonly [key: string]: unknown }
  /** Of its arrival, in milliseconds of `performance.now()`. */
  readonly at: number
}

export interface Reply {
  readonly status?: number
  readonly headers?: { readonly [name: string]: string }
  /** Sent as it is when it is text, else as JSON. */
  readonly body?: unknown
  /** A stream of these events, instead of a body. */
  readonly events?: ReadonlyArray<string>
}

export interface RawVendor {
  /** Base URL for kind `openai`. */
  readonly openai: string
  /** Base URL for kind `anthropic`. */
  readonly anthropic: string
  readonly requests: ReadonlyArray<Asked>
}

export const make = (answer: (asked: Asked, index: number) => Reply): Effect.Effect<RawVendor, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<{ readonly server: Http.Server; readonly vendor: RawVendor }>((resume) => {
      const requests: Array<Asked> = []
      const server = Http.createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Asked["body"]
          const asked = { path: request.url ?? "", body, at: performance.now() }
          requests.push(asked)
          const reply = answer(asked, requests.length - 1)
          if (reply.events !== undefined) {
            response.writeHead(200, { "content-type": "text/event-stream", ...reply.headers })
            return void response.end(reply.events.map((event) => `${event}\n\n`).join(""))
          }
          const isText = typeof reply.body === "string"
          const type = isText ? "text/plain" : "application/json"
          response.writeHead(reply.status ?? 200, { "content-type": type, ...reply.headers })
          response.end(isText ? reply.body : JSON.stringify(reply.body ?? {}))
        })
        request.on("error", () => {})
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const base = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
        resume(Effect.succeed({ server, vendor: { openai: `${base}/v1`, anthropic: base, requests } }))
      })
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  ).pipe(Effect.map(({ vendor }) => vendor))
