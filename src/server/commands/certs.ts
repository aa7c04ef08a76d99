/**
 * `vibectl-server certs init|issue|status|renew`: the private CA, and what it signs.
 *
 * Data goes to stdout, all else to stderr; failures are left to the program.
 */
import { Args, Command, Options } from "@effect/cli"
import { Console, Effect, Option } from "effect"
import * as Os from "node:os"
import { paths } from "../../config/Paths.js"
import * as Facts from "../../tls/Facts.js"
import * as LocalCa from "../../tls/LocalCa.js"
import * as CertificateTable from "./CertificateTable.js"
import * as CertsIssue from "./certsIssue.js"
import * as CertsStatus from "./certsStatus.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("certs").pipe(
    Command.withDescription("Make, issue, show and renew certificates"),
    Command.withSubcommands([init, CertsIssue.command, CertsStatus.make(kinds), renew])
  )

// -- internals ---------------------------------------------------------------

const init = Command.make("init", {
  names: Args.text({ name: "NAME" }).pipe(
    Args.withDescription("Host names and addresses of the server, beside those of this machine"),
    Args.repeated
  )
}, ({ names }) =>
  Effect.gen(function*() {
    yield* CertsIssue.checkNames(names)
    const before = yield* LocalCa.present
    const made = yield* LocalCa.ensure({ names: [Os.hostname(), ...names] })
    const isNew = Option.match(before.server, {
      onNone: () => true,
      onSome: ({ certificate }) => !made.certChain.startsWith(certificate)
    })
    yield* Console.error(
      made.createdCa ? "Made a new CA and a certificate." : isNew ? "Made a new certificate." : "Everything is there."
    )
    yield* show(made)
    yield* Console.error(
      `For clients on other machines: vibectl setup-proxy configure URL --ca-bundle FILE, with a copy of ${made.caFile}.`
    )
  })).pipe(Command.withDescription("Make the private CA and the server's certificate, unless they are there"))

const renew = Command.make("renew", {
  ca: Options.boolean("ca").pipe(Options.withDescription("Replace the CA too: every client must trust the new one"))
}, ({ ca }) =>
  Effect.gen(function*() {
    const made = yield* LocalCa.renew({ ca })
    yield* Console.error("Made a new certificate; a running server takes it over within seconds.")
    yield* show(made)
    if (made.createdCa) {
      yield* Console.error(
        "Warning: The CA is a new one. Clients on other machines must trust it before they can connect again "
          + `(a copy of ${made.caFile}), and what the old one issued must be issued again.`
      )
    }
  })).pipe(Command.withDescription("Renew the server's certificate now; its names stay"))

/** The two files, and what they hold. */
const show = ({ caFile, certChain }: LocalCa.LocalCertificate) =>
  Effect.gen(function*() {
    const serverFile = LocalCa.serverFile(yield* paths)
    const [server, ca] = Facts.certificates(certChain).map(Facts.ofPem)
    const rows = [["private CA", caFile, ca], ["server", serverFile, server]] as const
    yield* Console.log(
      yield* CertificateTable.render(rows.flatMap(([role, file, facts]) =>
        Option.toArray(Option.map(facts ?? Option.none(), (facts) => CertificateTable.of(role, file, facts)))
      ))
    )
  })
