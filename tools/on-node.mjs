/**
 * Runs a command with another version of Node: `node tools/on-node.mjs 24 npm test`.
 *
 * npm's `node-<platform>-<arch>` packages hold the binaries of Node. The newest one of the version that is asked for is
 * installed once, outside of this checkout, without running any script of it; the command then finds it first on PATH.
 * The exit code is the command's.
 */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

const [version, command, ...args] = process.argv.slice(2)
if (version === undefined || !/^\d+(\.\d+){0,2}$/.test(version) || command === undefined) {
  console.error("usage: node tools/on-node.mjs VERSION COMMAND [ARGUMENT …]   (VERSION: 22, 24, 24.4.1 …)")
  process.exit(2)
}

const platform = process.platform === "win32" ? "win" : process.platform
const name = `node-${platform}-${process.arch}`
const cache = Path.join(process.env.XDG_CACHE_HOME ?? Path.join(Os.homedir(), ".cache"), "vibectl-on-node", version)
const directory = Path.join(cache, "node_modules", name, "bin")

/** What `node --version` prints, where there is a binary that runs. */
const installed = () => {
  try {
    return execFileSync(Path.join(directory, "node"), ["--version"], { encoding: "utf8" }).trim()
  } catch {
    return undefined
  }
}

if (installed() === undefined) {
  Fs.mkdirSync(cache, { recursive: true })
  Fs.writeFileSync(Path.join(cache, "package.json"), "{\"private\":true}\n")
  const flags = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", `${name}@${version}`]
  try {
    execFileSync("npm", flags, { cwd: cache, stdio: ["ignore", "ignore", "pipe"] })
  } catch (error) {
    const reason = String(error.stderr ?? error).trim().split("\n", 1)[0]
    console.error(`npm has no ${name}@${version}, or could not install it: ${reason}`)
    process.exit(1)
  }
}
const found = installed()
if (found === undefined || !found.startsWith(`v${version}`)) {
  console.error(`${directory} holds ${found ?? "no Node that runs"}; remove ${cache} and try again`)
  process.exit(1)
}

console.error(`Node ${found}`)
const child = spawn(command, args, {
  stdio: "inherit",
  env: { ...process.env, PATH: `${directory}${Path.delimiter}${process.env.PATH}` }
})
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal))
child.on("error", (error) => {
  console.error(`${command}: ${error.message}`)
  process.exit(127)
})
const [code, signal] = await once(child, "exit")
process.exit(code ?? 128 + Os.constants.signals[signal])
