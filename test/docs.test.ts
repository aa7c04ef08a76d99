import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { Event, refusals } from "../src/audit/Event.js"
import { codes } from "../src/grpc/Status.js"

const read = (file: string) => Fs.readFileSync(new URL(`../${file}`, import.meta.url), "utf8")

describe("the documentation", () => {
  it("names tests and benches that are there", () => {
    const named = read("SECURITY.md").match(/\b(?:test|bench)\/[\w/.]+\.(?:ts|mjs)/g) ?? []
    assert.isAbove(named.length, 30)
    for (const file of new Set(named)) assert.isTrue(Fs.existsSync(new URL(`../${file}`, import.meta.url)), file)
  })

  it("links to files that are there", () => {
    for (
      const file of [
        "README.md",
        "SECURITY.md",
        ...Fs.readdirSync(new URL("../docs", import.meta.url)).map((name) => `docs/${name}`)
      ]
    ) {
      for (const [, target] of read(file).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
        assert.isTrue(Fs.existsSync(new URL(target!, new URL(`../${file}`, import.meta.url))), `${file}: ${target}`)
      }
    }
  })

  it("explains every event of the audit log, and every reason of a refusal", () => {
    const text = read("docs/security.md")
    assert.isAbove(refusals.length, 20)
    for (const name of [...refusals, ...Event.members.map(({ fields }) => fields.event.literals[0])]) {
      assert.include(text, `\`${name}\``)
    }
  })

  it("explains every reason that a call can end with", () => {
    // There are no quotas yet.
    for (const reason of Object.keys(codes)) {
      assert.include(read("docs/server.md"), `\`${reason}\``)
    }
  })
})
