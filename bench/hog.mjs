/**
 * A busy machine: processes that keep the processors busy.
 *
 *     node bench/hog.mjs                          three processes, until Ctrl+C
 *     node bench/hog.mjs 5 60                     five, for a minute
 *     node bench/hog.mjs 3 -- npx vitest run      while the command runs; exits with its code
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { constants } from "node:os"

const words = process.argv.slice(2)
const dashes = words.indexOf("--")
const command = dashes < 0 ? [] : words.slice(dashes + 1)
const [count = "3", seconds, ...more] = dashes < 0 ? words : words.slice(0, dashes)

const usage = () => {
  process.stderr.write("usage: node bench/hog.mjs [PROCESSES] [SECONDS] [-- COMMAND ...]\n")
  process.exit(2)
}
const isNumber = (word) => word === undefined || /^\d+$/.test(word)
if (more.length > 0 || !isNumber(count) || !isNumber(seconds) || dashes >= 0 && command.length === 0) usage()

/** Each looks now and then whether we are still here, so that none outlives us, whatever ended us. */
const spin = `
const parent = process.ppid
for (let i = 0;; i++) if (i % 1e8 === 0 && process.ppid !== parent) process.exit()
`
const hogs = Array.from({ length: Number(count) }, () => spawn(process.execPath, ["-e", spin], { stdio: "ignore" }))
const end = (code) => {
  for (const hog of hogs) hog.kill("SIGKILL")
  process.exit(code)
}

if (command.length === 0) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => end(128 + constants.signals[signal]))
  if (seconds === undefined) setInterval(() => {}, 60_000)
  else setTimeout(() => end(0), Number(seconds) * 1000)
} else {
  const child = spawn(command[0], command.slice(1), { stdio: "inherit" })
  // A terminal sends Ctrl+C to the command too: it decides how to end.
  process.on("SIGINT", () => {})
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.once("error", (error) => {
    process.stderr.write(`${command[0]} cannot be started: ${error.message}\n`)
    end(127)
  })
  if (seconds !== undefined) setTimeout(() => hogs.forEach((hog) => hog.kill("SIGKILL")), Number(seconds) * 1000)
  const [code, signal] = await once(child, "exit")
  end(code ?? 128 + constants.signals[signal])
}
