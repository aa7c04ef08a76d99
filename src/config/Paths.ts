/**
 * Where vibectl keeps its files.
 *
 * `$VIBECTL_CONFIG_DIR`, else `$XDG_CONFIG_HOME/vibectl`, else `~/.config/vibectl`.
 * Source: https://specifications.freedesktop.org/basedir-spec/latest/
 */
import { Config, Effect, Option } from "effect"
import * as Os from "node:os"
import * as NodePath from "node:path"

export interface Paths {
  readonly root: string
  /** Everything only the server may read. */
  readonly serverDir: string
  readonly serverConfig: string
  /** The generated signing secret that `vibectl-server` and `generate-token` share. */
  readonly jwtSecret: string
  /** The signing keys after a rotation. */
  readonly keyring: string
  /** Tokens and subjects that are refused; one JSON object a line. */
  readonly revocations: string
  /** The audit log, where the configuration names no other. */
  readonly auditLog: string
  /** What callers have used, where the configuration names no other. */
  readonly usage: string
  /** What the settings were at the last start, as digests. */
  readonly configState: string
  /** The private CA and the certificate of `localhost`. */
  readonly tlsDir: string
  readonly clientDir: string
  readonly clientConfig: string
  /** One file per profile that was configured with a token. */
  readonly tokensDir: string
  /** What the assistant is told with every request. */
  readonly memory: string
  /** The client's audit logs, one per profile, where the configuration names no other. */
  readonly clientAuditDir: string
}

/** The paths below one configuration directory. */
export const below = (root: string): Paths => {
  const serverDir = NodePath.join(root, "server")
  const clientDir = NodePath.join(root, "client")
  return {
    root,
    serverDir,
    serverConfig: NodePath.join(serverDir, "config.yaml"),
    jwtSecret: NodePath.join(serverDir, "jwt-secret"),
    keyring: NodePath.join(serverDir, "keys.json"),
    revocations: NodePath.join(serverDir, "revocations.jsonl"),
    auditLog: NodePath.join(serverDir, "audit.jsonl"),
    usage: NodePath.join(serverDir, "usage.db"),
    configState: NodePath.join(serverDir, "config-state.json"),
    tlsDir: NodePath.join(serverDir, "tls"),
    clientDir,
    clientConfig: NodePath.join(clientDir, "config.yaml"),
    tokensDir: NodePath.join(clientDir, "tokens"),
    memory: NodePath.join(clientDir, "memory.md"),
    clientAuditDir: NodePath.join(clientDir, "audit")
  }
}

/** The paths of this user, as the environment says. */
export const paths: Effect.Effect<Paths> = Effect.gen(function*() {
  const own = yield* variable("VIBECTL_CONFIG_DIR")
  if (Option.isSome(own)) return below(NodePath.resolve(own.value))
  const xdg = yield* variable("XDG_CONFIG_HOME")
  // The XDG specification says to ignore a relative path here.
  if (Option.isSome(xdg) && NodePath.isAbsolute(xdg.value)) return below(NodePath.join(xdg.value, "vibectl"))
  const home = yield* variable("HOME")
  return below(NodePath.join(Option.getOrElse(home, () => Os.homedir()), ".config", "vibectl"))
})

// -- internals ---------------------------------------------------------------

const variable = (name: string) => Effect.orDie(Config.option(Config.nonEmptyString(name)))
