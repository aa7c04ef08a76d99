/**
 * `grpc.health.v1.Health`, the one service that asks for no token.
 *
 * So nothing that a caller sends is kept or repeated: names are compared with
 * those that are known, and that is all. The handlers of grpc-health-check
 * keep every name that was ever watched.
 * Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
import * as Grpc from "@grpc/grpc-js"
import { service } from "grpc-health-check"

export type State = "SERVING" | "NOT_SERVING"

export interface Health {
  readonly addTo: (server: Grpc.Server) => void
  /** Of every name; who watches one hears of it. */
  readonly set: (state: State) => void
  /** Ends the calls of those who watch: they would keep their connections open. */
  readonly end: () => void
}

/** SERVING, under these names. */
export const make = (names: ReadonlyArray<string>): Health => {
  let state: State = "SERVING"
  const watchers = new Set<Watch>()
  const isKnown = ({ request }: { readonly request: Named }) => names.includes(request.service)
  return {
    set: (next) => {
      state = next
      for (const call of watchers) call.write({ status: next })
    },
    end: () => {
      for (const call of watchers) call.emit("error", { code: Grpc.status.UNAVAILABLE, details: "The server stops." })
      watchers.clear()
    },
    addTo: (server) =>
      server.addService(service, {
        check: (call: Grpc.ServerUnaryCall<Named, Status>, respond: Grpc.sendUnaryData<Status>) =>
          isKnown(call) ? respond(null, { status: state }) : respond(unknown),
        // A name that is not known yet may become so, says the protocol; here none does.
        watch: (call: Watch) => {
          const known = isKnown(call)
          call.write({ status: known ? state : "SERVICE_UNKNOWN" })
          if (!known) return
          watchers.add(call)
          call.on("cancelled", () => watchers.delete(call))
        },
        list: (_call: unknown, respond: Grpc.sendUnaryData<object>) =>
          respond(null, { statuses: Object.fromEntries(names.map((name) => [name, { status: state }])) })
      })
  }
}

// -- internals ---------------------------------------------------------------

interface Named {
  readonly service: string
}

interface Status {
  readonly status: State | "SERVICE_UNKNOWN"
}

type Watch = Grpc.ServerWritableStream<Named, Status>

const unknown = { code: Grpc.status.NOT_FOUND, details: "This server has no service of that name." }
