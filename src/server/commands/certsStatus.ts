/**
 * `vibectl-server certs status`: which certificates there are, and how long they are good. Changes nothing.
 */
import { Command, Options } from "@effect/cli"
import { Console, Effect, Option } from "effect"
import { paths } from "../../config/Paths.js"
import * as ReadFile from "../../config/ReadFile.js"
import * as ServerConfig from "../../config/ServerConfig.js"
import * as Certificate from "../../tls/Certificate.js"
import * as Facts from "../../tls/Facts.js"
import * as LocalCa from "../../tls/LocalCa.js"
import * as CertificateTable from "./CertificateTable.js"

/** `kinds` are the kinds of providers that the server knows. */
export const make = (kinds: ReadonlyArray<string>) =>
  Command.make("status", { file, output }, (input) =>
    Effect.gen(function*() {
      const { value: { tls } } = yield* ServerConfig.load({ file: Option.getOrUndefined(input.file), kinds })
      const rows = [
        ...yield* ownCa,
        ...tls.cert_file === undefined || tls.key_file === undefined ? [] : yield* pair(tls.cert_file, tls.key_file),
        ...tls.client_ca_file === undefined ? [] : yield* clientCas(tls.client_ca_file)
      ]
      yield* Console.log(
        yield* input.output === "json" ? CertificateTable.toJson(rows) : CertificateTable.render(rows)
      )
      if (rows.length === 0) {
        yield* Console.error("There are no certificates yet; the server makes its own when it starts with TLS.")
      }
      yield* CertificateTable.warn(rows)
    })).pipe(Command.withDescription("Show the certificates, and how long they are good"))

// -- internals ---------------------------------------------------------------

const file = Options.text("config").pipe(
  Options.withPseudoName("FILE"),
  Options.withDescription("The server's configuration file"),
  Options.optional
)

const output = Options.choice("output", ["table", "json"]).pipe(
  Options.withDescription("How to print the certificates"),
  Options.withDefault("table")
)

/** What the server made itself. */
const ownCa = Effect.gen(function*() {
  const where = yield* paths
  const { ca, server } = yield* LocalCa.present
  return [
    ...Option.toArray(ca).map((facts) => CertificateTable.of("private CA", LocalCa.caFile(where), facts)),
    ...Option.toArray(server).map((facts) => CertificateTable.of("server", LocalCa.serverFile(where), facts))
  ]
})

/** Also what cannot be used is shown, as far as it can be read. */
const pair = (certFile: string, keyFile: string) =>
  Effect.gen(function*() {
    const problem = yield* problemOf(Certificate.fromFiles(certFile, keyFile))
    const [facts] = yield* factsIn(certFile)
    return [{ role: "tls.cert_file", file: certFile, facts, problem }]
  })

const clientCas = (path: string) =>
  Effect.gen(function*() {
    const problem = yield* problemOf(Certificate.clientCa(path))
    const all = yield* factsIn(path)
    const role = "tls.client_ca_file"
    if (problem !== undefined) return [{ role, file: path, facts: all[0], problem }]
    return all.map((facts) => CertificateTable.of(role, path, facts))
  })

const problemOf = <A, R>(checked: Effect.Effect<A, { readonly summary: string }, R>) =>
  Effect.match(checked, { onFailure: ({ summary }) => summary, onSuccess: () => undefined })

const factsIn = (path: string) =>
  ReadFile.text(path, ReadFile.maxBytes.keys).pipe(
    Effect.map((text) => Facts.certificates(text).flatMap((pem) => Option.toArray(Facts.ofPem(pem)))),
    Effect.orElseSucceed((): ReadonlyArray<Facts.Facts> => [])
  )
