/**
 * Which versions of client and server work together.
 *
 * Semantic versioning (https://semver.org): the same major, and for 0.x the
 * same minor. A server that is a minor behind its client works, with a warning.
 */
import * as Semver from "semver"
import { VersionIncompatible } from "../domain/Errors.js"

export type Compatibility =
  | { readonly _tag: "Compatible" }
  | { readonly _tag: "Warning"; readonly message: string }
  | { readonly _tag: "Incompatible"; readonly error: VersionIncompatible }

/** What a client of version `client` may do with a server of version `server`. */
export const compare = (client: string, server: string): Compatibility => {
  const [ours, theirs] = [Semver.parse(client), Semver.parse(server)]
  if (ours === null || theirs === null) {
    return incompatible(client, server, "Upgrade client or server to compatible versions.")
  }
  const same = ours.major === theirs.major && (ours.major > 0 || ours.minor === theirs.minor)
  if (!same) {
    const older = Semver.lt(ours, theirs) ? "client" : "server"
    return incompatible(
      client,
      server,
      `Upgrade client or server to compatible versions: the ${older} is the older one (same major version, and for 0.x the same minor).`
    )
  }
  return theirs.minor < ours.minor
    ? {
      _tag: "Warning",
      message: `The server (${server}) is older than this client (${client}); newer features may be missing.`
    }
    : { _tag: "Compatible" }
}

/**
 * The base contract was published by servers 0.9 to 0.11, unchanged, and those
 * declare no wire extensions. A client that knows the base contract knows all of them.
 */
export const speaksBaseContract = (server: string, features: ReadonlyArray<string>): boolean => {
  const version = Semver.parse(server)
  return features.length === 0 && version !== null && version.major === 0 && version.minor >= 9 && version.minor <= 11
}

// -- internals ---------------------------------------------------------------

const incompatible = (client: string, server: string, remedy: string): Compatibility => ({
  _tag: "Incompatible",
  error: new VersionIncompatible({ client, server, remedy })
})
