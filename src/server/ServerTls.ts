/**
 * The certificates of the server for as long as it listens.
 */
import type { FileSystem } from "@effect/platform"
import { Effect, type Scope } from "effect"
import * as Os from "node:os"
import type { Settings } from "../config/ServerSettings.js"
import * as Credentials from "../grpc/Credentials.js"
import * as Certificate from "../tls/Certificate.js"
import * as Presented from "../tls/Presented.js"
import * as Reload from "../tls/Reload.js"

export interface ServerTls {
  readonly credentials: typeof Credentials.plaintext
  /** PEM file of the CA to trust, when the server made its own certificate. */
  readonly caFile: string | undefined
}

/** Read once, and followed until the scope closes. */
export const make = (
  { server, tls }: Pick<Settings, "server" | "tls">
): Effect.Effect<ServerTls, Presented.ReadFailed, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    if (!tls.enabled) return { credentials: Credentials.plaintext, caFile: undefined }
    const source: Presented.Source = {
      own: tls.cert_file === undefined || tls.key_file === undefined
        ? undefined
        : { certFile: tls.cert_file, keyFile: tls.key_file },
      clientCaFile: tls.client_ca_file,
      names: isWildcard(server.host) ? [Os.hostname()] : [Os.hostname(), server.host]
    }
    const serving = ({ certificate, clientCa }: Presented.Presented): Credentials.Serving => ({
      certificate,
      clientCa,
      minVersion: tls.min_version
    })
    const first = yield* Presented.read(source)
    const credentials = new Credentials.ServerTls(serving(first))
    yield* Effect.forkScoped(
      Reload.follow(source, first, (next) =>
        Effect.try({
          try: () => credentials.replace(serving(next)),
          catch: () => ({ message: "OpenSSL does not take the new certificates." })
        }))
    )
    return { credentials, caFile: first.caFile }
  })

/** Reads the files that the operator names, and makes none: what stops a start because of them. */
export const check = (
  { tls }: Pick<Settings, "tls">
): Effect.Effect<void, Certificate.CertificateInvalid | Certificate.CertificateOutOfTime, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (!tls.enabled) return
    if (tls.client_ca_file !== undefined) yield* Certificate.clientCa(tls.client_ca_file)
    if (tls.cert_file !== undefined && tls.key_file !== undefined) {
      yield* Certificate.fromFiles(tls.cert_file, tls.key_file)
    }
  })

// -- internals ---------------------------------------------------------------

/** These stand for every address of the machine and name none. */
const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"
