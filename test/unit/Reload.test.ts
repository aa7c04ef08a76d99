import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, DateTime, Duration, Effect, HashMap, Logger, Redacted, TestClock, TestServices } from "effect"
import { below } from "../../src/config/Paths.js"
import * as Issue from "../../src/tls/Issue.js"
import * as LocalCa from "../../src/tls/LocalCa.js"
import * as Presented from "../../src/tls/Presented.js"
import * as Reload from "../../src/tls/Reload.js"
import * as Patience from "../support/Patience.js"

const now = DateTime.unsafeMake("2030-01-01T00:00:00Z")
const days = (from: number, to: number): Issue.Validity => ({
  notBefore: DateTime.add(now, { days: from }),
  notAfter: DateTime.add(now, { days: to })
})

interface Line {
  readonly level: string
  readonly message: string
  readonly annotations: { readonly [key: string]: unknown }
}

interface Machine {
  readonly files: FileSystem.FileSystem
  readonly directory: string
  readonly lines: Array<Line>
  /** What the server has taken over, oldest first. */
  readonly used: Array<Presented.Presented>
  readonly write: (name: string, text: string) => Effect.Effect<string>
  /** Time goes on, in steps in which files can be looked at, until `done`. */
  readonly until: (done: () => boolean, step?: Duration.DurationInput) => Effect.Effect<void>
  /** Time goes on by so much, and whatever had to be read was read. */
  readonly pass: (time: Duration.DurationInput) => Effect.Effect<void>
}

const real = (time: Duration.DurationInput) => TestServices.provideLive(Effect.sleep(time))

const onMachine = <A, E, R>(use: (machine: Machine) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    const lines: Array<Line> = []
    const logger = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
      lines.push({
        level: logLevel.label,
        message: String(message),
        annotations: Object.fromEntries(HashMap.toEntries(annotations))
      })
    })
    yield* TestClock.setTime(DateTime.toEpochMillis(now))
    const machine: Machine = {
      files,
      directory,
      lines,
      used: [],
      write: (name, text) =>
        Effect.as(Effect.orDie(files.writeFileString(`${directory}/${name}`, text)), `${directory}/${name}`),
      until: (done, step = Reload.times.look) =>
        Patience.eventually(
          Effect.suspend(() => done() ? Effect.succeed(true) : Effect.as(TestClock.adjust(step), false)),
          () => `${String(done)}: ${JSON.stringify(lines)}`
        ),
      pass: (time) => Effect.zipRight(TestClock.adjust(time), real("60 millis"))
    }
    return yield* use(machine).pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", directory]])))
    )
  }).pipe(Effect.provide(NodeContext.layer))

const start = (machine: Machine, source: Presented.Source, times: Partial<Reload.Times> = {}) =>
  Effect.gen(function*() {
    const first = yield* Presented.read(source)
    yield* Effect.forkScoped(
      Reload.follow(source, first, (next) => Effect.sync(() => void machine.used.push(next)), {
        ...Reload.times,
        ...times
      })
    )
    yield* Effect.yieldNow()
    return first
  })

/** The operator's pair in two files. */
const ownPair = (machine: Machine, validity: Issue.Validity = days(-1, 200)) =>
  Effect.gen(function*() {
    const ca = yield* Issue.authority(days(-1, 3650))
    const issue = (validity: Issue.Validity) => Issue.server(ca, ["localhost"], validity)
    const first = yield* issue(validity)
    const certFile = yield* machine.write("tls.crt", first.certificate)
    const keyFile = yield* machine.write("tls.key", Redacted.value(first.key))
    const source: Presented.Source = { own: { certFile, keyFile }, clientCaFile: undefined, names: [] }
    return { ca, issue, source }
  })

/** So that the clock can be moved by days in a few steps. */
const rarely = { look: Duration.days(10_000) }

const own = { own: undefined, clientCaFile: undefined, names: ["host"] }

describe("Reload.follow", () => {
  it.scoped("takes over a changed pair within seconds, with one line that says until when it is good", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { issue, source } = yield* ownPair(machine)
        yield* start(machine, source)
        yield* machine.pass("10 seconds")
        assert.deepStrictEqual([machine.used, machine.lines], [[], []])
        const next = yield* issue(days(-1, 300))
        yield* machine.write("tls.crt", next.certificate)
        yield* machine.write("tls.key", Redacted.value(next.key))
        yield* machine.until(() => machine.used.length > 0)
        yield* machine.pass("1 minute")
        assert.deepStrictEqual(machine.used.map(({ certificate }) => certificate.certChain), [next.certificate])
        assert.deepStrictEqual(machine.lines, [{
          level: "INFO",
          message: "certificates replaced",
          annotations: { file: `${machine.directory}/tls.crt`, notAfter: "2030-10-28T00:00:00.000Z" }
        }])
      })
    ))

  it.scoped("follows a symbolic link to where it leads now", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { issue, source } = yield* ownPair(machine)
        const { directory, files } = machine
        for (const version of ["one", "two"]) {
          yield* files.makeDirectory(`${directory}/${version}`)
          const { certificate, key } = yield* issue(days(-1, 200))
          yield* machine.write(`${version}/tls.crt`, certificate)
          yield* machine.write(`${version}/tls.key`, Redacted.value(key))
        }
        yield* files.symlink("one", `${directory}/data`)
        const linked = {
          ...source,
          own: { certFile: `${directory}/data/tls.crt`, keyFile: `${directory}/data/tls.key` }
        }
        yield* start(machine, linked)
        // As Kubernetes does it: the link is replaced, in one step.
        yield* files.symlink("two", `${directory}/data.new`)
        yield* files.rename(`${directory}/data.new`, `${directory}/data`)
        yield* machine.until(() => machine.used.length > 0)
        const wanted = yield* files.readFileString(`${directory}/two/tls.crt`)
        assert.strictEqual(machine.used[0]?.certificate.certChain, wanted)
      })
    ))

  it.scoped("keeps the old pair while the new one cannot be used, and warns once", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { issue, source } = yield* ownPair(machine)
        yield* start(machine, source)
        const bad = [
          ["damaged", "does not hold a PEM certificate"],
          [(yield* issue(days(-1, 100))).certificate, "does not belong to the certificate"],
          [(yield* issue(days(-9, -1))).certificate, "does not belong"]
        ] as const
        for (const [text, words] of bad) {
          machine.lines.length = 0
          yield* machine.write("tls.crt", text)
          yield* machine.until(() => machine.lines.length > 0)
          for (let round = 0; round < 5; round++) yield* machine.pass("2 seconds")
          assert.lengthOf(machine.lines, 1)
          assert.strictEqual(machine.lines[0]?.level, "WARN")
          assert.include(machine.lines[0]?.annotations["problem"], words)
        }
        assert.deepStrictEqual(machine.used, [])
      })
    ))

  it.scoped("says nothing when the key comes a moment after its certificate", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { issue, source } = yield* ownPair(machine)
        yield* start(machine, source)
        yield* machine.pass("2 seconds")
        const next = yield* issue(days(-1, 300))
        yield* machine.write("tls.crt", next.certificate)
        yield* machine.pass("2 seconds")
        yield* machine.write("tls.key", Redacted.value(next.key))
        yield* machine.until(() => machine.used.length > 0)
        assert.deepStrictEqual(machine.lines.map(({ message }) => message), ["certificates replaced"])
      })
    ))

  it.scoped("does not take over an expired certificate", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { issue, source } = yield* ownPair(machine)
        yield* start(machine, source)
        const next = yield* issue(days(-9, -1))
        yield* machine.write("tls.crt", next.certificate)
        yield* machine.write("tls.key", Redacted.value(next.key))
        yield* machine.until(() => machine.lines.length > 0)
        assert.match(String(machine.lines[0]?.annotations["problem"]), /expired on 2029-12-31T00:00:00\.000Z/)
        assert.deepStrictEqual(machine.used, [])
      })
    ))

  it.scoped("takes over changed CAs of the clients, and keeps them when they cannot be read", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { ca, source } = yield* ownPair(machine)
        const clientCaFile = yield* machine.write("clients.crt", ca.certificate)
        yield* start(machine, { ...source, clientCaFile })
        const other = yield* Issue.authority(days(-1, 365))
        yield* machine.write("clients.crt", ca.certificate + other.certificate)
        yield* machine.until(() => machine.used.length > 0)
        assert.strictEqual(machine.used[0]?.clientCa, ca.certificate + other.certificate)
        yield* machine.files.remove(clientCaFile)
        yield* machine.until(() => machine.lines.length > 1)
        assert.include(machine.lines[1]?.annotations["problem"], "tls.client_ca_file")
        assert.lengthOf(machine.used, 1)
      })
    ))

  it.scoped("renews the certificate that the server made, before it ends", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const made = yield* Presented.read(own)
        assert.strictEqual(DateTime.formatIso(made.parts[0].notAfter), "2031-02-02T00:00:00.000Z")
        yield* TestClock.setTime(Date.parse("2031-01-02T22:30:00Z"))
        const first = yield* start(machine, own, { ...rarely, warn: rarely.look })
        assert.strictEqual(first.certificate.certChain, made.certificate.certChain)
        yield* machine.pass("1 hour")
        assert.deepStrictEqual(machine.used, [])
        yield* machine.until(() => machine.used.length > 0, "1 hour")
        const wanted = yield* machine.files.readFileString(LocalCa.serverFile(below(machine.directory)))
        assert.isTrue(wanted.startsWith(machine.used[0]?.certificate.certChain ?? "-"))
        assert.deepStrictEqual(machine.lines.map(({ message }) => message), ["certificates replaced"])
      })
    ))

  it.scoped("takes over what another program renewed, once", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        yield* start(machine, own)
        yield* machine.pass("4 seconds")
        yield* LocalCa.renew({ ca: true, names: ["other"] })
        yield* machine.until(() => machine.used.length > 0)
        for (let round = 0; round < 5; round++) yield* machine.pass("2 seconds")
        assert.lengthOf(machine.used, 1)
        assert.includeMembers([...machine.used[0]!.parts[0].names], ["host", "other"])
      })
    ))

  it.scoped("says once that the files hold nothing newer when a certificate expires, and daily that it has", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { source } = yield* ownPair(machine, days(-1, 1))
        yield* start(machine, source, rarely)
        yield* machine.pass(0)
        machine.lines.length = 0
        yield* machine.pass("25 hours")
        for (let hour = 0; hour < 4; hour++) yield* machine.pass("1 hour")
        assert.deepStrictEqual(machine.lines.map(({ message }) => message), [
          "a certificate ends soon",
          "the certificates stay as they were"
        ])
        assert.match(String(machine.lines[1]?.annotations["problem"]), /expired on 2030-01-02/)
        yield* machine.pass("1 day")
        assert.deepStrictEqual(machine.lines.slice(2).map(({ message }) => message), ["a certificate has expired"])
      })
    ))

  it.scoped("warns of a certificate that ends within 30 days, at the start and once a day", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { source } = yield* ownPair(machine, days(-1, 32))
        yield* start(machine, source, rarely)
        yield* machine.pass("1 day")
        assert.deepStrictEqual(machine.lines, [])
        yield* machine.pass("2 days")
        assert.deepStrictEqual(machine.lines.map(({ annotations, level, message }) => [level, message, annotations]), [[
          "WARN",
          "a certificate ends soon",
          {
            file: `${machine.directory}/tls.crt`,
            subject: "CN=vibectl-server",
            notAfter: "2030-02-02T00:00:00.000Z",
            daysLeft: 29
          }
        ]])
        yield* machine.pass("1 day")
        assert.lengthOf(machine.lines, 2)
        yield* start(machine, source, rarely)
        yield* machine.pass(0)
        assert.lengthOf(machine.lines, 3)
      })
    ))
})

describe("Presented.read", () => {
  const refused = (machine: Machine, validity: Issue.Validity) =>
    Effect.flatMap(ownPair(machine, validity), ({ source }) => Effect.flip(Presented.read(source)))

  it.scoped("refuses a certificate that is expired or not yet valid, each with its own sentence", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const file = `${machine.directory}/tls.crt`
        const expired = yield* refused(machine, days(-9, -1))
        assert.strictEqual(
          expired.summary,
          `The certificate in ${file} (tls.cert_file) expired on 2029-12-31T00:00:00.000Z.`
        )
        assert.match(expired.remedy, /Renew it/)
        const early = yield* refused(machine, days(1, 9))
        assert.strictEqual(
          early.summary,
          `The certificate in ${file} (tls.cert_file) is not valid before 2030-01-02T00:00:00.000Z.`
        )
      })
    ))

  it.scoped("refuses a file of client CAs without a certificate, or with one that cannot be read", () =>
    onMachine((machine) =>
      Effect.gen(function*() {
        const { ca, source } = yield* ownPair(machine)
        const broken = ca.certificate.replace(/\n.{8}/, "\nAAAAAAAA")
        for (const text of ["", "x", ca.certificate + broken]) {
          const clientCaFile = yield* machine.write("clients.crt", text)
          const error = yield* Effect.flip(Presented.read({ ...source, clientCaFile }))
          assert.strictEqual(
            error.summary,
            `tls.client_ca_file: ${clientCaFile} does not hold a PEM certificate.`
          )
          assert.include(error.remedy, "clients' certificates")
        }
      })
    ))
})
