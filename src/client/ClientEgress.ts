/**
 * The proxy that the environment names for the connection to a server: `grpc_proxy` before those of HTTP.
 */
import { Config, Effect, Option } from "effect"
import * as Egress from "../network/Egress.js"

/** Undefined for a direct connection, as to this machine itself. */
export const find = (
  { host, port, tls }: { readonly host: string; readonly port: number; readonly tls: boolean }
): Effect.Effect<Egress.Proxy | undefined, Egress.EgressInvalid> =>
  Effect.gen(function*() {
    const grpc = yield* first("grpc_proxy")
    const others = yield* first("no_proxy")
    const egress = grpc === undefined
      ? yield* Egress.load
      : yield* Egress.parse({ https_proxy: grpc, http_proxy: grpc, ...others !== undefined && { no_proxy: others } })
    const proxy = egress.proxyFor({ protocol: tls ? "https:" : "http:", hostname: host, port: String(port) })
    if (proxy?.secure === true) {
      return yield* new Egress.EgressInvalid({
        summary: `The variable ${proxy.variable} names a proxy with https, which calls cannot go through.`,
        remedy: "Name one with http, or add the host to no_proxy."
      })
    }
    return proxy === undefined || grpc === undefined ? proxy : { ...proxy, variable: "grpc_proxy" }
  })

// -- internals ---------------------------------------------------------------

/** In lower case first, as in {@link Egress}. */
const first = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(
    Effect.all([Effect.option(Config.string(name)), Effect.option(Config.string(name.toUpperCase()))]),
    ([lower, upper]) =>
      Option.getOrUndefined(Option.filter(Option.orElse(lower, () => upper), (value) => value.trim() !== ""))
  )
