import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { assert, describe, it } from "vitest"
import * as Programs from "../support/Programs.js"

/** The package under its own name, as those who install it import it. */
const load = async (entry: string) => Object.keys(await import(entry) as object).sort()

describe("the published package", () => {
  it("has the entry points of its manifest", async () => {
    assert.deepStrictEqual(await load("vibectl"), [
      "Access",
      "Answer",
      "ClientErrors",
      "Compatibility",
      "Cost",
      "Errors",
      "Lifetime",
      "Limits",
      "ProxyUrl",
      "packageVersion"
    ])
    assert.deepStrictEqual(await load("vibectl/client"), ["Answer", "ClientErrors", "ProxyClient", "ProxyUrl"])
    assert.deepStrictEqual(await load("vibectl/server"), [
      "Audit",
      "Catalog",
      "Env",
      "Issuers",
      "Keyring",
      "Kinds",
      "Limits",
      "LlmProxy",
      "LogLevel",
      "Ops",
      "Otlp",
      "Provider",
      "Revocations",
      "ServerConfig",
      "ServerLayer",
      "SigningKey",
      "State",
      "Store",
      "Tokens",
      "Trust"
    ])
    assert.deepStrictEqual(await load("vibectl/testing"), ["FakeProvider", "FakeVendor", "TestServer"])
  })

  it("brings the wire contract along", () => {
    const proto = createRequire(import.meta.url).resolve("vibectl/llm_proxy.proto")
    assert.include(Fs.readFileSync(proto, "utf8"), "service VibectlLLMProxy")
  })

  it("runs from what npm packs, beside the packages that it names and no others", async () => {
    const home = Programs.home()
    const { bin, modules, packed } = install(home.directory)
    assert.deepStrictEqual(Object.keys(bin).sort(), ["kubectl-vibe", "vibectl", "vibectl-server"])
    for (const file of Object.values(bin)) {
      assert.strictEqual(Fs.statSync(Path.join(packed, file)).mode & 0o111, 0o111, file)
    }
    const program = (name: string) => `node ${modules}/vibectl/${bin[name]}`

    const { port } = await home.serve(`${program("vibectl-server")} --port 0`)
    const token = (await home.sh(`${program("vibectl-server")} generate-token ci`)).stdout.trim()
    const url = `vibectl-server://${token}@localhost:${port}`
    const configured = await home.sh(`${program("vibectl")} setup-proxy configure ${url}`)
    assert.strictEqual(configured.code, 0, configured.stderr)
    assert.include(configured.stdout, "demo/echo")
    const entries = ["vibectl", "vibectl/client", "vibectl/server", "vibectl/testing"]
    const imports = entries.map((entry) => `import "${entry}"`).join(";")
    const imported = await home.sh(`node --input-type=module -e '${imports}'`)
    assert.strictEqual(imported.code, 0, imported.stderr)

    const notices = Fs.readFileSync(Path.join(packed, "dist/programs/THIRD-PARTY.txt"), "utf8")
    for (const name of ["effect", "@effect/cli", "@effect/platform-node", "yaml"]) {
      assert.match(notices, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\((MIT|ISC)\\)$`, "m"), name)
    }
    assert.include(notices, "Permission is hereby granted, free of charge")
    await home.close()
  })
})

/** Installs the package into a directory as npm does, but without the network. */
const install = (directory: string) => {
  const root = new URL("../..", import.meta.url).pathname
  const modules = Path.join(directory, "node_modules")
  const packed = Path.join(modules, "vibectl")
  Fs.mkdirSync(packed, { recursive: true })
  const npm = ["pack", "--ignore-scripts", "--silent", "--pack-destination", directory]
  const tarball = execFileSync("npm", npm, { cwd: root, encoding: "utf8" }).trim()
  execFileSync("tar", ["-xzf", Path.join(directory, tarball), "-C", packed, "--strip-components=1"])
  const manifest = JSON.parse(Fs.readFileSync(Path.join(packed, "package.json"), "utf8")) as {
    readonly bin: Record<string, string>
    readonly dependencies: Record<string, string>
    readonly peerDependencies: Record<string, string>
  }
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
    Fs.mkdirSync(Path.join(modules, Path.dirname(name)), { recursive: true })
    Fs.symlinkSync(Path.join(root, "node_modules", name), Path.join(modules, name))
  }
  return { bin: manifest.bin, modules, packed }
}
