/**
 * `vibectl-server certs issue NAME… [--client] --cert FILE --key FILE`: a certificate of the private CA, for a
 * server or a client.
 */
import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Console, Data, DateTime, Effect, Option, Redacted } from "effect"
import * as NodePath from "node:path"
import * as Files from "../../config/Files.js"
import { paths } from "../../config/Paths.js"
import * as Lifetime from "../../domain/Lifetime.js"
import * as Facts from "../../tls/Facts.js"
import * as Issue from "../../tls/Issue.js"
import * as LocalCa from "../../tls/LocalCa.js"
import * as Pair from "../../tls/Pair.js"
import * as CertificateTable from "./CertificateTable.js"

/** What was asked for makes no certificate. */
export class CertificateRequestInvalid extends Data.TaggedError("CertificateRequestInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The certificate could not be issued or kept. */
export class CertificateNotIssued extends Data.TaggedError("CertificateNotIssued")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** Names of servers, in a form that certificates hold. */
export const checkNames = (names: ReadonlyArray<string>): Effect.Effect<void, CertificateRequestInvalid> => {
  const wrong = names.find((name) => !LocalCa.isName(name))
  return wrong === undefined ? Effect.void : new CertificateRequestInvalid({
    summary: `${JSON.stringify(wrong)} is no host name or IP address.`,
    remedy: "Give names such as llm.example.com, *.example.com or 10.1.2.3, without port; "
      + "write other letters than ASCII as xn--…"
  })
}

export const command = Command.make("issue", {
  names: Args.text({ name: "NAME" }).pipe(
    Args.withDescription("Host names and addresses of the server; with --client, the client's one name (CN)"),
    Args.atLeast(1)
  ),
  client: Options.boolean("client").pipe(
    Options.withDescription("A certificate for a client, to connect to a server with tls.client_ca_file")
  ),
  cert: Options.text("cert").pipe(
    Options.withPseudoName("FILE"),
    Options.withDescription("Where to write the certificate and its CA's")
  ),
  key: Options.text("key").pipe(
    Options.withPseudoName("FILE"),
    Options.withDescription("Where to write the private key, readable by you only")
  ),
  expiresIn: Options.text("expires-in").pipe(
    Options.withDescription("How long it is good: a number and h, d, w, m (30 days) or y (365 days)"),
    Options.withDefault("1y")
  ),
  force: Options.boolean("force").pipe(Options.withDescription("Replace existing files"))
}, (input) =>
  Effect.gen(function*() {
    const lifetime = yield* Lifetime.parse(input.expiresIn)
    const names = input.client ? [yield* clientName(input.names)] : yield* serverNames(input.names)
    const [cert, key] = [NodePath.resolve(input.cert), NodePath.resolve(input.key)]
    if (cert === key) {
      return yield* new CertificateRequestInvalid({
        summary: "The certificate and its key cannot be written to one file.",
        remedy: "Name two files, e.g. --cert server.crt --key server.key."
      })
    }
    const now = yield* DateTime.now
    const ca = yield* authority(now)
    const wanted = { ...Pair.validity(now, {}), notAfter: DateTime.addDuration(now, lifetime) }
    const validity = Pair.within(wanted, ca)
    const issued = yield* input.client
      ? Issue.client(ca, names[0] ?? "", validity)
      : Issue.server(ca, names, validity)
    const chain = issued.certificate + ca.certificate
    yield* write(
      [[key, Redacted.value(issued.key)], [cert, chain]],
      input.force
    )
    const facts = yield* Effect.orDie(Facts.ofPem(chain))
    yield* Console.log(
      yield* CertificateTable.render([
        CertificateTable.of(input.client ? "client" : "server", cert, facts)
      ])
    )
    yield* Console.error(`Wrote ${cert} and ${key}.`)
    if (DateTime.lessThan(facts.notAfter, DateTime.subtract(wanted.notAfter, { seconds: 1 }))) {
      yield* Console.error(`Warning: It ends with its CA, on ${DateTime.formatIso(facts.notAfter)}.`)
    }
  })).pipe(Command.withDescription("Issue a certificate of the private CA, for a server or a client"))

// -- internals ---------------------------------------------------------------

const serverNames = (names: ReadonlyArray<string>) =>
  Effect.as(checkNames(names), [...new Set(names.map(Facts.canonical))])

/** What is compared with the subject of a token, and shown in logs: one readable line. */
const clientName = (names: ReadonlyArray<string>) => {
  const [name = "", ...more] = names
  // The longest that a certificate holds: ub-common-name of RFC 5280.
  const fits = name.trim() !== "" && name.length <= 64 && !/[\p{Cc}\u2028\u2029]/u.test(name)
  return more.length === 0 && fits ? Effect.succeed(name) : new CertificateRequestInvalid({
    summary: more.length > 0
      ? "A client certificate has one name."
      : `${JSON.stringify(name)} is no name for a client certificate.`,
    remedy: "Give the name of the person or program that will use it, in 1 to 64 characters, e.g. ci-bot."
  })
}

const authority = (now: DateTime.Utc) =>
  Effect.gen(function*() {
    const ca = Option.getOrUndefined((yield* LocalCa.present).ca)
    if (ca !== undefined && Pair.isCurrent(ca, now)) return ca
    const { tlsDir } = yield* paths
    return yield* new CertificateNotIssued({
      summary: ca === undefined ? `There is no CA in ${tlsDir} yet.` : `The CA in ${tlsDir} is no longer good.`,
      remedy: "Make one with `vibectl-server certs init`."
    })
  })

/** Nothing is written when one of the files is there already. */
const write = (contents: ReadonlyArray<readonly [path: string, text: string]>, force: boolean) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    for (const [path] of force ? [] : contents) if (yield* files.exists(path)) return yield* exists(path)
    for (const [path, text] of contents) {
      if (force) yield* Files.writePrivate(path, text)
      // Another program may have made it since.
      else if ((yield* Files.createPrivate(path, text)) !== text) return yield* exists(path)
    }
  }).pipe(
    Effect.catchTags({
      BadArgument: (error) => notWritten(error.message),
      SystemError: (error) => notWritten(error.message)
    })
  )

const exists = (path: string) =>
  new CertificateNotIssued({
    summary: `The file ${path} exists already.`,
    remedy: "Replace it with --force, or name another one."
  })

const notWritten = (reason: string) =>
  new CertificateNotIssued({
    summary: `The certificate could not be written: ${reason}.`,
    remedy: "Name files in a directory that you may write to."
  })
