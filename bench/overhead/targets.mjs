// What is compared, and how each of it is started.
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Procs from "./procs.mjs"
import { models } from "./scenarios.mjs"

const root = new URL("../..", import.meta.url).pathname
const bare = new URL("bare.mjs", import.meta.url).pathname

/** The published gateway that is compared with; installed beside the repository's packages, and never one of them. */
const peer = {
  directory: Path.join(root, "node_modules/.cache/bench-peer"),
  manifest: {
    private: true,
    dependencies: { "@portkey-ai/gateway": "1.15.2" },
    // With a newer one it answers every stream with HTTP 500: github.com/Portkey-AI/gateway/issues/1389.
    overrides: { "@hono/node-server": "1.14.1" }
  }
}

export const names = ["bare", "vibectl", "baseline", "portkey"]

/** The server that `npm run build` has made. */
const builtServer = () => {
  const { bin } = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))
  const file = Path.join(root, bin["vibectl-server"])
  if (!Fs.existsSync(file)) throw new Error("run `npm run build` first")
  return file
}

/**
 * Those of these names that there are here; `notes` are why others are not. A target has `start(port)`, which yields its
 * process; `metrics`, the port to scrape; `headers`, when it speaks HTTP; and `serves(scenario)`.
 */
export const make = async ({ baseline, directory, providerPort, server, wanted }) => {
  const notes = []
  const secret = randomBytes(32).toString("base64url")
  const url = `http://127.0.0.1:${providerPort}/v1`
  const ours = async (name, program) => {
    const home = Path.join(directory, name)
    Fs.mkdirSync(Path.join(home, "server"), { recursive: true })
    Fs.writeFileSync(Path.join(home, "server/config.yaml"), configOf(url), { mode: 0o600 })
    const env = { PATH: process.env.PATH, VIBECTL_CONFIG_DIR: home, VIBECTL_JWT_SECRET: secret }
    const metrics = await Procs.freePort()
    const log = Fs.openSync(Path.join(home, "log.json"), "a")
    const flags = ["--insecure", "--log-level", "INFO", "--log-format", "json", "--metrics-port", String(metrics)]
    return {
      name,
      metrics,
      env,
      program,
      serves: () => true,
      start: (port, nodeFlags = []) =>
        Procs.start(0, [...nodeFlags, program, ...flags, "--port", String(port)], { env, log })
    }
  }
  const makers = {
    bare: () => ({
      name: "bare",
      serves: () => true,
      start: (port) =>
        Procs.start(0, [bare, String(port), url], { env: { PATH: process.env.PATH, VIBECTL_JWT_SECRET: secret } })
    }),
    vibectl: () => ours("vibectl", server ?? builtServer()),
    baseline: () => baseline === undefined ? undefined : ours("baseline", Path.resolve(baseline)),
    portkey: () => {
      const program = portkey()
      if (program === undefined) {
        notes.push("portkey: @portkey-ai/gateway cannot be installed here, so it is left out")
        return undefined
      }
      return {
        name: "portkey",
        serves: ({ rpc }) => rpc !== "info",
        headers: { authorization: "Bearer key", "x-portkey-provider": "openai", "x-portkey-custom-host": url },
        start: (port) =>
          Procs.start(0, [program, `--port=${port}`, "--headless"], {
            env: { PATH: process.env.PATH, NODE_ENV: "production", TRUSTED_CUSTOM_HOSTS: "127.0.0.1" },
            log: Fs.openSync(Path.join(directory, "portkey.log"), "a")
          })
      }
    }
  }
  const targets = []
  for (const name of wanted) targets.push(await makers[name]())
  const found = targets.filter((target) => target !== undefined)
  const issuer = found.find(({ env }) => env !== undefined) ?? await ours("vibectl", server ?? builtServer())
  return { targets: found, notes, token: tokenOf(issuer) }
}

const plenty = 1_000_000_000

/** Every limit is there, and none is ever reached. */
const configOf = (url) => `
server:
  limits:
    global:
      max_requests_per_minute: ${plenty}
      max_concurrent_requests: 100000
      max_tokens_per_minute: ${plenty * 1000}
      max_tokens_per_day: ${plenty * 1000}
      max_usd_per_month: 1000000
      max_input_length: 1000000
      request_timeout_seconds: 600
    per_token:
      bench: { max_requests_per_minute: ${plenty}, max_tokens_per_month: ${plenty * 1000} }
    models:
      openai/*: { max_concurrent_requests: 100000 }
prices: { openai/*: { input: 0.000001, output: 0.000002 } }
providers:
  openai: { kind: openai, api_key: key, base_url: "${url}", models: [${models.join(", ")}] }
`

const tokenOf = ({ env, program }) =>
  execFileSync(process.execPath, [
    program,
    "generate-token",
    "bench",
    "--expires-in",
    "1d",
    "--max-rpm",
    String(plenty),
    "--max-concurrent",
    "100000"
  ], { env, encoding: "utf8" }).trim()

/** Its program; undefined when it cannot be had. */
const portkey = () => {
  const program = Path.join(peer.directory, "node_modules/@portkey-ai/gateway/build/start-server.js")
  if (Fs.existsSync(program)) return program
  try {
    Fs.mkdirSync(peer.directory, { recursive: true })
    Fs.writeFileSync(Path.join(peer.directory, "package.json"), JSON.stringify(peer.manifest))
    const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    execFileSync("npm", ["install", "--prefix", peer.directory, ...flags], { stdio: "ignore" })
  } catch {
    return undefined
  }
  return Fs.existsSync(program) ? program : undefined
}
