/**
 * `vibectl/server`: the server as Layers.
 */
export * as Audit from "../audit/Audit.js"
export * as Issuers from "../auth/Issuers.js"
export * as Keyring from "../auth/Keyring.js"
export * as Revocations from "../auth/Revocations.js"
export * as SigningKey from "../auth/SigningKey.js"
export * as Tokens from "../auth/Tokens.js"
export * as Trust from "../auth/Trust.js"
export { Env } from "../config/Environment.js"
export { ServerConfig } from "../config/ServerConfig.js"
export * as Catalog from "../models/Catalog.js"
export * as Kinds from "../models/Kinds.js"
export * as Provider from "../models/Provider.js"
export { LlmProxy } from "../proxy/LlmProxy.js"
export * as ServerLayer from "./ServerLayer.js"
