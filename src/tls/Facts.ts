/**
 * What a certificate says of itself.
 */
import { DateTime, Duration, Option } from "effect"
import * as Crypto from "node:crypto"
import * as Net from "node:net"

export interface Facts {
  /** On one line, e.g. `CN=vibectl-server`. */
  readonly subject: string
  readonly issuer: string
  /** Host names and IP addresses, the latter in their shortest form. */
  readonly names: ReadonlyArray<string>
  readonly notBefore: DateTime.Utc
  readonly notAfter: DateTime.Utc
}

/** The first certificate of a PEM text; none when there is none that can be read. */
export const ofPem: (pem: string) => Option.Option<Facts> = Option.liftThrowable((pem: string) =>
  of(new Crypto.X509Certificate(pem))
)

export const of = (x509: Crypto.X509Certificate): Facts => ({
  subject: onOneLine(x509.subject),
  issuer: onOneLine(x509.issuer),
  names: namesOf(x509.subjectAltName ?? ""),
  notBefore: time(x509.validFrom),
  notAfter: time(x509.validTo)
})

/** Every certificate of a PEM text, in its order. */
export const certificates = (text: string): ReadonlyArray<string> =>
  text.match(/-----BEGIN CERTIFICATE-----\r?\n[^-]+-----END CERTIFICATE-----/g) ?? []

/** Less than this is worth a warning. */
export const soon = Duration.days(30)

/** Whole days until the end; negative after it. */
export const daysLeft = ({ notAfter }: Pick<Facts, "notAfter">, now: DateTime.Utc): number =>
  Math.floor(DateTime.distance(now, notAfter) / Duration.toMillis(Duration.days(1)))

export const endsSoon = ({ notAfter }: Pick<Facts, "notAfter">, now: DateTime.Utc): boolean =>
  DateTime.lessThan(notAfter, DateTime.addDuration(now, soon))

/** A name as it is compared: lower case, IPv6 in its shortest form. */
export const canonical = (name: string): string =>
  Net.isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase()

// -- internals ---------------------------------------------------------------

/** Node gives each part a line of its own. */
const onOneLine = (name: string | undefined) => (name ?? "").split("\n").join(", ")

/** `DNS:localhost, IP Address:127.0.0.1`; Node puts a name that could be mistaken for more than one in quotes. */
const namesOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:^|, )(DNS|IP Address):([^",]+)(?=, |$)/g)].map((match) => canonical(match[2] ?? ""))

/** Node writes `Nov  4 09:57:46 2027 GMT`; DateTime does not know GMT for a zone. */
const time = (text: string) => DateTime.unsafeMake(text.replace(/ GMT$/, "Z"))
