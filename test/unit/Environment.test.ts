import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Either, Layer } from "effect"
import * as ClientSettings from "../../src/config/ClientSettings.js"
import { Env } from "../../src/config/Environment.js"
import { type Description, loadText } from "../../src/config/Load.js"
import * as ServerSettings from "../../src/config/ServerSettings.js"
import * as Shape from "../../src/config/Shape.js"

const server = ServerSettings.description(["openai", "demo"])
const client = ClientSettings.description

/** What is wrong with these variables. */
const problems = <A, I>(description: Description<A, I>, variables: { readonly [name: string]: string }) =>
  loadText(description, "", { file: "/c.yaml", named: false }).pipe(
    Effect.either,
    Effect.map(Either.match({ onLeft: (error) => error.problems, onRight: () => [] })),
    Effect.provide(Layer.merge(Env.layerTest(variables), NodeContext.layer))
  )

describe("a variable that looks like ours and is not", () => {
  const server_ = [
    ["VIBECTL_TLS_CLIENT_CA_FILE", "VIBECTL_TLS__CLIENT_CA_FILE"],
    ["VIBECTL_STATE_URL", "VIBECTL_STATE__URL"],
    ["VIBECTL_SERVER_PORT", "VIBECTL_SERVER__PORT"],
    ["VIBECTL_SERVER_LIMITS_QUEUE_MAX_WAITING", "VIBECTL_SERVER__LIMITS__QUEUE__MAX_WAITING"],
    ["VIBECTL_SERVER__LIMITS_QUEUE__MAX_WAITING", "VIBECTL_SERVER__LIMITS__QUEUE__MAX_WAITING"],
    ["VIBECTL_PROVIDERS_OPENAI_API_KEY", "VIBECTL_PROVIDERS__OPENAI__API_KEY"],
    ["VIBECTL_PROVIDERS_MY_LLM_API_KEY_FILE", "VIBECTL_PROVIDERS__MY_LLM__API_KEY_FILE"],
    ["VIBECTL_server_port", "VIBECTL_SERVER__PORT"],
    ["VIBECTL_CONFIGDIR", "VIBECTL_CONFIG_DIR"],
    ["VIBECTL_JWT_SECRETS", "VIBECTL_JWT_SECRET"]
  ] as const
  for (const [name, right] of server_) {
    it.effect(`stops the server, which names the right one: ${name}`, () =>
      Effect.gen(function*() {
        const found = yield* problems(server, { [name]: "50051" })
        assert.strictEqual(found[0]?.message, `${name}: unknown variable. Did you mean "${right}"?`)
        assert.lengthOf(found, 1)
      }))
  }

  const client_ = [
    ["VIBECTL_ASSISTANT_MODE", "VIBECTL_ASSISTANT__MODE"],
    ["VIBECTL_PROXY_ACTIVE", "VIBECTL_PROXY__ACTIVE"],
    ["VIBECTL_CONFIG_DIRECTORY", "VIBECTL_CONFIG_DIR"]
  ] as const
  for (const [name, right] of client_) {
    it.effect(`stops the client, which names the right one: ${name}`, () =>
      Effect.gen(function*() {
        const [found] = yield* problems(client, { [name]: "x" })
        assert.include(found?.message, `${name}: unknown variable. Did you mean "${right}"`)
      }))
  }

  it.effect("is no problem of the program whose section it is not, or when it is empty or not ours at all", () =>
    Effect.gen(function*() {
      const servers = Object.fromEntries(server_.slice(0, 8).map(([name]) => [name, "1"]))
      assert.deepStrictEqual(yield* problems(client, servers), [])
      assert.deepStrictEqual(yield* problems(server, { VIBECTL_ASSISTANT_MODE: "auto", VIBECTL_PROXY_ACTIVE: "x" }), [])
      const fine = {
        VIBECTL_CONFIG_DIR: "/x",
        VIBECTL_JWT_SECRET: "x",
        VIBECTL_JWT_SECRET_FILE: "/x",
        VIBECTL_STATE_URL: "",
        VIBECTLX_STATE_URL: "x",
        MY_VIBECTL_STATE_URL: "x"
      }
      assert.deepStrictEqual(yield* problems(server, fine), [])
      assert.deepStrictEqual(yield* problems(client, fine), [])
    }))

  it("is judged by the client without the sections of the server, all of them", () => {
    const sections = (shape: Shape.Shape) => shape._tag === "Struct" ? [...shape.fields.keys()].sort() : []
    const own = sections(Shape.of(client.schema))
    assert.deepStrictEqual(
      [...client.foreign].sort(),
      sections(Shape.of(server.schema)).filter((name) => !own.includes(name))
    )
    assert.deepStrictEqual([...server.foreign].sort(), own)
  })
})

describe("the variables that Kubernetes sets for a Service", () => {
  /** As a container of the namespace has them. */
  const service = (name: string, protocol: string, ip: string) => {
    const upper = name.toUpperCase().replaceAll("-", "_")
    const port = `${upper}_PORT_50051_${protocol.toUpperCase()}`
    return {
      [`${upper}_SERVICE_HOST`]: ip,
      [`${upper}_SERVICE_PORT`]: "50051",
      [`${upper}_SERVICE_PORT_GRPC`]: "50051",
      [`${upper}_SERVICE_PORT_OPS_METRICS`]: "9095",
      [`${upper}_PORT`]: `${protocol}://${ip}:50051`,
      [port]: `${protocol}://${ip}:50051`,
      [`${port}_PROTO`]: protocol,
      [`${port}_PORT`]: "50051",
      [`${port}_ADDR`]: ip
    }
  }
  for (const name of ["vibectl-server", "vibectl", "vibectl-redis", "vibectl-state", "vibectl-assistant"]) {
    for (const [protocol, ip] of [["tcp", "10.0.0.1"], ["udp", "fd00::1"], ["sctp", "10.0.0.1"]] as const) {
      it.effect(`are no problem: ${name}, ${protocol}`, () =>
        Effect.gen(function*() {
          const variables = service(name, protocol, ip)
          assert.lengthOf(Object.keys(variables), 9)
          assert.deepStrictEqual(yield* problems(server, variables), [])
          assert.deepStrictEqual(yield* problems(client, variables), [])
        }))
    }
  }

  it.effect("are told from a mistyped setting by their value", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* problems(server, { VIBECTL_SERVER_PORT: "tcp://10.0.0.1:50051" }), [])
      for (
        const [name, value] of [
          ["VIBECTL_SERVER_PORT", "50051"],
          ["VIBECTL_SERVER_PORT", "tcp://10.0.0.1"],
          ["VIBECTL_SERVER_SERVICE_HOST", "example.com"],
          ["VIBECTL_SERVER_SERVICE_PORT", "tcp"],
          ["VIBECTL_SERVER_PORT_50051_TCP_PROTO", "http"],
          ["VIBECTL_SERVER_HOST", "10.0.0.1"]
        ] as const
      ) assert.lengthOf(yield* problems(server, { [name]: value }), 1, `${name}=${value}`)
    }))
})

describe("a setting that narrows and has no value", () => {
  const text = (yaml: string, variables: { readonly [name: string]: string } = {}) =>
    loadText(server, yaml, { file: "/c.yaml", named: false }).pipe(
      Effect.either,
      Effect.map(Either.match({ onLeft: ({ problems }) => problems.map(({ message }) => message), onRight: () => [] })),
      Effect.provide(Layer.merge(Env.layerTest(variables), NodeContext.layer))
    )
  const files: ReadonlyArray<readonly [yaml: string, key: string]> = [
    ["access:\n  default:\n", "access.default"],
    ["access:\n  default: { models: }\n", "access.default.models"],
    ["access:\n  subjects: { ada: }\n", "access.subjects.ada"],
    ["access:\n  tenants: { acme: { models: null } }\n", "access.tenants.acme.models"],
    ["tls:\n  client_ca_file:\n", "tls.client_ca_file"],
    ["server: { limits: { global: { max_requests_per_minute: } } }\n", "server.limits.global.max_requests_per_minute"],
    ["server: { limits: { tenants: { acme: } } }\n", "server.limits.tenants.acme"]
  ]
  for (const [yaml, key] of files) {
    it.effect(`stops the start, from the file: ${key}`, () =>
      Effect.gen(function*() {
        const found = yield* text(yaml)
        assert.match(found.join("\n"), new RegExp(`${key.replaceAll(".", "\\.")}: it is empty`))
      }))
  }

  for (
    const name of [
      "VIBECTL_TLS__CLIENT_CA_FILE",
      "VIBECTL_ACCESS__DEFAULT",
      "VIBECTL_ACCESS__DEFAULT__MODELS",
      "VIBECTL_SERVER__LIMITS__GLOBAL__MAX_REQUESTS_PER_MINUTE"
    ]
  ) {
    it.effect(`stops the start, from the environment: ${name}`, () =>
      Effect.gen(function*() {
        assert.match((yield* text("", { [name]: "" })).join("\n"), new RegExp(`${name}.*it is empty`))
      }))
  }

  it.effect("is no matter where nothing is narrowed, where null is a value, and for whole sections", () =>
    Effect.gen(function*() {
      const yaml =
        "access:\ntls:\nserver: { log_format: , limits: { per_token: { ada: { max_requests_per_minute: null } } } }\n"
      assert.deepStrictEqual(yield* text(yaml, { VIBECTL_SERVER__LOG_LEVEL: "", VIBECTL_SERVER__PORT: "" }), [])
    }))

  it.effect("a certificate without TLS stops the start, too, wherever the two are set", () =>
    Effect.gen(function*() {
      const certificate = "cert_file: a.crt, key_file: a.key"
      assert.match((yield* text(`tls: { enabled: false, ${certificate} }`)).join("\n"), /tls\.cert_file: it needs TLS/)
      const off = { VIBECTL_TLS__ENABLED: "false" }
      assert.match((yield* text(`tls: { ${certificate} }`, off)).join("\n"), /tls\.cert_file: it needs TLS/)
      assert.deepStrictEqual(yield* text(`tls: { ${certificate} }`), [])
    }))
})
