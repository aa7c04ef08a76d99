/**
 * A certificate and its key in one PEM text, so that they cannot be mixed up.
 */
import { DateTime, Option, Redacted } from "effect"
import * as Crypto from "node:crypto"
import * as Facts from "./Facts.js"
import type * as Issue from "./Issue.js"

export interface Pair extends Issue.Issued, Facts.Facts {
  readonly x509: Crypto.X509Certificate
}

/** The first certificate and the key of a PEM text, if they belong together. */
export const decode: (text: string) => Option.Option<Pair> = Option.liftThrowable((text: string): Pair => {
  const blocks = text.match(/-----BEGIN ([A-Z ]+)-----\n[^-]+-----END \1-----\n/g) ?? []
  const certificate = blocks.find((block) => block.includes("BEGIN CERTIFICATE")) ?? ""
  const key = blocks.find((block) => block.includes("PRIVATE KEY")) ?? ""
  const x509 = new Crypto.X509Certificate(certificate)
  if (!x509.checkPrivateKey(Crypto.createPrivateKey(key))) throw new Error("the key is of another certificate")
  return { certificate, key: Redacted.make(key), x509, ...Facts.of(x509) }
})

/** The certificate, that of its CA, and the key. */
export const encode = (issued: Issue.Issued, ca?: Issue.Issued): string =>
  issued.certificate + (ca?.certificate ?? "") + Redacted.value(issued.key)

export const isCurrent = ({ notAfter, notBefore }: Issue.Validity, now: DateTime.Utc): boolean =>
  DateTime.between(now, { minimum: notBefore, maximum: notAfter })

/** From an hour ago: the clocks of clients may be behind. */
export const validity = (now: DateTime.Utc, length: Partial<DateTime.DateTime.PartsForMath>): Issue.Validity => ({
  notBefore: DateTime.subtract(now, { hours: 1 }),
  notAfter: DateTime.add(now, length)
})

/** As long as is wanted, but no longer than its CA. */
export const within = (wanted: Issue.Validity, ca: Issue.Validity): Issue.Validity => ({
  ...wanted,
  notAfter: DateTime.min(wanted.notAfter, ca.notAfter)
})
