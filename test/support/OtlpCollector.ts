/**
 * A collector on a real port: keeps what it is sent as OTLP over HTTP with JSON.
 */
import { Effect } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"

export interface Received {
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  /** Undefined when it was not JSON. */
  readonly body: Body | undefined
}

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: ReadonlyArray<Attribute>
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: ReadonlyArray<Attribute> }>
  readonly status: { readonly code: number; readonly message?: string }
}

export interface Metric {
  readonly name: string
  readonly unit: string
}

interface Attribute {
  readonly key: string
  readonly value: {
    readonly stringValue?: string
    readonly intValue?: number
    readonly boolValue?: boolean
    readonly arrayValue?: { readonly values: ReadonlyArray<{ readonly stringValue?: string }> }
  }
}

interface Body {
  readonly resourceSpans?: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<Attribute> }
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Span> }>
  }>
  readonly resourceMetrics?: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{ readonly metrics: ReadonlyArray<Metric> }>
  }>
}

export interface OtlpCollector {
  readonly url: string
  readonly requests: ReadonlyArray<Received>
  readonly spans: () => ReadonlyArray<Span>
  readonly metrics: () => ReadonlyArray<Metric>
  /** The status of answers to further requests, and how long they take. */
  readonly answer: (status: number, millis?: number) => void
}

/** Listens until the scope closes. */
export const make = Effect.map(
  Effect.acquireRelease(
    Effect.async<{ readonly server: Http.Server; readonly collector: OtlpCollector }>((resume) => {
      const requests: Array<Received> = []
      const answering = { status: 200, millis: 0 }
      const server = Http.createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
          const text = Buffer.concat(chunks).toString()
          const body = request.headers["content-type"] === "application/json" ? JSON.parse(text) as Body : undefined
          requests.push({ path: request.url ?? "", headers: request.headers, body })
          // As it was when the request came: who waits for that changes it for the next one.
          const { millis, status } = answering
          setTimeout(() => response.writeHead(status).end("{}"), millis)
        })
      })
      const bodies = () => requests.flatMap(({ body }) => body ?? [])
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          server,
          collector: {
            url: `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}`,
            requests,
            spans: () =>
              bodies().flatMap(({ resourceSpans = [] }) =>
                resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
              ),
            metrics: () =>
              bodies().flatMap(({ resourceMetrics = [] }) =>
                resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
              ),
            answer: (status, millis = 0) => void Object.assign(answering, { status, millis })
          }
        })))
    }),
    ({ server }) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ),
  ({ collector }) => collector
)

/** Names to values. */
export const attributesOf = ({ attributes }: { readonly attributes: ReadonlyArray<Attribute> }) =>
  Object.fromEntries(
    attributes.map((
      { key, value }
    ) => [
      key,
      value.stringValue ?? value.intValue ?? value.boolValue ??
        value.arrayValue?.values.map(({ stringValue }) => stringValue)
    ])
  )
