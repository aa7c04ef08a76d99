// Child processes on a core of their own, and what they use.
import { execFileSync, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"

/** Whether a process can be bound to a core, and there are two to choose from. */
export const pins = (() => {
  if (process.platform !== "linux" || Os.availableParallelism() < 2) return false
  try {
    execFileSync("taskset", ["-c", "0", "true"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** This process, and the children that are not put elsewhere. */
export const pinSelf = (core) => {
  if (pins) execFileSync("taskset", ["-cp", String(core), String(process.pid)], { stdio: "ignore" })
}

const children = new Set()
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1))

/** Runs node on this core; `ipc` for those that talk to their parent. */
export const start = (core, args, { env, ipc = false, log = "ignore" } = {}) => {
  const command = [...pins ? ["taskset", "-c", String(core)] : [], process.execPath, ...args]
  const stdio = ["ignore", log, log === "ignore" ? "inherit" : log, ...ipc ? ["ipc"] : []]
  const child = spawn(command[0], command.slice(1), { env: env ?? process.env, stdio })
  children.add(child)
  child.once("exit", () => children.delete(child))
  return child
}

/** Asks it to end, and waits until it has. */
export const stop = (child) =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const late = setTimeout(() => child.kill("SIGKILL"), 15_000)
    child.once("exit", () => {
      clearTimeout(late)
      resolve()
    })
    child.kill("SIGTERM")
  })

/** The next message of a child; fails when it ends instead. */
export const heard = (child) =>
  new Promise((resolve, reject) => {
    const ended = (code) => reject(new Error(`${child.spawnargs.join(" ")} ended with ${code}`))
    child.once("exit", ended)
    child.once("message", (message) => {
      child.off("exit", ended)
      resolve(message)
    })
  })

/** A port nobody listens on at this moment. */
export const freePort = () =>
  new Promise((resolve) => {
    const probe = Net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })

/** Seconds of CPU that this process and its children have used; NaN where nobody says. */
export const cpuSeconds = (pid) =>
  tree(pid).reduce((sum, one) => {
    const [user, system, ofUser, ofSystem] = statOf(one).slice(11, 15).map(Number)
    return sum + (user + system + ofUser + ofSystem) / ticks
  }, tree(pid).length === 0 ? Number.NaN : 0)

/** MiB that this process and its children hold now. */
export const residentMiB = (pid) =>
  tree(pid).reduce((sum, one) => {
    const kilobytes = /^VmRSS:\s*(\d+)/m.exec(read(`/proc/${one}/status`))?.[1]
    return sum + Number(kilobytes ?? 0) / 1024
  }, 0)

/** Open files and sockets of this process alone. */
export const descriptors = (pid) => {
  let [fds, sockets] = [0, 0]
  for (const fd of list(`/proc/${pid}/fd`)) {
    fds++
    try {
      if (Fs.readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:")) sockets++
    } catch {
      // It has been closed since.
    }
  }
  return { fds, sockets }
}

const ticks = (() => {
  try {
    return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }))
  } catch {
    return 100
  }
})()

const list = (directory) => {
  try {
    return Fs.readdirSync(directory)
  } catch {
    return []
  }
}

const read = (file) => {
  try {
    return Fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** From the state on, which is the third field: the name before it may contain anything. */
const statOf = (pid) => {
  const text = read(`/proc/${pid}/stat`)
  return text.slice(text.lastIndexOf(")") + 2).split(" ")
}

const tree = (pid) => {
  if (!Fs.existsSync(`/proc/${pid}/stat`)) return []
  const below = list(`/proc/${pid}/task`).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).trim().split(" ").filter((child) => child !== "")
  )
  return [String(pid), ...below.flatMap(tree)]
}
