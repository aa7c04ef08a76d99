/**
 * Another process of this program, which takes calls on the same port, as the
 * primary process has it.
 */
import { Effect, Queue } from "effect"
import cluster from "node:cluster"
import * as Net from "node:net"
import { type FromWorker, type ToWorker, variable } from "./Messages.js"

export interface Child {
  /** Of the process; undefined where none could be made. */
  readonly pid: number | undefined
  readonly send: (message: ToWorker) => void
  /** What it says, in order; how it ended is the last of it. */
  readonly said: Queue.Dequeue<FromWorker | Ended>
  /** Ends it at once. */
  readonly kill: () => void
}

export interface Ended {
  readonly is: "ended"
  readonly code: number | null
  readonly signal: string | null
}

export const fork = (number: number): Effect.Effect<Child> =>
  Effect.map(Queue.unbounded<FromWorker | Ended>(), (said) => {
    const worker = cluster.fork({ [variable]: String(number) })
    let how: Ended = { is: "ended", code: null, signal: null }
    // What it sent may still be on its way when it has exited.
    let left = 2
    const close = () => {
      left--
      if (left === 0) said.unsafeOffer(how)
    }
    // The other end is this program.
    worker.on("message", (message) => said.unsafeOffer(message as FromWorker))
    worker.on("error", () => {})
    worker.once("disconnect", close)
    worker.once("exit", (code: number | null, signal: string | null) => {
      how = { is: "ended", code, signal }
      close()
    })
    return {
      pid: worker.process.pid,
      said,
      send: (message) => {
        if (worker.isConnected()) worker.send(message, () => {})
      },
      kill: () => void worker.process.kill("SIGKILL")
    }
  })

/** A port that all of them can have, also one that takes the place of another; 0 where none is free. */
export const freePort = (host: string): Effect.Effect<number> =>
  Effect.async((resume) => {
    const probe = Net.createServer()
    probe.once("error", () => resume(Effect.succeed(0)))
    probe.listen({ host, port: 0, exclusive: true }, () => {
      const found = probe.address()
      probe.close(() => resume(Effect.succeed(typeof found === "object" && found !== null ? found.port : 0)))
    })
  })
