import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Duration, Effect, Exit, Layer, Redacted, Stream, TestClock } from "effect"
import { run } from "../../src/cli/Cli.js"
import { Connector } from "../../src/cli/Connector.js"
import type { Options } from "../../src/client/Connection.js"
import type { ClientRequest, ProxyClient } from "../../src/client/ProxyClient.js"
import { ClientConfig } from "../../src/config/ClientConfig.js"
import { Env } from "../../src/config/Environment.js"
import type { AnswerEvent } from "../../src/domain/Answer.js"
import { CallFailed, Unreachable } from "../../src/domain/ClientErrors.js"
import { unlimited } from "../../src/domain/Limits.js"
import type { ServerInfo } from "../../src/domain/ServerInfo.js"
import * as Failure from "../../src/terminal/Failure.js"
import { Output } from "../../src/terminal/Output.js"
import { Prompt } from "../../src/terminal/Prompt.js"
import * as Certificates from "../support/Certificates.js"
import * as Loopback from "../support/Loopback.js"

const jwt = (payload: object) =>
  `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.c2ln`
const token = jwt({ sub: "ci-bot", exp: 4_102_444_800 })

const model = (id: string) => ({
  id,
  displayName: id,
  provider: "p",
  streams: true,
  contextLength: undefined,
  aliases: []
})
const info: ServerInfo = {
  name: "vibectl-llm-proxy",
  version: "0.9.1",
  defaultModel: "p/a",
  models: ["p/a", "p/b", "p/c", "p/d"].map(model),
  aliases: new Map(),
  limits: unlimited,
  features: []
}

interface World {
  readonly events?: ReadonlyArray<AnswerEvent>
  readonly fails?: CallFailed | Unreachable
  readonly terminal?: boolean
  /** Of the terminal; 80 unless it is said. */
  readonly columns?: number
}

/** A person at an empty home directory; every command sees what the ones before it left. */
const person = (world: World = {}) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const home = yield* files.makeTempDirectoryScoped()
    const connections: Array<Options> = []
    const requests: Array<ClientRequest> = []
    const client: ProxyClient["Type"] = {
      execute: () => Effect.dieMessage("unused"),
      serverInfo: world.fails ?? Effect.succeed(info),
      stream: (request) => {
        requests.push(request)
        const events = Stream.fromIterable(world.events ?? [Loopback.text("hi"), Loopback.done, Loopback.metrics])
        return world.fails === undefined ? events : Stream.concat(events, Stream.fail(world.fails))
      }
    }
    const type = (...words: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        let [stdout, stderr] = ["", ""]
        const output = Layer.succeed(Output, {
          write: (text) => Effect.sync(() => void (stdout += text)),
          line: (text) => Effect.sync(() => void (stdout += `${text}\n`)),
          note: (text) => Effect.sync(() => void (stderr += `${text}\n`)),
          status: () => Effect.void,
          isTerminal: world.terminal ?? false,
          columns: world.terminal === true ? world.columns ?? 80 : undefined,
          colour: false,
          notes: { isTerminal: false, columns: undefined, colour: false }
        })
        const silent = Console.setConsole({ ...(yield* Console.consoleWith(Effect.succeed)), error: () => Effect.void })
        const nobody = Layer.succeed(Prompt, {
          available: false,
          choose: () => Effect.succeed(undefined),
          line: () => Effect.succeed(undefined)
        })
        const connector = Layer.succeed(Connector, {
          connect: (options: Options) =>
            Effect.sync(() => {
              connections.push(options)
              return client
            })
        })
        const layer = ClientConfig.layer().pipe(
          Layer.provideMerge(Env.layerTest({ VIBECTL_CONFIG_DIR: home })),
          Layer.provideMerge(Layer.mergeAll(NodeContext.layer, output, nobody, connector, silent))
        )
        const exit = yield* Effect.exit(Effect.provide(run(["node", "vibectl", ...words]), layer))
        const failure = Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : undefined
        return { stdout, stderr, failure, report: Failure.report(failure), ok: Exit.isSuccess(exit) }
      })
    const mode = (path: string) => Effect.map(files.stat(`${home}/${path}`), (stat) => (stat.mode & 0o777).toString(8))
    return { type, connections, requests, home, files, mode }
  })

const url = `vibectl-server://${token}@llm.example.com:443`

/** The flags of a client certificate that is good at the time of the test. */
const clientPair = (files: FileSystem.FileSystem, home: string, validity = Certificates.days(1)) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(Date.now())
    const issued = yield* Certificates.client(yield* Certificates.authority, "ada", validity)
    yield* files.writeFileString(`${home}/ada.crt`, issued.certificate)
    yield* files.writeFileString(`${home}/ada.key`, Redacted.value(issued.key))
    return ["--client-cert", `${home}/ada.crt`, "--client-key", `${home}/ada.key`]
  })

describe("vibectl setup-proxy configure", () => {
  it.scoped("keeps the token in a private file, and out of everything else", () =>
    Effect.gen(function*() {
      const { connections, files, home, mode, type } = yield* person()
      const configured = yield* type("setup-proxy", "configure", url)
      assert.isTrue(configured.ok)
      assert.notInclude(configured.stdout + configured.stderr, token)
      assert.include(configured.stdout, "│ Server Name      │ vibectl-llm-proxy")
      assert.strictEqual((yield* files.readFileString(`${home}/client/tokens/default.jwt`)).trim(), token)
      assert.strictEqual(yield* mode("client/tokens/default.jwt"), "600")
      assert.strictEqual(yield* mode("client/config.yaml"), "600")
      assert.notInclude(yield* files.readFileString(`${home}/client/config.yaml`), token)
      const [connection] = connections
      assert.deepInclude(connection, { host: "llm.example.com", port: 443, tls: true, retryAttempts: 3 })
      assert.strictEqual(connection?.token && Redacted.value(connection.token), token)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("shows tables that fit the terminal, and whole ones to programs", () =>
    Effect.gen(function*() {
      for (const [words, text] of [["test", "Supported"], ["status", "Configuration"], ["list", "Server"]] as const) {
        const widest = (shown: string) => Math.max(...shown.split("\n").map((line) => line.length))
        const narrow = yield* person({ terminal: true, columns: 36 })
        const configured = (yield* narrow.type("setup-proxy", "configure", url)).stdout
        const { stdout } = yield* narrow.type("setup-proxy", words)
        assert.deepStrictEqual([widest(configured), widest(stdout)], [36, 36])
        const wide = yield* person()
        yield* wide.type("setup-proxy", "configure", url)
        const whole = (yield* wide.type("setup-proxy", words)).stdout
        assert.isAbove(widest(whole), 36)
        assert.include(whole, text)
      }
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("warns of a token that every user of the machine can read, and says what mends it", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* person()
      yield* type("setup-proxy", "configure", url)
      assert.strictEqual((yield* type("setup-proxy", "test")).stderr, "")
      const file = `${home}/client/tokens/default.jwt`
      yield* files.chmod(file, 0o644)
      assert.include((yield* type("setup-proxy", "test")).stderr, `\`chmod 600 ${file}\``)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("stores nothing that does not work, unless told to", () =>
    Effect.gen(function*() {
      const fails = new Unreachable({ reason: "REFUSED", address: "llm.example.com:443", detail: undefined })
      const { files, home, type } = yield* person({ fails })
      const failed = yield* type("setup-proxy", "configure", url)
      assert.strictEqual(failed.report?.exitCode, 5)
      assert.include(failed.stderr, "--no-test")
      assert.isFalse(yield* files.exists(`${home}/client`))
      assert.isTrue((yield* type("setup-proxy", "configure", "--no-test", url)).ok)
      assert.strictEqual((yield* type("setup-proxy", "url")).stdout, "vibectl-server://llm.example.com:443\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("keeps a token for its own server only", () =>
    Effect.gen(function*() {
      const { connections, type } = yield* person()
      yield* type("setup-proxy", "configure", url)
      yield* type("setup-proxy", "configure", "vibectl-server://llm.example.com:443")
      assert.isDefined(connections.at(-1)?.token)
      yield* type("setup-proxy", "configure", "vibectl-server://other.example.com:443")
      assert.isUndefined(connections.at(-1)?.token)
      yield* type("vibe", "x")
      assert.deepInclude(connections.at(-1), { host: "other.example.com", token: undefined })
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("warns of a token in plaintext, but not on this machine", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      const remote = yield* type("setup-proxy", "configure", `vibectl-server-insecure://${token}@llm.example.com`)
      assert.include(remote.stderr, "anybody on the way to llm.example.com can read the token")
      const local = yield* type("setup-proxy", "configure", `vibectl-server-insecure://${token}@localhost`)
      assert.notInclude(local.stderr, "Warning")
    }).pipe(Effect.provide(NodeContext.layer)))

  for (const words of [["http://x"], [], ["a", "b", "c"], ["name", `vibectl-server://${token}`]]) {
    it.scoped(`refuses ${words.length === 0 ? "nothing" : words.length} words that are no URL, and echoes no token`, () =>
      Effect.gen(function*() {
        const failed = yield* (yield* person()).type("setup-proxy", "configure", ...words)
        assert.strictEqual(failed.report?.exitCode, 2)
        assert.notInclude(failed.report?.lines, token)
      }).pipe(Effect.provide(NodeContext.layer)))
  }

  it.scoped("keeps the CA of a server that gets a new token", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* person()
      yield* files.writeFileString(`${home}/ca.crt`, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
      yield* type("setup-proxy", "configure", url, "--ca-bundle", `${home}/ca.crt`)
      yield* type("setup-proxy", "configure", url)
      assert.include((yield* type("setup-proxy", "status")).stdout, `${home}/ca.crt`)
      yield* type("setup-proxy", "configure", "vibectl-server://other.example.com:443")
      assert.notInclude((yield* type("setup-proxy", "status")).stdout, `${home}/ca.crt`)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("gives the client certificate to the connection, and keeps it for a new token", () =>
    Effect.gen(function*() {
      const { connections, files, home, type } = yield* person()
      const flags = yield* clientPair(files, home)
      assert.isTrue((yield* type("setup-proxy", "configure", url, ...flags)).ok)
      assert.isTrue((yield* type("setup-proxy", "configure", url)).ok)
      yield* type("setup-proxy", "test")
      const certChain = yield* files.readFileString(`${home}/ada.crt`)
      const key = yield* files.readFileString(`${home}/ada.key`)
      assert.lengthOf(connections, 3)
      for (const { clientCertificate } of connections) {
        assert.deepStrictEqual(clientCertificate, { certChain, key: Redacted.make(key) })
      }
      const config = yield* files.readFileString(`${home}/client/config.yaml`)
      assert.include(config, `client_cert_path: ${home}/ada.crt`)
      assert.include(config, `client_key_path: ${home}/ada.key`)
      assert.include((yield* type("setup-proxy", "status")).stdout, `${home}/ada.crt`)
      yield* type("setup-proxy", "configure", "vibectl-server://other.example.com:443")
      assert.isUndefined(connections.at(-1)?.clientCertificate)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("refuses a client certificate without its key, with another key, and one that has ended", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* person()
      const [, cert = "", , key = ""] = yield* clientPair(files, home)
      const half = yield* type("setup-proxy", "configure", url, "--client-cert", cert)
      assert.strictEqual(half.report?.exitCode, 2)
      assert.include(half.report?.lines, "Give both --client-cert FILE and --client-key FILE.")
      const swapped = yield* type("setup-proxy", "configure", url, "--client-cert", key, "--client-key", cert)
      assert.include(swapped.report?.lines, `${key} does not hold a PEM certificate`)
      yield* clientPair(files, home, Certificates.days(-1))
      const ended = yield* type("setup-proxy", "configure", url, "--client-cert", cert, "--client-key", key)
      assert.match(ended.report?.lines ?? "", /The client certificate .*ada\.crt expired on 20/)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("refuses a CA bundle without a certificate", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* person()
      yield* files.writeFileString(`${home}/ca.crt`, "not a certificate")
      const failed = yield* type("setup-proxy", "configure", url, "--ca-bundle", `${home}/ca.crt`)
      assert.include(failed.report?.lines, "holds no PEM certificate")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("vibectl setup-proxy test", () => {
  it.scoped("prints the table of the documentation, with the first three models", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      const { stdout } = yield* type("setup-proxy", "test", url)
      assert.include(stdout, "✓ Connection successful!\n┏")
      assert.include(stdout, "│ Supported Models │ p/a, p/b, p/c, ... │")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("prints everything as JSON for programs", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      const { stdout } = yield* type("setup-proxy", "test", "--output", "json", url)
      const json = JSON.parse(stdout) as { server_version: string; models: ReadonlyArray<unknown> }
      assert.strictEqual(json.server_version, "0.9.1")
      assert.lengthOf(json.models, 4)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("waits as long as --timeout says", () =>
    Effect.gen(function*() {
      const { connections, type } = yield* person()
      yield* type("setup-proxy", "test", url, "--timeout", "30")
      assert.deepStrictEqual(connections[0]?.infoTimeout, Duration.seconds(30))
      assert.strictEqual((yield* type("setup-proxy", "test", url, "--timeout", "0")).report?.exitCode, 2)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says what to type when nothing is configured", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      assert.include((yield* type("setup-proxy", "test")).report?.lines, "vibectl setup-proxy configure")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("profiles", () => {
  it.scoped("are listed, chosen, disabled and removed with their token", () =>
    Effect.gen(function*() {
      const { files, home, type } = yield* person()
      yield* type("setup-proxy", "configure", "work", url)
      yield* type("setup-proxy", "configure", "home", `vibectl-server://${token}@localhost`)
      const listed = JSON.parse((yield* type("setup-proxy", "list", "--output", "json")).stdout) as ReadonlyArray<
        object
      >
      assert.deepStrictEqual(listed.map((profile) => Object.entries(profile).slice(0, 2)), [
        [["name", "work"], ["active", false]],
        [["name", "home"], ["active", true]]
      ])
      assert.isTrue((yield* type("setup-proxy", "use", "work")).ok)
      assert.include((yield* type("setup-proxy", "url")).stdout, "llm.example.com")
      assert.include((yield* type("setup-proxy", "use", "wrk")).report?.lines, "Did you mean work")

      yield* type("setup-proxy", "disable")
      const disabled = yield* type("vibe", "x")
      assert.include(disabled.report?.lines, "The proxy is disabled")
      assert.isTrue((yield* type("vibe", "--proxy", "home", "x")).ok)

      assert.isTrue((yield* type("setup-proxy", "remove", "work")).ok)
      assert.isFalse(yield* files.exists(`${home}/client/tokens/work.jwt`))
      assert.isTrue(yield* files.exists(`${home}/client/tokens/home.jwt`))
      assert.strictEqual((yield* type("setup-proxy", "remove", "work")).report?.exitCode, 1)
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("vibectl setup-proxy status", () => {
  it.scoped("shows who the token is for and until when, and never the token", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      yield* type("setup-proxy", "configure", url)
      const { stderr, stdout } = yield* type("setup-proxy", "status")
      assert.include(stdout, "ci-bot")
      assert.include(stdout, "2100-01-01T00:00:00.000Z")
      assert.notInclude(stdout + stderr, token)
      assert.strictEqual(stderr, "")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scopedLive("warns of a token that has expired", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      yield* type("setup-proxy", "configure", `vibectl-server://${jwt({ sub: "x", exp: 1 })}@localhost`)
      assert.include((yield* type("setup-proxy", "status")).stderr, "The token has expired")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says what to type when nothing is configured, and that is no failure", () =>
    Effect.gen(function*() {
      const { ok, stderr } = yield* (yield* person()).type("setup-proxy", "status")
      assert.isTrue(ok)
      assert.include(stderr, "vibectl setup-proxy configure")
    }).pipe(Effect.provide(NodeContext.layer)))
})

describe("vibectl vibe", () => {
  const { done, metrics, text } = Loopback
  const start = { _tag: "Start", tier: "simulated", attempt: 1, provider: "p", model: "p/a" } as const

  it.scoped("joins the words, and prints the answer and one newline on stdout", () =>
    Effect.gen(function*() {
      const { requests, type } = yield* person({ events: [start, text("a "), text("pod"), done, metrics] })
      yield* type("setup-proxy", "configure", url)
      const asked = yield* type("vibe", "--model", "fast", "explain", "kubernetes", "pods")
      assert.deepStrictEqual([asked.stdout, asked.stderr], ["a pod\n", ""])
      assert.deepInclude(requests[0], { user: ["explain kubernetes pods"], model: "fast" })
      assert.lengthOf(requests[0]!.system!, 3)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("tells a person that a model does not stream, and takes no orders from the answer", () =>
    Effect.gen(function*() {
      const events = [start, text("a\u001b]0;x\u0007\u001b[2Jb\tc\n"), done, metrics]
      const { type } = yield* person({ events, terminal: true })
      yield* type("setup-proxy", "configure", url)
      const asked = yield* type("vibe", "x")
      assert.strictEqual(asked.stdout, "a]0;x[2Jb       c\n")
      assert.strictEqual(asked.stderr, "Warning: Model doesn't support streaming, falling back to simulated\n")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says when the text so far is void", () =>
    Effect.gen(function*() {
      const restart = { _tag: "Restart", reason: "PROVIDER_UNAVAILABLE" } as const
      const half = text("{\"action\":\"DONE\",\"text\":\"half")
      const { type } = yield* person({ events: [half, restart, text("whole"), done, metrics] })
      yield* type("setup-proxy", "configure", url)
      const asked = yield* type("vibe", "x")
      assert.strictEqual(asked.stdout, "half\nwhole\n")
      assert.include(asked.stderr, "Ignore the text above")
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("ends the line of an answer that breaks off, and fails", () =>
    Effect.gen(function*() {
      const fails = new CallFailed({
        reason: "STREAM_INTERRUPTED",
        status: "UNAVAILABLE",
        summary: "It broke.",
        remedy: "Again.",
        retryAfter: undefined
      })
      const { type } = yield* person({ events: [text("half")], fails })
      yield* type("setup-proxy", "configure", "--no-test", url)
      const asked = yield* type("vibe", "x")
      assert.strictEqual(asked.stdout, "half\n")
      assert.deepStrictEqual(asked.report, { lines: "Error: It broke.\nSolution: Again.", exitCode: 5 })
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("refuses an empty request, and helps whoever makes none", () =>
    Effect.gen(function*() {
      const { type } = yield* person()
      assert.isTrue((yield* type("vibe")).ok)
      assert.strictEqual((yield* type("vibe", "  ")).report?.exitCode, 2)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("says what it took, when the configuration or a flag says so", () =>
    Effect.gen(function*() {
      const { type } = yield* person({ events: [text("a"), done, metrics] })
      yield* type("setup-proxy", "configure", url)
      const says = (...flags: ReadonlyArray<string>) =>
        Effect.map(type("vibe", ...flags, "x"), ({ stderr }) => stderr !== "")
      assert.deepStrictEqual([yield* says(), yield* says("--show-metrics")], [false, true])
      yield* type("config", "set", "assistant.show_metrics", "true")
      assert.deepStrictEqual([yield* says(), yield* says("--no-show-metrics")], [true, false])
      assert.isFalse((yield* type("vibe", "--show-metrics", "--no-show-metrics", "x")).ok)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.scoped("asks nothing when it is told what cannot be", () =>
    Effect.gen(function*() {
      const { requests, type } = yield* person()
      yield* type("setup-proxy", "configure", url)
      assert.match(
        (yield* type("vibe", "--max-steps", "0", "x")).report?.lines ?? "",
        /--max-steps 0 is out of range: it is a whole number from 1 to 100/
      )
      yield* type("config", "set", "assistant.allow_verbs", "skale")
      const refused = (yield* type("vibe", "x")).report
      assert.match(refused?.lines ?? "", /names 'skale'[^]*Did you mean scale/)
      assert.strictEqual(refused?.exitCode, 2)
      assert.lengthOf(requests, 0)
    }).pipe(Effect.provide(NodeContext.layer)))
})
