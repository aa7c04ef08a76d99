import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as NodePath from "node:path"
import { Env } from "../../src/config/Environment.js"
import type { Flags } from "../../src/config/Load.js"
import type { ConfigInvalid } from "../../src/config/Problem.js"
import { resolveSecrets } from "../../src/config/Secrets.js"
import * as ServerConfig from "../../src/config/ServerConfig.js"

const kinds = ["openai", "anthropic", "demo"]
const canary = "sk-canary-0123456789"

interface Given {
  readonly yaml?: string
  readonly env?: Record<string, string>
  readonly flags?: Flags
  readonly files?: Record<string, string>
}

/** Loads `yaml` from a file `c.yaml`, with the directory as HOME and, in values, as `%`. */
const load = (given: Given) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const directory = yield* Effect.orDie(files.makeTempDirectoryScoped())
    const file = `${directory}/c.yaml`
    const here = (text: string) => text.replaceAll("%", directory)
    const written = Object.entries({ "c.yaml": here(given.yaml ?? ""), ...given.files })
    for (const [name, text] of written) yield* Effect.orDie(files.writeFileString(`${directory}/${name}`, text))
    const env = Object.fromEntries(Object.entries(given.env ?? {}).map(([name, value]) => [name, here(value)]))
    const loaded = yield* ServerConfig.load({ file, kinds, flags: given.flags ?? new Map() }).pipe(
      Effect.provide(Env.layerTest({ HOME: directory, ...env }))
    )
    return { loaded, value: loaded.value, source: (key: string) => loaded.sources.get(key)?.replace(directory, "") }
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const failure = (given: Given) => Effect.flip(load(given))

/** Messages with the file as `c.yaml`. */
const messages = (given: Given) =>
  Effect.map(
    Effect.flip(load(given)),
    (error: ConfigInvalid) => error.problems.map((problem) => problem.message.replace(/\/[^ :]*\/c\.yaml/g, "c.yaml"))
  )

const says = (name: string, given: Given, ...expected: ReadonlyArray<string>) =>
  it.effect(name, () => Effect.map(messages(given), (found) => assert.deepStrictEqual(found, expected)))

describe("precedence", () => {
  const yaml = "server:\n  port: 1\n  host: file\n"
  const env = { VIBECTL_SERVER__PORT: "2", VIBECTL_SERVER__LOG_LEVEL: "debug" }
  const flags: Flags = new Map([["server.port", { flag: "--port", value: 3 }]])

  it.effect("flag over environment over file over default, each with its source", () =>
    Effect.gen(function*() {
      const all = yield* load({ yaml, env, flags })
      assert.strictEqual(all.value.server.port, 3)
      assert.strictEqual(all.source("server.port"), "--port")
      assert.strictEqual(all.value.server.log_level, "DEBUG")
      assert.strictEqual(all.source("server.log_level"), "VIBECTL_SERVER__LOG_LEVEL")
      assert.strictEqual(all.value.server.host, "file")
      assert.strictEqual(all.source("server.host"), "/c.yaml:3")
      assert.strictEqual(all.value.server.drain_seconds, 10)
      assert.strictEqual(all.source("server.drain_seconds"), "default")
      assert.strictEqual((yield* load({ yaml, env })).value.server.port, 2)
      assert.strictEqual((yield* load({ yaml })).value.server.port, 1)
      assert.strictEqual((yield* load({})).value.server.port, 50051)
    }))

  it.effect("null is unset, in the file, in the environment, and for whole sections", () =>
    Effect.gen(function*() {
      const { value } = yield* load({
        yaml: "server:\n  host: null\n  default_model: a/b\ntls:\nproviders: ~\n",
        env: { VIBECTL_SERVER__DEFAULT_MODEL: "null", VIBECTL_SERVER__PORT: "" }
      })
      assert.strictEqual(value.server.host, "127.0.0.1")
      assert.isUndefined(value.server.default_model)
      assert.deepStrictEqual(value.tls, { enabled: true, min_version: "1.3", client_identity: "none" })
      assert.deepStrictEqual(value.providers, { demo: { kind: "demo" } })
    }))

  it.effect("aliases add to the ones that are built in", () =>
    Effect.gen(function*() {
      const { value } = yield* load({ yaml: "model_aliases: { fast: a/b, gpt-4: c/d/e }" })
      assert.deepStrictEqual(value.model_aliases, {
        "claude-4-sonnet": "anthropic/claude-sonnet-4-0",
        "gpt-4": "c/d/e",
        "gpt-3.5-turbo": "openai/gpt-3.5-turbo",
        fast: "a/b"
      })
    }))

  it.effect("a path in the file is relative to the file", () =>
    Effect.gen(function*() {
      const { loaded, value } = yield* load({
        yaml: "tls: { cert_file: c.pem, key_file: ~/k.pem, client_ca_file: ../ca.pem }"
      })
      assert.strictEqual(value.tls.cert_file, loaded.file.replace("c.yaml", "c.pem"))
      assert.strictEqual(value.tls.key_file, loaded.file.replace("c.yaml", "k.pem"))
      assert.strictEqual(value.tls.client_ca_file, NodePath.resolve(loaded.file, "../../ca.pem"))
    }))
})

describe("unknown keys", () => {
  const server =
    "host, port, workers, enable_auth, log_level, log_format, jwt_secret, jwt_secret_file, jwt_previous_secret_files, default_model, drain_seconds, lame_duck_seconds, max_connection_age_seconds, max_connection_age_grace_seconds, heartbeat_seconds, max_message_bytes, max_bytes_in_flight, max_streams_per_connection, allow_open_access, metrics_port, metrics_host, metrics_hosts, limits"
  says(
    "at every level, all at once, with the nearest",
    {
      yaml: [
        "serverr: {}",
        "server:",
        "  prot: 1",
        "  limit: {}",
        "tls: { enabeld: true }",
        "providers:",
        "  a:",
        "    kind: openai",
        "    api_kye: x",
        "    models: [x, { name: y, streamin: true }]"
      ].join("\n")
    },
    "c.yaml:1:1: serverr: unknown key. Did you mean \"server\"? Allowed: server, tls, auth, access, audit, state, prices, providers, model_aliases, fallbacks.",
    `c.yaml:3:3: server.prot: unknown key. Did you mean "port"? Allowed: ${server}.`,
    `c.yaml:4:3: server.limit: unknown key. Did you mean "limits"? Allowed: ${server}.`,
    "c.yaml:5:8: tls.enabeld: unknown key. Did you mean \"enabled\"? Allowed: enabled, cert_file, key_file, min_version, client_ca_file, client_identity.",
    "c.yaml:9:5: providers.a.api_kye: unknown key. Did you mean \"api_key\"? " +
      "Allowed: kind, api_key, api_key_file, base_url, models, default_model, max_output_tokens, omit, max_tokens_field, system_role, max_retries, max_concurrent_requests, connect_seconds, first_token_seconds, between_tokens_seconds, total_seconds, failover_seconds, model_timeouts.",
    "c.yaml:10:28: providers.a.models.1.streamin: unknown key. Did you mean \"streaming\"? " +
      "Allowed: name, streaming, context_length."
  )
  says(
    "that hide from plain objects",
    { yaml: "__proto__: { x: 1 }\nproviders: { __proto__: { kind: demo } }" },
    "c.yaml:1:1: __proto__: unknown key. Allowed: server, tls, auth, access, audit, state, prices, providers, model_aliases, fallbacks.",
    "c.yaml:2:14: providers.__proto__: the name of a provider is made of letters, digits, - and _."
  )
})

describe("tls", () => {
  it.effect("takes a version with and without quotes, from the file and the environment", () =>
    Effect.gen(function*() {
      const given = [
        { yaml: "tls: { min_version: 1.2 }" },
        { yaml: "tls: { min_version: '1.2' }" },
        { yaml: "", env: { VIBECTL_TLS__MIN_VERSION: "1.2" } }
      ]
      for (const each of given) assert.strictEqual((yield* load(each)).value.tls.min_version, "1.2")
    }))
  says(
    "knows two versions, and three meanings of a client's name",
    { yaml: "tls: { min_version: 1.1, client_identity: subject, client_ca_file: c }" },
    "c.yaml:1:21: tls.min_version: found 1.1, expected 1.3 or 1.2.",
    "c.yaml:1:43: tls.client_identity: found \"subject\", expected none, match or identity."
  )
  says(
    "wants client certificates only with TLS, and their names only with their CA",
    { yaml: "tls:\n  client_identity: identity\n" },
    "c.yaml:2:20: tls.client_identity: identity needs client_ca_file, the CAs of the clients' certificates."
  )
  says(
    "is not switched off under client certificates",
    {
      yaml: "tls: { client_ca_file: c }",
      flags: new Map([["tls.enabled", { flag: "--insecure", value: false }]])
    },
    "c.yaml:1:8: tls.client_ca_file: it needs TLS, which is off (--insecure)."
  )
  says(
    "takes the URL of Redis from one place",
    { yaml: "state: { url: 'rediss://r', url_file: u }" },
    "c.yaml:1:29: state.url_file: it is set together with url (c.yaml:1); keep one of them."
  )
  says(
    "asks for a URL where Redis is wanted",
    { yaml: "state: { kind: redis }" },
    "c.yaml:1:16: state.kind: redis needs state.url or state.url_file."
  )
  says(
    "wants a CA of Redis only with TLS",
    { yaml: "state: { url: 'redis://r', ca_file: c }" },
    "c.yaml:1:28: state.ca_file: it is for a URL with rediss:// only."
  )
  says(
    "knows which fields of requests each kind of provider has",
    {
      yaml:
        "providers:\n  anthropic: { omit: [stream_options], system_role: developer }\n  openai: { omit: [response_format] }\n"
    },
    "c.yaml:2:22: providers.anthropic.omit: stream_options is never sent to the kind anthropic; it has output_config.",
    "c.yaml:2:53: providers.anthropic.system_role: the kind anthropic has system and user only."
  )
  says(
    "compares names with tokens only where there are tokens",
    { yaml: "server: { enable_auth: false }\ntls: { client_ca_file: c, client_identity: match }" },
    "c.yaml:2:44: tls.client_identity: match needs tokens, and authentication is off (c.yaml:1)."
  )
})

describe("wrong values", () => {
  says(
    "name what was found and what is allowed",
    {
      yaml: [
        "server:",
        "  port: abc",
        "  host: 7",
        "  enable_auth: yes",
        "  log_level: EROR",
        "  log_format: [json]",
        "  drain_seconds: 3601",
        "tls: true",
        "providers:",
        "  a/b: { kind: demo }",
        "  b: { kind: opnai, max_output_tokens: 0, models: x, total_seconds: 0 }",
        "  c: { base_url: ftp://x }",
        "model_aliases: { x: gpt, y: {} }"
      ].join("\n")
    },
    "c.yaml:2:9: server.port: found \"abc\", expected a whole number from 0 to 65535.",
    "c.yaml:3:9: server.host: found 7, expected text (in quotes if it looks like a number).",
    "c.yaml:4:16: server.enable_auth: found \"yes\", expected true or false.",
    "c.yaml:5:14: server.log_level: found \"EROR\", expected DEBUG, INFO, WARNING or ERROR. Did you mean \"ERROR\"?",
    "c.yaml:6:15: server.log_format: found a list, expected pretty or json.",
    "c.yaml:7:18: server.drain_seconds: found 3601, expected a number of seconds from 0 to 3600.",
    "c.yaml:8:6: tls: found a boolean, expected a mapping of keys to values.",
    "c.yaml:10:3: providers.a/b: the name of a provider is made of letters, digits, - and _.",
    "c.yaml:11:14: providers.b.kind: found \"opnai\", expected openai, anthropic or demo. Did you mean \"openai\"?",
    "c.yaml:11:40: providers.b.max_output_tokens: found 0, expected a whole number, at least 1.",
    "c.yaml:11:51: providers.b.models: found \"x\", expected a list of models.",
    "c.yaml:11:69: providers.b.total_seconds: found 0, expected a number of seconds above 0, at most 86400.",
    "c.yaml:12:3: providers.c.kind: is missing, expected openai, anthropic or demo.",
    "c.yaml:12:18: providers.c.base_url: found <redacted>, expected an http or https URL without user name, password, query and fragment.",
    "c.yaml:13:21: model_aliases.x: found \"gpt\", expected provider/model.",
    "c.yaml:13:29: model_aliases.y: found a mapping, expected provider/model."
  )
  says(
    "of a flag name the flag",
    { flags: new Map([["server.port", { flag: "--port", value: 65_536 }]]) },
    "--port: server.port: found 65536, expected a whole number from 0 to 65535."
  )
  says(
    "that need or exclude each other name both, beside other problems",
    {
      yaml: "tls:\n  enabled: 1\n  cert_file: a\nserver: { jwt_secret: a, jwt_secret_file: b }\n",
      env: { VIBECTL_PROVIDERS__OPENAI__API_KEY: "k", VIBECTL_PROVIDERS__OPENAI__API_KEY_FILE: "f" }
    },
    "c.yaml:2:12: tls.enabled: found 1, expected true or false.",
    "c.yaml:4:26: server.jwt_secret_file: it is set together with jwt_secret (c.yaml:4); keep one of them.",
    "c.yaml:3:3: tls.key_file: it is missing, and cert_file is set; set both or neither.",
    "VIBECTL_PROVIDERS__OPENAI__API_KEY_FILE: providers.openai.api_key_file: it is set together with api_key " +
      "(VIBECTL_PROVIDERS__OPENAI__API_KEY); keep one of them."
  )
  it.effect("are one error with a summary and a remedy", () =>
    Effect.gen(function*() {
      const error = yield* failure({ yaml: "server: { port: -1, host: '' }" })
      assert.match(error.summary, /^The configuration has 2 problems:\n {2}.*server\.port.*\n {2}.*server\.host/)
      assert.isNotEmpty(error.remedy)
      assert.include(error.problems[0], { key: "server.port", found: "-1", allowed: "a whole number from 0 to 65535" })
    }))
})

describe("the file", () => {
  says(
    "with a tab",
    { yaml: "server:\n\tport: 1" },
    "c.yaml:2:1: this is not valid YAML: tabs cannot indent; use spaces."
  )
  says(
    "with an open quote",
    { yaml: `server:\n  jwt_secret: "${canary}` },
    `c.yaml:2:${16 + canary.length}: this is not valid YAML: a quote, bracket or comma is missing.`
  )
  says(
    "with an unquoted variable in braces",
    { yaml: "tls: { key_file: ${X} }" },
    "c.yaml:1:19: this is not valid YAML: put \"${…}\" in quotes inside of { } and [ ]."
  )
  says(
    "with a key twice",
    { yaml: "server:\n  port: 1\n  host: x\n  port: 2\nserver: {}" },
    "c.yaml:4:3: server.port: the key is already set at c.yaml:2.",
    "c.yaml:5:1: server: the key is already set at c.yaml:1."
  )
  says(
    "that is a list",
    { yaml: "[1]" },
    "c.yaml:1:1: the file must hold a mapping of keys to values, such as `server:`."
  )
  says(
    "with an alias that never ends",
    { yaml: "model_aliases: &a\n  x: *a\n" },
    "c.yaml:1:1: the file uses aliases (`*…`) more than 100 times."
  )
  it.effect("may be empty, or hold comments only", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* load({ yaml: "" })).value.server.port, 50051)
      assert.strictEqual((yield* load({ yaml: "# nothing\n" })).value.server.port, 50051)
    }))
  it.effect("must exist when it was named, and only then", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const directory = yield* files.makeTempDirectoryScoped()
      const env = Env.layerTest({ VIBECTL_CONFIG_DIR: directory })
      const loaded = yield* Effect.provide(ServerConfig.load({ kinds }), env)
      assert.strictEqual(loaded.file, `${directory}/server/config.yaml`)
      const file = `${directory}/none.yaml`
      const error = yield* Effect.flip(Effect.provide(ServerConfig.load({ kinds, file }), env))
      assert.strictEqual(error.problems[0]?.message, `${file}: the file does not exist.`)
      const other = yield* Effect.flip(Effect.provide(ServerConfig.load({ kinds, file: directory }), env))
      assert.match(other.message, /cannot be read/)
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer)))
})

describe("variables in the file", () => {
  it.effect("are read as YAML unless quoted, text keys stay text", () =>
    Effect.gen(function*() {
      const { value } = yield* load({
        yaml: [
          "server:",
          "  port: ${PORT}",
          "  host: \"${PORT}\"",
          "  default_model: ${PORT}",
          "  jwt_secret: ${SECRET}",
          "  log_level: ${LEVEL:-ERROR}",
          "model_aliases: { a: \"x/$${Y}\", b: \"${P}/${EMPTY:-m}\" }"
        ].join("\n"),
        env: { PORT: "0080", SECRET: "007 #: x", P: "p", EMPTY: "" }
      })
      assert.strictEqual(value.server.port, 80)
      assert.strictEqual(value.server.host, "0080")
      assert.strictEqual(value.server.default_model, "0080")
      assert.strictEqual(value.server.jwt_secret && Redacted.value(value.server.jwt_secret), "007 #: x")
      assert.strictEqual(value.server.log_level, "ERROR")
      assert.strictEqual(value.model_aliases["a"], "x/${Y}")
      assert.strictEqual(value.model_aliases["b"], "p/m")
    }))
  says(
    "that are not set are named, and nothing else is said of their key",
    { yaml: "server:\n  port: ${PORTT}\n  host: \"${A}-${B:-x}\"\n  log_level: ${}\n" },
    "c.yaml:2:9: server.port: the variable PORTT is not set. Set it, or give a default: ${PORTT:-…}.",
    "c.yaml:3:9: server.host: the variable A is not set. Set it, or give a default: ${A:-…}.",
    "c.yaml:4:14: server.log_level: found `${` without a variable name and `}`; write `$${` for the text."
  )
  says(
    "show their name, not their value",
    { yaml: "server:\n  port: ${PORT}\n  log_level: \"${L}${M:-secret}\"\n", env: { PORT: canary, L: canary } },
    "c.yaml:2:9: server.port: found ${PORT}, expected a whole number from 0 to 65535.",
    "c.yaml:3:14: server.log_level: found ${L} and ${M}, expected DEBUG, INFO, WARNING or ERROR."
  )
})

describe("the environment", () => {
  it.effect("names every key, in records by the file's own names", () =>
    Effect.gen(function*() {
      const { source, value } = yield* load({
        yaml: "providers:\n  my-llm: { kind: openai }\n  a__b: { kind: demo }\n",
        env: {
          VIBECTL_PROVIDERS__MY_LLM__API_KEY: "0123 # x",
          VIBECTL_PROVIDERS__MY_LLM__MODELS: "[a, { name: b }]",
          VIBECTL_PROVIDERS__A__B__BASE_URL: "http://x",
          VIBECTL_PROVIDERS__NEW: "{ kind: demo }",
          VIBECTL_MODEL_ALIASES__GPT_4: "x/y",
          VIBECTL_MODEL_ALIASES__GPT_3_5_TURBO: "x/z",
          VIBECTL_server__Enable_Auth: "false"
        }
      })
      const key = value.providers["my-llm"]?.api_key
      assert.strictEqual(key && Redacted.value(key), "0123 # x")
      assert.deepStrictEqual(value.providers["my-llm"]?.models, ["a", { name: "b" }])
      assert.strictEqual(value.providers["a__b"]?.base_url, "http://x")
      assert.deepStrictEqual(value.providers["new"], { kind: "demo" })
      assert.strictEqual(value.model_aliases["gpt-4"], "x/y")
      assert.strictEqual(value.model_aliases["gpt-3.5-turbo"], "x/z")
      assert.isFalse(value.server.enable_auth)
      assert.strictEqual(source("providers.my-llm.api_key"), "VIBECTL_PROVIDERS__MY_LLM__API_KEY")
    }))
  says(
    "mistyped, broken, ambiguous or twice",
    {
      yaml: "providers: { a-b-c: { kind: demo }, a_B-c: { kind: demo } }",
      env: {
        VIBECTL_SERVR__PORT: canary,
        VIBECTL_SERVER__PROT: canary,
        VIBECTL_SERVER__PORT__X: canary,
        VIBECTL_PROVIDERS__OPENAI__API_KYE: canary,
        VIBECTL_PROVIDERS__A_B_C__API_KEY: canary,
        VIBECTL_SERVER__HOST: "x",
        VIBECTL_server__host: "y",
        VIBECTL_SERVER__PORT: "abc",
        VIBECTL_TLS__ENABLED: `[${canary}`,
        VIBECTL_PROXY__ACTIVE: "the client's",
        VIBECTL_JWT_SECRET: "not a key"
      }
    },
    "VIBECTL_PROVIDERS__A_B_C__API_KEY: providers.a-b-c: " +
      "the variable may mean a-b-c or a_B-c; set it in the file instead.",
    "VIBECTL_PROVIDERS__OPENAI__API_KYE: unknown variable. Did you mean \"VIBECTL_PROVIDERS__OPENAI__API_KEY\"?",
    "VIBECTL_SERVER__PORT__X: unknown variable. Did you mean \"VIBECTL_SERVER__PORT\"?",
    "VIBECTL_SERVER__PROT: unknown variable. Did you mean \"VIBECTL_SERVER__PORT\"?",
    "VIBECTL_SERVR__PORT: unknown variable. Did you mean \"VIBECTL_SERVER__PORT\"?",
    "VIBECTL_TLS__ENABLED: this is not valid YAML: a quote, bracket or comma is missing.",
    "VIBECTL_server__host: server.host: VIBECTL_SERVER__HOST sets the same key; keep one of them.",
    "VIBECTL_SERVER__PORT: server.port: found \"abc\", expected a whole number from 0 to 65535."
  )
  says(
    "of the client's sections is ignored",
    { yaml: "server: { port: x }", env: { VIBECTL_PROXY__NONSENSE: "x", VIBECTL_CONFIG_DIR: "/x" } },
    "c.yaml:1:17: server.port: found \"x\", expected a whole number from 0 to 65535."
  )
})

describe("the usual variables of providers", () => {
  const providers = (given: Given) => Effect.map(load(given), ({ value }) => value.providers)
  it.effect("make providers when the file has none", () =>
    Effect.gen(function*() {
      const { source, value } = yield* load({
        env: { OPENAI_API_KEY: canary, ANTHROPIC_API_KEY_FILE: "%/k", ANTHROPIC_BASE_URL_FILE: "%/u" },
        files: { k: "x", u: "http://a/\n" }
      })
      assert.deepStrictEqual(Object.keys(value.providers), ["openai", "anthropic"])
      assert.strictEqual(value.providers["openai"]?.kind, "openai")
      assert.strictEqual(value.providers["anthropic"]?.base_url, "http://a/")
      assert.strictEqual(source("providers.openai.kind"), "OPENAI_API_KEY")
      assert.strictEqual(source("providers.anthropic.api_key_file"), "ANTHROPIC_API_KEY_FILE")
      assert.strictEqual(source("providers.anthropic.base_url"), "ANTHROPIC_BASE_URL_FILE")
    }))
  it.effect("a base URL alone makes openai exist, but not anthropic", () =>
    Effect.gen(function*() {
      const found = yield* providers({ env: { OPENAI_BASE_URL: "http://l/v1", ANTHROPIC_BASE_URL: "http://a" } })
      assert.deepStrictEqual(found, { openai: { kind: "openai", base_url: "http://l/v1" } })
    }))
  it.effect("are not used when the file has providers, and demo is there when nothing is", () =>
    Effect.gen(function*() {
      const env = { OPENAI_API_KEY: canary }
      assert.deepStrictEqual(yield* providers({ yaml: "providers: { anthropic: {} }", env }), {
        anthropic: { kind: "anthropic" }
      })
      assert.deepStrictEqual(yield* providers({ yaml: "providers: {}", env }), {})
      const { source, value } = yield* load({ env: { OPENAI_API_KEY: "" } })
      assert.deepStrictEqual(value.providers, { demo: { kind: "demo" } })
      assert.strictEqual(source("providers.demo.kind"), "default")
    }))
  says(
    "that contradict each other",
    {
      env: {
        OPENAI_API_KEY: "a",
        OPENAI_API_KEY_FILE: "/b",
        OPENAI_BASE_URL: "http://u:p@x",
        OPENAI_BASE_URL_FILE: "/none"
      }
    },
    "OPENAI_BASE_URL_FILE: providers.openai.base_url: the file /none does not exist.",
    "OPENAI_BASE_URL: providers.openai.base_url: found <redacted>, " +
      "expected an http or https URL without user name, password, query and fragment.",
    "OPENAI_API_KEY_FILE: providers.openai.api_key_file: it is set together with api_key (OPENAI_API_KEY); keep one of them."
  )
})

describe("resolveSecrets", () => {
  it.effect("reads the files without their last line end", () =>
    Effect.gen(function*() {
      const { loaded } = yield* load({
        yaml: "server: { jwt_secret_file: '%/j' }\nproviders: { openai: { api_key_file: '%/k' } }"
      })
      const files = yield* FileSystem.FileSystem
      const directory = loaded.file.replace("/c.yaml", "")
      yield* files.makeDirectory(directory)
      yield* files.writeFileString(`${directory}/j`, " secret \n")
      yield* files.writeFileString(`${directory}/k`, "key\r\n")
      const { providers, server } = yield* resolveSecrets(loaded)
      assert.strictEqual(server.jwt_secret && Redacted.value(server.jwt_secret), " secret ")
      assert.strictEqual(providers["openai"]?.api_key && Redacted.value(providers["openai"].api_key), "key")
      yield* files.writeFileString(`${directory}/j`, "\n")
      yield* files.remove(`${directory}/k`)
      const error = yield* Effect.flip(resolveSecrets(loaded))
      assert.deepStrictEqual(error.problems.map(({ message }) => message.replaceAll(directory, "")), [
        "/c.yaml:1:28: server.jwt_secret_file: the file /j is empty; it must exist and hold the secret.",
        "/c.yaml:2:38: providers.openai.api_key_file: the file /k does not exist; it must exist and hold the secret."
      ])
      assert.lengthOf((yield* Effect.flip(resolveSecrets(loaded, { providers: false }))).problems, 1)
      yield* files.remove(directory, { recursive: true })
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("secrets", () => {
  it.effect("never show, wherever they were put", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<Given> = [
        { yaml: `server: { jwt_secret: [${canary}] }` },
        { yaml: `providers: { openai: ${canary} }` },
        { yaml: `providers: ${canary}` },
        { yaml: `server: ${canary}` },
        { yaml: `providers: { openai: { apikey: ${canary} } }` },
        { yaml: `providers: { openai: { base_url: "https://u:${canary}@x" } }` },
        { yaml: `providers: { openai: { base_url: "https://x?key=${canary}" } }` },
        { yaml: `providers: { openai: { api_key: "\${NONE}${canary}" } }` },
        { yaml: `providers: { openai: { api_key: '\${K:-${canary}}', api_key_file: x } }` },
        { yaml: `providers: { openai: { api_key: "${canary}\\q" } }` },
        { yaml: `providers:\n  openai:\n    api_key: @${canary}` },
        { yaml: `providers:\n  openai:\n    api_key: *${canary}` },
        { yaml: `${canary}` },
        { yaml: "server: { port: \"${C}\", host: { x: \"${C}\" } }", env: { C: canary } },
        { env: { VIBECTL_SERVER__JWT_SECRETT: canary } },
        { env: { OPENAI_API_KEY: canary, OPENAI_BASE_URL: `https://u:${canary}@x` } }
      ]
      for (const given of wrong) {
        const error = yield* failure(given)
        assert.notInclude(JSON.stringify(error) + error.message, "canary", JSON.stringify(given))
      }
    }))
})
