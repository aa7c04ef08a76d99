/**
 * A Redis of our own, where the machine has one.
 */
import { createClient } from "@redis/client"
import { Effect, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { freePort } from "./Programs.js"
import * as Temporary from "./Temporary.js"

/** The Debian package that has it. */
export const packages = "redis-server"

/** Whether there is a `redis-server` on PATH. */
export const available = (): boolean => {
  try {
    execFileSync("which", ["redis-server"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

export interface Server {
  readonly port: number
  readonly url: string
  /** Lets it hang: it still takes connections and answers nothing. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** Ends it; all that it had is gone. */
  readonly kill: Effect.Effect<void>
  /** The same again after `kill`, empty. */
  readonly start: Effect.Effect<void>
}

/** Listens on the loopback while the scope is open, and keeps nothing on disk. */
export const server = (
  password?: string,
  more: ReadonlyArray<string> = []
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const directory = Temporary.directory("redis")
      const port = await freePort()
      let child: ChildProcess = await run(directory, port, password, more)
      const signal = (name: NodeJS.Signals) => Effect.sync(() => void child.kill(name))
      const kill = Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = once(child, "exit")
        child.kill("SIGKILL")
        await ended
      })
      const start = Effect.promise(async () => {
        child = await run(directory, port, password, more)
      })
      const url = `redis://${password === undefined ? "" : `:${password}@`}127.0.0.1:${port}`
      return { directory, port, url, freeze: signal("SIGSTOP"), thaw: signal("SIGCONT"), kill, start }
    }),
    ({ directory, kill }) =>
      Effect.zipRight(kill, Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true })))
  )

export type Client = Effect.Effect.Success<ReturnType<typeof client>>

/** To look at what is in it, and to change it. */
export const client = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(() => createClient({ url, RESP: 2 }).on("error", () => {}).connect()),
    (client) => Effect.sync(() => client.destroy())
  )

// -- internals ---------------------------------------------------------------

const run = (
  directory: string,
  port: number,
  password: string | undefined,
  more: ReadonlyArray<string>
): Promise<ChildProcess> =>
  new Promise((resolve, reject) => {
    const locked = password === undefined ? [] : ["--requirepass", password]
    const where = ["--bind", "127.0.0.1", "--port", `${port}`, "--dir", directory]
    const child = spawn("redis-server", [...where, "--save", "", "--appendonly", "no", ...locked, ...more], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    let said = ""
    child.stdout.on("data", (piece: Buffer) => {
      said += piece.toString()
      if (said.includes("Ready to accept connections")) resolve(child)
    })
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`redis-server ended with ${code}:\n${said}`)))
  })
