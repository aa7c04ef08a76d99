/**
 * A `kubectl` in a home's `bin` that does what a test's rules say, and records how it was run: each argument as it came,
 * what stood on its standard input, and by which signals it was ended. Where it is, it answers by itself, unrecorded.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Patience from "./Patience.js"

/** What to do when the arguments begin with `match`; of several rules, the first. */
export interface Rule {
  readonly match: ReadonlyArray<string>
  /** Used so often, and then no more. */
  readonly times?: number
  readonly stdout?: string
  /** Writes `stdout` so often, this many milliseconds apart. */
  readonly repeat?: number
  readonly paceMs?: number
  readonly stderr?: string
  readonly exitCode?: number
  /** Before it writes anything. */
  readonly delayMs?: number
  /** Runs on after it has written, until a signal ends it; `stubborn`: until SIGKILL. */
  readonly hang?: boolean
  readonly stubborn?: boolean
  /** Runs this program with the same arguments instead, e.g. the real kubectl. */
  readonly run?: string
}

export interface Invocation {
  readonly pid: number
  readonly args: ReadonlyArray<string>
  /** What it had read when it ended; it waits for all of it only when an argument is `-` or ends in `=-`. */
  readonly stdin: string
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** That it got, in order. */
  readonly signals: ReadonlyArray<string>
  /** Undefined while it runs, and when SIGKILL ended it. */
  readonly exitCode: number | undefined
}

export interface RecordingKubectl {
  readonly file: string
  /** In the order in which they were started. */
  readonly invocations: () => ReadonlyArray<Invocation>
  /** Instead of the rules there were. */
  readonly script: (...rules: ReadonlyArray<Rule>) => void
  /** Waits, at most ten seconds, for a state of things. */
  readonly until: (holds: (invocations: ReadonlyArray<Invocation>) => boolean) => Promise<void>
  /** Whether any of them still runs. */
  readonly isRunning: () => boolean
}

/** What no rule is for ends with exit code 1. */
export const install = (
  home: { readonly directory: string },
  ...rules: ReadonlyArray<Rule>
): RecordingKubectl => {
  const directory = Path.join(home.directory, "recording")
  const [file, records] = [Path.join(home.directory, "bin/kubectl"), Path.join(directory, "records")]
  const script: RecordingKubectl["script"] = (...rules) =>
    Fs.writeFileSync(Path.join(directory, "rules.json"), JSON.stringify(rules))
  Fs.mkdirSync(directory, { recursive: true })
  Fs.writeFileSync(records, "")
  script(...rules)
  Fs.writeFileSync(file, program(directory), { mode: 0o755 })

  const invocations = () => gather(Fs.readFileSync(records, "utf8"))
  return {
    file,
    invocations,
    script,
    until: async (holds) =>
      void await Patience.eventuallyPromise(
        () => holds(invocations()),
        () => `${String(holds)}; it was run like this: ${JSON.stringify(invocations())}`
      ),
    isRunning: () => invocations().some(({ exitCode, pid }) => exitCode === undefined && isAlive(pid))
  }
}

// -- internals ---------------------------------------------------------------

type Entry =
  & Pick<Invocation, "pid">
  & Partial<Pick<Invocation, "args" | "env" | "cwd" | "exitCode"> & { readonly stdin: string; readonly signal: string }>

const gather = (text: string): ReadonlyArray<Invocation> => {
  const entries = text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Entry)
  return entries.flatMap(({ args, cwd = "", env = {}, pid }) => {
    if (args === undefined) return []
    const own = entries.filter((entry) => entry.pid === pid)
    return {
      pid,
      args,
      cwd,
      env,
      stdin: own.map(({ stdin = "" }) => stdin).join(""),
      signals: own.flatMap(({ signal }) => signal ?? []),
      exitCode: own.find(({ exitCode }) => exitCode !== undefined)?.exitCode
    }
  })
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** CommonJS, and nothing but what Node has in itself: it starts in 40 ms. */
const program = (directory: string) =>
  `#!/usr/bin/env node
const fs = require("node:fs")
const directory = ${JSON.stringify(directory)}
const args = process.argv.slice(2)
if (args.join(" ") === "config view --minify --output=json") {
  const contexts = [{ name: "kind-dev", context: { cluster: "kind-dev", user: "ada" } }]
  process.stdout.write(JSON.stringify({ "current-context": "kind-dev", contexts }) + "\\n")
  process.exit(0)
}
const record = (entry) => fs.appendFileSync(directory + "/records", JSON.stringify({ pid: process.pid, ...entry }) + "\\n")
const rules = JSON.parse(fs.readFileSync(directory + "/rules.json", "utf8"))
const uses = (index) => {
  const name = directory + "/uses-" + index
  fs.appendFileSync(name, ".")
  return fs.statSync(name).size
}
const rule = rules.find(({ match, times }, index) =>
  match.every((arg, at) => args[at] === arg) && (times === undefined || uses(index) <= times)
) ?? { stderr: "no rule for: " + JSON.stringify(args) + "\\n", exitCode: 1 }

let child
let ended = false
const end = (exitCode) => {
  if (ended) return
  ended = true
  record({ exitCode })
  process.exit(exitCode)
}
for (const [signal, number] of [["SIGINT", 2], ["SIGTERM", 15], ["SIGHUP", 1]]) {
  process.on(signal, () => {
    record({ signal })
    if (child !== undefined) child.kill(signal)
    else if (rule.stubborn !== true) end(128 + number)
  })
}
process.stdout.on("error", () => end(141))
process.stderr.on("error", () => end(141))

record({ args, cwd: process.cwd(), env: process.env })
const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis ?? 0))
const write = (stream, text) => new Promise((resolve) => stream.write(text, resolve))
const main = async () => {
  if (rule.run !== undefined) {
    child = require("node:child_process").spawn(rule.run, args, { stdio: "inherit" })
    child.once("exit", (code) => end(code ?? 1))
    return
  }
  const wanted = args.some((arg) => arg === "-" || arg.endsWith("=-"))
  // What a terminal has is the person's, and to read it would stop a job in the background.
  const read = process.stdin.isTTY ? Promise.resolve() : new Promise((resolve) => {
    process.stdin.setEncoding("utf8").on("data", (stdin) => record({ stdin })).once("end", resolve).once("error", resolve)
  })
  if (wanted) await read
  if (rule.delayMs !== undefined) await pause(rule.delayMs)
  if (rule.stderr !== undefined) await write(process.stderr, rule.stderr)
  for (let turn = 0; rule.stdout !== undefined && turn < (rule.repeat ?? 1); turn++) {
    if (turn > 0 && rule.paceMs !== undefined) await pause(rule.paceMs)
    await write(process.stdout, rule.stdout)
  }
  if (rule.hang === true || rule.stubborn === true) setInterval(() => {}, 60_000)
  else end(rule.exitCode ?? 0)
}
void main()
`
