import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, DateTime, Effect } from "effect"
import * as Revocations from "../../src/auth/Revocations.js"

const noon = 1_750_000_000
const line = (action: string, kind: string, id: string, second = noon) =>
  JSON.stringify({ at: new Date(second * 1000).toISOString(), action, kind, id })
const parse = (...lines: ReadonlyArray<string>) => Revocations.parse(lines.join("\n"))
const holder = { subject: "alice", tokenId: "j1", issuedAt: noon }

const inDirectory = <A, E>(
  use: (files: FileSystem.FileSystem, file: string) => Effect.Effect<A, E, FileSystem.FileSystem>
) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* files.makeTempDirectoryScoped()
    return yield* use(files, `${directory}/server/revocations.jsonl`).pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["VIBECTL_CONFIG_DIR", directory]])))
    )
  }).pipe(Effect.provide(NodeContext.layer))

describe("Revocations.refusal", () => {
  it("refuses a token by its id, and no other of the subject", () => {
    const { refusal } = parse(line("revoke", "token", "j1"))
    assert.strictEqual(refusal(holder), "revoked_token")
    assert.isUndefined(refusal({ ...holder, tokenId: "j2" }))
  })

  it("refuses a subject's tokens that were issued until then, and those that do not say when", () => {
    const { refusal } = parse(line("revoke", "subject", "alice"))
    assert.strictEqual(refusal(holder), "revoked_subject", "of the same second")
    assert.strictEqual(refusal({ ...holder, issuedAt: undefined }), "revoked_subject")
    assert.isUndefined(refusal({ ...holder, issuedAt: noon + 1 }))
    assert.isUndefined(refusal({ ...holder, subject: "bob" }))
  })

  it("refuses every token of a blocked subject", () => {
    const { refusal } = parse(line("block", "subject", "alice"))
    assert.strictEqual(refusal({ ...holder, issuedAt: noon + 1_000_000 }), "revoked_subject")
  })

  it("takes the last word, and keeps tokens and subjects of one name apart", () => {
    const { entries, refusal } = parse(
      line("revoke", "token", "alice"),
      line("block", "subject", "alice"),
      line("restore", "subject", "alice")
    )
    assert.isUndefined(refusal(holder))
    assert.strictEqual(refusal({ ...holder, tokenId: "alice" }), "revoked_token")
    assert.lengthOf(entries, 1)
  })

  it("ends a refusal with a restore line only, whatever the clocks of the lines say", () => {
    const blocked = [line("block", "subject", "alice", noon + 100)]
    const later = { ...holder, issuedAt: noon + 1_000_000 }
    assert.isDefined(parse(...blocked, line("revoke", "subject", "alice", noon + 200)).refusal(later))
    assert.isUndefined(parse(...blocked, line("restore", "subject", "alice", noon - 100)).refusal(later))
    const again = parse(
      ...blocked,
      line("restore", "subject", "alice", noon - 100),
      line("block", "subject", "alice", noon - 200)
    )
    assert.isDefined(again.refusal(later))
  })

  it("joins records in any order to the same, and lifts nothing by an older restoration", () => {
    const [one, other] = [
      parse(line("revoke", "token", "j1"), line("block", "subject", "bob", noon + 5)),
      parse(line("restore", "token", "j1", noon - 5), line("restore", "subject", "bob", noon + 6))
    ]
    for (
      const records of [
        Revocations.join(one.records, other.records),
        Revocations.join(other.records, one.records)
      ]
    ) {
      const { entries, refusal } = Revocations.of(records)
      assert.strictEqual(refusal(holder), "revoked_token")
      assert.isUndefined(refusal({ ...holder, subject: "bob", tokenId: "j2" }))
      assert.lengthOf(entries, 1)
      assert.strictEqual(Revocations.join(records, one.records), records)
    }
  })

  it("tells damaged lines and heeds the others", () => {
    const { damaged, refusal } = parse(
      "",
      line("revoke", "token", "j1").slice(0, 30),
      line("revoke", "token", "j2"),
      line("forget", "token", "j2")
    )
    assert.deepStrictEqual(damaged, [2, 4])
    assert.isUndefined(refusal(holder))
    assert.strictEqual(refusal({ ...holder, tokenId: "j2" }), "revoked_token")
  })

  it("knows from when on a revoked subject's tokens are good again", () => {
    const revocations = parse(line("revoke", "subject", "alice"))
    const earliest = Revocations.earliest(revocations, "alice")
    assert.isUndefined(revocations.refusal({ ...holder, issuedAt: earliest }))
    assert.isDefined(revocations.refusal({ ...holder, issuedAt: earliest - 1 }))
    assert.strictEqual(Revocations.earliest(revocations, "bob"), 0)
  })
})

describe("Revocations.add", () => {
  const entry = (id: string): Revocations.Revocation => ({
    at: DateTime.unsafeMake(noon * 1000),
    action: "revoke",
    kind: "token",
    id
  })

  it.scopedLive("loses nothing when many add at once, in a private file", () =>
    inDirectory((files, file) =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* Revocations.load).entries, [])
        const ids = Array.from({ length: 50 }, (_, index) => `j${index}`)
        yield* Effect.forEach(ids, (id) => Revocations.add(entry(id)), { concurrency: "unbounded" })
        const { damaged, entries } = yield* Revocations.loadWhole
        assert.sameMembers(entries.map(({ id }) => id), ids)
        assert.deepStrictEqual(damaged, [])
        assert.strictEqual((yield* files.stat(file)).mode & 0o777, 0o600)
      })
    ))

  it.scoped("keeps a line apart from one that a crash left half-written", () =>
    inDirectory((files, file) =>
      Effect.gen(function*() {
        yield* Revocations.add(entry("j1"))
        yield* files.writeFileString(file, line("revoke", "token", "j2").slice(0, 25), { flag: "a" })
        yield* Revocations.add(entry("j3"))
        assert.deepStrictEqual((yield* Revocations.load).entries.map(({ id }) => id), ["j1", "j3"])
        const error = yield* Effect.flip(Revocations.loadWhole)
        assert.include(error.message, `${file} is damaged in line`)
      })
    ))

  it.scoped("fails when the file cannot be written: an operator must not think that it is done", () =>
    inDirectory((files, file) =>
      Effect.gen(function*() {
        yield* files.makeDirectory(file, { recursive: true })
        assert.include((yield* Effect.flip(Revocations.add(entry("j1")))).message, file)
        assert.include((yield* Effect.flip(Revocations.load)).message, file)
      })
    ))
})
