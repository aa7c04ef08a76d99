import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Console, DateTime, Effect, Exit, Layer, Option, TestClock } from "effect"
import * as Crypto from "node:crypto"
import * as Os from "node:os"
import { Env } from "../../src/config/Environment.js"
import { below } from "../../src/config/Paths.js"
import * as Certs from "../../src/server/commands/certs.js"
import * as Failure from "../../src/terminal/Failure.js"
import * as Facts from "../../src/tls/Facts.js"
import * as Pair from "../../src/tls/Pair.js"
import * as Commands from "../support/Commands.js"

const run = Commands.program(Certs.make(["demo"]))

interface Operator {
  readonly directory: string
  readonly tlsDir: string
  readonly files: FileSystem.FileSystem
  readonly type: (...words: ReadonlyArray<string>) => Effect.Effect<{
    readonly stdout: string
    readonly stderr: string
    readonly failure: Failure.Report | undefined
  }>
  readonly mode: (path: string) => Effect.Effect<string>
  /** Every file of the directory with its content. */
  readonly everything: Effect.Effect<Record<string, string>>
}

/** An operator at an empty home directory, on the first day of 2030. */
const operator = <A, E, R>(
  use: (operator: Operator) => Effect.Effect<A, E, R>,
  variables: Record<string, string> = {}
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    yield* TestClock.setTime(Date.parse("2030-01-01T00:00:00Z"))
    const type: Operator["type"] = (...words) =>
      Effect.gen(function*() {
        const [stdout, stderr]: [Array<string>, Array<string>] = [[], []]
        const exit = yield* Effect.exit(Effect.withConsole(run(["node", "t", ...words]), {
          ...yield* Console.consoleWith(Effect.succeed),
          log: (text: unknown) => Effect.sync(() => void stdout.push(String(text))),
          error: (text: unknown) => Effect.sync(() => void stderr.push(String(text)))
        }))
        const failure = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
        if (Exit.isFailure(exit)) assert.isDefined(Failure.report(failure), Cause.pretty(exit.cause))
        return { stdout: stdout.join("\n"), stderr: stderr.join("\n"), failure: Failure.report(failure) }
      }).pipe(
        Effect.provide(Layer.merge(Env.layerTest({ VIBECTL_CONFIG_DIR: directory, ...variables }), NodeContext.layer))
      )
    const everything = Effect.gen(function*() {
      const names = yield* files.readDirectory(directory, { recursive: true })
      const entries: Array<[string, string]> = []
      for (const name of names) {
        const { mtime, type } = yield* files.stat(`${directory}/${name}`)
        const text = type === "File" ? yield* files.readFileString(`${directory}/${name}`) : ""
        entries.push([name, `${Option.match(mtime, { onNone: () => "", onSome: Number })} ${text}`])
      }
      return Object.fromEntries(entries)
    })
    return yield* use({
      directory,
      tlsDir: below(directory).tlsDir,
      files,
      type,
      mode: (path) => Effect.orDie(Effect.map(files.stat(path), (stat) => (stat.mode & 0o777).toString(8))),
      everything: Effect.orDie(everything)
    })
  }).pipe(Effect.provide(NodeContext.layer))

const certificatesIn = ({ files }: Operator, path: string) =>
  Effect.map(
    files.readFileString(path),
    (text) => Facts.certificates(text).map((pem) => new Crypto.X509Certificate(pem))
  )

const loopback = ["localhost", "127.0.0.1", "::1", Os.hostname().toLowerCase()]

describe("certs init", () => {
  it.scoped("makes the CA and a certificate for the names, once, and says where they are", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { everything, tlsDir, type } = operator
        const made = yield* type("init", "LLM.example.com", "10.1.2.3")
        assert.include(made.stderr, "Made a new CA and a certificate.")
        for (const text of [`${tlsDir}/ca.crt`, `${tlsDir}/server.pem`, "llm.example.com", "CN=vibectl local CA"]) {
          assert.include(made.stdout, text)
        }
        const [server] = yield* certificatesIn(operator, `${tlsDir}/server.pem`)
        assert.deepStrictEqual(Facts.of(server!).names, [...loopback, "llm.example.com", "10.1.2.3"])
        const before = yield* everything
        for (const words of [["init", "llm.example.com"], ["init"]]) {
          const again = yield* type(...words)
          assert.include(again.stderr, "Everything is there.")
          assert.strictEqual(again.stdout, made.stdout)
        }
        assert.deepStrictEqual(yield* everything, before)
      })
    ))

  it.scoped("adds names to those there are", () =>
    operator((operator) =>
      Effect.gen(function*() {
        yield* operator.type("init", "one.example.com")
        const added = yield* operator.type("init", "two.example.com")
        assert.include(added.stderr, "Made a new certificate.")
        const [server] = yield* certificatesIn(operator, `${operator.tlsDir}/server.pem`)
        assert.includeMembers([...Facts.of(server!).names], ["one.example.com", "two.example.com"])
      })
    ))

  it.scoped("refuses what is no name, and makes nothing", () =>
    operator(({ everything, type }) =>
      Effect.gen(function*() {
        for (const name of ["https://x", "a b", "host:443", "fe80::1%eth0", "münchen.example"]) {
          const { failure } = yield* type("init", name)
          assert.strictEqual(failure?.exitCode, 2, name)
          assert.include(failure?.lines, "is no host name or IP address")
        }
        assert.deepStrictEqual(yield* everything, {})
      })
    ))
})

describe("certs issue", () => {
  it.scoped("issues a server certificate with its whole chain, and a private key", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { directory, files, mode, tlsDir, type } = operator
        yield* type("init")
        const [cert, key] = [`${directory}/new/a.crt`, `${directory}/new/a.key`]
        const names = ["llm.example.com", "*.example.org", "10.1.2.3", "2001:DB8::0:7"]
        const issued = yield* type("issue", ...names, "--cert", cert, "--key", key, "--expires-in", "90d")
        assert.isUndefined(issued.failure)
        assert.include(issued.stdout, "2030-04-01T00:00:00.000Z")
        const [leaf, root, ...more] = yield* certificatesIn(operator, cert)
        const [ca] = yield* certificatesIn(operator, `${tlsDir}/ca.crt`)
        assert.deepStrictEqual(more, [])
        assert.strictEqual(root!.fingerprint256, ca!.fingerprint256)
        assert.isTrue(leaf!.checkIssued(root!) && leaf!.verify(root!.publicKey))
        assert.deepStrictEqual(Facts.of(leaf!).names, ["llm.example.com", "*.example.org", "10.1.2.3", "2001:db8::7"])
        assert.deepStrictEqual(leaf!.keyUsage, ["1.3.6.1.5.5.7.3.1"])
        assert.isDefined(leaf!.checkHost("a.example.org"))
        const privateKey = yield* files.readFileString(key)
        assert.isTrue(leaf!.checkPrivateKey(Crypto.createPrivateKey(privateKey)))
        for (const path of [cert, key]) assert.strictEqual(yield* mode(path), "600")
        assert.strictEqual(yield* mode(`${directory}/new`), "700")
        assert.notInclude(yield* files.readFileString(cert), "PRIVATE KEY")
        assert.notInclude(issued.stdout + issued.stderr, "PRIVATE KEY")
      })
    ))

  it.scoped("issues a client certificate for one name, whatever is in it", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { directory, type } = operator
        yield* type("init")
        for (const name of ["ci-bot", "Ada Lovelace, O=root", "ümläut", "#0500", "x".repeat(64)]) {
          const cert = `${directory}/${name.length}.crt`
          const issued = yield* type("issue", name, "--client", "--cert", cert, "--key", `${cert}.key`, "--force")
          assert.isUndefined(issued.failure, issued.failure?.lines)
          const [leaf] = yield* certificatesIn(operator, cert)
          assert.strictEqual(leaf!.toLegacyObject().subject.CN, name)
          assert.deepStrictEqual(Object.keys(leaf!.toLegacyObject().subject), ["CN"])
          assert.deepStrictEqual(leaf!.keyUsage, ["1.3.6.1.5.5.7.3.2"])
          assert.isUndefined(leaf!.subjectAltName)
        }
        for (const names of [["a", "b"], [" "], ["x".repeat(65)], ["a\nb"]]) {
          const refused = yield* type("issue", ...names, "--client", "--cert", "c", "--key", "k")
          assert.strictEqual(refused.failure?.exitCode, 2, names.join())
        }
      })
    ))

  it.scoped("replaces no file unless it is forced to, and then both", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { directory, everything, files, type } = operator
        yield* type("init")
        const [cert, key] = [`${directory}/a.crt`, `${directory}/a.key`]
        const issue = (...more: ReadonlyArray<string>) =>
          type("issue", "a.example", "--cert", cert, "--key", key, ...more)
        for (const path of [cert, key]) {
          yield* files.writeFileString(path, "mine", { mode: 0o644 })
          const before = yield* everything
          const refused = yield* issue()
          assert.include(refused.failure?.lines, `The file ${path} exists already.`)
          assert.strictEqual(refused.failure?.exitCode, 1)
          assert.deepStrictEqual(yield* everything, before)
          yield* files.remove(path)
        }
        yield* issue()
        const [first] = yield* certificatesIn(operator, cert)
        assert.isUndefined((yield* issue("--force")).failure)
        const [second] = yield* certificatesIn(operator, cert)
        assert.notStrictEqual(second!.serialNumber, first!.serialNumber)
        assert.isTrue(second!.checkPrivateKey(Crypto.createPrivateKey(yield* files.readFileString(key))))
        const one = yield* type("issue", "a", "--cert", cert, "--key", cert, "--force")
        assert.strictEqual(one.failure?.exitCode, 2)
      })
    ))

  it.scoped("needs a CA and a lifetime, and makes nothing that outlives its CA", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { directory, type } = operator
        const issue = (lifetime: string) =>
          type("issue", "a", "--cert", `${directory}/a.crt`, "--key", `${directory}/a.key`, "--expires-in", lifetime)
        assert.include((yield* issue("1y")).failure?.lines, "`vibectl-server certs init`")
        yield* type("init")
        assert.strictEqual((yield* issue("0d")).failure?.exitCode, 2)
        const long = yield* issue("20y")
        assert.include(long.stderr, "Warning: It ends with its CA, on 2040-01-01T00:00:00.000Z.")
        const [leaf, ca] = yield* certificatesIn(operator, `${directory}/a.crt`)
        assert.strictEqual(leaf!.validTo, ca!.validTo)
      })
    ))
})

describe("certs status", () => {
  const json = (text: string) =>
    (JSON.parse(text) as { certificates: ReadonlyArray<Record<string, unknown>> }).certificates

  it.scoped("shows what there is, and changes nothing", () =>
    operator(({ everything, tlsDir, type }) =>
      Effect.gen(function*() {
        const none = yield* type("status", "--output", "json")
        assert.deepStrictEqual(json(none.stdout), [])
        assert.include(none.stderr, "no certificates yet")
        assert.deepStrictEqual(yield* everything, {})
        yield* type("init", "llm.example.com")
        const before = yield* everything
        const { stderr, stdout } = yield* type("status", "--output", "json")
        assert.strictEqual(stderr, "")
        assert.deepStrictEqual(json(stdout), [
          {
            certificate: "private CA",
            file: `${tlsDir}/ca.crt`,
            subject: "CN=vibectl local CA",
            names: [],
            issuer: "CN=vibectl local CA",
            not_after: "2040-01-01T00:00:00.000Z",
            days_left: 3652,
            problem: null
          },
          {
            certificate: "server",
            file: `${tlsDir}/server.pem`,
            subject: "CN=vibectl-server",
            names: [...loopback, "llm.example.com"],
            issuer: "CN=vibectl local CA",
            not_after: "2031-02-02T00:00:00.000Z",
            days_left: 397,
            problem: null
          }
        ])
        const table = (yield* type("status")).stdout
        assert.match(table, /┃ Certificate.*Subject.*Names.*Issuer.*Not after.*Days left.*File/)
        assert.match(table, /│ server +│ CN=vibectl-server .*│ 397 +│/)
        assert.deepStrictEqual(yield* everything, before)
      })
    ))

  it.scoped("warns of what ends within 30 days, has ended or cannot be used", () =>
    operator(({ directory, files, type }) =>
      Effect.gen(function*() {
        yield* type("init")
        const paths = ["--cert", `${directory}/own.crt`, "--key", `${directory}/own.key`]
        yield* type("issue", "own.example", ...paths, "--expires-in", "31d")
        yield* files.copyFile(`${directory}/own.crt`, `${directory}/clients.crt`)
        yield* files.writeFileString(
          `${directory}/server/config.yaml`,
          `tls: { cert_file: ${directory}/own.crt, key_file: ${directory}/own.key, client_ca_file: ${directory}/clients.crt }`
        )
        assert.strictEqual((yield* type("status")).stderr, "")
        yield* TestClock.adjust("2 days")
        const soon = yield* type("status", "--output", "json")
        assert.include(soon.stderr, `Warning: The certificate in ${directory}/own.crt (tls.cert_file) ends on `)
        assert.include(soon.stderr, ": 29 days left.")
        assert.deepStrictEqual(json(soon.stdout).map((row) => [row["certificate"], row["days_left"]]), [
          ["private CA", 3650],
          ["server", 395],
          ["tls.cert_file", 29],
          ["tls.client_ca_file", 29],
          ["tls.client_ca_file", 3650]
        ])
        yield* TestClock.adjust("30 days")
        const ended = yield* type("status", "--output", "json")
        assert.include(ended.stderr, "(tls.cert_file) expired on 2030-02-01T00:00:00.000Z.")
        assert.strictEqual(json(ended.stdout)[2]?.["days_left"], -1)
        yield* files.remove(`${directory}/own.key`)
        yield* files.writeFileString(`${directory}/clients.crt`, "x")
        const broken = yield* type("status", "--output", "json")
        assert.include(broken.stderr, `tls.key_file: ${directory}/own.key does not exist.`)
        assert.include(broken.stderr, `tls.client_ca_file: ${directory}/clients.crt does not hold a PEM certificate.`)
        assert.include((yield* type("status")).stdout, `${directory}/clients.crt`)
      })
    ))
})

describe("certs renew", () => {
  it.scoped("makes a new certificate under the same CA, for the same names", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { tlsDir, type } = operator
        yield* type("init", "llm.example.com")
        const [first, ca] = yield* certificatesIn(operator, `${tlsDir}/server.pem`)
        const renewed = yield* type("renew")
        assert.include(renewed.stderr, "takes it over within seconds")
        assert.notInclude(renewed.stderr, "Warning")
        const [second, same] = yield* certificatesIn(operator, `${tlsDir}/server.pem`)
        assert.notStrictEqual(second!.serialNumber, first!.serialNumber)
        assert.deepStrictEqual(Facts.of(second!).names, Facts.of(first!).names)
        assert.strictEqual(same!.fingerprint256, ca!.fingerprint256)
        assert.isFalse((yield* type("init")).stderr.includes("Made"))
      })
    ))

  it.scoped("with --ca also makes a new CA, and says that clients must trust it", () =>
    operator((operator) =>
      Effect.gen(function*() {
        const { files, tlsDir, type } = operator
        yield* type("init", "llm.example.com")
        const [first, old] = yield* certificatesIn(operator, `${tlsDir}/server.pem`)
        const renewed = yield* type("renew", "--ca")
        assert.include(renewed.stderr, "must trust it before they can connect again")
        assert.include(renewed.stderr, `${tlsDir}/ca.crt`)
        const [second, ca] = yield* certificatesIn(operator, `${tlsDir}/server.pem`)
        const [published] = yield* certificatesIn(operator, `${tlsDir}/ca.crt`)
        assert.notStrictEqual(ca!.fingerprint256, old!.fingerprint256)
        assert.strictEqual(published!.fingerprint256, ca!.fingerprint256)
        assert.isTrue(second!.verify(ca!.publicKey))
        assert.deepStrictEqual(Facts.of(second!).names, Facts.of(first!).names)
        assert.sameMembers(yield* files.readDirectory(tlsDir), ["ca-1.pem", "ca-2.pem", "ca.crt", "server.pem"])
      })
    ))
})

describe("LocalCa.ensure", () => {
  it.scoped("keeps the names of a certificate that it renews", () =>
    operator(({ tlsDir, type, files }) =>
      Effect.gen(function*() {
        yield* type("init", "llm.example.com")
        yield* TestClock.adjust("380 days")
        yield* type("init")
        const server = yield* Pair.decode(yield* files.readFileString(`${tlsDir}/server.pem`))
        assert.include(server.names, "llm.example.com")
        assert.strictEqual(Facts.daysLeft(server, yield* DateTime.now), 397)
      })
    ))
})
