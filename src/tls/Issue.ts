/**
 * Makes the two certificates of the local CA: the CA's own and the server's.
 *
 * Both have ECDSA keys on P-256. The library is loaded when the first
 * certificate is made: a server that has one starts without it.
 */
import type * as X509 from "@peculiar/x509"
import { DateTime, Effect, Redacted } from "effect"
import * as Crypto from "node:crypto"
import { createRequire } from "node:module"
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

/** A new CA: self-signed, and good for signing server certificates only. */
export const authority = (validity: Validity): Effect.Effect<Issued> =>
  Effect.promise(async () => {
    const x509 = library()
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
    const x509 = library()
    const keys = await generateKeys()
    const parent = new x509.X509Certificate(ca.certificate)
    const certificate = await x509.X509CertificateGenerator.create({
      subject: "CN=vibectl-server",
      issuer: parent.subjectName,
      publicKey: keys.publicKey,
      signingKey: await signingKey(ca.key),
      ...common(validity),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: Net.isIP(value) === 0 ? "dns" : "ip", value }))
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(parent.publicKey)
      ]
    })
    return issued(certificate, keys)
  })

// -- internals ---------------------------------------------------------------

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

/**
 * Loads the library, whose dependency tsyringe refuses to load without the
 * metadata functions of `reflect-metadata`. All that it asks them, once, is
 * what the constructors of the library's classes take, and they take nothing:
 * so these two say "nothing known" for as long as the loading lasts. It is
 * synchronous (`require`, not `import`), so no other module meets them and
 * takes them for the real ones.
 */
const library = (): typeof X509 => {
  const require = createRequire(import.meta.url)
  // `require` is untyped; the package's own declarations say what comes.
  const load = () => require("@peculiar/x509") as typeof X509
  if ("getMetadata" in Reflect) return load()
  Object.assign(Reflect, { getMetadata: () => undefined, getOwnMetadata: () => undefined })
  try {
    return load()
  } finally {
    Reflect.deleteProperty(Reflect, "getMetadata")
    Reflect.deleteProperty(Reflect, "getOwnMetadata")
  }
}
