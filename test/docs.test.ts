import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import { Event, refusals } from "../src/audit/Event.js"
import { tree } from "../src/cli/Cli.js"
import { places } from "../src/commandline/CommandTree.js"
import { description } from "../src/config/ClientSettings.js"
import * as Shape from "../src/config/Shape.js"
import * as Limits from "../src/domain/Limits.js"
import { codes } from "../src/grpc/Status.js"
import "../src/telemetry/Metrics.js"
import "../src/server/workers/Instruments.js"
import "../src/telemetry/ProcessMetrics.js"
import * as Instruments from "../src/telemetry/Instruments.js"
import * as Prometheus from "../src/telemetry/Prometheus.js"

const read = (file: string) => Fs.readFileSync(new URL(`../${file}`, import.meta.url), "utf8")

describe("the documentation", () => {
  it("names tests and benches that are there", () => {
    const text = read("SECURITY.md") + read("docs/security.md")
    const named = text.match(/\b(?:(?:test|bench)\/[\w/.]+\.(?:ts|mjs)|test\/corpora\/[\w/.]+)/g) ?? []
    assert.isAbove(named.length, 40)
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

  it("quotes sessions as they are", () => {
    const directory = new URL("./captures/", import.meta.url)
    const captures = new Set(Fs.readdirSync(directory).map((file) => Fs.readFileSync(new URL(file, directory), "utf8")))
    const quoted = ["README.md", "docs/client.md"].flatMap((file) =>
      [...read(file).matchAll(/^```console\n([^]*?)^```$/gm)].map(([, session = ""]) => session)
    )
    assert.isAbove(quoted.length, 10)
    for (const session of quoted) assert.isTrue(captures.has(session), session)
  })

  it("explains every flag of vibe", () => {
    const text = read("docs/client.md")
    const command = tree().children.find(({ name }) => name === "vibe")
    const names = command?.options.flatMap((option) => option.names) ?? []
    assert.isAbove(names.length, 10)
    for (const name of names) assert.match(text, new RegExp(`^\\|.*\`[^|]*${name}\\b.*\\|`, "m"))
  })

  it("explains every event of the audit log, and every reason of a refusal", () => {
    const text = read("docs/security.md")
    assert.isAbove(refusals.length, 20)
    for (const name of [...refusals, ...Event.members.map(({ fields }) => fields.event.literals[0])]) {
      assert.include(text, `\`${name}\``)
    }
  })

  it("explains every setting of the client, and every command", () => {
    const text = read("docs/client.md")
    const keys = (shape: Shape.Shape): ReadonlyArray<string> => {
      if (shape._tag === "Leaf") return []
      if (shape._tag === "Record") return keys(shape.value)
      return [...shape.fields].flatMap(([key, field]) => [key, ...keys(field)])
    }
    const all = keys(Shape.of(description.schema))
    assert.isAbove(all.length, 20)
    for (const key of all) assert.match(text, new RegExp(`^ *${key}:`, "m"))
    const commands = places(tree()).filter(({ tree }) => tree.children.length === 0)
    assert.isAbove(commands.length, 20)
    for (const { path } of commands) assert.include(text, path.slice(1).join(" "))
  })

  it("explains every reason that a call can end with", () => {
    for (const reason of Object.keys(codes)) {
      assert.include(read("docs/server.md"), `\`${reason}\``)
    }
  })

  it("explains every metric with its labels, and every limit", () => {
    const text = read("docs/operations.md")
    assert.isAbove(Instruments.all.size, 25)
    for (const instrument of Instruments.all.values()) {
      // Of another test, which has run in this process.
      if (instrument.name.startsWith("workers_test_")) continue
      const labels = instrument.labels.map((label) => `\`${Prometheus.labelOf(label)}\``).join(" ")
      assert.include(text, `| \`${Prometheus.nameOf(instrument)}\` | ${instrument.kind} | ${labels} |`)
    }
    for (const key of Object.values(Limits.keys)) assert.include(text, `\`${key}\``)
  })
})
