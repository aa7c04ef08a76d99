import type { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Env } from "../../src/config/Environment.js"
import type * as Activity from "../../src/ops/Activity.js"
import * as OpsClient from "../../src/ops/OpsClient.js"
import * as Server from "../../src/server/Cli.js"
import { report } from "../../src/terminal/Failure.js"
import * as Commands from "../support/Commands.js"
import * as Ops from "../support/Ops.js"
import { freePort } from "../support/Programs.js"

const execute = Commands.executor((argv) => Server.run(argv, Effect.succeed(false)))

/** A configuration of these settings of the server. */
const configured = <A, E>(
  server: object,
  use: (file: string) => Effect.Effect<A, E, Env | NodeContext.NodeContext>
) =>
  Commands.inDirectory((file, files) => {
    const made = Effect.zipRight(
      files.makeDirectory(file.replace(/\/[^/]*$/, ""), { recursive: true }),
      files.writeFileString(file, JSON.stringify({ server }))
    )
    return Effect.zipRight(Effect.orDie(made), use(file))
  })

const busy: Activity.Activity = {
  version: "0.9.1",
  address: "127.0.0.1:50051",
  started_at: Ops.facts.startedAt,
  uptime_seconds: 93_784,
  default_model: "openai/gpt-4o",
  log_level: "INFO",
  store: { kind: "redis", ready: false, problem: "gone\u001b[2J" },
  running: { methods: { Execute: 1, StreamExecute: 12 }, subjects: { "ci-bot": 13 } },
  calls: { OK: 4, CANCELLED: 1 },
  tiers: {},
  providers: { openai: { attempts: 7, failures: 2, answers: 5 } }
}

describe("vibectl-server info", () => {
  it.scopedLive("shows what the server of the configuration does", () =>
    Effect.gen(function*() {
      const port = yield* Ops.serve({ activity: Effect.succeed(busy) })
      yield* configured({ metrics_port: port, metrics_host: "0.0.0.0" }, () =>
        Effect.gen(function*() {
          const { error, stdout } = yield* execute("info")
          assert.isUndefined(error, error)
          for (
            const row of [
              /│ Version +│ 0\.9\.1 +│/,
              /│ Up +│ 1d 2h, since 2026-11-26T10:00:00\.000Z +│/,
              /│ Default model +│ openai\/gpt-4o +│/,
              /│ Log level +│ INFO +│/,
              /│ Store of limits +│ redis, not ready: gone \[2J +│/,
              /│ Calls that run +│ StreamExecute 12, Execute 1 +│/,
              /│ Whose they are +│ ci-bot 13 +│/,
              /│ Calls that ended +│ OK 4, CANCELLED 1 +│/,
              /│ Answers by tier +│ none +│/,
              /│ Provider openai +│ attempts 7, failures 2, answers 5 +│/
            ]
          ) assert.match(stdout, row)
          const json = yield* execute("info", "--output", "json")
          assert.deepInclude(JSON.parse(json.stdout) as object, {
            started_at: "2026-11-26T10:00:00.000Z",
            running: busy.running
          })
          const other = yield* execute("info", "--url", `http://127.0.0.1:${port}`, "--output", "json")
          assert.strictEqual(other.stdout, json.stdout)
        }))
    }))

  it.live("nobody there is one clear error, and exit code 5", () =>
    Effect.gen(function*() {
      const port = yield* Effect.promise(freePort)
      yield* configured({ metrics_port: port }, (file) =>
        Effect.gen(function*() {
          for (const words of [["info"], ["info", "--config", file], ["log-level"], ["log-level", "debug"]]) {
            const { error, stdout } = yield* execute(...words)
            assert.strictEqual(stdout, "")
            assert.include(error ?? "", `No server answers on http://127.0.0.1:${port} (ECONNREFUSED). Start it`)
          }
        }))
      const failure = yield* Effect.flip(OpsClient.activity(`http://127.0.0.1:${port}`))
      assert.strictEqual(report(failure)?.exitCode, 5)
    }))

  it.scopedLive("another program on the port is not taken for a server", () =>
    Effect.gen(function*() {
      const other = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((request, response) => {
            if (request.url === "/log-level") return response.socket?.destroy()
            response.end("{\"version\":1}")
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const port = (other.address() as AddressInfo).port
      yield* configured({ metrics_port: port }, () =>
        Effect.gen(function*() {
          const { error } = yield* execute("info")
          assert.include(error ?? "", "is not this version of vibectl-server (its answer is another one)")
          assert.include((yield* execute("log-level")).error ?? "", "No server answers")
        }))
    }))

  it.live("a server without such a port, and what cannot be an address, are told", () =>
    configured({ metrics_port: 0 }, (file) =>
      Effect.gen(function*() {
        assert.include((yield* execute("info")).error ?? "", "server.metrics_port is 0")
        for (const url of ["localhost:9095", "https://x:1", "http://a:b@x:1", "http://x:1/path", "x"]) {
          assert.include((yield* execute("info", "--url", url)).error ?? "", "http://HOST:PORT", url)
        }
        const both = yield* execute("info", "--url", "http://x:1", "--config", file)
        assert.include(both.error ?? "", "Leave one of them out")
      })))
})

describe("vibectl-server log-level", () => {
  it.scopedLive("shows and changes it", () =>
    Effect.gen(function*() {
      const level = Ops.level("INFO")
      const port = yield* Ops.serve({ level })
      yield* configured({ metrics_port: port }, () =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* execute("log-level"), { stdout: "INFO", stderr: "", error: undefined })
          const { error, stderr } = yield* execute("log-level", "debug")
          assert.deepStrictEqual([error, stderr], [undefined, "The log level is DEBUG until the server stops."])
          assert.strictEqual(yield* level.get, "DEBUG")
          const wrong = yield* execute("log-level", "loud")
          assert.include(wrong.error ?? "", "loud is not a log level. Choose one of DEBUG, INFO, WARNING, ERROR.")
          assert.strictEqual(yield* level.get, "DEBUG")
        }))
    }))
})
