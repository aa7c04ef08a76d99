/**
 * `vibectl/server`: the server as Layers.
 */
export * as SigningKey from "../auth/SigningKey.js"
export * as Tokens from "../auth/Tokens.js"
export { Env } from "../config/Environment.js"
export { ServerConfig } from "../config/ServerConfig.js"
export * as Catalog from "../models/Catalog.js"
export * as Kinds from "../models/Kinds.js"
export * as Provider from "../models/Provider.js"
export { LlmProxy } from "../proxy/LlmProxy.js"
export * as ServerLayer from "./ServerLayer.js"
