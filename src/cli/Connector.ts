/**
 * Opens connections; gRPC is loaded with the first one.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { Options } from "../client/Connection.js"
import type { ProxyClient } from "../client/ProxyClient.js"

export class Connector extends Context.Tag("vibectl/cli/Connector")<Connector, {
  /** A client for as long as the scope lives. */
  readonly connect: (options: Options) => Effect.Effect<ProxyClient["Type"], never, Scope.Scope>
}>() {
  static readonly layer = Layer.succeed(this, {
    connect: (options) =>
      Effect.flatMap(Effect.promise(() => import("../client/Connection.js")), ({ make }) => make(options))
  })
}
