/**
 * What a server presents to its clients and asks of them, as its files say now.
 */
import type { FileSystem } from "@effect/platform"
import { DateTime, Effect, Option } from "effect"
import * as Files from "../config/Files.js"
import { paths } from "../config/Paths.js"
import * as Certificate from "./Certificate.js"
import * as Facts from "./Facts.js"
import * as LocalCa from "./LocalCa.js"

export interface Presented {
  readonly certificate: Certificate.Certificate
  /** PEM of the CAs whose client certificates are accepted; undefined asks for none. */
  readonly clientCa: string | undefined
  /** PEM file of the CA to trust, when the server made its own certificate. */
  readonly caFile: string | undefined
  /** Whether that CA was made just now. */
  readonly createdCa: boolean
  /** Everything in it that can expire; the server's own certificate first. */
  readonly parts: readonly [Part, ...ReadonlyArray<Part>]
}

export interface Part extends Facts.Facts {
  readonly file: string
}

/** Where it comes from. */
export interface Source {
  /** The operator's pair; undefined means the certificate that the server makes itself. */
  readonly own: { readonly certFile: string; readonly keyFile: string } | undefined
  readonly clientCaFile: string | undefined
  /** What the certificate that it makes must cover. */
  readonly names: ReadonlyArray<string>
}

export type ReadFailed = Certificate.CertificateInvalid | Certificate.CertificateOutOfTime | LocalCa.LocalCaFailed

/** Checks everything before it yields anything; makes or renews the server's own certificate where that is due. */
export const read = (source: Source): Effect.Effect<Presented, ReadFailed, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const clientCa = source.clientCaFile === undefined ? undefined : yield* Certificate.clientCa(source.clientCaFile)
    const certificate = source.own === undefined
      ? yield* LocalCa.ensure({ names: source.names })
      : {
        ...yield* Certificate.fromFiles(source.own.certFile, source.own.keyFile),
        caFile: undefined,
        createdCa: false
      }
    const file = source.own?.certFile ?? LocalCa.serverFile(yield* paths)
    return {
      certificate,
      clientCa,
      caFile: certificate.caFile,
      createdCa: certificate.createdCa,
      parts: [
        { file, ...yield* Effect.orDie(Facts.ofPem(certificate.certChain)) },
        ...Facts.certificates(clientCa ?? "").flatMap((pem) =>
          Option.toArray(Option.map(Facts.ofPem(pem), (facts) => ({ file: source.clientCaFile ?? "", ...facts })))
        )
      ]
    }
  })

/** Changes whenever one of the files was replaced. */
export const stamp = (source: Source): Effect.Effect<string, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const server = source.own === undefined
      ? [LocalCa.serverFile(yield* paths)]
      : [source.own.certFile, source.own.keyFile]
    const files = source.clientCaFile === undefined ? server : [...server, source.clientCaFile]
    return (yield* Effect.forEach(files, Files.stamp)).join("\n")
  })

/** Says of each part that has less than 30 days left, or none, until when it is good. */
export const warnOfEnd = ({ parts }: Presented): Effect.Effect<void> =>
  Effect.flatMap(DateTime.now, (now) =>
    Effect.forEach(
      parts.filter((part) => Facts.endsSoon(part, now)),
      (part) =>
        Effect.annotateLogs(Effect.logWarning(`a certificate ${isOver(part, now) ? "has expired" : "ends soon"}`), {
          file: part.file,
          subject: part.subject,
          notAfter: DateTime.formatIso(part.notAfter),
          daysLeft: Facts.daysLeft(part, now)
        }),
      { discard: true }
    ))

// -- internals ---------------------------------------------------------------

const isOver = ({ notAfter }: Part, now: DateTime.Utc) => DateTime.lessThan(notAfter, now)
