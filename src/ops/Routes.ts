/**
 * What each path answers. Nothing of it is secret, and nothing is changed for
 * anybody but a program on this machine.
 */
import { Effect, type MetricPair, Schema } from "effect"
import * as Net from "node:net"
import * as LogLevel from "../telemetry/LogLevel.js"
import * as Prometheus from "../telemetry/Prometheus.js"
import { Activity } from "./Activity.js"
import type { NotReady } from "./Readiness.js"

/** What the answers are made of. */
export interface Sources {
  readonly activity: Effect.Effect<Activity>
  readonly ready: Effect.Effect<void, NotReady>
  readonly level: LogLevel.LogLevel["Type"]
  /** Brings up to date what is measured only when somebody looks. */
  readonly collect: Effect.Effect<void>
  /** Names, beside those of this machine, by which the port may be asked for more than a probe. */
  readonly hosts?: ReadonlyArray<string>
  /** The metrics, once they are up to date; those of this process where it is not given. */
  readonly pairs?: Effect.Effect<ReadonlyArray<MetricPair.MetricPair.Untyped>>
}

export interface Asked {
  readonly method: string
  /** Without a query. */
  readonly path: string
  /** Of the client's end of the connection. */
  readonly peer: string
  readonly host: string | undefined
  readonly origin: string | undefined
  /** Undefined for one that is longer than {@link mostBody}. */
  readonly body: Effect.Effect<string | undefined>
}

export interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: { readonly [name: string]: string }
}

/** Bytes that a request may carry. */
export const mostBody = 64

/** What orchestrators ask, by whichever name. */
export const probes: ReadonlySet<string> = new Set(["/healthz", "/readyz"])

export const make = (sources: Sources): (asked: Asked) => Effect.Effect<Reply> => {
  const { activity, collect, hosts = [], level, pairs, ready } = sources
  const exposition = pairs === undefined
    ? Prometheus.exposition
    : Effect.map(pairs, (found) => Prometheus.render(found))
  const routes: { readonly [path: string]: Route } = {
    "/metrics": {
      GET: () =>
        Effect.map(Effect.zipRight(collect, exposition), (body) => ({
          status: 200,
          type: Prometheus.contentType,
          body
        }))
    },
    "/healthz": { GET: () => Effect.succeed(text(200, "ok")) },
    "/readyz": {
      GET: () =>
        Effect.match(ready, {
          onFailure: ({ checks }) => json(503, { ready: false, not_ready: checks }),
          onSuccess: () => json(200, { ready: true, not_ready: [] })
        })
    },
    "/info": {
      GET: () =>
        Effect.flatMap(activity, (found) => Effect.orDie(encode(found))).pipe(Effect.map((it) => json(200, it)))
    },
    "/log-level": {
      GET: () => Effect.map(level.get, (name) => text(200, name)),
      PUT: (asked) => isLocal(asked) ? setLevel(level, asked) : Effect.succeed(text(403, onlyHere))
    }
  }
  const paths = Object.keys(routes).join(", ")
  return (asked) => {
    const route = Object.hasOwn(routes, asked.path) ? routes[asked.path] : undefined
    // A change has a stricter rule of its own.
    if (asked.method !== "PUT" && !probes.has(asked.path) && !isKnown(asked.host, hosts)) {
      return Effect.succeed(text(421, unknownHost))
    }
    if (route === undefined) return Effect.succeed(text(404, `There is nothing here. There are: ${paths}.`))
    if (asked.method === "GET" || asked.method === "HEAD") return route.GET(asked)
    if (asked.method === "PUT" && route.PUT !== undefined) return route.PUT(asked)
    const allowed = route.PUT === undefined ? "GET, HEAD" : "GET, HEAD, PUT"
    return Effect.succeed({
      ...text(405, `${asked.path} can be asked with: ${allowed}.`),
      headers: { allow: allowed }
    })
  }
}

export const text = (status: number, line: string): Reply => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${line}\n`
})

// -- internals ---------------------------------------------------------------

type Handler = (asked: Asked) => Effect.Effect<Reply>

interface Route {
  readonly GET: Handler
  readonly PUT?: Handler
}

const encode = Schema.encode(Activity)

const json = (status: number, value: unknown): Reply => ({
  status,
  type: "application/json",
  body: `${JSON.stringify(value, undefined, 2)}\n`
})

const levels = LogLevel.names.join(", ")

const setLevel = (level: Sources["level"], { body }: Asked) =>
  Effect.gen(function*() {
    const found = yield* body
    if (found === undefined) return text(413, `The body may have ${mostBody} bytes.`)
    const name = found.trim().toUpperCase()
    if (!LogLevel.isName(name)) return text(400, `Found ${JSON.stringify(found)}; allowed are ${levels}.`)
    yield* level.set(name)
    const holds = yield* level.get
    return holds === name ? text(200, name) : text(409, `The level cannot be changed here; it is ${holds}.`)
  })

const onlyHere =
  "The level can be changed only from the server's own machine, by a program that calls this address localhost."

/**
 * A web page in a browser on this machine is local too. It sends an Origin, or, where its name was made to point to
 * this machine, that name as the Host.
 */
const isLocal = ({ host, origin, peer }: Asked): boolean =>
  origin === undefined && loopback.test(peer) && host !== undefined && localHost.test(host)

/**
 * A web page may make its own name point to this machine (DNS rebinding), and the browser would let it read the answer.
 * The browser sends that name as the Host: only names that no web page can have, and those of the configuration, are
 * answered. A client without a Host is no browser.
 */
const isKnown = (host: string | undefined, hosts: ReadonlyArray<string>): boolean => {
  if (host === undefined) return true
  const name = host.toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "")
  return Net.isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0 || /^(.+\.)?localhost$/.test(name) ||
    hosts.some((known) => known.toLowerCase() === name)
}

const unknownHost =
  "This server does not answer to that Host. Use an IP address or localhost, or add the name to server.metrics_hosts."

const loopback = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/
const localHost = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i
