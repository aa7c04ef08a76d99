/**
 * A connection to a proxy: what `vibectl` and other Effect programs use.
 */
import { Context, type Effect, Layer, type Stream } from "effect"
import type { Answer, AnswerEvent } from "../domain/Answer.js"
import type { ClientError } from "../domain/ClientErrors.js"
import type { ServerInfo } from "../domain/ServerInfo.js"
import * as Connection from "./Connection.js"

/** What to ask; a missing `model` is the server's default, a missing `requestId` a fresh UUID. */
export interface ClientRequest {
  readonly user: ReadonlyArray<string>
  readonly system?: ReadonlyArray<string>
  readonly model?: string
  /** JSON Schema text the answer must satisfy. */
  readonly responseSchema?: string
  readonly requestId?: string
}

export class ProxyClient extends Context.Tag("vibectl/client/ProxyClient")<ProxyClient, {
  /** The whole answer. Interruption cancels the call. */
  readonly execute: (request: ClientRequest) => Effect.Effect<Answer, ClientError>
  /**
   * The answer as it is produced, ending with `Done` and `Metrics`. After a
   * `Restart` all text so far is void. A `Heartbeat` comes only on a connection
   * that asks for it. Ending the stream early cancels the call.
   */
  readonly stream: (request: ClientRequest) => Stream.Stream<AnswerEvent, ClientError>
  /** What the server says of itself; fails with `VersionMismatch` when it cannot work with this client. */
  readonly serverInfo: Effect.Effect<ServerInfo, ClientError>
}>() {
  /** A connection for as long as the layer lives. */
  static readonly layer = (options: Connection.Options): Layer.Layer<ProxyClient> =>
    Layer.scoped(this, Connection.make(options))
}
