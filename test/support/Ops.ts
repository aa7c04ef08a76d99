/**
 * A port for operators of a server that does nothing, and plain HTTP to it.
 */
import { DateTime, Effect } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Activity from "../../src/ops/Activity.js"
import * as OpsServer from "../../src/ops/OpsServer.js"
import type * as LogLevel from "../../src/telemetry/LogLevel.js"

/** A level that changes nothing. */
export const level = (first: LogLevel.Name = "INFO"): LogLevel.LogLevel["Type"] => {
  let present = first
  return {
    get: Effect.sync(() => present),
    set: (to) =>
      Effect.sync(() => {
        present = to
      })
  }
}

export const facts: Activity.Facts = {
  address: "127.0.0.1:50051",
  startedAt: DateTime.unsafeMake("2026-11-26T10:00:00Z"),
  defaultModel: "demo/echo",
  providers: ["quiet"],
  store: { kind: "embedded", ready: Effect.void },
  level: level()
}

export const serve = (options: Partial<OpsServer.Options> = {}) =>
  OpsServer.serve({
    host: "127.0.0.1",
    port: 0,
    activity: Activity.make(facts),
    ready: Effect.void,
    collect: Effect.void,
    level: level(),
    ...options
  })

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

export const ask = (
  port: number,
  path: string,
  options: Http.RequestOptions & { readonly body?: string } = {}
): Effect.Effect<Answer> =>
  Effect.async((resume) => {
    const request = Http.request({ port, path, host: "127.0.0.1", agent: false, ...options }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (piece: string) => {
        body += piece
      })
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body })))
    })
    request.on("error", (error) =>
      resume(Effect.die(error)))
    request.end(options.body)
  })

/** Sends these bytes and gives all that comes until the other side closes. */
export const raw = (port: number, bytes: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    let text = ""
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.setEncoding("utf8")
    socket.on("data", (piece: string) => {
      text += piece
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(text)))
    return Effect.sync(() => socket.destroy())
  })
