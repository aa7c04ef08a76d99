import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { person } from "../support/Client.js"
import * as Temporary from "../support/Temporary.js"

const shells = ["bash", "zsh", "fish"] as const
type Shell = (typeof shells)[number]

const has = (shell: Shell) => spawnSync(shell, ["-c", "exit 0"]).status === 0

/** Names that a shell would obey, were it asked to. */
const odd = ["work", "home", "$(touch pwned)", "`touch pwned`", "a b", "*", "'", "x;touch pwned"]

/** What each shell is asked with, after it has read the script. */
const harness: Record<Shell, string> = {
  bash: `
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_vibectl
for reply in "\${COMPREPLY[@]}"; do eval "printf '%s\\n' $reply"; done
`,
  zsh: `
compdef() { :; }
compset() { :; }
compadd() { shift; for word; do [[ $word == $cur* ]] && print -r -- $word; done }
_describe() { for word in "\${(@P)2}"; do [[ $word == $cur* ]] && print -r -- \${word%%:*}; done }
_files() { print -rl -- $cur*(N); }
source "$1"; shift
words=("$@") CURRENT=$#
_vibectl
`,
  fish: `
source $argv[1]
complete -C (string join -- ' ' (string escape -- $argv[2..-2]) $argv[-1]) | string replace -r '\\t.*' ''
`
}

/** Completes the last of the words as a shell does, in a directory with a stand-in for vibectl. */
const completer = (shell: Shell, script: string) => {
  const directory = Temporary.directory("completions")
  const file = (name: string, text: string, mode = 0o600) =>
    Fs.writeFileSync(Path.join(directory, name), text, { mode })
  file("script", script)
  file("harness", harness[shell])
  file("names", `${odd.join("\n")}\n`)
  file(
    "vibectl",
    `#!/bin/sh\ncase $2 in profiles) cat names;; keys) echo assistant.mode; echo proxy.active;; esac\n`,
    0o700
  )
  file("ca.crt", "")
  const complete = (...words: ReadonlyArray<string>) => {
    const plain = shell === "bash" ? ["--norc"] : shell === "zsh" ? ["-f"] : ["--no-config"]
    const ran = spawnSync(shell, [...plain, "harness", "script", "vibectl", ...words], {
      cwd: directory,
      encoding: "utf8",
      env: { HOME: directory, PATH: `${directory}:${process.env["PATH"] ?? ""}` }
    })
    assert.strictEqual(ran.stderr, "", words.join(" "))
    assert.isFalse(Fs.existsSync(Path.join(directory, "pwned")), "a name was run")
    return ran.stdout.split("\n").filter((line) => line !== "").sort()
  }
  return { complete, close: () => Fs.rmSync(directory, { recursive: true }) }
}

describe("vibectl completions", () => {
  for (const shell of shells) {
    it.scoped.skipIf(!has(shell))(`complete in ${shell}`, () =>
      Effect.gen(function*() {
        const { type } = yield* person()
        const { stderr, stdout } = yield* type("completions", shell)
        assert.strictEqual(stderr, "")
        const { complete } = yield* Effect.acquireRelease(
          Effect.sync(() => completer(shell, stdout)),
          ({ close }) => Effect.sync(close)
        )
        assert.includeMembers(complete(""), [
          "vibe",
          "setup-proxy",
          "models",
          "config",
          "memory",
          "audit",
          "completions"
        ])
        assert.deepStrictEqual(complete("se"), ["setup-proxy"])
        assert.deepStrictEqual(complete("setup-proxy", "u"), ["url", "use"])
        assert.deepStrictEqual(complete("setup-proxy", "test", "--t"), ["--timeout"])
        assert.includeMembers(complete("vibe", "--"), ["--help", "--model", "--proxy"])
        assert.includeMembers(complete("--"), ["--help", "--version"])
        assert.deepStrictEqual(complete("models", "--output", ""), ["json", "table"])
        assert.deepStrictEqual(complete("models", "--output", "j"), ["json"])
        assert.deepStrictEqual(complete("audit", "export", "--output", "c"), ["csv"])
        assert.deepStrictEqual(complete("completions", ""), ["bash", "fish", "zsh"])
        assert.deepStrictEqual(complete("vibe", "--proxy", ""), [...odd].sort())
        assert.deepStrictEqual(complete("setup-proxy", "use", "w"), ["work"])
        assert.deepStrictEqual(complete("setup-proxy", "use", "work", ""), [])
        assert.deepStrictEqual(complete("config", "get", "--output", "json", "as"), ["assistant.mode"])
        assert.deepStrictEqual(complete("config", "set", ""), ["assistant.mode", "proxy.active"])
        assert.deepStrictEqual(complete("config", "set", "assistant.mode", ""), [])
        assert.deepStrictEqual(complete("models", "--proxy", "config", "--o"), ["--output"])
        assert.deepStrictEqual(complete("vibe", "why $(touch pwned)", "config", ""), [])
        assert.deepStrictEqual(complete("setup-proxy", "configure", "--ca-bundle", "ca"), ["ca.crt"])
      }).pipe(Effect.provide(NodeContext.layer)))
  }

  it.scoped.skipIf(!has("bash"))(
    "complete the value after = in bash, which makes words of it",
    () =>
      Effect.gen(function*() {
        const { type } = yield* person()
        const { complete } = yield* Effect.acquireRelease(
          Effect.map(type("completions", "bash"), ({ stdout }) => completer("bash", stdout)),
          ({ close }) => Effect.sync(close)
        )
        assert.deepStrictEqual(complete("models", "--output", "="), ["json", "table"])
        assert.deepStrictEqual(complete("models", "--output", "=", "j"), ["json"])
        assert.deepStrictEqual(complete("config", "get", "--output", "=", "json", "as"), ["assistant.mode"])
      }).pipe(Effect.provide(NodeContext.layer))
  )

  it.scoped("list the profiles and the keys that there are", () =>
    Effect.gen(function*() {
      const { config, type } = yield* person()
      assert.strictEqual((yield* type("completions", "profiles")).stdout, "")
      yield* config.write(
        "proxy:\n  profiles:\n    work: { server_url: vibectl-server://w }\n    a.b: { server_url: vibectl-server://w }\n"
      )
      assert.strictEqual((yield* type("completions", "profiles")).stdout, "work\na.b\n")
      const keys = (yield* type("completions", "keys")).stdout.split("\n")
      assert.includeMembers(keys, [
        "proxy.active",
        "assistant.allow_verbs",
        "proxy.profiles.a.b.security.audit_logging"
      ])
      const other = yield* type("completions", "tcsh")
      assert.strictEqual(other.failed?.exitCode, 2)
      assert.include(other.failed?.lines, "bash, zsh, fish")
    }).pipe(Effect.provide(NodeContext.layer)))
})
