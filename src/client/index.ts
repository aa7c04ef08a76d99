/**
 * `vibectl/client`: the client as a Layer.
 */
export * as Answer from "../domain/Answer.js"
export * as ClientErrors from "../domain/ClientErrors.js"
export * as ProxyUrl from "../domain/ProxyUrl.js"
export type { ServerInfo } from "../domain/ServerInfo.js"
export type { Options } from "./Connection.js"
export { type ClientRequest, ProxyClient } from "./ProxyClient.js"
