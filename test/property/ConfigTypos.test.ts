import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FastCheck, Layer } from "effect"
import * as ClientSettings from "../../src/config/ClientSettings.js"
import { Env } from "../../src/config/Environment.js"
import { type Description, loadText } from "../../src/config/Load.js"
import * as ServerSettings from "../../src/config/ServerSettings.js"
import * as Property from "../support/Property.js"

/** Every key of both files, except that of two that exclude each other only one. */
const server = `server:
  host: x
  port: 1
  enable_auth: true
  log_level: INFO
  log_format: json
  jwt_secret: s
  default_model: a
  drain_seconds: 1
  heartbeat_seconds: 1
tls:
  enabled: true
  cert_file: c
  key_file: k
  min_version: 1.2
  client_ca_file: a
  client_identity: match
providers:
  MINE:
    kind: openai
    api_key: k
    base_url: http://x
    models:
      - name: m
        streaming: true
        context_length: 1
    default_model: m
    max_output_tokens: 1
    max_retries: 1
    max_concurrent_requests: 1
    connect_seconds: 1
    total_seconds: 1
    failover_seconds: 1
    model_timeouts:
      M:
        first_token_seconds: 1
        between_tokens_seconds: 1
  OTHER:
    kind: openai
    api_key_file: f
model_aliases:
  FAST: a/b
`
const client = `proxy:
  active: WORK
  profiles:
    WORK:
      server_url: u
      ca_bundle_path: c
      jwt_path: j
      client_cert_path: c
      client_key_path: k
      security:
        sanitize_requests: true
        audit_logging: false
        confirmation_mode: per-session
        warn_sanitization: false
        audit_log_path: a
  timeout_seconds: 1
  retry_attempts: 1
assistant:
  mode: auto
  model: m
  allow_verbs: [scale]
  max_steps: 1
  kubectl: k
  kubectl_timeout_seconds: 1
  show_kubectl: true
  show_metrics: true
  memory: true
  memory_max_chars: 100
`

interface Typo {
  readonly key: number
  readonly at: number
  readonly kind: "replace" | "insert" | "delete" | "double"
  readonly with: string
}

/** One wrong, extra, missing or doubled character. */
const typo: FastCheck.Arbitrary<Typo> = FastCheck.record({
  key: FastCheck.nat(),
  at: FastCheck.nat(),
  kind: FastCheck.constantFrom("replace" as const, "insert", "delete", "double"),
  with: FastCheck.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789_")
})

const mistype = (key: string, { at, kind, with: character }: Typo): string => {
  const index = at % key.length
  const middle =
    { replace: character, insert: character + key[index]!, delete: "", double: key[index]!.repeat(2) }[kind]
  return key.slice(0, index) + middle + key.slice(index + 1)
}

const check = <A, I>(name: string, description: Description<A, I>, text: string) =>
  it.effect(`of ${name}`, () =>
    Effect.gen(function*() {
      const lines = text.split("\n")
      // Names that users choose are in capitals here.
      const keys = lines.flatMap((line, index) => {
        const [, indent, key] = /^([ -]*)([a-z_]+):/.exec(line) ?? []
        return key === undefined ? [] : [{ line: index + 1, column: indent!.length + 1, key }]
      })
      const load = (yaml: string) =>
        loadText(description, yaml, { file: "f", named: false }).pipe(
          Effect.provide(Layer.merge(Env.layerTest({}), NodeContext.layer))
        )
      yield* load(text)
      for (const sample of FastCheck.sample(typo, { numRuns: 300, seed: 42 })) {
        const { column, key, line } = keys[sample.key % keys.length]!
        const wrong = mistype(key, sample)
        if (wrong === key) continue
        yield* Property.turnEffect
        const yaml = lines.map((each, index) => index + 1 === line ? each.replace(`${key}:`, `${wrong}:`) : each)
        const exit = yield* Effect.exit(Effect.flip(load(yaml.join("\n"))))
        assert.isTrue(Exit.isSuccess(exit), `${key} → ${wrong} is not reported`)
        const problems = Exit.isSuccess(exit) ? exit.value.problems : []
        const problem = problems.find(({ source }) => source === `f:${line}:${column}`)
        assert.isDefined(problem, `${key} → ${wrong}: ${problems.map(({ message }) => message).join("; ")}`)
        assert.include(problem.nearest, key, wrong)
        // A certificate without its key, or what needs a CA without it, is a second, true problem.
        if (!/^((cert|key|client_ca)_file|client_(cert|key)_path)$/.test(key)) assert.lengthOf(problems, 1, wrong)
      }
    }))

describe("any typo in any key is reported where it is, with the key that was meant", () => {
  check("the server's file", ServerSettings.description(["openai", "demo"]), server)
  check("the client's file", ClientSettings.description, client)
})
