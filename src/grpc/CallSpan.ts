/**
 * The span of a call: from the arrival of its metadata to its status.
 *
 * It goes on with the trace of the caller's `traceparent`. Where the program
 * has no tracer, no span is made, and who is called next hears of the caller's
 * own; a call of a caller without one then costs nothing more.
 * Source: https://github.com/open-telemetry/semantic-conventions/blob/v1.45.0/docs/rpc/grpc.md
 */
import * as Grpc from "@grpc/grpc-js"
import { Context, Effect, Exit, Option, type Tracer } from "effect"
import * as Traceparent from "../telemetry/Traceparent.js"

/** Looks after the spans of one server's calls. */
export interface Tracing {
  /** Whether spans are made here. */
  readonly active: boolean
  /** To be called before anything else is done with the innermost `call`: every status is heard of. */
  readonly watch: (rpc: string, call: Grpc.ServerInterceptingCallInterface) => Watch
}

export interface Watch {
  /** Our span, or else the caller's; undefined when neither traces. */
  readonly begin: (metadata: Grpc.Metadata) => Tracer.AnySpan | undefined
  /** The client has left. */
  readonly left: () => void
}

export const make: Effect.Effect<Tracing> = Effect.gen(function*() {
  const active = yield* Traceparent.isTracing
  if (!active) return { active, watch: () => idle }
  const tracer = yield* Effect.tracer
  const clock = yield* Effect.clock

  const watch: Tracing["watch"] = (rpc, call) => {
    let span: Tracer.Span | undefined
    let ended = false
    const end = (code: Grpc.status, details: string): void => {
      if (ended) return
      ended = true
      const name = Grpc.status[code] ?? String(code)
      span?.attribute("rpc.response.status_code", name)
      const failed = failures.has(code)
      if (failed) span?.attribute("error.type", name)
      span?.end(clock.unsafeCurrentTimeNanos(), failed ? Exit.fail(new Failed(name, details)) : Exit.void)
    }
    const send = call.sendStatus.bind(call)
    const sendStatus: typeof send = (status) => {
      end(status.code ?? Grpc.status.UNKNOWN, status.details ?? "")
      send(status)
    }
    call.sendStatus = sendStatus
    const expiry = Number(call.getDeadline())
    return {
      begin: (metadata) => {
        const parent = Option.fromNullable(callerOf(metadata))
        span = tracer.span(rpc.slice(1), parent, Context.empty(), [], clock.unsafeCurrentTimeNanos(), "server")
        for (const [key, value] of Object.entries(attributesOf(rpc, call))) span.attribute(key, value)
        return span
      },
      left: () => {
        const late = clock.unsafeCurrentTimeMillis() + 1 >= expiry
        end(late ? Grpc.status.DEADLINE_EXCEEDED : Grpc.status.CANCELLED, "")
      }
    }
  }
  return { active, watch }
})

// -- internals ---------------------------------------------------------------

const callerOf = (metadata: Grpc.Metadata): Tracer.ExternalSpan | undefined => {
  const [given, another] = metadata.get("traceparent")
  if (given === undefined || another !== undefined) return undefined
  return Traceparent.parse(String(given), metadata.get("tracestate").join(","))
}

const idle: Watch = { begin: callerOf, left: () => {} }

/** For a server the others are the caller's fault, says the convention. */
const failures = new Set([
  Grpc.status.UNKNOWN,
  Grpc.status.DEADLINE_EXCEEDED,
  Grpc.status.UNIMPLEMENTED,
  Grpc.status.INTERNAL,
  Grpc.status.UNAVAILABLE,
  Grpc.status.DATA_LOSS
])

/** As far as the connection is still there to be asked. */
const attributesOf = (rpc: string, call: Grpc.ServerInterceptingCallInterface): Record<string, string | number> => {
  const { localAddress, localPort, remoteAddress, remotePort } = call.getConnectionInfo()
  return {
    "rpc.system.name": "grpc",
    "rpc.method": rpc.slice(1),
    ...localAddress !== undefined && { "server.address": localAddress },
    ...localPort !== undefined && { "server.port": localPort },
    ...remoteAddress !== undefined && { "client.address": remoteAddress },
    ...remotePort !== undefined && { "client.port": remotePort }
  }
}

/** What the client is told too. */
class Failed extends Error {
  readonly summary: string
  constructor(override readonly name: string, details: string) {
    super(details)
    this.summary = details
  }
}
