/**
 * `vibectl`: what server and client have in common.
 */
export * as Access from "./domain/Access.js"
export * as Answer from "./domain/Answer.js"
export * as ClientErrors from "./domain/ClientErrors.js"
export * as Cost from "./domain/Cost.js"
export * as Errors from "./domain/Errors.js"
export * as Lifetime from "./domain/Lifetime.js"
export * as Limits from "./domain/Limits.js"
export type { ModelInfo, Price } from "./domain/ModelInfo.js"
export { packageVersion } from "./domain/PackageVersion.js"
export * as ProxyUrl from "./domain/ProxyUrl.js"
export type { ServerInfo } from "./domain/ServerInfo.js"
export * as Compatibility from "./versions/Compatibility.js"
