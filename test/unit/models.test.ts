import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { person } from "../support/Client.js"

const model = (id: string, more: object = {}) => ({
  id,
  displayName: id.toUpperCase(),
  provider: "p",
  streams: true,
  contextLength: undefined,
  aliases: [],
  ...more
})
const models = [model("p/a"), model("p/b", { streams: false, contextLength: 8192, aliases: ["fast", "b"] })]

const configured = (info: NonNullable<Parameters<typeof person>[0]>["info"]) =>
  Effect.tap(person({ info: info ?? {} }), ({ type }) => type("setup-proxy", "configure", "vibectl-server://w:1"))

describe("vibectl models", () => {
  it.scoped("lists the models, and marks the default", () =>
    Effect.gen(function*() {
      const { type } = yield* configured({ models, defaultModel: "p/b" })
      const { stderr, stdout } = yield* type("models")
      assert.strictEqual(stderr, "")
      assert.match(stdout, /│ p\/a +│ +│ yes +│ +│ +│/)
      assert.match(stdout, /│ p\/b +│ yes +│ no +│ 8192 +│ fast, b +│/)
      const json = JSON.parse((yield* type("models", "--output", "json")).stdout) as ReadonlyArray<object>
      assert.deepStrictEqual(json, [
        {
          model_id: "p/a",
          display_name: "P/A",
          provider: "p",
          supports_streaming: true,
          max_context_length: null,
          aliases: [],
          default: false
        },
        {
          model_id: "p/b",
          display_name: "P/B",
          provider: "p",
          supports_streaming: false,
          max_context_length: 8192,
          aliases: ["fast", "b"],
          default: true
        }
      ])
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("understands a server that names its default by an alias, or has no models", () =>
    Effect.gen(function*() {
      const { type } = yield* configured({ models, defaultModel: "fast" })
      assert.match((yield* type("models")).stdout, /│ p\/b +│ yes/)
      const none = yield* configured({ models: [] })
      const { stderr, stdout } = yield* none.type("models")
      assert.deepStrictEqual([stdout, stderr], [
        "",
        "No models are listed for you; a full name such as openai/gpt-4o may still work.\n"
      ])
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("somebody who has configured nothing", () => {
  it.scoped("reads both ways to begin, at every command that needs a server", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      for (const words of [["models"], ["vibe", "x"], ["setup-proxy", "test"], ["audit", "show"]]) {
        const { failed, stdout } = yield* type(...words)
        assert.strictEqual(stdout, "")
        assert.strictEqual(failed?.exitCode, 1)
        assert.include(failed?.lines, "If your operator gave you a URL, store it:")
        assert.include(failed?.lines, "vibectl-server generate-token me")
      }
      assert.include((yield* type("setup-proxy", "list")).stderr, "vibectl-server generate-token me")
      yield* type("setup-proxy", "configure", "work", "vibectl-server://w:1")
      yield* type("setup-proxy", "disable")
      const { failed } = yield* type("models")
      assert.include(failed?.lines, "or name a profile with --proxy (work)")
      assert.notInclude(failed?.lines, "generate-token")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("help", () => {
  const usage = (script: string, ...words: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const { type } = yield* person({ script })
      const { failed, stdout } = yield* type(...words)
      assert.isUndefined(failed)
      return /^\$ .*$/m.exec(stdout)?.[0]
    })

  it.scoped("is what those get who ask for nothing, and names a command as it is typed", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* usage("/b/vibectl"), "$ vibectl <COMMAND>")
      assert.include(yield* usage("/b/vibectl", "vibe"), "$ vibectl vibe [")
      assert.strictEqual(
        yield* usage("/b/vibectl", "setup-proxy", "use", "--help"),
        "$ vibectl setup-proxy use <PROFILE>"
      )
      assert.strictEqual(yield* usage("/b/vibectl", "config", "--help"), "$ vibectl config <COMMAND>")
      assert.strictEqual(yield* usage("/b/vibectl", "setup-proxy"), "$ vibectl setup-proxy <COMMAND>")
      assert.strictEqual(
        yield* usage("/b/vibectl", "setup-proxy", "configure", "-h"),
        "$ vibectl setup-proxy configure [OPTIONS] [PROFILE] URL"
      )
      assert.strictEqual(yield* usage("/b/vibectl", "setup-proxy", "url", "-h"), "$ vibectl setup-proxy url [PROFILE]")
      assert.include(yield* usage("/b/kubectl-vibe"), "$ kubectl vibe [")
      assert.include(yield* usage("/b/kubectl-vibe", "--help"), "$ kubectl vibe [")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says what each option does, on lines that fit", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      const { stdout } = yield* type("vibe", "--help")
      assert.match(stdout, /^ {2}--mode manual\|semiauto\|auto {2}What may run unasked: .*\n {31}\S/m)
      assert.match(stdout, /^ {2}-y, --yes {20}Approve every command without asking/m)
      assert.match(stdout, /^ {2}<request>\.\.\. {2}What to do or to answer/m)
      for (const words of [["--help"], ["vibe", "-h"], ["config", "get", "-h"]]) {
        for (const line of (yield* type(...words)).stdout.split("\n")) assert.isAtMost(line.length, 80)
      }
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("is not asked for by words after --", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      assert.include((yield* type("memory", "set", "--", "--help")).stderr, "Memory saved (6 characters)")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("is what a mistyped option of vibe points to, as it is no word of a request", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      for (const word of ["--dryrun", "-n", "--max-step=3"]) {
        const { failed } = yield* type("vibe", "delete", "all", word)
        assert.strictEqual(failed?.exitCode, 2)
        assert.include(failed?.lines, `Unknown option ${word.split("=")[0]} of \`vibectl vibe\`.`)
      }
      for (const request of [["what does --watch do"], ["what is -1"], ["a - b"]]) {
        assert.include((yield* type("vibe", ...request)).failed?.lines, "No server is configured yet")
      }
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("takes what kubectl-vibe is given for a request", () =>
    Effect.gen(function*() {
      const { type } = yield* person({ script: "/b/kubectl-vibe" })
      assert.include((yield* type("config", "path")).failed?.lines, "No server is configured yet")
      assert.match((yield* type("--version")).stdout, /^\d+\.\d+\.\d+\n+$/)
    }).pipe(Effect.provide(NodeContext.layer)))
})
