import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { packageVersion } from "../src/domain/PackageVersion.js"

const root = new URL("../src", import.meta.url).pathname

/** A folder imports from lower ranks and from itself. */
const rank: Record<string, number> = {
  domain: 0,
  effect: 0,
  network: 0.5,
  config: 1,
  terminal: 1,
  versions: 1,
  telemetry: 1,
  redaction: 1,
  kubectl: 1,
  call: 1.5,
  audit: 2,
  commandline: 2,
  auth: 2,
  models: 2,
  tls: 2,
  limits: 3,
  streaming: 3,
  proxy: 4,
  grpc: 5,
  client: 6,
  ops: 6,
  assistant: 7,
  cli: 8,
  server: 8,
  testing: 9
}
const entryPoints = ["server/main.ts", "cli/main.ts"]
const sdks = /^(openai|@anthropic-ai\/sdk)(\/|$)/

const files = Fs.readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
const read = (file: string) => Fs.readFileSync(Path.join(root, file), "utf8")
/** `.` for the files directly in `src`: they are barrels and may import everything. */
const folder = (file: string) => file.includes("/") ? file.split("/")[0]! : "."
const specifiers = (text: string) => [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!)
/** What loading a module loads: no types, no dynamic imports. */
const staticImports = (text: string) =>
  [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^"]*?from "([^"]+)"|^import "([^"]+)"/gms)]
    .map((match) => match[1] ?? match[2]!)

/** Every module reached from `file` by static imports. */
const closure = (file: string, seen = new Set<string>()): Set<string> => {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const specifier of staticImports(read(file))) {
    if (specifier.startsWith(".")) closure(Path.join(Path.dirname(file), specifier).replace(/\.js$/, ".ts"), seen)
    else seen.add(specifier)
  }
  return seen
}

describe("architecture", () => {
  for (const file of files) {
    it(file, () => {
      const text = read(file)
      for (const specifier of specifiers(text)) {
        if (specifier.startsWith(".")) {
          assert.match(specifier, /\.js$/, "relative imports end in .js")
          const target = folder(Path.join(Path.dirname(file), specifier))
          if (folder(file) === "." || target === folder(file)) continue
          assert.isDefined(rank[target], `unknown folder ${target}`)
          assert.isBelow(rank[target], rank[folder(file)]!, `imports upward or sideways: ${specifier}`)
        } else {
          if (folder(file) === "domain") assert.strictEqual(specifier, "effect", "domain imports effect only")
          if (specifier.startsWith("@grpc/")) assert.strictEqual(folder(file), "grpc", "grpc at the edge only")
          if (sdks.test(specifier)) assert.strictEqual(folder(file), "models", "vendor SDKs in models only")
        }
      }
      if (!entryPoints.includes(file)) {
        assert.notMatch(text, /Effect\.run(Promise|Sync|Fork|Callback)|\brunMain\b/, "fibers start at the edges only")
      }
      if (file !== "grpc/Bridge.ts") {
        assert.notMatch(
          text,
          /FiberSet\.(makeRuntime|runtime)|\bRuntime\.run/,
          "fibers of calls start in the bridge only"
        )
      }
    })
  }

  it("the client loads no vendor SDK", () => {
    for (const entry of ["index.ts", "client/index.ts", "cli/Cli.ts", "cli/main.ts"]) {
      const loaded = [...closure(entry)].filter((module) => sdks.test(module))
      assert.deepStrictEqual(loaded, [], entry)
    }
  })

  it("the command lines load neither gRPC nor a vendor SDK before a command needs them", () => {
    for (const entry of ["cli/main.ts", "server/main.ts"]) {
      const loaded = [...closure(entry)].filter((module) => sdks.test(module) || module.startsWith("@grpc/"))
      assert.deepStrictEqual(loaded, [], entry)
    }
  })

  it("the version in the code is the package's", () => {
    const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "..", "package.json"), "utf8")) as { version: string }
    assert.strictEqual(packageVersion, manifest.version)
  })
})
