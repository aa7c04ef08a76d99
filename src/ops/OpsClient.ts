/**
 * Asks a running server on its port for operators.
 */
import { Data, Duration, Effect, Schema } from "effect"
import * as Http from "node:http"
import * as LogLevel from "../telemetry/LogLevel.js"
import { Activity } from "./Activity.js"

/** No server was there to answer, or none of ours. */
export class OpsUnavailable extends Data.TaggedError("OpsUnavailable")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The server answered that it does not do that. */
export class OpsRefused extends Data.TaggedError("OpsRefused")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** `url` is that of the port, e.g. `http://127.0.0.1:9095`. */
export const activity = (url: string): Effect.Effect<Activity, OpsUnavailable> =>
  Effect.flatMap(ask(url, { path: "/info" }), ({ body, status }) =>
    status === 200
      ? Effect.mapError(decode(body), () => strange(url, "its answer is another one"))
      : strange(url, `status ${status}`))

export const logLevel = (url: string): Effect.Effect<LogLevel.Name, OpsUnavailable> =>
  Effect.flatMap(ask(url, { path: "/log-level" }), (answer) => nameIn(url, answer))

/** Yields the level that holds now. */
export const setLogLevel = (
  url: string,
  level: LogLevel.Name
): Effect.Effect<LogLevel.Name, OpsUnavailable | OpsRefused> =>
  Effect.flatMap(
    ask(url, { path: "/log-level", send: level }),
    (answer): Effect.Effect<LogLevel.Name, OpsUnavailable | OpsRefused> =>
      answer.status === 403
        ? new OpsRefused({
          summary: `The server on ${url} did not change its log level.`,
          remedy: "Run the command on the server's own machine, with server.metrics_host on 127.0.0.1 or 0.0.0.0."
        })
        : nameIn(url, answer)
  )

// -- internals ---------------------------------------------------------------

interface Answer {
  readonly status: number
  readonly body: string
}

/** Longer than the server takes for its longest answer. */
const patience = Duration.seconds(6)

/** Characters of an answer; of whoever it is that answers. */
const mostAnswer = 4_194_304

const decode = Schema.decode(Schema.parseJson(Activity))

const nameIn = (url: string, { body, status }: Answer): Effect.Effect<LogLevel.Name, OpsUnavailable> => {
  const name = body.trim()
  return status === 200 && LogLevel.isName(name) ? Effect.succeed(name) : strange(url, `status ${status}`)
}

const strange = (url: string, detail: string) =>
  new OpsUnavailable({
    summary: `What answers on ${url} is not this version of vibectl-server (${detail}).`,
    remedy: "Check the port: server.metrics_port says which one the server has."
  })

const silent = (url: string, detail: string) =>
  new OpsUnavailable({
    summary: `No server answers on ${url} (${detail}).`,
    remedy: "Start it with `vibectl-server`, or name the configuration of the one you mean with --config FILE."
  })

/** With `send`, to put it there; else to get what is there. */
const ask = (
  url: string,
  { path, send }: { readonly path: string; readonly send?: string }
): Effect.Effect<Answer, OpsUnavailable> =>
  Effect.async<Answer, OpsUnavailable>((resume) => {
    const fail = (detail: string) => resume(silent(url, detail))
    const request = Http.request(
      new URL(path, url),
      { method: send === undefined ? "GET" : "PUT", agent: false },
      (response) => {
        let body = ""
        response.setEncoding("utf8")
        response.on("data", (piece: string) => {
          body += piece
          if (body.length > mostAnswer) request.destroy()
        })
        response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, body })))
        response.on("error", () => fail("the answer broke off"))
      }
    )
    request.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
    request.end(send)
    return Effect.sync(() => request.destroy())
  }).pipe(Effect.timeoutFail({ duration: patience, onTimeout: () => silent(url, "not within 6 seconds") }))
