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
import { Data, DateTime, Effect, Option } from "effect"
import * as Net from "node:net"
import * as Os from "node:os"
import * as NodePath from "node:path"
import * as Files from "../config/Files.js"
import { type Paths, paths } from "../config/Paths.js"
import * as ReadFile from "../config/ReadFile.js"
import type { Certificate } from "./Certificate.js"
import * as Facts from "./Facts.js"
import * as Issue from "./Issue.js"
import * as Pair from "./Pair.js"

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

/** Where the server's certificate and its key are. */
export const serverFile = ({ tlsDir }: Pick<Paths, "tlsDir">): string => NodePath.join(tlsDir, "server.pem")

/**
 * A certificate for localhost, 127.0.0.1, ::1, `names` (by default the
 * machine's host name) and the names of the present one, that is good for 30
 * days at least. Names that no certificate can hold are left out.
 */
export const ensure = (
  options: { readonly names?: ReadonlyArray<string> } = {}
): Effect.Effect<LocalCertificate, LocalCaFailed, FileSystem.FileSystem> =>
  make(options.names ?? [Os.hostname()], { ca: false, server: false })

/** As {@link ensure}, but the certificate is a new one in any case, and with `ca` its CA too. */
export const renew = (
  options: { readonly names?: ReadonlyArray<string>; readonly ca: boolean }
): Effect.Effect<LocalCertificate, LocalCaFailed, FileSystem.FileSystem> =>
  make(options.names ?? [Os.hostname()], { ca: options.ca, server: true })

/** What there is; nothing is made. */
export const present: Effect.Effect<
  { readonly ca: Option.Option<Pair.Pair>; readonly server: Option.Option<Pair.Pair> },
  LocalCaFailed,
  FileSystem.FileSystem
> = Effect.gen(function*() {
  const where = yield* paths
  return yield* explained(
    where,
    Effect.gen(function*() {
      const number = yield* newest(where.tlsDir)
      const ca = number === 0 ? Option.none() : Option.some(yield* readCa(where.tlsDir, number))
      return { ca, server: yield* readServer(where) }
    })
  )
})

/** Whether a certificate can hold this host name or IP address: as ASCII (RFC 5280, section 4.2.1.6). */
export const isName = (name: string): boolean =>
  Net.isIP(name) === 0
    ? name.length <= 253 && /^(\*\.[a-z0-9_-]{1,63}\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i.test(name)
    // The zone of `fe80::1%eth0` means something on one machine only.
    : !name.includes("%")

// -- internals ---------------------------------------------------------------

const loopback = ["localhost", "127.0.0.1", "::1"]

const make = (wanted: ReadonlyArray<string>, force: { readonly ca: boolean; readonly server: boolean }) =>
  Effect.gen(function*() {
    const where = yield* paths
    const now = yield* DateTime.now
    return yield* explained(
      where,
      Effect.gen(function*() {
        const { ca, created } = yield* presentCa(where.tlsDir, now, force.ca)
        yield* publish(caFile(where), ca.certificate)
        // Whatever is wrong with the old one, if the new one cannot be written either, that is said.
        const kept = yield* Effect.orElseSucceed(readServer(where), () => Option.none<Pair.Pair>())
        // The names of the old one stay: `certs init` was given them, or another server of this directory wants them.
        const old = Option.match(kept, { onNone: () => [], onSome: ({ names }) => names })
        const names = [...new Set([...loopback, ...[...wanted, ...old].filter(isName).map(Facts.canonical)])]
        const server = !force.server && Option.isSome(kept) && willDo(kept.value, ca, names, now)
          ? kept.value
          : yield* newServer(serverFile(where), ca, names, now)
        return {
          certChain: server.certificate + ca.certificate,
          key: server.key,
          caFile: caFile(where),
          createdCa: created
        }
      })
    )
  })

/** The newest CA; or the next one when there is none, it is no longer good, or it is to be replaced. */
const presentCa = (directory: string, now: DateTime.Utc, replace: boolean) =>
  Effect.gen(function*() {
    const number = yield* newest(directory)
    if (number > 0) {
      const ca = yield* readCa(directory, number)
      if (!replace && Pair.isCurrent(ca, now)) return { ca, created: false }
    }
    const path = caPath(directory, number + 1)
    const made = Pair.encode(yield* Issue.authority(Pair.validity(now, { years: 10 })))
    const kept = yield* Files.createPrivate(path, made)
    return { ca: yield* decodeCa(path, kept), created: kept === made }
  })

const caPath = (directory: string, number: number) => NodePath.join(directory, `ca-${number}.pem`)

/** The highest number of a `ca-<n>.pem`; 0 when there is none. */
const newest = (directory: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readDirectory(directory)).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed([])),
    Effect.map((names) => Math.max(0, ...names.map((name) => Number(/^ca-([0-9]{1,9})\.pem$/.exec(name)?.[1] ?? 0))))
  )

const readCa = (directory: string, number: number) =>
  Effect.flatMap(
    readFile(caPath(directory, number)),
    (text) => decodeCa(caPath(directory, number), text)
  )

const readServer = (where: Paths) =>
  readFile(serverFile(where)).pipe(
    Effect.map(Pair.decode),
    Effect.catchIf(isMissing, () => Effect.succeedNone)
  )

const newServer = (path: string, ca: Pair.Pair, names: ReadonlyArray<string>, now: DateTime.Utc) =>
  Effect.gen(function*() {
    const made = yield* Issue.server(ca, names, Pair.within(Pair.validity(now, { days: 397 }), ca))
    yield* Files.writePrivate(path, Pair.encode(made, ca))
    return made
  })

const willDo = (server: Pair.Pair, ca: Pair.Pair, names: ReadonlyArray<string>, now: DateTime.Utc) =>
  Pair.isCurrent(server, now)
  // A certificate that ends with its CA cannot be had any longer.
  && DateTime.greaterThanOrEqualTo(server.notAfter, DateTime.min(DateTime.addDuration(now, Facts.soon), ca.notAfter))
  && server.x509.checkIssued(ca.x509) && server.x509.verify(ca.x509.publicKey)
  && names.every((name) => server.names.includes(name))

/** Clients read this file while servers start. */
const publish = (path: string, certificate: string) =>
  readFile(path).pipe(
    Effect.catchIf(isMissing, () => Effect.succeed("")),
    Effect.flatMap((present) => present === certificate ? Effect.void : Files.writePrivate(path, certificate))
  )

/** A broken CA is not replaced by itself: clients elsewhere may trust it, and a copy of the file may exist. */
const decodeCa = (path: string, text: string) =>
  Effect.mapError(Pair.decode(text), () =>
    new LocalCaFailed({
      summary: `${path} does not hold a CA certificate and its key.`,
      remedy: "Restore the file, or remove it: a new CA is then made, which clients on other machines must trust anew."
    }))

const readFile = (path: string) => ReadFile.text(path, ReadFile.maxBytes.keys)

const isMissing = (error: PlatformError) => error._tag === "SystemError" && error.reason === "NotFound"

const explained = <A, R>(
  where: Paths,
  effect: Effect.Effect<A, PlatformError | LocalCaFailed, R>
): Effect.Effect<A, LocalCaFailed, R> =>
  Effect.catchTags(effect, {
    BadArgument: (error) => unusable(where, error),
    SystemError: (error) => unusable(where, error)
  })

const unusable = ({ tlsDir }: Paths, error: PlatformError) => {
  const detail = error._tag === "SystemError" ? ` (${error.reason})` : ""
  return new LocalCaFailed({
    summary: `The server's own certificates cannot be kept in ${tlsDir}${detail}.`,
    remedy: "Make this directory readable and writable for the user of the server, set tls.cert_file and tls.key_file "
      + "to a certificate of yours, or serve plaintext with --insecure."
  })
}
