/**
 * Builds `dist`: the library as modules with their types, and the two programs as bundles.
 *
 * A program starts by loading its modules, and those of Effect are hundreds of small files: bundled, it starts in a
 * third of the time. What the sources load with `import()` stays a file of its own, loaded when it is needed.
 * The library is not bundled: it has to share one `effect` with the application that imports it.
 *
 * esbuild makes the code, and the compiler checks it and makes the declarations, which takes nearly all of the time:
 * `--no-types` leaves that out, for those who only run what is built. `--plain` does without esbuild, for machines
 * that its binary does not run on: all is made by the compiler, and the programs do the same but start slower.
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

const compile = async (...flags) => {
  const compiler = spawn(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", ...flags], {
    cwd: root,
    stdio: "inherit"
  })
  const [code] = await once(compiler, "exit")
  if (code !== 0) process.exit(code ?? 1)
}

const common = { absWorkingDir: root, outdir: dist, platform: "node", format: "esm", logLevel: "warning" }

/** Module by module. Nobody but the client program uses what is in `cli`. */
const library = (esbuild) => {
  const files = Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" })
  const modules = files.filter((file) => file.endsWith(".ts") && !/^cli\/|\/main\.ts$/.test(file))
  return esbuild.build({
    ...common,
    entryPoints: modules.map((file) => `src/${file}`),
    outbase: "src",
    target: "es2022",
    sourcemap: true,
    sourcesContent: false
  })
}

const bundles = (esbuild) =>
  esbuild.build({
    ...common,
    entryPoints: Object.fromEntries(programs.map((program) => [program, `src/${program}.ts`])),
    // As deep as the sources are: what stands beside `src`, like the `.proto`, stands beside it as before.
    chunkNames: "programs/[name]-[hash]",
    bundle: true,
    splitting: true,
    target: "node20.19",
    external,
    plugins: [unused],
    // For those of the bundled packages that are CommonJS and ask for a module of Node.
    banner: {
      js: "import{createRequire as $createRequire}from\"node:module\";const require=$createRequire(import.meta.url)"
    },
    metafile: true
  })

Fs.rmSync(dist, { recursive: true, force: true })
if (process.argv.includes("--plain")) {
  await compile()
} else {
  if (!process.argv.includes("--no-types")) {
    await compile("--emitDeclarationOnly")
    Fs.rmSync(Path.join(dist, "cli"), { recursive: true })
  }
  const esbuild = await import("esbuild")
  const [{ metafile }] = await Promise.all([bundles(esbuild), library(esbuild)])
  Fs.writeFileSync(Path.join(dist, "programs/THIRD-PARTY.txt"), notices(root, metafile))
}
for (const program of programs) Fs.chmodSync(Path.join(dist, `${program}.js`), 0o755)
