import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as Crypto from "node:crypto"
import { AuditLog, type Entry } from "../../src/assistant/AuditLog.js"
import * as AuditTrail from "../../src/assistant/AuditTrail.js"
import * as AuditTable from "../../src/cli/AuditTable.js"
import * as Width from "../../src/terminal/Width.js"
import { logging } from "../support/AuditFiles.js"
import { person } from "../support/Client.js"

const request = (text: string, sanitized = true): Entry => ({
  event: "request",
  requestId: "r1",
  profile: "work",
  server: "llm.example.com:443",
  model: undefined,
  purpose: "plan",
  text,
  sanitized,
  redacted: [{ kind: "token", placeholder: "{{redacted:token:0a1b2c3d}}", length: 40 }]
})
const response: Entry = {
  event: "response",
  requestId: "r1",
  outcome: "ok",
  finishReason: "stop",
  model: "p/a",
  inputTokens: 10,
  outputTokens: undefined,
  costUsd: 0.5,
  durationMs: 1200,
  readAs: "DONE",
  ignoredCharacters: 0,
  text: "canary answer 😀"
}
const command = (...words: ReadonlyArray<string>): Entry => ({
  event: "command",
  requestId: "r1",
  command: words,
  verdict: "ReadOnly",
  decision: "unasked",
  exitCode: 0
})

const record = (file: string, ...entries: ReadonlyArray<Entry>) =>
  Effect.flatMap(AuditLog, (log) => Effect.forEach(entries, log.record, { discard: true })).pipe(
    Effect.provide(AuditLog.layerFile({ file }))
  )

const inDirectory = <A, E>(
  use: (file: string, files: FileSystem.FileSystem) => Effect.Effect<A, E, FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    return yield* use(`${yield* files.makeTempDirectoryScoped()}/audit/work.jsonl`, files)
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

describe("AuditLog", () => {
  it.effect("writes a line for each entry at once, for its owner only", () =>
    inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(Date.UTC(2026, 10, 26, 20, 57, 48))
        yield* record(file, request("get {{redacted:token:0a1b2c3d}}"), response, command("get", "pods", "-n", "a b"))
        const text = yield* files.readFileString(file)
        const [first, second, third, ...rest] = text.split("\n")
        assert.deepStrictEqual(rest, [""])
        assert.deepStrictEqual(JSON.parse(first!), {
          time: "2026-11-26T20:57:48.000Z",
          event: "request",
          request_id: "r1",
          profile: "work",
          server: "llm.example.com:443",
          purpose: "plan",
          sanitized: true,
          redacted: [{ kind: "token", placeholder: "{{redacted:token:0a1b2c3d}}", length: 40 }],
          sha256: sha256("get {{redacted:token:0a1b2c3d}}"),
          characters: 31,
          text: "get {{redacted:token:0a1b2c3d}}"
        })
        assert.deepStrictEqual(JSON.parse(second!), {
          time: "2026-11-26T20:57:48.000Z",
          event: "response",
          request_id: "r1",
          outcome: "ok",
          model: "p/a",
          finish_reason: "stop",
          input_tokens: 10,
          cost_usd: 0.5,
          duration_ms: 1200,
          read_as: "DONE",
          ignored_characters: 0,
          sha256: sha256("canary answer 😀"),
          characters: 15
        })
        assert.deepInclude(JSON.parse(third!), {
          command: ["get", "pods", "-n", "a b"],
          decision: "unasked",
          exit_code: 0
        })
        assert.notInclude(text, "canary")
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
      })
    ))

  it.effect("never writes a text that was not sanitized", () =>
    inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* record(file, request("password=canary", false))
        const text = yield* files.readFileString(file)
        assert.notInclude(text, "canary")
        assert.include(text, sha256("password=canary"))
      })
    ))

  it.effect("keeps an entry on its line, whatever it holds, and gives it back", () =>
    inDirectory((file, files) =>
      Effect.gen(function*() {
        const odd = "a\nb\u001b[2J\u2028\u202e\u0085\"\\\ud800"
        yield* record(file, request(odd), command("get", odd))
        const text = yield* files.readFileString(file)
        assert.match(text, /^[\x20-\x7e\n]+$/)
        const { damaged, lines } = yield* AuditTrail.read(file)
        assert.strictEqual(damaged, 0)
        assert.deepInclude(lines[0], { text: odd })
        assert.deepInclude(lines[1], { command: ["get", odd] })
      })
    ))

  it.effect("begins a new file when one is full, and is read over all of them", () =>
    inDirectory((file, files) =>
      Effect.gen(function*() {
        const log = yield* Effect.provide(AuditLog, AuditLog.layerFile({ file, maxBytes: 600, keepFiles: 3 }))
        for (let n = 0; n < 40; n++) yield* log.record(command("get", `n${n}`))
        assert.deepStrictEqual((yield* AuditTrail.parts(file)).map((part) => part.file.replace(file, "")), [
          ".3",
          ".2",
          ".1",
          ""
        ])
        const names = (tail?: number) =>
          Effect.map(AuditTrail.read(file, tail), ({ lines }) =>
            lines.map((line) => line.event === "command" ? Number(line.command[1]!.slice(1)) : -1))
        const all = yield* names()
        assert.isAbove(all.length, 8)
        assert.deepStrictEqual(
          all,
          all.map((_, index) =>
            40 - all.length + index
          )
        )
        assert.deepStrictEqual(yield* names(5), [35, 36, 37, 38, 39])
        yield* files.writeFileString(file, "{\"time\":\"2026\n\nx\n{}\n", { flag: "a" })
        assert.strictEqual((yield* AuditTrail.read(file)).damaged, 3)
        assert.deepStrictEqual(yield* names(1), [39])
      })
    ))

  it.effect("warns once when it cannot be written, and stops nobody", () =>
    inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(file, { recursive: true })
        const { layer, logged } = logging()
        yield* Effect.provide(record(file, command("a"), command("b"), command("c")), layer)
        assert.lengthOf(logged, 1)
        assert.include(
          logged[0]?.text,
          `The audit log ${file} is not a regular file. What is done now is not recorded.`
        )
      })
    ))

  it.effect("makes no file before there is something to record", () =>
    inDirectory((file, files) =>
      Effect.gen(function*() {
        yield* record(file)
        assert.isFalse(yield* files.exists(file))
      })
    ))
})

const sha256 = (text: string) => Crypto.createHash("sha256").update(text).digest("hex")

const profiles = "proxy:\n  active: work\n  profiles:\n    work: { server_url: vibectl-server://w:1 }\n"

describe("vibectl audit", () => {
  const withLog = (options: Parameters<typeof person>[0] = {}) =>
    Effect.tap(person(options), ({ config, home }) =>
      Effect.gen(function*() {
        yield* config.write(profiles)
        const file = `${home}/client/audit/work.jsonl`
        yield* record(file, request("x"), response, command("get", "pods", "-n", "it's"), {
          ...command("delete", "pod", "x"),
          decision: "declined",
          exitCode: undefined
        } as Entry)
      }))

  it.scoped("shows a table, the newest last, and the end of it", () =>
    Effect.gen(function*() {
      const { type } = yield* withLog()
      const { stderr, stdout } = yield* type("audit", "show")
      assert.strictEqual(stderr, "")
      const lines = stdout.split("\n")
      assert.match(lines[1]!, /┃ Time +┃ Event +┃ Model +┃ What +┃ Outcome +┃/)
      assert.match(lines[3]!, /│ 1970-01-01T00:00:00.000Z │ request +│ +│ redacted: token +│ +│/)
      assert.match(lines[4]!, /│ response │ p\/a +│ +│ ok +│/)
      assert.include(lines[5], "│ kubectl get pods -n 'it'\\''s' │ unasked")
      assert.include(lines[6], "declined")
      const last = yield* type("audit", "show", "--tail", "1")
      assert.include(last.stdout, "delete")
      assert.notInclude(last.stdout, "request")
      assert.strictEqual((yield* type("audit", "show", "--tail", "0")).failed?.exitCode, 2)
      const json = JSON.parse((yield* type("audit", "show", "--output", "json")).stdout) as ReadonlyArray<unknown>
      assert.lengthOf(json, 4)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("exports every entry as a line of JSON or CSV", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* withLog()
      const written = yield* files.readFileString(`${home}/client/audit/work.jsonl`)
      assert.strictEqual((yield* type("audit", "export")).stdout, written)
      const csv = (yield* type("audit", "export", "--output", "csv")).stdout.split("\r\n")
      assert.lengthOf(csv, 6)
      assert.match(csv[0]!, /^time,event,request_id,profile,.*,sha256,characters$/)
      assert.match(csv[2]!, /^1970-01-01T00:00:00.000Z,response,r1,,,p\/a,,,,ok,stop,10,,0.5,1200,,,,,[0-9a-f]{64},15$/)
      assert.include(csv[3], "\"[\"\"get\"\",\"\"pods\"\",\"\"-n\"\",\"\"it's\"\"]\"")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("tells where it is and how much it holds, also of a profile that was removed", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* withLog()
      const file = `${home}/client/audit/work.jsonl`
      yield* files.writeFileString(file, "torn", { flag: "a" })
      yield* files.copyFile(file, `${file}.1`)
      const info = JSON.parse((yield* type("audit", "info", "--output", "json")).stdout) as object
      assert.deepInclude(info, {
        profile: "work",
        recording: true,
        file,
        entries: 8,
        damaged: 2,
        first: "1970-01-01T00:00:00.000Z",
        rotated: [`${file}.1`]
      })
      assert.match((yield* type("audit", "info")).stdout, /│ Entries +│ 8 +│/)
      assert.include((yield* type("audit", "show")).stderr, "Warning: 2 damaged lines are left out.")
      yield* type("setup-proxy", "remove", "work")
      assert.include((yield* type("audit", "show", "--profile", "work")).stdout, "delete")
      assert.include((yield* type("audit", "show", "--profile", "wokr")).failed?.lines, "There is no profile 'wokr'.")
      yield* files.copyFile(file, `${home}/client/other.jsonl`)
      assert.strictEqual((yield* type("audit", "show", "--profile", "../other")).stdout, "")
      assert.include((yield* type("audit", "show")).failed?.lines, "vibectl setup-proxy configure")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("reads the file that the profile names, and says when nothing is recorded", () =>
    Effect.gen(function*() {
      const { home, type } = yield* withLog()
      yield* type("config", "set", "proxy.profiles.work.security.audit_log_path", `${home}/mine.jsonl`)
      assert.strictEqual((yield* type("audit", "show")).stderr, `Nothing is recorded in ${home}/mine.jsonl.\n`)
      yield* record(`${home}/mine.jsonl`, command("version"))
      assert.include((yield* type("audit", "show")).stdout, "kubectl version")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("fits a terminal, and gives it no orders", () =>
    inDirectory((file) =>
      Effect.gen(function*() {
        yield* record(file, command("get", "\u001b[2J", "日本語".repeat(60)), response, request("x"))
        const { lines } = yield* AuditTrail.read(file)
        for (const columns of [80, 110]) {
          const table = AuditTable.render(lines, columns)
          assert.notInclude(table, "\u001b")
          assert.include(table, "…")
          const widths = new Set(table.split("\n").map(Width.of))
          assert.lengthOf([...widths], 1)
          assert.isAtMost([...widths][0]!, columns)
          assert.isAtLeast([...widths][0]!, columns - 1)
        }
      })
    ))
})
