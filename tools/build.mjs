/**
 * Builds `dist`: the library as modules, and the two programs as bundles.
 *
 * A program starts by loading its modules, and those of Effect are hundreds of small files: bundled, it starts in a
 * third of the time. What the sources load with `import()` stays a file of its own, loaded when it is needed.
 * The library is not bundled: it has to share one `effect` with the application that imports it.
 *
 * `--no-check` leaves out the check of the types, for those who have done it; `--no-bundle` leaves the programs as
 * modules, for machines that esbuild's binary does not run on: they do the same, and start slower.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { notices } from "./notices.mjs"

const root = Path.dirname(import.meta.dirname)
const dist = Path.join(root, "dist")
const programs = ["cli/main", "server/main"]

/**
 * Bundled is what needs our `effect`, and what is small. What speaks with the network, reads keys or is native stays
 * as npm installs it, so that a mended version of it reaches the programs without a new one of ours.
 */
const external = [
  "@anthropic-ai/sdk",
  "@grpc/*",
  "@peculiar/x509",
  "@redis/client",
  "grpc-health-check",
  "jose",
  "libsql",
  "openai",
  "protobufjs",
  "reflect-metadata",
  "undici"
]

/** Parts of `effect` and its command line that no program of ours uses and that are loaded with the rest. */
const unused = {
  name: "unused",
  setup(build) {
    build.onResolve({ filter: /^(toml|ini|fast-check)$/ }, ({ path }) => ({ path, namespace: "unused" }))
    build.onLoad({ filter: /./, namespace: "unused" }, ({ path }) => ({
      contents:
        `const absent = () => { throw new Error("${path} is not bundled") }\nmodule.exports = new Proxy({}, { get: absent })`
    }))
  }
}

const library = async () => {
  const flags = process.argv.includes("--no-check") ? ["--noCheck"] : []
  const compiler = spawn(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", ...flags], {
    cwd: root,
    stdio: "inherit"
  })
  const [code] = await once(compiler, "exit")
  if (code !== 0) process.exit(code ?? 1)
}

const bundles = async () => {
  const esbuild = await import("esbuild")
  return esbuild.build({
    absWorkingDir: root,
    entryPoints: Object.fromEntries(programs.map((program) => [program, `src/${program}.ts`])),
    outdir: dist,
    // As deep as the sources are: what stands beside `src`, like the `.proto`, stands beside it as before.
    chunkNames: "programs/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    external,
    plugins: [unused],
    // For those of the bundled packages that are CommonJS and ask for a module of Node.
    banner: {
      js: "import{createRequire as $createRequire}from\"node:module\";const require=$createRequire(import.meta.url)"
    },
    metafile: true,
    write: false,
    logLevel: "warning"
  })
}

Fs.rmSync(dist, { recursive: true, force: true })
const [bundled] = await Promise.all([process.argv.includes("--no-bundle") ? undefined : bundles(), library()])
if (bundled !== undefined) {
  // Nobody else uses the modules of the client program.
  Fs.rmSync(Path.join(dist, "cli"), { recursive: true, force: true })
  for (const { path, contents } of bundled.outputFiles) {
    Fs.mkdirSync(Path.dirname(path), { recursive: true })
    Fs.writeFileSync(path, contents)
  }
  Fs.writeFileSync(Path.join(dist, "programs/THIRD-PARTY.txt"), notices(root, bundled.metafile))
}
for (const program of programs) Fs.chmodSync(Path.join(dist, `${program}.js`), 0o755)
