/**
 * The built server against servers of others that speak OpenAI's or Anthropic's wire.
 *
 * Installs pinned versions from npm into a temporary folder, starts each on this machine, points `vibectl-server` at it,
 * and checks a stream, a whole answer, an error and `providers check`. Needs the registry, so it is no part of `npm test`:
 * `npm run peers` builds and runs it, prints one line for each, and exits with 1 when one fails.
 */
import { Effect, Stream } from "effect"
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const { ProxyClient } = await import(new URL("../../dist/client/index.js", import.meta.url).href)
const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-peers-"))
const processes = []

const write = (name, content) => {
  const file = Path.join(folder, name)
  Fs.mkdirSync(Path.dirname(file), { recursive: true })
  Fs.writeFileSync(file, content, { mode: 0o600 })
  return file
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = Net.createServer().once("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

/** Waits until something listens there, for a minute at most. */
const listening = async (port) => {
  for (const until = Date.now() + 60_000; Date.now() < until;) {
    const isThere = await new Promise((resolve) => {
      const socket = Net.connect(port, "127.0.0.1", () => resolve(true)).once("error", () => resolve(false))
      socket.once("connect", () => socket.destroy())
    })
    if (isThere) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`nothing listens on ${port}`)
}

const start = (command, words, options = {}) => {
  const child = spawn(command, words, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], ...options })
  processes.push(child)
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output = (output + data).slice(-4000))
  return () => output
}

const bin = (name) => Path.join(folder, "node_modules", ".bin", name)

const answer = "Four nodes are ready."
/** `start` gets a port; `path` is what follows it in `base_url`. `failure` is what a model or prompt that it does not know leads to. */
const peers = [
  {
    name: "mock-llm",
    version: "@dwmkerr/mock-llm@0.1.29",
    kind: "openai",
    path: "/v1",
    prompt: "How many nodes?",
    expected: /How many nodes\?/,
    failing: "please give error-401",
    failure: "PROVIDER_REJECTED",
    start: (port) => {
      const rule = (match, status, content) =>
        `  - path: "/v1/chat/completions"\n    method: "POST"\n    match: "${match}"\n    response:\n      status: ${status}\n      content: |\n        ${content}\n`
      const echo = JSON.stringify({
        id: "chatcmpl-1",
        object: "chat.completion",
        model: "{{jmes request body.model}}",
        choices: [{
          message: { role: "assistant", content: "{{jmes request body.messages[-1].content}}" },
          finish_reason: "stop"
        }]
      })
      const error = JSON.stringify({
        error: { message: "Incorrect API key provided.", type: "invalid_request_error", code: "invalid_api_key" }
      })
      const config = `rules:\n${rule("@", 200, echo)}${
        rule("contains(body.messages[-1].content, 'error-401')", 401, error)
      }`
      write("mock-llm/mock-llm.yaml", config)
      return start(bin("mock-llm"), [], {
        cwd: Path.join(folder, "mock-llm"),
        env: { ...process.env, PORT: String(port), HOST: "127.0.0.1" }
      })
    }
  },
  ...["openai", "anthropic"].map((kind) => ({
    name: `aimock-${kind}`,
    version: "@copilotkit/aimock@1.43.0",
    kind,
    path: kind === "openai" ? "/v1" : "",
    prompt: "How many nodes?",
    expected: /^Four nodes are ready\.$/,
    failing: "something that no fixture knows",
    failure: "PROVIDER_UNAVAILABLE",
    start: (port) => {
      const fixtures = {
        fixtures: [
          { match: { userMessage: "How many nodes" }, response: { content: answer } },
          { match: { userMessage: "Say yes" }, response: { content: "yes" } }
        ]
      }
      return start(bin("llmock"), [
        "-p",
        String(port),
        "-f",
        write(`aimock-${kind}.json`, JSON.stringify(fixtures)),
        "--strict"
      ])
    }
  })),
  {
    name: "openai-mock-api",
    version: "openai-mock-api@0.4.0",
    kind: "openai",
    path: "/v1",
    prompt: "How many nodes?",
    expected: /^Four nodes are ready\.$/,
    failing: "something that is not configured",
    failure: "PROVIDER_REJECTED",
    start: (port) => {
      const exact =
        `  - id: nodes\n    messages:\n      - { role: user, content: "How many nodes?" }\n      - { role: assistant, content: "${answer}" }\n`
      const yes =
        `  - id: yes\n    messages:\n      - { role: system, content: "Answer in one word." }\n      - { role: user, content: "Say yes." }\n      - { role: assistant, content: "yes" }\n`
      return start(bin("openai-mock-api"), [
        "--config",
        write("openai-mock-api.yaml", `apiKey: key\nport: ${port}\nresponses:\n${exact}${yes}`),
        "--port",
        String(port)
      ])
    }
  },
  {
    name: "mock-openai-api",
    version: "mock-openai-api@1.0.3",
    kind: "openai",
    path: "/v1",
    model: "mock-gpt-markdown",
    prompt: "How many nodes?",
    expected: /\S/,
    failingModel: "no-such-model",
    failure: "MODEL_NOT_FOUND",
    start: (port) => start(bin("mock-openai-api"), ["-p", String(port), "-H", "127.0.0.1"])
  }
]

const check = async (peer) => {
  const [port, own] = [await freePort(), await freePort()]
  const output = peer.start(port)
  try {
    await listening(port)
    const config = write(
      `server-${peer.name}.json`,
      JSON.stringify({
        server: { host: "127.0.0.1", port: own, enable_auth: false, metrics_port: 0 },
        tls: { enabled: false },
        state: { kind: "embedded" },
        providers: {
          peer: {
            kind: peer.kind,
            base_url: `http://127.0.0.1:${port}${peer.path}`,
            api_key: "key",
            default_model: peer.model ?? "some-model",
            max_retries: 0
          }
        }
      })
    )
    const env = { PATH: process.env.PATH, HOME: folder, VIBECTL_CONFIG_DIR: Path.join(folder, `config-${peer.name}`) }
    const main = Path.join(root, "dist/server/main.js")
    start(process.execPath, [main, "serve", "--config", config], { env })
    await listening(own)
    const layer = ProxyClient.layer({
      host: "127.0.0.1",
      port: own,
      tls: false,
      retryAttempts: 0,
      timeout: "30 seconds"
    })
    const ask = (text, model = peer.model ?? "some-model") => ({ user: [text], model: `peer/${model}` })
    const run = (use) => Effect.runPromise(Effect.flatMap(ProxyClient, use).pipe(Effect.provide(layer)))

    const events = [...await run((client) => Stream.runCollect(client.stream(ask(peer.prompt))))]
    const text = events.flatMap((event) => event._tag === "Text" ? [event.text] : []).join("")
    const tier = events.find((event) => event._tag === "Start").tier
    const { estimated } = events.find((event) => event._tag === "Metrics")
    assert.match(text, peer.expected)
    const whole = await run((client) => client.execute(ask(peer.prompt)))
    assert.match(whole.text, peer.expected)
    const failed = await run((client) =>
      Effect.flip(client.execute(ask(peer.failing ?? peer.prompt, peer.failingModel)))
    )
    assert.equal(failed.reason, peer.failure, failed.message)
    const report = JSON.parse(
      execFileSync(process.execPath, [main, "providers", "check", "peer", "--output", "json", "--config", config], {
        env,
        stdio: ["ignore", "pipe", "ignore"]
      })
    )
    assert.equal(report[0].ok, true)
    return `${peer.version} (${peer.kind}): stream ${tier}${
      estimated ? ", tokens estimated" : ""
    }; whole answer; error ${failed.reason}; check: streams ${report[0].streams}, usage ${report[0].usage}, schema ${
      report[0].structured_output
    }, refused ${report[0].refused_fields.join(" ") || "none"}`
  } catch (error) {
    throw new Error(`${peer.version} (${peer.kind}): ${error.message}\n${output()}`)
  }
}

let failures = 0
try {
  write("package.json", "{\"private\":true}")
  const versions = [...new Set(peers.map(({ version }) => version))]
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--save-exact", ...versions], {
    cwd: folder,
    stdio: "ignore"
  })
  for (const peer of peers) {
    try {
      console.log(`ok    ${await check(peer)}`)
    } catch (error) {
      failures += 1
      console.log(`FAILS ${error.message}`)
    }
    for (const child of processes.splice(0)) child.kill("SIGKILL")
  }
} finally {
  for (const child of processes) child.kill("SIGKILL")
  Fs.rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failures === 0 ? 0 : 1
