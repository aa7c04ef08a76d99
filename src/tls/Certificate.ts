/**
 * Certificates that somebody brings, checked before they are used.
 */
import { type FileSystem } from "@effect/platform"
import { Data, DateTime, Effect, Option, Redacted } from "effect"
import * as NodeTls from "node:tls"
import * as ReadFile from "../config/ReadFile.js"
import * as Facts from "./Facts.js"

export interface Certificate {
  /** PEM: the certificate, followed by its intermediates. */
  readonly certChain: string
  /** PEM. */
  readonly key: Redacted.Redacted
}

/** A certificate or its key cannot be used; `key` is the setting that names the file. */
export class CertificateInvalid extends Data.TaggedError("CertificateInvalid")<{
  readonly key: "tls.cert_file" | "tls.key_file" | "tls.client_ca_file"
  readonly path: string
  readonly problem: string
}> {
  get summary() {
    return `${this.key}: ${this.path} ${this.problem}.`
  }
  get remedy() {
    if (this.key === "tls.client_ca_file") return "Give a PEM file of the CAs that sign your clients' certificates."
    return "Give a PEM certificate (with its intermediates) and the PEM private key that belongs to it, "
      + "or neither: the server then makes its own."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** No client with a right clock would accept the certificate. */
export class CertificateOutOfTime extends Data.TaggedError("CertificateOutOfTime")<{
  readonly path: string
  readonly problem: "expired" | "not yet valid"
  /** When it expired, or when it begins. */
  readonly at: DateTime.Utc
}> {
  get summary() {
    return `The certificate in ${this.path} (tls.cert_file) ${this.ended}.`
  }
  /** The end of a sentence about it. */
  get ended() {
    const verb = this.problem === "expired" ? "expired on" : "is not valid before"
    return `${verb} ${DateTime.formatIso(this.at)}`
  }
  get remedy() {
    return this.problem === "expired"
      ? "Renew it, or take tls.cert_file and tls.key_file out: the server then makes its own."
      : "Wait until then, or correct the clock of this machine."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Reads both files and makes sure that they belong together and are good at this time. */
export const fromFiles = (
  certFile: string,
  keyFile: string
): Effect.Effect<Certificate, CertificateInvalid | CertificateOutOfTime, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const certChain = yield* read("tls.cert_file", certFile)
    const key = yield* read("tls.key_file", keyFile)
    yield* parses("tls.cert_file", certFile, noCertificate, { cert: certChain })
    yield* parses("tls.key_file", keyFile, "does not hold a PEM private key without a passphrase", { key })
    yield* parses("tls.key_file", keyFile, `does not belong to the certificate in ${certFile}`, {
      cert: certChain,
      key
    })
    const facts = Option.getOrUndefined(Facts.ofPem(certChain))
    if (facts === undefined) return yield* unreadable("tls.cert_file", certFile)
    const now = yield* DateTime.now
    if (DateTime.greaterThan(now, facts.notAfter)) {
      return yield* new CertificateOutOfTime({ path: certFile, problem: "expired", at: facts.notAfter })
    }
    if (DateTime.lessThan(now, facts.notBefore)) {
      return yield* new CertificateOutOfTime({ path: certFile, problem: "not yet valid", at: facts.notBefore })
    }
    return { certChain, key: Redacted.make(key) }
  })

/** The PEM text of CAs whose client certificates are accepted: one certificate or more. */
export const clientCa = (path: string): Effect.Effect<string, CertificateInvalid, FileSystem.FileSystem> =>
  Effect.flatMap(read("tls.client_ca_file", path), (text) => {
    const found = Facts.certificates(text)
    const sound = found.length > 0 && found.every((pem) => Option.isSome(Facts.ofPem(pem)))
    return sound ? Effect.succeed(text) : unreadable("tls.client_ca_file", path)
  })

// -- internals ---------------------------------------------------------------

const read = (key: CertificateInvalid["key"], path: string) =>
  ReadFile.text(path, ReadFile.maxBytes.keys).pipe(
    Effect.mapError((error) =>
      new CertificateInvalid({
        key,
        path,
        problem: ReadFile.problem(error)
      })
    )
  )

const noCertificate = "does not hold a PEM certificate"

const unreadable = (key: CertificateInvalid["key"], path: string) =>
  new CertificateInvalid({ key, path, problem: noCertificate })

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
