/**
 * What a server says of itself.
 */
import type { Limits } from "./Limits.js"
import type { ModelInfo } from "./ModelInfo.js"

export interface ServerInfo {
  readonly name: string
  readonly version: string
  /** `provider/model`; empty when no model can be called. */
  readonly defaultModel: string
  readonly models: ReadonlyArray<ModelInfo>
  readonly aliases: ReadonlyMap<string, string>
  readonly limits: Limits
  /** Wire extensions the server speaks; empty for servers that only know the base contract. */
  readonly features: ReadonlyArray<string>
}

/** `server_name` on the wire. */
export const serverName = "vibectl-llm-proxy"
