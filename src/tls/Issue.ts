/**
 * Makes the certificates of the local CA: its own, and those of servers and clients.
 *
 * Both have ECDSA keys on P-256. The library is loaded when the first
 * certificate is made: a server that has one starts without it.
 */
import type * as X509 from "@peculiar/x509"
import { DateTime, Effect, Redacted } from "effect"
import * as Crypto from "node:crypto"
import * as Net from "node:net"

/** A certificate and its key, both PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: Redacted.Redacted
}

export interface Validity {
  readonly notBefore: DateTime.Utc
  readonly notAfter: DateTime.Utc
}

/** A new CA: self-signed, and good for signing the certificates of servers and clients only. */
export const authority = (validity: Validity): Effect.Effect<Issued> =>
  Effect.promise(async () => {
    const x509 = await library()
    const keys = await generateKeys()
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: "CN=vibectl local CA",
      keys,
      ...common(validity),
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey)
      ]
    })
    return issued(certificate, keys)
  })

/** A server certificate for `names` (host names and IP addresses), signed by `ca`. */
export const server = (ca: Issued, names: ReadonlyArray<string>, validity: Validity): Effect.Effect<Issued> =>
  Effect.promise(async () => {
    const x509 = await library()
    return leaf(x509, ca, "vibectl-server", validity, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: Net.isIP(value) === 0 ? "dns" : "ip", value }))
      )
    ])
  })

/** A client certificate whose name (CN) is `name`, signed by `ca`. */
export const client = (ca: Issued, name: string, validity: Validity): Effect.Effect<Issued> =>
  Effect.promise(async () => {
    const x509 = await library()
    return leaf(x509, ca, name, validity, [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])])
  })

// -- internals ---------------------------------------------------------------

/** A certificate that signs no other. */
const leaf = async (
  x509: typeof X509,
  ca: Issued,
  name: string,
  validity: Validity,
  extensions: ReadonlyArray<X509.Extension>
): Promise<Issued> => {
  const keys = await generateKeys()
  const parent = new x509.X509Certificate(ca.certificate)
  const certificate = await x509.X509CertificateGenerator.create({
    // Not as text, in which `,` and `=` would begin another part of the name.
    subject: new x509.Name([{ CN: [{ utf8String: name }] }]),
    issuer: parent.subjectName,
    publicKey: keys.publicKey,
    signingKey: await signingKey(ca.key),
    ...common(validity),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...extensions,
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(parent.publicKey)
    ]
  })
  return issued(certificate, keys)
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const common = ({ notAfter, notBefore }: Validity) => ({
  notBefore: DateTime.toDateUtc(notBefore),
  notAfter: DateTime.toDateUtc(notAfter),
  signingAlgorithm: algorithm
})

const generateKeys = () => Crypto.webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])

const signingKey = (key: Redacted.Redacted) =>
  Crypto.webcrypto.subtle.importKey(
    "pkcs8",
    Crypto.createPrivateKey(Redacted.value(key)).export({ type: "pkcs8", format: "der" }),
    algorithm,
    false,
    ["sign"]
  )

const issued = (certificate: X509.X509Certificate, keys: Crypto.webcrypto.CryptoKeyPair): Issued => ({
  certificate: `${certificate.toString("pem")}\n`,
  key: Redacted.make(Crypto.KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString())
})

/** The library's own dependency tsyringe refuses to load before `reflect-metadata`. */
const library = async (): Promise<typeof X509> => {
  await import("reflect-metadata")
  return import("@peculiar/x509")
}
