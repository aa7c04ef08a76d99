/**
 * Certificates for tests with real sockets: they judge by the clock of the machine.
 */
import { DateTime, Effect } from "effect"
import type * as Certificate from "../../src/tls/Certificate.js"
import * as Issue from "../../src/tls/Issue.js"

/** From an hour ago until in so many days; negative is expired. */
export const days = (count: number): Issue.Validity => {
  const now = DateTime.unsafeMake(Date.now())
  return {
    notBefore: DateTime.subtract(now, { hours: 1, days: Math.max(0, -count) }),
    notAfter: DateTime.add(now, { days: count })
  }
}

export const authority = Issue.authority(days(1))

export const server = (
  ca: Issue.Issued,
  names: ReadonlyArray<string> = ["localhost", "127.0.0.1"],
  validity: Issue.Validity = days(1)
): Effect.Effect<Certificate.Certificate> =>
  Effect.map(Issue.server(ca, names, validity), ({ certificate, key }) => ({
    certChain: certificate + ca.certificate,
    key
  }))

export const client = (ca: Issue.Issued, name: string, validity: Issue.Validity = days(1)) =>
  Issue.client(ca, name, validity)
