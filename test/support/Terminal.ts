/**
 * A program at a terminal, where the machine has tmux: what a person sees, and the keys they press.
 */
import { execFile, execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"
import * as Patience from "./Patience.js"
import type * as Programs from "./Programs.js"

/** The Debian package that has it. */
export const packages = "tmux"

/** Whether there is a `tmux` on PATH. */
export const available = (): boolean => {
  try {
    execFileSync("which", ["tmux"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

export interface Options {
  /** 80 unless it is said. */
  readonly columns?: number
  /** 40 unless it is said. */
  readonly rows?: number
  readonly env?: Record<string, string>
}

export interface Terminal {
  /** Waits until the screen shows it, and gives that screen; fails with what is shown instead. */
  readonly waitFor: (what: string | RegExp) => Promise<string>
  /** These characters. */
  readonly type: (text: string) => Promise<void>
  /** Keys by their names of tmux: `Enter`, `C-c`, `Up`. */
  readonly press: (...keys: ReadonlyArray<string>) => Promise<void>
  /** What is shown and what has scrolled away, without blanks at the ends of lines; `joined`: lines that the terminal has broken are whole. */
  readonly screen: (options?: { readonly joined?: boolean }) => Promise<string>
  /** The same with the sequences that change colours. */
  readonly screenWithStyles: () => Promise<string>
  /** Waits until the shell shows its prompt again, at the beginning of a line, and gives what the program ended with. */
  readonly exitCode: () => Promise<number>
  readonly resize: (columns: number, rows: number) => Promise<void>
  readonly close: () => Promise<void>
}

/** What an interactive shell shows before and after a program; the number is the exit code. */
export const prompt = /^\[(\d+)\]\$$/

/** Starts this line of shell in an interactive shell at home. */
export const start = async (home: Programs.Home, line: string, options: Options = {}): Promise<Terminal> => {
  const { columns = 80, env = {}, rows = 40 } = options
  const name = `vibectl-test-${process.pid}-${started++}`
  const tmux = async (...words: ReadonlyArray<string>) =>
    (await run("tmux", ["-u", "-L", name, "-f", "/dev/null", ...words])).stdout
  const file = Path.join(home.directory, `.${name}`)
  Fs.writeFileSync(file, `${line}\n`)
  const variables = {
    HOME: home.directory,
    PATH: `${home.directory}/bin:${process.env["PATH"] ?? ""}`,
    LC_ALL: "C.UTF-8",
    TERM: "screen-256color",
    PS1: "[$?]$ ",
    ...env
  }
  await tmux(
    ...["start-server", ";", "set-option", "-g", "status", "off", ";"],
    ...["new-session", "-d", "-x", `${columns}`, "-y", `${rows}`, "-c", home.directory],
    ...["env", "-i", ...Object.entries(variables).map(([name, value]) => `${name}=${value}`), "sh", "-i"]
  )
  const capture = async (...flags: ReadonlyArray<string>) =>
    (await tmux("capture-pane", "-p", "-S", "-", ...flags)).trimEnd()
  const screen: Terminal["screen"] = (options = {}) => capture(...options.joined === true ? ["-J"] : [])
  const until = async <A>(found: (screen: string) => A | undefined, what: string): Promise<A> => {
    let shown = ""
    const { result } = await Patience.eventuallyPromise(
      async () => {
        shown = await screen()
        const result = found(shown)
        return result === undefined ? undefined : { result }
      },
      () => `${what} on the screen, which shows:\n${shown}`
    )
    return result
  }
  const waitFor: Terminal["waitFor"] = (what) =>
    until(
      (shown) => (typeof what === "string" ? shown.includes(what) : what.test(shown)) ? shown : undefined,
      String(what)
    )
  const type = async (text: string) => void await tmux("send-keys", "-l", text)
  const press = async (...keys: ReadonlyArray<string>) => void await tmux("send-keys", ...keys)
  await waitFor("[0]$")
  await type(`. ./.${name}`)
  await press("Enter")
  return {
    waitFor,
    type,
    press,
    screen,
    screenWithStyles: () => capture("-e"),
    exitCode: () =>
      until(
        (shown) => {
          const code = prompt.exec(shown.split("\n").at(-1) ?? "")?.[1]
          return code === undefined ? undefined : Number(code)
        },
        "the shell's prompt"
      ),
    resize: async (columns, rows) => void await tmux("resize-window", "-x", `${columns}`, "-y", `${rows}`),
    close: async () => {
      await tmux("kill-server").catch(() => {})
      const directory = process.env["TMUX_TMPDIR"] ?? "/tmp"
      Fs.rmSync(Path.join(directory, `tmux-${Os.userInfo().uid}`, name), { force: true })
    }
  }
}

// -- internals ---------------------------------------------------------------

const run = promisify(execFile)

let started = 0
