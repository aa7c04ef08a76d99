/**
 * A server certificate that the operator brings, checked before it is used.
 */
import { FileSystem } from "@effect/platform"
import { Data, Effect, Redacted } from "effect"
import * as NodeTls from "node:tls"

export interface Certificate {
  /** PEM: the server's certificate, followed by its intermediates. */
  readonly certChain: string
  /** PEM. */
  readonly key: Redacted.Redacted
}

/** A certificate or its key cannot be used; `key` is the setting that names the file. */
export class CertificateInvalid extends Data.TaggedError("CertificateInvalid")<{
  readonly key: "tls.cert_file" | "tls.key_file"
  readonly path: string
  readonly problem: string
}> {
  get summary() {
    return `${this.key}: ${this.path} ${this.problem}.`
  }
  get remedy() {
    return "Give a PEM certificate (with its intermediates) and the PEM private key that belongs to it, "
      + "or neither: the server then makes its own."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Reads both files and makes sure that they belong together. */
export const fromFiles = (
  certFile: string,
  keyFile: string
): Effect.Effect<Certificate, CertificateInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const certChain = yield* read("tls.cert_file", certFile)
    const key = yield* read("tls.key_file", keyFile)
    yield* parses("tls.cert_file", certFile, "does not hold a PEM certificate", { cert: certChain })
    yield* parses("tls.key_file", keyFile, "does not hold a PEM private key without a passphrase", { key })
    yield* parses("tls.key_file", keyFile, `does not belong to the certificate in ${certFile}`, {
      cert: certChain,
      key
    })
    return { certChain, key: Redacted.make(key) }
  })

// -- internals ---------------------------------------------------------------

const read = (key: CertificateInvalid["key"], path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(
    Effect.mapError((error) =>
      new CertificateInvalid({
        key,
        path,
        problem: error._tag === "SystemError" && error.reason === "NotFound" ? "does not exist" : "cannot be read"
      })
    )
  )

/** OpenSSL's own words are left out: they may quote the file. */
const parses = (
  key: CertificateInvalid["key"],
  path: string,
  problem: string,
  options: NodeTls.SecureContextOptions
) =>
  Effect.try({
    try: () => NodeTls.createSecureContext(options),
    catch: () => new CertificateInvalid({ key, path, problem })
  })
