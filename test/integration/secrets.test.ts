import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, LogLevel, Metric, Redacted, Stream } from "effect"
import * as Http from "node:http"
import type * as Net from "node:net"
import * as Util from "node:util"
import { Audit } from "../../src/audit/Audit.js"
import { ServerConfig } from "../../src/config/ServerConfig.js"
import { unrestricted } from "../../src/domain/Access.js"
import * as Memory from "../../src/limits/Memory.js"
import { LlmProxy } from "../../src/proxy/LlmProxy.js"
import * as ServerLayer from "../../src/server/ServerLayer.js"
import * as Spans from "../support/Spans.js"

const canaries = ["api-key", "body", "header", "prompt", "token-id"].map((place) => `CANARY-${place}-0aZ9bY8cX7dW`)
const [apiKey, body, header, prompt, tokenId] = canaries as [string, string, string, string, string]

/** A provider whose every answer is a fault that says its secret. */
const vendor = Effect.acquireRelease(
  Effect.async<{ readonly url: string; readonly server: Http.Server }>((resume) => {
    const server = Http.createServer((request, response) => {
      request.resume().on(
        "end",
        () =>
          response.writeHead(401, { "content-type": "application/json", "www-authenticate": header }).end(
            JSON.stringify({ error: { message: `Incorrect API key: ${body}`, code: "invalid_api_key", param: apiKey } })
          )
      )
    })
    server.listen(
      0,
      "127.0.0.1",
      () => resume(Effect.succeed({ url: `http://127.0.0.1:${(server.address() as Net.AddressInfo).port}`, server }))
    )
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
)

describe("spans, metrics and the log of a program", () => {
  it.scopedLive("hold no key, prompt or body of a provider, also when every call fails", () =>
    Effect.gen(function*() {
      const { url } = yield* vendor
      const kept = Spans.keep()
      const log: Array<string> = []
      // Everything that a logger of a program could print, causes included.
      const logger = Logger.replace(
        Logger.defaultLogger,
        Logger.make((options) => void log.push(Util.inspect(options, { depth: 8 })))
      )
      const config = ServerConfig.layerTest({
        providers: {
          a: { kind: "openai", base_url: `${url}/v1`, api_key: Redacted.make(apiKey), models: ["m"] },
          b: { kind: "anthropic", base_url: url, api_key: Redacted.make(apiKey), models: ["m"] }
        }
      })
      const layer = LlmProxy.layer.pipe(
        Layer.provide(Memory.layer),
        Layer.provide(ServerLayer.catalog),
        Layer.provide(config)
      )
      yield* Effect.gen(function*() {
        const proxy = yield* LlmProxy
        const caller = { subject: "ci", tokenId, access: unrestricted, features: new Set<never>(), deadline: Infinity }
        for (const model of ["a/m", "b/m"]) {
          const request = { requestId: "r", model, system: [prompt], user: [prompt], responseSchema: undefined }
          const failed = yield* Effect.flip(proxy.execute(request, caller))
          assert.strictEqual(failed.reason, "PROVIDER_REJECTED")
          yield* Effect.flip(Stream.runDrain(proxy.stream(request, caller)).pipe(Effect.withSpan("a program's own")))
        }
      }).pipe(Effect.provide([layer, kept.layer, logger]), Logger.withMinimumLogLevel(LogLevel.All))

      const spans = Util.inspect(kept.spans(), { depth: 12 })
      assert.include(spans, "refused the request")
      assert.include(spans, "LlmProxy.execute")
      const metrics = Util.inspect(Metric.unsafeSnapshot(undefined), { depth: 12, maxArrayLength: null })
      assert.include(metrics, "vibectl_attempts_failed_total")
      for (const canary of canaries) {
        assert.notInclude(spans, canary)
        assert.notInclude(metrics, canary)
        assert.notInclude(log.join("\n"), canary)
      }
    }))

  it.scopedLive("say of a server's settings nothing but their names", () =>
    Effect.gen(function*() {
      const config = ServerConfig.layerTest({ server: { jwt_secret: Redacted.make(apiKey) } })
      const settings = yield* Effect.provide(ServerConfig, config)
      assert.notInclude(Util.inspect(settings, { depth: 12 }), apiKey)
      assert.notInclude(JSON.stringify(settings), apiKey)
    }).pipe(Effect.provide([NodeFileSystem.layer, Audit.layerNone])))
})
