/**
 * The real server on a free port of this machine, with authentication, and a
 * client connected to it with a token.
 */
import { NodeFileSystem } from "@effect/platform-node"
import { Duration, Effect, Layer, Redacted } from "effect"
import { Audit } from "../audit/Audit.js"
import * as Tokens from "../auth/Tokens.js"
import { ProxyClient } from "../client/ProxyClient.js"
import { ServerConfig } from "../config/ServerConfig.js"
import * as Memory from "../limits/Memory.js"
import * as Catalog from "../models/Catalog.js"
import type { Provider } from "../models/Provider.js"
import { LlmProxy } from "../proxy/LlmProxy.js"
import { Ops } from "../server/Ops.js"
import * as ServerLayer from "../server/ServerLayer.js"

export interface Options {
  readonly providers: ReadonlyArray<Provider>
  readonly aliases?: ReadonlyMap<string, string>
  /** `provider/model` or an alias; undefined means the first provider's own. */
  readonly defaultModel?: string
}

export const layer = (
  options: Options
): Layer.Layer<
  ProxyClient | ServerLayer.Listening | LlmProxy | Catalog.Catalog | Tokens.Tokens,
  ServerLayer.StartFailed | Tokens.InvalidSubject | Tokens.InvalidGrants
> => {
  const catalog = Catalog.Catalog.layer({
    providers: options.providers,
    aliases: options.aliases ?? new Map(),
    defaultModel: options.defaultModel
  })
  const server = ServerLayer.listening.pipe(
    Layer.provideMerge(LlmProxy.layer),
    Layer.provide([Memory.layer, Ops.layerNone]),
    Layer.provideMerge(catalog),
    Layer.provideMerge(Tokens.Tokens.layer(key)),
    Layer.provide([ServerConfig.layerTest(), NodeFileSystem.layer, Audit.layerNone])
  )
  const client = Layer.unwrapEffect(Effect.gen(function*() {
    const { host, port } = yield* ServerLayer.Listening
    const token = yield* Effect.flatMap(Tokens.Tokens, (tokens) => tokens.issue("test", Duration.hours(1)))
    return ProxyClient.layer({ host, port, tls: false, token })
  }))
  return Layer.provideMerge(client, server)
}

// -- internals ---------------------------------------------------------------

/** Signs tokens that no other server trusts. */
const key = { secret: Redacted.make("for tests on this machine, and for nothing else"), kid: "test", source: "tests" }
