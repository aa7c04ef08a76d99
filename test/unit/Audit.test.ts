import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, ConfigProvider, DateTime, Effect, Either, Exit, FastCheck, Layer, Scope, TestClock } from "effect"
import { Audit } from "../../src/audit/Audit.js"
import { Event, most, toLine } from "../../src/audit/Event.js"
import * as LogFile from "../../src/audit/LogFile.js"
import * as Writer from "../../src/audit/Writer.js"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import * as Support from "../support/AuditFiles.js"
import * as Patience from "../support/Patience.js"
import * as Property from "../support/Property.js"

const inDirectory = <A, E>(
  use: (files: FileSystem.FileSystem, directory: string) => Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    return yield* use(files, yield* files.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeContext.layer))

const { accepted, options, recorded } = Support
/** As the Schema reads it. */
const revive = (key: string, value: unknown) =>
  key === "expires_at" && typeof value === "string" ? DateTime.unsafeMake(value) : value

const refused = { event: "token_refused", rpc: "/r", peer: "p", subject: "somebody", token_id: "id" } as const

describe("Event.toLine", () => {
  it("is one line that reads back as the event, whatever the event", async () => {
    await Property.check(
      FastCheck.property(Arbitrary.make(Event), FastCheck.nat(4e12), (event, millis) => {
        const line = toLine(event, millis)
        assert.strictEqual(line.search(/[\n\r\u2028\u2029\u0085]/), line.length - 1)
        const { time, ...read } = Either.getOrThrow(Support.decode(line.slice(0, -1)))
        assert.strictEqual(DateTime.toEpochMillis(time), millis)
        const told = event.event === "token_refused" && !("subject" in read) && !("token_id" in read)
          ? { ...event, subject: undefined, token_id: undefined }
          : event
        assert.deepStrictEqual(read, JSON.parse(JSON.stringify(told), revive))
      }),
      2000
    )
    const nasty = FastCheck.oneof(FastCheck.string16bits({ maxLength: 255 }), FastCheck.fullUnicodeString())
    await Property.check(FastCheck.property(nasty, (subject) => {
      const line = toLine(accepted(subject), 0)
      assert.notMatch(line.slice(0, -1), /[\p{Cc}\p{Zl}\p{Zp}]/u)
      assert.deepInclude(Either.getOrThrow(Support.decode(line)), { subject })
    }))
  })

  it("reads back with every field of the event", () => {
    const expires_at = DateTime.unsafeMake("2031-02-03T04:05:06.000Z")
    const events: ReadonlyArray<Event> = [
      {
        event: "token_issued",
        subject: "a",
        token_id: "b",
        key_id: "c",
        expires_at,
        tenant: "d",
        roles: ["e"],
        models: ["f/*", "g"]
      },
      { ...accepted("a"), event: "token_accepted", key_id: "k", issuer: "corp", certificate: "CN=a", request_id: "r" },
      { ...refused, refusal: "revoked_token", reason: "TOKEN_REVOKED", certificate: "c", request_id: "r" },
      { event: "tokens_refused", count: 990 },
      { event: "token_revoked", kind: "subject", id: "a", action: "block" },
      { event: "stream_cut", subject: "a", token_id: "b", rpc: "/r", peer: "p" },
      { event: "key_rotated", key_id: "a", previous_key_id: "b" },
      { event: "key_retired", key_id: "a" },
      { event: "trust_kept", file: "/a/keys.json", problem: "is gone" },
      { event: "config_changed", keys: ["server.port"] },
      { event: "server_started", version: "1.2.3", address: "127.0.0.1:1", auth: true, tls: false },
      { event: "server_stopped" },
      { event: "events_lost", count: 3 }
    ] as ReadonlyArray<Event>
    for (const event of events) {
      const { time, ...read } = Either.getOrThrow(Support.decode(toLine(event, 1000)))
      assert.deepStrictEqual(read, event)
      assert.strictEqual(DateTime.formatIso(time), "1970-01-01T00:00:01.000Z")
    }
    assert.strictEqual(
      new Set(events.map(({ event }) => event)).size,
      Event.members.length,
      "every kind of event is tried"
    )
  })

  it("keeps to one line and drives no terminal", () => {
    const subject = "a\nb\r\u0000\u001b[2J\u007f\u0085\u009b\u2028\u2029\u202e\u{e0001}\ud800é😀\"\\"
    const line = toLine(accepted(subject), 0)
    assert.notMatch(line.slice(0, -1), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
    assert.include(line, "é😀")
    assert.deepInclude(Either.getOrThrow(Support.decode(line)), { subject })
  })

  it("shortens what is long, between characters", () => {
    const cases = ["x".repeat(1_000_000), "\n".repeat(1_000_000), `${"x".repeat(253)}😀😀`, "x".repeat(255)]
    for (const subject of cases) {
      const line = toLine(accepted(subject), 0)
      assert.isBelow(line.length, 2000)
      const read = Either.getOrThrow(Support.decode(line)) as { readonly subject: string }
      assert.isAtMost(read.subject.length, 255)
      assert.notMatch(read.subject, /\p{Cs}/u)
      assert.strictEqual(read.subject.endsWith("…"), subject.length > 255)
    }
    const keys = Array.from({ length: 1000 }, (_, index) => `key.${index}`)
    const read = Either.getOrThrow(Support.decode(toLine({ event: "config_changed", keys }, 0)))
    assert.isTrue("keys" in read && read.keys.length === most.items)
    assert.isTrue("keys" in read && read.keys.at(-1) === "… and 801 more")
  })

  it("leaves out what the log does not hold, and tokens in the place of names", () => {
    const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2VjcmV0"
    const careless = { ...accepted(`x ${token} y`), token: "canary", prompt: "canary" }
    const line = toLine(careless, 0)
    assert.notInclude(line, "canary")
    assert.notInclude(line, "eyJ")
    assert.notInclude(line, "c2VjcmV0")
    assert.deepInclude(Either.getOrThrow(Support.decode(line)), { subject: "x <token> y" })
    assert.notInclude(toLine(accepted(`${token}${"x".repeat(1000)}`), 0), "eyJ")
  })

  it("names nobody whose signature cannot have been good", () => {
    const unverified = [
      "no_token",
      "not_a_jwt",
      "algorithm_none",
      "bad_signature",
      "unknown_key",
      "identity_unavailable"
    ] as const
    for (const refusal of unverified) {
      const line = toLine({ ...refused, refusal, reason: "TOKEN_UNTRUSTED" }, 0)
      assert.notInclude(line, "somebody")
      assert.notInclude(line, "token_id")
    }
    for (const refusal of ["expired", "wrong_audience", "revoked_token", "revoked_subject"] as const) {
      assert.include(toLine({ ...refused, refusal, reason: "TOKEN_REVOKED" }, 0), "somebody")
    }
  })
})

describe("Audit.layerFile", () => {
  it.scoped("writes what was recorded, in order, with the time of the clock", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/new/deep/audit.jsonl`
        yield* TestClock.setTime(86_400_000)
        yield* recorded(options(file), accepted("one"), { event: "server_stopped" })
        yield* TestClock.adjust("1 hour")
        yield* recorded(options(file), accepted("two"))
        const lines = yield* Support.read(file)
        assert.deepStrictEqual(Support.subjects(lines), ["one", "server_stopped", "two"])
        assert.strictEqual(DateTime.formatIso(lines[2]!.time), "1970-01-02T01:00:00.000Z")
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
        assert.strictEqual((yield* files.stat(`${directory}/new`)).mode & 0o777, 0o700)
        assert.deepStrictEqual(yield* files.readDirectory(`${directory}/new/deep`), ["audit.jsonl"])
      })
    ))

  it.scoped("holds nothing that an event carries beside its fields", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        const canary = "canary-0123456789"
        yield* recorded(
          options(file),
          { ...accepted("a"), ...{ token: canary, prompt: canary } },
          { ...{ secret: canary }, event: "key_retired", key_id: "k" },
          { ...refused, subject: canary, token_id: canary, refusal: "bad_signature", reason: "TOKEN_UNTRUSTED" }
        )
        assert.lengthOf(yield* Support.read(file), 3)
        assert.notInclude(yield* files.readFileString(file), canary)
      })
    ))

  it.scoped("writes while it is open, and many events at once", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        let opens = 0
        const counting = Layer.succeed(FileSystem.FileSystem, {
          ...files,
          open: (path, given) => Effect.zipRight(Effect.sync(() => opens++), files.open(path, given))
        })
        const { record } = yield* Support.opened(options(file)).pipe(Effect.provide(counting))
        const atStart = opens
        for (let index = 0; index < 1000; index++) yield* record(accepted(String(index)))
        yield* Patience.eventually(Effect.map(Support.count(file), (count) => count === 1000))
        assert.isAtMost(opens - atStart, 20)
      })
    ))

  it.scoped("loses and tears nothing of two that write at once", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        const one = (name: string) =>
          Effect.gen(function*() {
            const { record } = yield* Audit
            for (let index = 0; index < 1000; index++) {
              yield* record(accepted(`${name} ${index} ${"x".repeat(index % 300)}`))
              if (index % 10 === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            }
          }).pipe(Effect.provide(Layer.fresh(Audit.layerFile(options(file)))))
        yield* Effect.all([one("a"), one("b")], { concurrency: "unbounded" })
        const found = Support.subjects(yield* Support.read(file)).map((subject) => subject.split(" "))
        for (const name of ["a", "b"]) {
          const own = found.filter(([writer]) => writer === name).map(([, index]) => index)
          assert.deepStrictEqual(own, Array.from({ length: 1000 }, (_, index) => String(index)))
        }
      })
    ))

  it.scoped("takes others' permissions away from a file that is there, and says so", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        yield* files.writeFileString(file, toLine(accepted("before"), 0))
        yield* files.chmod(file, 0o664)
        const { layer, logged } = Support.logging()
        yield* recorded(options(file), accepted("after")).pipe(Effect.provide(layer))
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
        assert.deepStrictEqual(Support.subjects(yield* Support.read(file)), ["before", "after"])
        assert.deepStrictEqual(logged.map(({ level }) => level), ["WARN"])

        const fragile = yield* Support.fragile()
        fragile.state.broken = "chmod"
        yield* files.chmod(file, 0o644)
        yield* recorded(options(file), accepted("others'")).pipe(Effect.provide(Layer.merge(fragile.layer, layer)))
        assert.strictEqual(logged.length, 2)
        assert.include(logged[1]!.text, "may not change")
      })
    ))

  it.scoped("refuses to start with a file that cannot be written, and says which", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        yield* files.writeFileString(`${directory}/file`, "")
        for (const file of [directory, `${directory}/file/audit.jsonl`, "/dev/null"]) {
          const error = yield* Effect.flip(recorded(options(file)))
          assert.strictEqual(error._tag, "AuditUnusable")
          assert.include(error.summary, file)
          assert.include(error.remedy, "audit.destination")
          assert.strictEqual(error.message, `${error.summary} ${error.remedy}`)
        }
      })
    ))

  it.scoped("begins a new line after one that a crash left half-written", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        yield* files.writeFileString(file, `${toLine(accepted("whole"), 0)}{"time":"19`)
        yield* recorded(options(file), accepted("next"))
        const [whole, half, next, end] = (yield* files.readFileString(file)).split("\n")
        assert.deepStrictEqual(Support.subjects(Support.linesOf(`${whole}\n${next}\n`)), ["whole", "next"])
        assert.strictEqual(half, "{\"time\":\"19")
        assert.strictEqual(end, "")
      })
    ))
})

describe("a disk that fails", () => {
  it.scoped("is told once, and written again when it works", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/sub/audit.jsonl`
        const { layer, logged } = Support.logging()
        const { record } = yield* Support.opened(options(file)).pipe(Effect.provide(layer))
        yield* files.remove(`${directory}/sub`, { recursive: true })
        yield* record(accepted("one"))
        yield* Patience.eventually(Effect.sync(() => logged.length > 0))
        for (let round = 0; round < 5; round++) {
          yield* record(accepted(`more ${round}`))
          yield* TestClock.adjust("1 second")
        }
        assert.deepStrictEqual(logged.map(({ level }) => level), ["ERROR"])
        assert.include(logged[0]!.text, file)
        assert.include(logged[0]!.text, "NotFound")
        assert.notInclude(logged[0]!.text, "127.0.0.1:4711")

        yield* files.makeDirectory(`${directory}/sub`)
        yield* Patience.eventually(
          Effect.zipRight(TestClock.adjust("1 second"), Effect.sync(() => logged.length > 1))
        )
        assert.deepStrictEqual(logged.map(({ level }) => level), ["ERROR", "INFO"])
        assert.deepStrictEqual(Support.subjects(yield* Support.read(file)), [
          "one",
          "more 0",
          "more 1",
          "more 2",
          "more 3",
          "more 4"
        ])
      })
    ))

  it.scoped("costs bounded memory: what is lost is counted in its place", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const file = `${directory}/audit.jsonl`
        const { layer, state } = yield* Support.fragile()
        const log = yield* LogFile.open(options(file)).pipe(Effect.provide(layer))
        const { length } = toLine(accepted("0"), 0)
        const { record } = yield* Writer.make({ name: file, ...log }, length * 5)
        state.broken = "write"
        for (let index = 0; index < 9; index++) {
          yield* record(accepted(String(index)))
          yield* Patience.eventually(Effect.succeed(true))
        }
        // The disk works again, but the first time it takes the second line in part.
        state.broken = ""
        state.takes = length + 10
        const text = Effect.orDie(files.readFileString(file))
        const retried = Effect.zipRight(TestClock.adjust("1 second"), text)
        yield* Patience.eventually(Effect.map(retried, (found) => found.includes("events_lost")))
        yield* record(accepted("later"))
        yield* Patience.eventually(Effect.map(text, (found) => found.endsWith("}\n") && found.includes("later")))
        const lines = (yield* text).split(/(?<=\n)/)
        const [torn] = lines.splice(1, 1)
        assert.isTrue(Either.isLeft(Support.decode(torn)), "a torn line stands alone")
        const read = Support.linesOf(lines.join(""))
        assert.deepStrictEqual(Support.subjects(read), ["0", "1", "2", "3", "4", "events_lost", "later"])
        assert.deepInclude(read[5], { count: 4 })
      })
    ))

  it.scoped("does not hold up the end, which says that events are missing", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        const { layer, logged } = Support.logging()
        const fragile = yield* Support.fragile()
        const scope = yield* Scope.make()
        const { record } = yield* Support.opened(options(`${directory}/audit.jsonl`)).pipe(
          Effect.provide(Layer.merge(fragile.layer, layer)),
          Scope.extend(scope)
        )
        fragile.state.broken = "write"
        yield* record(accepted("last"))
        yield* Scope.close(scope, Exit.void).pipe(Effect.provide(layer))
        assert.include(logged.at(-1)!.text, "missing")
      })
    ))
})

describe("Audit.layer", () => {
  /** What an effect prints. */
  const printed = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
    const [out, error] = [new Array<string>(), new Array<string>()]
    const add = (to: Array<string>) => (...args: ReadonlyArray<unknown>) =>
      Effect.sync(() => {
        to.push(`${args.join(" ")}\n`)
      })
    return Effect.consoleWith((real) => Effect.withConsole(effect, { ...real, log: add(out), error: add(error) })).pipe(
      Effect.as({ out, error })
    )
  }

  const run = (
    layer: typeof Audit.layer,
    directory: string,
    audit: Parameters<typeof ServerConfig.layerTest>[0]
  ) =>
    Effect.flatMap(Audit, ({ record }) => Effect.zipRight(record(accepted("one")), record(accepted("two")))).pipe(
      Effect.provide(Layer.provide(layer, ServerConfig.layerTest(audit))),
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", directory]])))
    )

  it.scoped("writes to the file named, else to that of the configuration directory", () =>
    inDirectory((_, directory) =>
      Effect.gen(function*() {
        yield* run(Audit.layer, directory, { audit: { destination: "file" } })
        yield* run(Audit.layerCommand, directory, { audit: { destination: "file" } })
        const found = Support.subjects(yield* Support.read(`${directory}/server/audit.jsonl`))
        assert.deepStrictEqual(found, ["one", "two", "one", "two"])
        const file = `${directory}/named.jsonl`
        yield* run(Audit.layer, directory, { audit: { destination: "file", file } })
        assert.deepStrictEqual(Support.subjects(yield* Support.read(file)), ["one", "two"])
      })
    ))

  it.scoped("writes nothing anywhere when it is off", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        yield* run(Audit.layer, directory, { audit: { destination: "off" } })
        assert.deepStrictEqual(yield* files.readDirectory(directory), [])
      })
    ))

  it.scoped("writes to stdout for the server, and to stderr for commands, whose stdout is their answer", () =>
    inDirectory((files, directory) =>
      Effect.gen(function*() {
        const settings = { audit: { destination: "stdout" } } as const
        const server = yield* printed(run(Audit.layer, directory, settings))
        assert.deepStrictEqual(Support.subjects(Support.linesOf(server.out.join(""))), ["one", "two"])
        assert.deepStrictEqual(server.error, [])
        const command = yield* printed(run(Audit.layerCommand, directory, settings))
        assert.deepStrictEqual(command.out, [])
        assert.deepStrictEqual(Support.subjects(Support.linesOf(command.error.join(""))), ["one", "two"])
        assert.deepStrictEqual(yield* files.readDirectory(directory), [])
      })
    ))
})
