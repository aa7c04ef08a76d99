import { assert, describe, it } from "@effect/vitest"
import { execFile, execFileSync } from "node:child_process"
import { promisify } from "node:util"
import * as Flags from "../../src/kubectl/Flags.js"
import * as Verbs from "../../src/kubectl/Verbs.js"

/** The minor version of the kubectl on PATH; 0 without one. */
const minor = (() => {
  try {
    const text = execFileSync("kubectl", ["version", "--client", "--output=json"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000
    })
    const { clientVersion } = JSON.parse(text) as { readonly clientVersion: { readonly minor: string } }
    return Number.parseInt(clientVersion.minor, 10)
  } catch {
    return 0
  }
})()

interface Documented {
  readonly short: string | undefined
  readonly boolean: boolean
}

/** The flags of a help text: `    -A, --all-namespaces=false:`. Values other than booleans and numbers are quoted. */
const documented = (help: string): ReadonlyMap<string, Documented> =>
  new Map(
    [...help.matchAll(/^ {4}(?:-(\w), )?--([\w-]+)=(.*):$/gm)].map(([, short, name, value]) => [
      name!,
      { short, boolean: value === "true" || value === "false" }
    ])
  )

const run = async (...args: ReadonlyArray<string>): Promise<string> =>
  (await promisify(execFile)("kubectl", args, { timeout: 20_000 })).stdout

describe("the tables of flags", () => {
  it("give every global flag exactly one meaning", () => {
    for (const { name } of new Set(Flags.global.values())) {
      const meanings = [Flags.harmlessGlobal, Flags.redirecting, Flags.recording].filter((set) => set.has(name))
      assert.strictEqual(meanings.length, 1, name)
    }
    for (const name of [...Flags.harmlessGlobal, ...Flags.redirecting, ...Flags.recording]) {
      assert.isTrue(Flags.global.has(name), name)
    }
  })

  it("call no flag of a changing verb harmless", () => {
    for (const verb of Verbs.all) {
      if (verb.effect !== "reads") assert.strictEqual(verb.harmless.size, 0, verb.name)
      for (const flag of verb.harmless) {
        assert.isFalse(Flags.reading.has(flag), `${verb.name} --${flag}`)
        assert.isFalse(verb.flags.get(flag)?.global, `${verb.name} --${flag}`)
      }
    }
  })

  it("widen only by flags that some verb takes", () => {
    for (const name of Flags.widening.keys()) {
      assert.isTrue(Verbs.all.some((verb) => verb.flags.get(name)?.global === false), name)
    }
    for (const name of Flags.nets) assert.isTrue(Flags.widening.has(name), name)
  })
})

describe.skipIf(minor < 32)("the tables of flags, compared with kubectl's own help", () => {
  it("know the global flags", async () => {
    const theirs = documented(await run("options"))
    assert.isAbove(theirs.size, 20)
    for (const [name, { boolean, short }] of theirs) {
      const ours = Flags.global.get(name)
      assert.isDefined(ours, name)
      assert.deepStrictEqual([ours.short, ours.takes === "boolean"], [short, boolean], name)
    }
  })

  // A process per verb: those that only read, and with FUZZ_RUNS all of them.
  it("know the flags of the verbs, and whether they take a value", async () => {
    const verbs = Verbs.all.filter((verb) =>
      verb.name !== "help" && verb.name !== "options" &&
      (verb.effect === "reads" || process.env["FUZZ_RUNS"] !== undefined)
    )
    const helps = new Map<string, string>()
    const waiting = [...verbs]
    await Promise.all([1, 2, 3].map(async () => {
      for (let verb = waiting.pop(); verb !== undefined; verb = waiting.pop()) {
        helps.set(verb.name, await run(...verb.name.split(" "), "--help"))
      }
    }))
    for (const verb of verbs) {
      const theirs = documented(helps.get(verb.name) ?? "")
      assert.match(helps.get(verb.name) ?? "", new RegExp(`^  kubectl ${verb.name}\\b`, "m"), verb.name)
      for (const name of verb.harmless) assert.isTrue(theirs.has(name), `kubectl ${verb.name} has no --${name}`)
      for (const [name, spec] of verb.flags) {
        if (name !== spec.name || spec.global) continue
        const their = theirs.get(name)
        assert.isDefined(their, `kubectl ${verb.name} has no --${name}`)
        const ours = [spec.short, spec.takes === "boolean"]
        assert.deepStrictEqual(ours, [their.short, their.boolean], `${verb.name} --${name}`)
      }
      // A later kubectl may have more.
      if (minor > 32) continue
      for (const name of theirs.keys()) {
        assert.isTrue(verb.flags.has(name), `${verb.name} --${name} is not in the table`)
      }
    }
  })

  it("know which flags take a value only after a =", async () => {
    // Nothing is named, so nothing is deleted, whatever cluster is configured.
    const failure = (flag: string): Promise<string> =>
      run("delete", "--server=http://127.0.0.1:1", `--${flag}`).catch((error: { readonly stderr: string }) =>
        error.stderr
      )
    for (const name of ["dry-run", "cascade", "grace-period", "timeout"]) {
      const takes = Verbs.find("delete")?.flags.get(name)?.takes
      const needs = (await failure(name)).includes(`flag needs an argument: --${name}`)
      assert.strictEqual(needs, takes === "value", name)
    }
  })
})
