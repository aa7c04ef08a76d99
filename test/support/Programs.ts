/**
 * The built programs as a person runs them: on PATH, with a home directory of their own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Temporary from "./Temporary.js"

const dist = new URL("../../dist", import.meta.url).pathname

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Serving {
  readonly port: number
  readonly log: () => string
  readonly process: ChildProcess
  /** Sends SIGTERM and waits for the exit code. */
  readonly stop: () => Promise<number | null>
}

export interface Begun {
  /** That of the shell; of the program when its line begins with `exec`. */
  readonly process: ChildProcess
  /** What it has written so far. */
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ran>
}

export interface Home {
  readonly directory: string
  /** Runs a line of shell. */
  readonly sh: (line: string, variables?: Record<string, string>) => Promise<Ran>
  /** Starts it. */
  readonly begin: (line: string, variables?: Record<string, string>) => Begun
  /** Starts a server with this line of shell and waits until it listens. */
  readonly serve: (line: string, variables?: Record<string, string>) => Promise<Serving>
  /** Stops what still runs and removes the directory. */
  readonly close: () => Promise<void>
}

/** A new, empty home directory. */
export const home = (): Home => {
  const directory = Temporary.directory("home")
  const bin = Path.join(directory, "bin")
  Fs.mkdirSync(bin)
  if (!Fs.existsSync(Path.join(dist, "cli/main.js"))) throw new Error("run `npm run build` first")
  Fs.symlinkSync(Path.join(dist, "cli/main.js"), Path.join(bin, "vibectl"))
  Fs.symlinkSync(Path.join(dist, "server/main.js"), Path.join(bin, "vibectl-server"))
  const running = new Set<ChildProcess>()

  const start = (line: string, variables: Record<string, string>) => {
    // Nothing of the environment but PATH: no key of the person who runs the tests, no configuration of theirs.
    const child = spawn("sh", ["-c", line], {
      cwd: directory,
      // Servers run side by side, and only one could have the usual port for metrics.
      env: {
        HOME: directory,
        PATH: `${bin}:${process.env["PATH"] ?? ""}`,
        VIBECTL_SERVER__METRICS_PORT: "0",
        // What Node is about to remove fails here first.
        NODE_OPTIONS: "--throw-deprecation",
        ...variables
      },
      stdio: ["ignore", "pipe", "pipe"]
    })
    running.add(child)
    child.once("exit", () => running.delete(child))
    return child
  }

  const begin: Home["begin"] = (line, variables = {}) => {
    const child = start(line, variables)
    const [stdout, stderr] = [gather(child.stdout), gather(child.stderr)]
    const ended = once(child, "close").then(([code]: Array<number | null>) => {
      return { code: code ?? null, stdout: stdout(), stderr: stderr() }
    })
    return { process: child, stdout, stderr, ended }
  }

  const sh: Home["sh"] = (line, variables) => begin(line, variables).ended

  const serve: Home["serve"] = async (line, variables = {}) => {
    const child = start(`exec ${line}`, variables)
    const log = gather(child.stderr)
    const port = await new Promise<number>((resolve, reject) => {
      const look = () => {
        // As JSON, or for people.
        const found = /listening\b[^]*?address"?[:=] ?"?[^"\s]*:(\d+)["\s\u001b]/.exec(log())
        if (found !== null) resolve(Number(found[1]))
      }
      child.stderr.on("data", look)
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}:\n${log()}`)))
    })
    const stop = async () => {
      const ended = once(child, "exit")
      child.kill("SIGTERM")
      const [code] = await ended as [number | null]
      return code
    }
    return { port, log, process: child, stop }
  }

  const close = async () => {
    await Promise.all([...running].map((child) => {
      const ended = once(child, "exit")
      child.kill("SIGKILL")
      return ended
    }))
    Fs.rmSync(directory, { recursive: true, force: true })
  }

  return { directory, sh, begin, serve, close }
}

/**
 * A port nobody listens on at this moment, below those that outgoing connections get: a server that is started again on
 * it finds it free.
 */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const probe = Net.createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false))
      probe.listen(port, "127.0.0.1", () => resolve(true))
    })
    if (!isFree) continue
    probe.close()
    await once(probe, "close")
    return port
  }
}

const gather = (stream: NodeJS.ReadableStream): () => string => {
  let text = ""
  stream.setEncoding("utf8")
  stream.on("data", (piece: string) => {
    text += piece
  })
  return () => text
}
