/**
 * A private CA and a certificate of this machine, for a server that was given none.
 *
 * Made once, in the server's directory, and renewed without being asked. The
 * files are
 * - `ca-<n>.pem`: the n-th CA, certificate and key. It never changes.
 * - `ca.crt`: the certificate of the present CA, for clients to trust.
 * - `server.pem`: the server's certificate, the CA's, and the server's key.
 *
 * A certificate and its key share a file, and a file appears whole or not at
 * all, so that two servers that start at once cannot mix their pairs. They
 * also get the same CA: the first to create the next number wins.
 */
import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Data, DateTime, Effect, Option, Redacted } from "effect"
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import * as Os from "node:os"
import * as NodePath from "node:path"
import * as Files from "../config/Files.js"
import { type Paths, paths } from "../config/Paths.js"
import type { Certificate } from "./Certificate.js"
import * as Issue from "./Issue.js"

export interface LocalCertificate extends Certificate {
  /** What a client has to trust; PEM. */
  readonly caFile: string
  /** Clients that copied an older CA must copy this one. */
  readonly createdCa: boolean
}

/** The certificates could not be made, kept or read. */
export class LocalCaFailed extends Data.TaggedError("LocalCaFailed")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Where the client of this machine finds the CA. */
export const caFile = ({ tlsDir }: Pick<Paths, "tlsDir">): string => NodePath.join(tlsDir, "ca.crt")

/**
 * A certificate for localhost, 127.0.0.1, ::1 and `names` (by default the
 * machine's host name) that is good for 30 days at least. Names that no
 * certificate can hold are left out.
 */
export const ensure = (
  options: { readonly names?: ReadonlyArray<string> } = {}
): Effect.Effect<LocalCertificate, LocalCaFailed, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const where = yield* paths
    const names = [...new Set([...loopback, ...(options.names ?? [Os.hostname()]).filter(isName).map(lower)])]
    const now = yield* DateTime.now
    return yield* Effect.gen(function*() {
      const { ca, created } = yield* presentCa(where.tlsDir, now)
      yield* publish(caFile(where), ca.certificate)
      const server = yield* presentServer(NodePath.join(where.tlsDir, "server.pem"), ca, names, now)
      return {
        certChain: server.certificate + ca.certificate,
        key: server.key,
        caFile: caFile(where),
        createdCa: created
      }
    }).pipe(
      Effect.catchTags({
        BadArgument: (error) => unusable(where, error),
        SystemError: (error) => unusable(where, error)
      })
    )
  })

// -- internals ---------------------------------------------------------------

const loopback = ["localhost", "127.0.0.1", "::1"]

const lower = (name: string) => name.toLowerCase()

/** Host names go into a certificate as ASCII (RFC 5280, section 4.2.1.6). */
const isName = (name: string) =>
  Net.isIP(name) !== 0 || (name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i.test(name))

/** The newest CA, or the next one when it is none or no longer good. */
const presentCa = (directory: string, now: DateTime.Utc) =>
  Effect.gen(function*() {
    const number = yield* newest(directory)
    if (number > 0) {
      const path = NodePath.join(directory, `ca-${number}.pem`)
      const ca = yield* decodeCa(path, yield* readFile(path))
      if (isCurrent(ca, now)) return { ca, created: false }
    }
    const path = NodePath.join(directory, `ca-${number + 1}.pem`)
    const made = encode(yield* Issue.authority(validity(now, { years: 10 })))
    const kept = yield* Files.createPrivate(path, made)
    return { ca: yield* decodeCa(path, kept), created: kept === made }
  })

/** The highest number of a `ca-<n>.pem`; 0 when there is none. */
const newest = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readDirectory(directory)).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed([])),
    Effect.map((names) => Math.max(0, ...names.map((name) => Number(/^ca-([0-9]{1,9})\.pem$/.exec(name)?.[1] ?? 0))))
  )

/** The kept certificate if it will do, else a new one in its place. */
const presentServer = (path: string, ca: Pair, names: ReadonlyArray<string>, now: DateTime.Utc) =>
  Effect.gen(function*() {
    const kept = yield* readFile(path).pipe(
      Effect.map((text) => decode(text)),
      // Whatever is wrong with the old one, if the new one cannot be written either, that is said.
      Effect.orElseSucceed(() => Option.none<Pair>())
    )
    if (Option.isSome(kept) && willDo(kept.value, ca, names, now)) return kept.value
    const wanted = validity(now, { days: 397 })
    const notAfter = DateTime.min(wanted.notAfter, ca.notAfter)
    const made = yield* Issue.server(ca, names, { ...wanted, notAfter })
    yield* Files.writePrivate(path, encode(made, ca))
    return made
  })

const willDo = (server: Pair, ca: Pair, names: ReadonlyArray<string>, now: DateTime.Utc) =>
  isCurrent(server, now)
  // A certificate that ends with its CA cannot be had any longer.
  && DateTime.greaterThanOrEqualTo(server.notAfter, DateTime.min(DateTime.add(now, { days: 30 }), ca.notAfter))
  && server.x509.checkIssued(ca.x509) && server.x509.verify(ca.x509.publicKey)
  && names.every((name) =>
    (Net.isIP(name) === 0 ? server.x509.checkHost(name) : server.x509.checkIP(name)) !== undefined
  )

/** Clients read this file while servers start. */
const publish = (path: string, certificate: string) =>
  readFile(path).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed("")),
    Effect.flatMap((present) => present === certificate ? Effect.void : Files.writePrivate(path, certificate))
  )

interface Pair extends Issue.Issued, Issue.Validity {
  readonly x509: Crypto.X509Certificate
}

/** The first certificate and the key of a PEM file, if they belong together. */
const decode = Option.liftThrowable((text: string): Pair => {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----\n[^-]+-----END \1-----\n/g) ?? []
  const certificate = blocks.find((block) => block.includes("BEGIN CERTIFICATE")) ?? ""
  const key = blocks.find((block) => block.includes("PRIVATE KEY")) ?? ""
  const x509 = new Crypto.X509Certificate(certificate)
  if (!x509.checkPrivateKey(Crypto.createPrivateKey(key))) throw new Error("the key is of another certificate")
  return {
    certificate,
    key: Redacted.make(key),
    x509,
    notBefore: time(x509.validFrom),
    notAfter: time(x509.validTo)
  }
})

/** A broken CA is not replaced by itself: clients elsewhere may trust it, and a copy of the file may exist. */
const decodeCa = (path: string, text: string) =>
  Effect.mapError(decode(text), () =>
    new LocalCaFailed({
      summary: `${path} does not hold a CA certificate and its key.`,
      remedy: "Restore the file, or remove it: a new CA is then made, which clients on other machines must trust anew."
    }))

const encode = (issued: Issue.Issued, ca?: Issue.Issued) =>
  issued.certificate + (ca?.certificate ?? "") + Redacted.value(issued.key)

const isCurrent = ({ notAfter, notBefore }: Issue.Validity, now: DateTime.Utc) =>
  DateTime.between(now, {
    minimum: notBefore,
    maximum: notAfter
  })

/** From an hour ago: the clocks of clients may be behind. */
const validity = (now: DateTime.Utc, length: Partial<DateTime.DateTime.PartsForMath>): Issue.Validity => ({
  notBefore: DateTime.subtract(now, { hours: 1 }),
  notAfter: DateTime.add(now, length)
})

/** Node writes `Nov  4 09:57:46 2027 GMT`; DateTime does not know GMT for a zone. */
const time = (text: string) => DateTime.unsafeMake(text.replace(/ GMT$/, "Z"))

const readFile = (path: string) => Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path))

const isMissing = (error: PlatformError) => error._tag === "SystemError" && error.reason === "NotFound"

const unusable = ({ tlsDir }: Paths, error: PlatformError) => {
  const detail = error._tag === "SystemError" ? ` (${error.reason})` : ""
  return new LocalCaFailed({
    summary: `The server's own certificates cannot be kept in ${tlsDir}${detail}.`,
    remedy: "Make this directory readable and writable for the user of the server, set tls.cert_file and tls.key_file "
      + "to a certificate of yours, or serve plaintext with --insecure."
  })
}
