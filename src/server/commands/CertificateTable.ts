/**
 * Certificates as the `certs` commands show them.
 */
import { Console, DateTime, Effect } from "effect"
import * as Table from "../../terminal/Table.js"
import * as Facts from "../../tls/Facts.js"

export interface Row {
  /** What it is for, e.g. `tls.cert_file`. */
  readonly role: string
  readonly file: string
  /** Undefined when the file cannot be read. */
  readonly facts: Facts.Facts | undefined
  /** A sentence; undefined when the certificate can be used. */
  readonly problem: string | undefined
}

export const of = (role: string, file: string, facts: Facts.Facts): Row => ({ role, file, facts, problem: undefined })

export const render = (rows: ReadonlyArray<Row>): Effect.Effect<string> =>
  Effect.zipWith(DateTime.now, Table.Columns, (now, width) =>
    Table.render(
      ["Certificate", "Subject", "Names", "Issuer", "Not after", "Days left", "File"],
      rows.map(({ facts, file, role }) =>
        facts === undefined
          ? [role, "-", "-", "-", "-", "-", file]
          : [
            role,
            facts.subject,
            facts.names.length === 0 ? "-" : facts.names.join(", "),
            facts.issuer,
            DateTime.formatIso(facts.notAfter),
            String(Facts.daysLeft(facts, now)),
            file
          ]
      ),
      { width }
    ))

export const toJson = (rows: ReadonlyArray<Row>): Effect.Effect<string> =>
  Effect.map(DateTime.now, (now) =>
    JSON.stringify(
      {
        certificates: rows.map(({ facts, file, problem, role }) => ({
          certificate: role,
          file,
          subject: facts?.subject ?? null,
          names: facts?.names ?? [],
          issuer: facts?.issuer ?? null,
          not_after: facts === undefined ? null : DateTime.formatIso(facts.notAfter),
          days_left: facts === undefined ? null : Facts.daysLeft(facts, now),
          problem: problem ?? null
        }))
      },
      undefined,
      2
    ))

/** On stderr, of each that cannot be used or has less than 30 days left. */
export const warn = (rows: ReadonlyArray<Row>): Effect.Effect<void> =>
  Effect.flatMap(DateTime.now, (now) =>
    Effect.forEach(rows, ({ facts, file, problem, role }) => {
      if (problem !== undefined) return Console.error(`Warning: ${problem}`)
      if (facts === undefined || !Facts.endsSoon(facts, now)) return Effect.void
      const when = DateTime.formatIso(facts.notAfter)
      return Console.error(
        DateTime.lessThan(facts.notAfter, now)
          ? `Warning: The certificate in ${file} (${role}) expired on ${when}.`
          : `Warning: The certificate in ${file} (${role}) ends on ${when}: ${Facts.daysLeft(facts, now)} days left.`
      )
    }, { discard: true }))
