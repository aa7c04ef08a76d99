import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted, TestClock } from "effect"
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { below } from "../../src/config/Paths.js"
import * as LocalCa from "../../src/tls/LocalCa.js"

const now = Date.parse("2030-01-01T00:00:00Z")
const names = ["build-host", "10.1.2.3"]

interface Machine {
  readonly files: FileSystem.FileSystem
  readonly tlsDir: string
  /** What a server that starts now gets. */
  readonly ensure: (names?: ReadonlyArray<string>) => Effect.Effect<LocalCa.LocalCertificate, LocalCa.LocalCaFailed>
}

/** A machine with a fresh home directory. */
const onMachine = <A, E, R>(use: (machine: Machine) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    const provider = ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", directory]]))
    yield* TestClock.setTime(now)
    return yield* use({
      files,
      tlsDir: below(directory).tlsDir,
      ensure: (wanted = names) =>
        LocalCa.ensure({ names: wanted }).pipe(
          Effect.withConfigProvider(provider),
          Effect.provideService(FileSystem.FileSystem, files)
        )
    })
  }).pipe(Effect.provide(NodeContext.layer))

const leaf = (certificate: LocalCa.LocalCertificate) => new Crypto.X509Certificate(certificate.certChain)

const ca = ({ files }: Machine, certificate: LocalCa.LocalCertificate) =>
  Effect.map(files.readFileString(certificate.caFile), (pem) => new Crypto.X509Certificate(pem))

const utc = (text: string) => new Date(text).toISOString()

/** Whether a client that trusts only `root` accepts the server under `name`; if not, why not. */
const handshake = (certificate: LocalCa.LocalCertificate, root: string, name: string) =>
  Effect.async<string>((resume) => {
    const server = Tls.createServer({ cert: certificate.certChain, key: Redacted.value(certificate.key) })
    const end = (result: string) => {
      server.close()
      resume(Effect.succeed(result))
    }
    server.on("tlsClientError", () => {})
    server.listen(0, "127.0.0.1", () => {
      const bound = server.address() as Net.AddressInfo
      const socket = Tls.connect({
        host: "127.0.0.1",
        port: bound.port,
        ca: root,
        ...(Net.isIP(name) === 0 ? { servername: name } : {}),
        checkServerIdentity: (_, peer) => Tls.checkServerIdentity(name, peer)
      })
      socket.on("secureConnect", () => {
        socket.destroy()
        end("accepted")
      })
      socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    })
  })

describe("LocalCa.ensure", () => {
  // The handshake judges by the machine's clock, not by the test's.
  it.scoped("makes a certificate that clients of its CA accept, for its names only", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.now())
        const made = yield* machine.ensure()
        const root = yield* machine.files.readFileString(made.caFile)
        for (const name of ["localhost", "127.0.0.1", "::1", "build-host", "10.1.2.3"]) {
          assert.strictEqual(yield* handshake(made, root, name), "accepted", name)
        }
        for (const name of ["example.com", "127.0.0.2", "vibectl-server", "a.localhost"]) {
          assert.strictEqual(yield* handshake(made, root, name), "ERR_TLS_CERT_ALTNAME_INVALID", name)
        }
        const kept = yield* machine.ensure()
        assert.strictEqual(yield* handshake(kept, root, "localhost"), "accepted", "read again from its file")
      })
    ))

  it.scoped("is not accepted by clients of another CA", () =>
    onMachine((one) =>
      onMachine((two) =>
        Effect.gen(function*() {
          yield* TestClock.setTime(Date.now())
          const made = yield* one.ensure()
          const other = yield* two.ensure()
          const root = yield* two.files.readFileString(other.caFile)
          assert.match(yield* handshake(made, root, "localhost"), /SELF_SIGNED|UNABLE_TO/)
        })
      )
    ))

  it.scoped("makes the CA for signing only, and the certificate for serving only", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const made = yield* machine.ensure()
        const root = yield* ca(machine, made)
        assert.strictEqual(root.subject, "CN=vibectl local CA")
        assert.isTrue(root.ca && root.verify(root.publicKey))
        assert.isFalse(leaf(made).ca)
        assert.isTrue(leaf(made).checkIssued(root) && leaf(made).verify(root.publicKey))
        assert.deepStrictEqual(leaf(made).keyUsage, ["1.3.6.1.5.5.7.3.1"])
        assert.notStrictEqual(leaf(made).serialNumber, root.serialNumber)
        for (const certificate of [root, leaf(made)]) {
          assert.strictEqual(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1")
          assert.strictEqual(utc(certificate.validFrom), "2029-12-31T23:00:00.000Z")
        }
        assert.strictEqual(utc(root.validTo), "2040-01-01T00:00:00.000Z")
        assert.strictEqual(utc(leaf(made).validTo), "2031-02-02T00:00:00.000Z")
        const chain = made.certChain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
        assert.deepStrictEqual(chain.map((pem) => new Crypto.X509Certificate(pem).subject), [
          "CN=vibectl-server",
          "CN=vibectl local CA"
        ])
      })
    ))

  it.scoped("keeps its files private, and the CA's key out of the clients' file", () =>
    onMachine(({ ensure, files, tlsDir }) =>
      Effect.gen(function*() {
        const { caFile } = yield* ensure()
        assert.strictEqual((yield* files.stat(tlsDir)).mode & 0o777, 0o700)
        const kept = yield* files.readDirectory(tlsDir)
        assert.sameMembers(kept, ["ca-1.pem", "ca.crt", "server.pem"])
        for (const name of kept) assert.strictEqual((yield* files.stat(`${tlsDir}/${name}`)).mode & 0o777, 0o600, name)
        assert.notInclude(yield* files.readFileString(caFile), "PRIVATE KEY")
        assert.strictEqual(caFile, LocalCa.caFile({ tlsDir }))
      })
    ))

  it.scoped("makes everything once", () =>
    onMachine(({ ensure }) =>
      Effect.gen(function*() {
        const first = yield* ensure()
        const second = yield* ensure(["BUILD-host"])
        assert.isTrue(first.createdCa)
        assert.deepStrictEqual(second, { ...first, createdCa: false })
      })
    ))

  it.scoped("renews the certificate 30 days before its end, under the same CA", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const first = yield* machine.ensure()
        const root = yield* ca(machine, first)
        yield* TestClock.adjust("367 days")
        assert.strictEqual((yield* machine.ensure()).certChain, first.certChain)
        yield* TestClock.adjust("1 second")
        const second = yield* machine.ensure()
        assert.notStrictEqual(second.certChain, first.certChain)
        assert.isFalse(second.createdCa)
        assert.isTrue(leaf(second).verify(root.publicKey))
        assert.strictEqual((yield* ca(machine, second)).fingerprint256, root.fingerprint256)
      })
    ))

  it.scoped("makes a new CA when the old one has ended, and a certificate of the new one", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const first = yield* machine.ensure()
        const old = yield* ca(machine, first)
        yield* TestClock.setTime(Date.parse("2039-12-31T23:00:00Z"))
        const last = yield* machine.ensure()
        assert.isFalse(last.createdCa)
        assert.strictEqual(leaf(last).validTo, old.validTo, "no certificate outlives its CA")
        assert.strictEqual((yield* machine.ensure()).certChain, last.certChain, "which cannot be bettered")
        yield* TestClock.adjust("2 hours")
        const [one, two] = yield* Effect.all([machine.ensure(), machine.ensure()], { concurrency: "unbounded" })
        assert.isTrue(one.createdCa !== two.createdCa, "one of the two made it")
        const root = yield* ca(machine, one)
        assert.notStrictEqual(root.fingerprint256, old.fingerprint256)
        for (const made of [one, two]) assert.isTrue(leaf(made).verify(root.publicKey))
      })
    ))

  it.scoped("makes a new certificate when a name is wanted that the old one lacks", () =>
    onMachine(({ ensure }) =>
      Effect.gen(function*() {
        const first = yield* ensure()
        for (const name of ["new-host", "192.0.2.7", "2001:db8::7", "under_score.example.com"]) {
          const made = yield* ensure([name])
          assert.notStrictEqual(made.certChain, first.certChain)
          assert.include(leaf(made).subjectAltName, name.includes("::") ? "2001:DB8:0:0:0:0:0:7" : name)
          assert.strictEqual((yield* ensure([name])).certChain, made.certChain)
        }
      })
    ))

  it.scoped("leaves out names that no certificate can hold", () =>
    onMachine(({ ensure }) =>
      Effect.gen(function*() {
        const made = yield* ensure(["", "münchen", "a b", "*", "a..b", "x".repeat(64), "good.example"])
        assert.strictEqual(
          leaf(made).subjectAltName,
          "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:good.example"
        )
      })
    ))

  it.scoped("replaces a certificate that is missing, damaged, of another key or of another CA", () =>
    onMachine((machine) =>
      onMachine((other) =>
        Effect.gen(function*() {
          const path = `${machine.tlsDir}/server.pem`
          const first = yield* machine.ensure()
          const good = yield* machine.files.readFileString(path)
          yield* other.ensure()
          const foreign = yield* other.files.readFileString(`${other.tlsDir}/server.pem`)
          const key = /-----BEGIN PRIVATE[^]+/
          const foreignKey = key.exec(foreign)?.[0] ?? ""
          const forged = good.replace(
            /\n(.)(.*\n-----END CERTIFICATE)/,
            (_, first: string, rest: string) => `\n${first === "A" ? "B" : "A"}${rest}`
          )
          const damages = [
            "",
            "x",
            forged,
            good.slice(0, 700),
            foreign,
            good.replace(key, ""),
            good.replace(key, foreignKey)
          ]
          for (const damaged of [undefined, ...damages]) {
            yield* damaged === undefined ? machine.files.remove(path) : machine.files.writeFileString(path, damaged)
            const made = yield* machine.ensure()
            assert.notStrictEqual(made.certChain, first.certChain)
            assert.isTrue(leaf(made).verify((yield* ca(machine, made)).publicKey))
            assert.isTrue(leaf(made).checkPrivateKey(Crypto.createPrivateKey(Redacted.value(made.key))))
          }
        })
      )
    ))

  it.scoped("restores the clients' file", () =>
    onMachine(({ ensure, files }) =>
      Effect.gen(function*() {
        const { caFile } = yield* ensure()
        const good = yield* files.readFileString(caFile)
        yield* files.writeFileString(caFile, "damaged")
        yield* ensure()
        assert.strictEqual(yield* files.readFileString(caFile), good)
        yield* files.remove(caFile)
        yield* ensure()
        assert.strictEqual(yield* files.readFileString(caFile), good)
      })
    ))

  it.scoped("gives servers that start at once the same CA, and each a pair that fits", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const all = yield* Effect.all(Array.from({ length: 6 }, () => machine.ensure()), { concurrency: "unbounded" })
        assert.strictEqual(all.filter(({ createdCa }) => createdCa).length, 1)
        const root = yield* ca(machine, all[0]!)
        for (const made of [...all, yield* machine.ensure()]) {
          assert.isTrue(leaf(made).verify(root.publicKey))
          assert.isTrue(leaf(made).checkPrivateKey(Crypto.createPrivateKey(Redacted.value(made.key))))
        }
        assert.sameMembers(yield* machine.files.readDirectory(machine.tlsDir), ["ca-1.pem", "ca.crt", "server.pem"])
      })
    ))

  it.scoped("does not replace a CA that is damaged, and says what to do", () =>
    onMachine(({ ensure, files, tlsDir }) =>
      Effect.gen(function*() {
        yield* ensure()
        yield* files.writeFileString(`${tlsDir}/ca-1.pem`, "damaged")
        const error = yield* Effect.flip(ensure())
        assert.include(error.summary, `${tlsDir}/ca-1.pem`)
        assert.include(error.remedy, "remove it")
        yield* files.remove(`${tlsDir}/ca-1.pem`)
        assert.isTrue((yield* ensure()).createdCa)
      })
    ))

  it.scoped("says so when the certificates cannot be kept", () =>
    onMachine(({ ensure, files, tlsDir }) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(tlsDir.replace(/\/tls$/, ""), { recursive: true })
        yield* files.writeFileString(tlsDir, "")
        const error = yield* Effect.flip(ensure())
        assert.include(error.summary, tlsDir)
        assert.include(error.remedy, "tls.cert_file")
      })
    ))

  it.scoped("leaves the global Reflect as it was", () =>
    onMachine(({ ensure }) =>
      Effect.gen(function*() {
        const before = Reflect.ownKeys(Reflect)
        yield* ensure()
        assert.deepStrictEqual(Reflect.ownKeys(Reflect), before)
      })
    ))
})
