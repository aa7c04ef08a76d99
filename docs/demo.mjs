// `npm run demo`: the README's four commands, for real, in a scratch configuration directory.
//
// Needs no key and no network: without OPENAI_API_KEY or ANTHROPIC_API_KEY the server's built-in
// `demo` models answer. Everything it makes is removed at the end.
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const dist = fileURLToPath(new URL("../dist", import.meta.url))
const scratch = Fs.mkdtempSync(Path.join(Os.tmpdir(), "vibectl-demo-"))
const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined
const paint = (code, text) => colour ? `\u001b[${code}m${text}\u001b[0m` : text
const say = (text) => console.log(`\n${paint("2", `# ${text}`)}`)
const typed = (command) => console.log(`${paint("32", "$")} ${paint("1", command)}`)

// The two programs on PATH, as an installation would put them there.
const bin = Path.join(scratch, "bin")
Fs.mkdirSync(bin)
Fs.symlinkSync(Path.join(dist, "cli/main.js"), Path.join(bin, "vibectl"))
Fs.symlinkSync(Path.join(dist, "server/main.js"), Path.join(bin, "vibectl-server"))
// Provider keys may come from the environment; nothing that configures vibectl itself may.
const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VIBECTL_")))
const environment = {
  ...inherited,
  PATH: `${bin}${Path.delimiter}${process.env.PATH}`,
  VIBECTL_CONFIG_DIR: Path.join(scratch, "config")
}
const shell = (command, stdio) =>
  spawn("sh", ["-c", command], { cwd: scratch, env: environment, stdio: ["ignore", ...stdio] })

/** Types a command, shows what it prints, and stops the demo if it fails. */
const run = async (command) => {
  typed(command)
  const [code] = await once(shell(command, ["inherit", "inherit"]), "exit")
  if (code !== 0) throw new Error(`'${command}' ended with exit code ${code}`)
}

const isFree = (port) =>
  new Promise((resolve) => {
    const probe = Net.createServer()
    probe.once("error", () => resolve(false))
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)))
  })
const freePort = async () => {
  for (let port = 50051; port < 50151; port++) if (await isFree(port)) return port
  throw new Error("no free port between 50051 and 50150")
}

/** Starts the server and waits until its log says that it listens. */
const serve = (command) =>
  new Promise((resolve, reject) => {
    typed(`${command} 2> server.log &`)
    const server = shell(`exec ${command}`, ["ignore", "pipe"])
    server.stderr.setEncoding("utf8")
    server.stderr.on("data", (text) => {
      log += text
      Fs.appendFileSync(Path.join(scratch, "server.log"), text)
      if (text.includes("\"listening\"")) resolve(server)
    })
    server.once("exit", (code) => reject(new Error(`the server ended with exit code ${code}:\n${log}`)))
  })

/** What the server logged since the last look, one event a line. */
let log = ""
const showLog = () => {
  for (const line of log.trimEnd().split("\n").filter((line) => line !== "")) {
    const { annotations, message } = JSON.parse(line)
    const facts = Object.entries(annotations).map(([name, value]) => `${name}=${value}`).join(" ")
    console.log(paint("2", `  ${message} ${facts}`))
  }
  log = ""
}

let server
try {
  const port = await freePort()
  say("1. Start the server. It makes its signing secret, a private CA and a certificate for localhost.")
  server = await serve(`vibectl-server --enable-auth --port ${port}`)
  showLog()

  say("2. Make a token for a client. It is written to a file that only you can read.")
  await run("vibectl-server generate-token my-client --expires-in 30d --output token.jwt")

  say("3. Configure the client with it. The token is kept in a private file, not in the URL.")
  await run(`vibectl setup-proxy configure vibectl-server://$(cat token.jwt)@localhost:${port}`)

  say("Ask the server what it is.")
  await run("vibectl setup-proxy test")

  say("4. Use it. The answer is shown as it is produced.")
  await run("vibectl vibe \"explain kubernetes pods\"")

  say("What the server logged meanwhile: who called what, how it ended, how long it took; no prompt, no token.")
  showLog()

  say("Stop the server: it refuses new calls, lets running ones finish, and goes.")
  typed("kill %1")
  server.removeAllListeners("exit")
  server.kill("SIGTERM")
  const [code] = await once(server, "exit")
  if (code !== 0) throw new Error(`the server ended with exit code ${code}`)
  console.log("\nDone. Nothing of this demo is left on your machine.")
} catch (error) {
  console.error(`\nThe demo failed: ${error.message}`)
  process.exitCode = 1
} finally {
  if (server?.exitCode === null) server.kill("SIGKILL")
  Fs.rmSync(scratch, { recursive: true, force: true })
}
