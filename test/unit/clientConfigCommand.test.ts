import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { person } from "../support/Client.js"

const token = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOjF9.canary"

const file = `# Mine.
proxy:
  active: work
  profiles:
    # at work
    work:
      server_url: vibectl-server://w:1
      jwt_path: /t
    a.b:
      server_url: vibectl-server://h:1
assistant:
  # careful
  mode: semiauto # for now
  max_steps: 5
`

const withFile = (text: string, env: Record<string, string> = {}) =>
  Effect.tap(person({ env }), ({ config }) => config.write(text))

describe("vibectl config get", () => {
  it.scoped("prints the value alone, of the file, of a profile with dots, and of a default", () =>
    Effect.gen(function*() {
      const { type } = yield* withFile(file)
      const get = (key: string) => Effect.map(type("config", "get", key), ({ stderr, stdout }) => stdout + stderr)
      assert.strictEqual(yield* get("assistant.max_steps"), "5\n")
      assert.strictEqual(yield* get("assistant.mode"), "semiauto\n")
      assert.strictEqual(yield* get("proxy.profiles.a.b.server_url"), "vibectl-server://h:1\n")
      assert.strictEqual(yield* get("proxy.profiles.work.security.audit_logging"), "true\n")
      assert.strictEqual(yield* get("assistant.allow_verbs"), "\n")
      assert.strictEqual((yield* type("config", "get", "assistant.mode", "--output", "json")).stdout, "\"semiauto\"\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("prints nothing of what is not set, and fails", () =>
    Effect.gen(function*() {
      const { type } = yield* withFile(file)
      const { failed, stdout } = yield* type("config", "get", "assistant.model")
      assert.strictEqual(stdout, "")
      assert.strictEqual(failed?.exitCode, 1)
      assert.include(failed?.lines, "assistant.model is not set.")
      assert.include(failed?.lines, "vibectl config set assistant.model VALUE")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("explains a key that is none", () =>
    Effect.gen(function*() {
      const { type } = yield* withFile(file)
      const says = (key: string) =>
        Effect.map(type("config", "get", key), ({ failed }) => {
          assert.strictEqual(failed?.exitCode, 2)
          return failed?.lines ?? ""
        })
      assert.include(yield* says("asistant.mode"), "Did you mean \"assistant.mode\" or ")
      assert.include(yield* says("mode"), "Did you mean \"assistant.mode\"?")
      assert.include(
        yield* says("proxy.profiles.wrok.jwt_path"),
        "There is no profile \"wrok\". Did you mean \"work\"?"
      )
      assert.include(yield* says("proxy.profiles.wrok.jwt_path"), "vibectl setup-proxy configure NAME URL")
      assert.include(yield* says("assistant"), "is a section")
      assert.include(yield* says("proxy.profiles.a.b"), "proxy.profiles.a.b.security.audit_logging")
      assert.include(yield* says(""), "KEY of `vibectl config get` is empty.")
      assert.notInclude(yield* says("a\u001b[2J"), "\u001b")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("takes a.security for a profile where there is one, and for the section of a elsewhere", () =>
    Effect.gen(function*() {
      const { type } = yield* withFile(
        "proxy:\n  profiles:\n    a: { server_url: vibectl-server://a }\n    a.security: { server_url: vibectl-server://b }\n"
      )
      assert.include((yield* type("config", "get", "proxy.profiles.a.security.server_url")).stdout, "//b:")
      assert.strictEqual((yield* type("config", "get", "proxy.profiles.a.security.audit_logging")).stdout, "true\n")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("vibectl config set", () => {
  it.scoped("changes one key and keeps the rest of the file", () =>
    Effect.gen(function*() {
      const { config, files, type } = yield* withFile(file)
      const done = yield* type("config", "set", "assistant.mode", "auto")
      assert.deepStrictEqual(done, {
        stdout: "",
        stderr: `✓ assistant.mode is set in ${config.file}.\n`,
        failed: undefined
      })
      assert.strictEqual(yield* config.read, file.replace("mode: semiauto", "mode: auto"))
      yield* type("config", "set", "assistant.allow_verbs", "scale, rollout restart")
      yield* type("config", "set", "proxy.profiles.work.security.audit_logging", "false")
      assert.strictEqual(
        yield* config.read,
        file.replace("mode: semiauto", "mode: auto")
          .replace("jwt_path: /t\n", "jwt_path: /t\n      security:\n        audit_logging: false\n")
          + "  allow_verbs: [ scale, rollout restart ]\n"
      )
      assert.strictEqual((yield* type("config", "get", "assistant.allow_verbs")).stdout, "scale,rollout restart\n")
      assert.strictEqual((yield* files.stat(config.file)).mode & 0o777, 0o600)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("keeps the comment at a list", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile("assistant:\n  allow_verbs: # mine\n    - scale\n")
      yield* type("config", "set", "assistant.allow_verbs", "drain")
      assert.strictEqual(yield* config.read, "assistant:\n  allow_verbs: [ drain ] # mine\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("makes the file, takes YAML lists and null, and paths from where it runs", () =>
    Effect.gen(function*() {
      const { config, type } = yield* person()
      assert.isUndefined((yield* type("config", "set", "assistant.allow_verbs", "[\"scale\"]")).failed)
      assert.strictEqual(yield* config.read, "assistant:\n  allow_verbs: [ scale ]\n")
      yield* type("config", "set", "assistant.allow_verbs", "null")
      assert.strictEqual((yield* type("config", "get", "assistant.allow_verbs")).stdout, "\n")
      yield* config.write(file)
      yield* type("config", "set", "proxy.profiles.work.security.audit_log_path", "log.jsonl")
      assert.include(yield* config.read, `audit_log_path: ${process.cwd()}/log.jsonl`)
      yield* type("config", "set", "proxy.profiles.work.jwt_path", "~/t")
      assert.include(yield* config.read, "jwt_path: ~/t")
      yield* type("config", "set", "assistant.model", "a/${b}")
      assert.strictEqual((yield* type("config", "get", "assistant.model")).stdout, "a/${b}\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("refuses values that are wrong, with the key and what is allowed, and leaves the file as it is", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile(file)
      const cases = [
        [
          "assistant.mode",
          "atuo",
          "assistant.mode: found \"atuo\", expected manual, semiauto or auto. Did you mean \"auto\"?"
        ],
        ["assistant.max_steps", "0", "assistant.max_steps: found 0, expected a whole number from 1 to 100."],
        ["assistant.max_steps", "x: [", "assistant.max_steps: "],
        ["assistant.allow_verbs", "Scale", "expected a kubectl verb in lower case"],
        ["assistant.allow_verbs", "rollout restart now", "expected a kubectl verb in lower case"],
        ["assistant.kubectl", "bin/kubectl", "expected the name of a program on PATH, or its absolute path"],
        ["assistant.show_kubectl", "yes", "expected true or false"],
        ["assistant.model", "", "VALUE of `vibectl config set` is empty"],
        ["proxy.profiles.work.security.confirmation_mode", "none", "assistant.allow_verbs"],
        ["proxy.profiles.work.client_cert_path", "/c", "client_key_path: it is missing"],
        ["proxy.profiles.new.jwt_path", "/t", "vibectl setup-proxy configure NAME URL"]
      ] as const
      for (const [key, value, message] of cases) {
        const { failed, stderr, stdout } = yield* type("config", "set", key, value)
        assert.strictEqual(failed?.exitCode, 2, key)
        assert.include(failed?.lines, message)
        assert.strictEqual(stdout + stderr, "")
      }
      assert.notMatch((yield* type("config", "set", "assistant.mode", "x")).failed?.lines ?? "", /:\d+:\d+/)
      const unknown = yield* type("config", "set", "proxy.active", "wrok")
      assert.include(unknown.failed?.lines, "Did you mean work?")
      assert.strictEqual(yield* config.read, file)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("keeps tokens out of the file and with their server, and repeats none", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile(file)
      const pasted = yield* type("config", "set", "proxy.profiles.work.server_url", "vibectl-server://canary@w:1")
      assert.strictEqual(pasted.failed?.exitCode, 2)
      assert.include(pasted.failed?.lines, "vibectl setup-proxy configure work vibectl-server://TOKEN@HOST:PORT")
      assert.notInclude(pasted.failed?.lines, "canary")
      const moved = yield* type("config", "set", "proxy.profiles.work.server_url", "vibectl-server://other:1")
      assert.include(moved.failed?.lines, "is for that server only")
      assert.strictEqual(
        (yield* type("config", "set", "proxy.profiles.work.server_url", "http://x")).failed?.exitCode,
        2
      )
      assert.strictEqual(yield* config.read, file)
      assert.isUndefined(
        (yield* type("config", "set", "proxy.profiles.work.server_url", "vibectl-server://w:1")).failed
      )
      assert.isUndefined((yield* type("config", "set", "proxy.profiles.a.b.server_url", "vibectl-server://i:1")).failed)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says when a variable goes before the file", () =>
    Effect.gen(function*() {
      const { type } = yield* withFile(file, { VIBECTL_ASSISTANT__MODE: "manual" })
      const { stderr } = yield* type("config", "set", "assistant.mode", "auto")
      assert.include(stderr, "Warning: VIBECTL_ASSISTANT__MODE is set and goes before the file.")
      assert.strictEqual((yield* type("config", "get", "assistant.mode")).stdout, "manual\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("leaves what an alias repeats elsewhere as it was", () =>
    Effect.gen(function*() {
      const text =
        "proxy:\n  profiles:\n    a: { server_url: vibectl-server://h, security: &s { audit_logging: true } }\n"
        + "    b: { server_url: vibectl-server://h, security: *s }\n    c: { server_url: vibectl-server://h, security: *s }\n"
      const { type } = yield* withFile(text)
      yield* type("config", "set", "proxy.profiles.a.security.audit_logging", "false")
      yield* type("config", "set", "proxy.profiles.b.security.warn_sanitization", "false")
      const get = (key: string) => Effect.map(type("config", "get", `proxy.profiles.${key}`), ({ stdout }) => stdout)
      assert.strictEqual(yield* get("a.security.audit_logging"), "false\n")
      assert.strictEqual(yield* get("b.security.audit_logging"), "true\n")
      assert.strictEqual(yield* get("c.security.audit_logging"), "true\n")
      assert.strictEqual(yield* get("c.security.warn_sanitization"), "true\n")
      assert.isUndefined((yield* type("setup-proxy", "remove", "a")).failed)
      assert.strictEqual(yield* get("c.security.audit_logging"), "true\n")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("vibectl config unset", () => {
  it.scoped("takes the key out, keeps comments on lines of their own, and says when there was none", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile(file)
      assert.include((yield* type("config", "unset", "assistant.mode")).stderr, "is not set in")
      assert.strictEqual(yield* config.read, file.replace("  mode: semiauto # for now\n", ""))
      assert.include((yield* type("config", "unset", "assistant.model")).stderr, "assistant.model is not set in")
      const needed = yield* type("config", "unset", "proxy.profiles.work.server_url")
      assert.include(needed.failed?.lines, "proxy.profiles.work.server_url: is missing")
      assert.strictEqual(yield* config.read, file.replace("  mode: semiauto # for now\n", ""))
      yield* type("config", "unset", "assistant.max_steps")
      assert.include(yield* config.read, "# careful")
      assert.strictEqual((yield* type("config", "get", "assistant.max_steps")).stdout, "10\n")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("vibectl config show, validate and path", () => {
  it.scoped("show every setting with its source, and no token that was pasted into the file", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile(
        `proxy:\n  profiles:\n    w: { server_url: "vibectl-server://${token}@w:1" }\n    x: { server_url: canary }\n`,
        { VIBECTL_ASSISTANT__MODE: "auto" }
      )
      const { stdout } = yield* type("config", "show", "--output", "json")
      const shown = JSON.parse(stdout) as { settings: ReadonlyArray<{ key: string; value: unknown; source: string }> }
      const by = new Map(shown.settings.map((row) => [row.key, row]))
      const at = `${config.file}:3`
      assert.deepInclude(by.get("proxy.profiles.w.server_url"), { value: "vibectl-server://w:1", source: at })
      assert.deepInclude(by.get("proxy.profiles.x.server_url"), { value: "<redacted>" })
      assert.deepInclude(by.get("proxy.profiles.w.security.sanitize_requests"), { value: true, source: "default" })
      assert.deepInclude(by.get("assistant.mode"), { value: "auto", source: "VIBECTL_ASSISTANT__MODE" })
      const table = yield* type("config", "show")
      assert.match(table.stdout, /│ assistant\.mode +│ auto +│ VIBECTL_ASSISTANT__MODE +│/)
      const one = yield* type("config", "get", "proxy.profiles.w.server_url")
      const others = yield* Effect.forEach(
        [["setup-proxy", "list"], ["setup-proxy", "list", "--output", "json"], ["setup-proxy", "url", "w"]],
        (words) => type(...words)
      )
      yield* type("setup-proxy", "use", "w")
      const state = yield* Effect.forEach(
        [[], ["--output", "json"]],
        (words) => type("setup-proxy", "status", ...words)
      )
      for (const each of [{ stdout, stderr: "" }, table, one, ...others, ...state]) {
        assert.notInclude(each.stdout + each.stderr, "canary")
      }
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("find URLs that are none, and an active profile that is not there", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile(file)
      assert.strictEqual((yield* type("config", "validate")).stdout, `OK: the configuration ${config.file} is valid.\n`)
      assert.strictEqual((yield* type("config", "path")).stdout, `${config.file}\n`)
      yield* config.write(file.replace("active: work", "active: wrok"))
      assert.include((yield* type("config", "validate")).failed?.lines, "Did you mean work?")
      yield* config.write(file.replace("vibectl-server://w:1", "http://canary@w"))
      const { failed } = yield* type("config", "validate")
      assert.include(failed?.lines, `${config.file}:7:19: proxy.profiles.work.server_url: `)
      assert.notInclude(failed?.lines, "canary")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("refuse confirmation_mode none and say what to use instead, once", () =>
    Effect.gen(function*() {
      const { config, type } = yield* withFile(file.replace("jwt_path: /t", "security: { confirmation_mode: none }"))
      const { failed } = yield* type("config", "validate")
      assert.include(
        failed?.lines,
        `${config.file}:8:38: proxy.profiles.work.security.confirmation_mode: found "none", which this version refuses`
      )
      assert.include(failed?.lines, "assistant.allow_verbs; to approve all of one request, give it --yes.")
      assert.lengthOf(failed?.lines.match(/confirmation_mode/g) ?? [], 1)
      yield* config.write(file.replace("jwt_path: /t", "security: { confirmation_mode: per-session }"))
      assert.strictEqual(
        (yield* type("config", "get", "proxy.profiles.work.security.confirmation_mode")).stdout,
        "per-session\n"
      )
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("the security of a profile", () => {
  it.scoped("stays when the profile is configured again, and is shown", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      yield* type("setup-proxy", "configure", "work", "vibectl-server://w:1")
      yield* type("config", "set", "proxy.profiles.work.security.sanitize_requests", "false")
      assert.match((yield* type("setup-proxy", "list")).stdout, /│ work +│ yes +│ .* │ none +│ off +│/)
      assert.match(
        (yield* type("setup-proxy", "status")).stdout,
        /│ Redaction +│ off: requests are sent as they are +│/
      )
      yield* type("setup-proxy", "configure", "work", "vibectl-server://x:1")
      assert.strictEqual(
        (yield* type("config", "get", "proxy.profiles.work.security.sanitize_requests")).stdout,
        "false\n"
      )
    }).pipe(Effect.provide(NodeContext.layer)))
})
